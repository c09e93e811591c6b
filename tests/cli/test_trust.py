"""Certificates and proxies on the command line: what is trusted, and which of the reasons is told."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tickwire.machine import REAL

from ..client.forward_proxy import forward_proxy
from ..serving import Program, program
from .commands import DONE, FAILED, WRONG, tickwire

NONE = {
    "HTTPS_PROXY": "",
    "HTTP_PROXY": "",
    "ALL_PROXY": "",
    "NO_PROXY": "",
    "SSL_CERT_FILE": "",
    "TICKWIRE_CA_FILE": "",
}
ELSEWHERE = "feeds.example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """`tickwire serve` with a certificate that it made."""
    names = f"127.0.0.1,{ELSEWHERE}"
    async with program(tmp_path_factory.mktemp("secure"), "--tls-self-signed", names) as running:
        yield running


def ca(running: Program) -> str:
    """Where the server says that its CA lies."""
    return next(line.strip() for line in running.welcome.splitlines() if line.strip().endswith("ca.pem"))


@pytest.mark.asyncio(loop_scope="module")
async def test_the_server_says_where_its_ca_lies(secure: Program) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    assert ca(secure).endswith("/data/tls/ca.pem")
    assert f"which may certify 127.0.0.1, {ELSEWHERE} only" in secure.welcome
    assert f"\n  127.0.0.1 {ELSEWHERE}\n" in secure.welcome
    for name in ("Python", "Node", "Go", "Java", "curl"):
        assert f"\n  {name} " in secure.welcome


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "command", ["quote BTCUSDT", "kline BTCUSDT", "tail BTCUSDT -n 1", "check --seconds 1", "wait"]
)
async def test_a_ca_file(secure: Program, tmp_path: Path, command: str) -> None:
    name, *more = command.split()
    where = [secure.url] if name in ("check", "wait") else ["--url", secure.url]
    trusting = await tickwire(tmp_path, name, *where, *more, "--ca-file", ca(secure), **NONE)
    assert trusting.status == DONE, trusting.out + trusting.err
    left = [*more, *(["--timeout", "0"] if name == "wait" else [])]
    refused = await tickwire(tmp_path, name, *where, *left, **NONE)
    said = " ".join((refused.out + refused.err).split())
    assert refused.status == FAILED
    assert f"the certificate of {secure.url.removeprefix('https://')} is refused" in said
    assert "plan" not in said
    if name != "wait":
        assert "--ca-file" in said


@pytest.mark.asyncio(loop_scope="module")
async def test_the_environment_and_the_settings_file(secure: Program, tmp_path: Path) -> None:
    given = {**NONE, "SSL_CERT_FILE": ca(secure)}
    assert (await tickwire(tmp_path, "quote", "BTCUSDT", "--url", secure.url, **given)).status == DONE
    (tmp_path / "client.toml").write_text(f'url = "{secure.url}"\nca_file = "{ca(secure)}"\n')
    own = ["--config", str(tmp_path / "client.toml")]
    assert (await tickwire(tmp_path, "quote", "BTCUSDT", *own, **NONE)).status == DONE


@pytest.mark.asyncio(loop_scope="module")
async def test_a_proxy(secure: Program, tmp_path: Path) -> None:
    async with forward_proxy() as proxy:
        given = {**NONE, "HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": ca(secure), "TICKWIRE_TOKEN": "t"}
        url = secure.url.replace("127.0.0.1", ELSEWHERE)
        for command in (["quote", "BTCUSDT", "--url", url], ["check", url, "BTCUSDT", "--seconds", "1"]):
            ended = await tickwire(tmp_path, *command, **given)
            assert ended.status == DONE, ended.out + ended.err
        assert {one.partition(":")[0] for one in proxy.asked} == {f"CONNECT {ELSEWHERE}"}


async def test_a_closed_port_is_not_the_plan_s_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ended = await tickwire(tmp_path, "quote", "BTCUSDT", "--url", f"http://127.0.0.1:{port}", **NONE)
    said = " ".join(ended.err.split())
    assert ended.status == FAILED
    assert f"127.0.0.1:{port}: connection refused" in said
    assert "`tickwire serve` starts a server" in said
    assert "plan" not in said


@pytest.mark.parametrize("command", ["quote BTCUSDT", "tail BTCUSDT", "check"])
async def test_advice_about_a_proxy_is_about_the_proxy(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = f"127.0.0.1:{listener.getsockname()[1]}"
    name, *more = command.split()
    url = f"https://{ELSEWHERE}"
    where = [url] if name == "check" else ["--url", url]
    given = NONE | {"HTTPS_PROXY": f"http://{proxy}", "TICKWIRE_TOKEN": "t"}
    ended = await tickwire(tmp_path, name, *where, *more, **given)
    said = " ".join((ended.out + ended.err).split())
    assert ended.status == FAILED
    assert f"the proxy {proxy}: connection refused" in said
    assert "HTTPS_PROXY" in said
    assert "tickwire serve" not in said


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:99999", "http://127.0.0.1:0", "socks5://127.0.0.1:1080"])
async def test_a_proxy_that_cannot_be_is_one_line(tmp_path: Path, proxy: str) -> None:
    given = NONE | {"HTTPS_PROXY": proxy, "TICKWIRE_TOKEN": "t"}
    ended = await tickwire(tmp_path, "quote", "BTCUSDT", "--url", f"https://{ELSEWHERE}", **given)
    assert (ended.status, ended.out) == (WRONG, "")
    assert ended.err == (
        f"tickwire: the proxy '{proxy}' cannot be used: it must be http://HOST:PORT or https://HOST:PORT.\n"
    )


async def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    ended = await tickwire(tmp_path, "quote", "BTCUSDT", "--ca-file", str(tmp_path / "none.pem"), **NONE)
    assert ended.status == WRONG
    assert "--ca-file" in ended.err
    assert "is no file" in " ".join(ended.err.split())


# `tickwire serve` that cannot have its certificate.
def key_in(folder: Path, *options: str) -> Path:
    path = folder / "key.pem"
    openssl = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", *options]
    subprocess.run([*openssl, "-out", str(path)], check=True, capture_output=True)
    return path


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--tls-cert {cert}", "--tls-cert and --tls-key go together"),
        ("--tls-cert {cert} --tls-key {none}", "No such file"),
        ("--tls-cert {cert} --tls-key {dir}", "Is a directory"),
        ("--tls-cert {cert} --tls-key {cert}", "no certificate and its key in PEM"),
        ("--tls-cert {cert} --tls-key {other}", "the key is that of another certificate"),
        ("--tls-cert {cert} --tls-key {locked}", "is encrypted"),
        ("--tls-self-signed a.b --tls-cert {cert} --tls-key {key}", "leave out --tls-cert"),
        ("--tls-self-signed http://a.b", "is no name of a host and no address"),
        ("--tls-self-signed a..b", "is no name of a host and no address"),
        ("--tls-self-signed 1.2.3", "is no name of a host and no address"),
    ],
)
async def test_a_certificate_that_cannot_be_used(tmp_path: Path, flags: str, words: str) -> None:
    from tickwire.server.authority import Authority

    own = Authority(tmp_path / "own" / "ca.pem", ["a.b"], REAL)
    (tmp_path / "locked").mkdir()
    files = {
        "cert": own.chain,
        "key": own.key,
        "none": tmp_path / "none",
        "dir": tmp_path,
        "other": tmp_path / "own" / "ca.key",
        "locked": key_in(tmp_path / "locked", "-aes256", "-pass", "pass:secret") if "locked" in flags else "",
    }
    given = flags.format(**files).split()
    ended = await tickwire(tmp_path, "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), *given)
    assert ended.status == WRONG, ended.err
    assert words in " ".join(ended.err.split()), ended.err
    assert "Traceback" not in ended.err
