"""Trust and proxies, with real certificates and a real proxy: over HTTP as over WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tickwire.assembly import build
from tickwire.client import (
    Api,
    ClientError,
    Link,
    LinkStatus,
    Network,
    State,
    Unavailable,
    Untrusted,
    connect,
)
from tickwire.client.buffer import Buffer
from tickwire.client.dial import Options, dial
from tickwire.client.events import Trade
from tickwire.config import load
from tickwire.errors import SettingsError
from tickwire.machine import REAL
from tickwire.server.authority import Authority
from tickwire.server.certificate import ca_of

from ..serving import OTHER_WS, Script, Served, serving, subscribed_codes, trade, until
from .forward_proxy import ForwardProxy, forward_proxy

ELSEWHERE = "feeds.example.com"
"""A name that leads nowhere but through the proxy."""
VARIABLES = "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR TICKWIRE_CA_FILE".split()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def secure(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """A server that is called by both names, and speaks TLS."""
    async with serving(tmp_path, script, tls_self_signed=["127.0.0.1", ELSEWHERE]) as served:
        yield served


@pytest.fixture
async def proxy() -> AsyncIterator[ForwardProxy]:
    async with forward_proxy() as running:
        yield running


def ca(served: Served) -> Path:
    return ca_of(served.engine.settings.data_dir)


def elsewhere(served: Served) -> str:
    """The server under the name that only the proxy finds."""
    return served.url.replace("127.0.0.1", ELSEWHERE)


async def talk(url: str, network: Network | None, script: Script) -> str:
    """The price that comes over WebSocket; what HTTP says must be the same."""
    async with connect(url, token="t", network=network) as feed:
        await feed.subscribe(trades=["BTCUSDT"])
        script.emit(trade())
        async with asyncio.timeout(120):
            async for event in feed:
                if isinstance(event, Trade):
                    (over_http,) = await feed.api.latest_trades("BTCUSDT")
                    assert over_http.price == event.price
                    return str(event.price)
    raise AssertionError("no trade")


def relay(data_dir: Path, url: str) -> None:
    build(load({"data_dir": data_dir, "source": "alltick", "upstream_url": url, "upstream_token": "t"}))


async def why_not(url: str, network: Network | None = None) -> tuple[ClientError, str]:
    """What HTTP raises, and what WebSocket says."""
    network = network or Network()
    async with Api(url, token="t", network=network, patience=0) as api:
        with pytest.raises(ClientError) as raised:
            await api.latest_trades("BTCUSDT")
    with pytest.raises(Unavailable) as lost:
        await dial(url.replace("http", "ws", 1) + OTHER_WS, "secret", Options(network=network))
    assert "secret" not in str(lost.value)
    return raised.value, str(lost.value)


# Trust.
async def test_a_ca_file(secure: Served, script: Script) -> None:
    assert await talk(secure.url, Network(ca_file=ca(secure)), script) == "79317.70"


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "TICKWIRE_CA_FILE"])
async def test_the_environment_s_certificates(
    secure: Served, script: Script, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(ca(secure)))
    assert await talk(secure.url, None, script) == "79317.70"


async def test_a_ca_file_goes_before_the_environment(
    secure: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path / "other" / "ca.pem", ["127.0.0.1"], REAL)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca(secure)))
    raised, _ = await why_not(secure.url, Network(ca_file=other.ca))
    assert isinstance(raised, Untrusted)


async def test_a_certificate_that_nobody_trusts(secure: Served) -> None:
    raised, reason = await why_not(secure.url)
    place = secure.url.removeprefix("https://")
    assert type(raised) is Untrusted
    assert not raised.retryable
    assert f"the certificate of {place} is refused: " in str(raised)
    assert reason in str(raised)


async def test_a_variable_that_names_no_file_is_told(secure: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    _, reason = await why_not(secure.url)
    assert reason.endswith("(SSL_CERT_FILE names /nowhere/ca.pem, which is not there)")


async def test_another_name(tmp_path: Path) -> None:
    async with serving(tmp_path, Script(), tls_self_signed=[ELSEWHERE]) as served:
        url = served.url.replace(ELSEWHERE, "127.0.0.1")
        raised, reason = await why_not(url, Network(ca_file=ca(served)))
        assert type(raised) is Untrusted
        assert "127.0.0.1" in reason.partition("is refused: ")[2]


@pytest.mark.parametrize(
    ("text", "words"), [(None, "is no file"), ("", "no certificate"), ("x", "no certificate")]
)
def test_a_file_without_certificates_is_told_at_once(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=words):
        connect("https://127.0.0.1:1", token="t", network=Network(ca_file=path))


def test_without_a_file_the_system_s_are_trusted() -> None:
    context = Network().context_for("https://quote.alltick.co")
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert Network().context_for("http://127.0.0.1") is None


# Reasons.
async def test_a_port_on_which_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for scheme in ("http", "https"):
        raised, reason = await why_not(f"{scheme}://127.0.0.1:{port}")
        assert type(raised) is Unavailable
        assert reason == f"127.0.0.1:{port}: connection refused"
        assert reason in str(raised)
    _, reason = await why_not(f"http://localhost:{port}")  # of two addresses
    assert reason == f"localhost:{port}: connection refused"


async def test_what_a_request_waits_for_is_told(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with Api(f"http://127.0.0.1:{port}") as api:
        asking = asyncio.create_task(api.latest_trades("BTCUSDT"))
        await until(lambda: "connection refused" in api.waits_for)
        asking.cancel()
    async with Api(served.url, plan="free") as api:
        await api.static_info("AAPL.US")
        waiting = asyncio.create_task(api.static_info("AAPL.US"))
        await until(lambda: api.waits_for == "the plan allows few requests")
        waiting.cancel()


async def test_tls_to_a_plain_port(served: Served) -> None:
    raised, reason = await why_not(served.url.replace("http", "https", 1))
    place = served.url.removeprefix("http://")
    assert f"{place} speaks no TLS (is it http://?)" in str(raised)
    assert reason == f"{place} speaks no TLS (is it ws://?)"


async def test_plain_http_to_a_port_of_tls(secure: Served) -> None:
    raised, reason = await why_not(secure.url.replace("https", "http", 1))
    assert "this port speaks TLS: use https:// or wss://" in str(raised)
    assert "this port speaks TLS: use https:// or wss://" in reason


async def test_a_name_that_there_is_not() -> None:
    raised, reason = await why_not("https://nowhere.invalid")
    assert "nowhere.invalid:443 has no address" in str(raised)
    assert "nowhere.invalid:443 has no address" in reason


async def test_a_link_says_it_and_tries_again(secure: Served) -> None:
    found: asyncio.Queue[State] = asyncio.Queue()
    link = Link(secure.url.replace("https", "wss") + OTHER_WS, "t", Buffer(10), on_state=found.put_nowait)
    async with link, asyncio.timeout(120):
        for _ in range(2):
            while (state := await found.get()).status is not LinkStatus.DOWN:
                pass
            assert "is refused" in state.reason
            assert state.untrusted
            assert state.again is not None


# Proxies.
@pytest.mark.parametrize("tls", [True, False])
async def test_the_environment_s_proxy(
    tmp_path: Path, script: Script, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY" if tls else "HTTP_PROXY", proxy.url)
    names = ["127.0.0.1", ELSEWHERE] if tls else []
    async with serving(tmp_path, script, tls_self_signed=names) as served:
        network = Network(ca_file=ca(served)) if tls else None
        assert await talk(elsewhere(served), network, script) == "79317.70"
    assert len(proxy.asked) == 2
    assert all(ELSEWHERE in one for one in proxy.asked)


@pytest.mark.parametrize("given", ["variable", "network"])
async def test_a_proxy_that_asks_for_a_password(
    secure: Served, script: Script, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    async with forward_proxy("me:pass-word") as proxy:
        network = Network(ca_file=ca(secure), proxy=proxy.url if given == "network" else None)
        if given == "variable":
            monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert await talk(elsewhere(secure), network, script) == "79317.70"
        raised, reason = await why_not(
            elsewhere(secure), network._replace(proxy=proxy.url.replace("pass-", ""))
        )
        for text in (str(raised), reason):
            assert "407" in text
            assert "word" not in text


async def test_who_goes_without(
    secure: Served, script: Script, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    network = Network(ca_file=ca(secure))
    assert await talk(secure.url, network, script)  # this machine
    monkeypatch.setenv("NO_PROXY", "example.com, 10.0.0.1")
    for one in (network, network._replace(proxy="")):
        _, reason = await why_not(elsewhere(secure), one)
        assert "has no address" in reason
    assert proxy.asked == []


async def test_what_a_proxy_cannot_do_is_told_as_its_fault(proxy: ForwardProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    _, reason = await why_not(f"https://{ELSEWHERE}:{port}", Network(proxy=proxy.url))
    assert proxy.url.removeprefix("http://") in reason
    assert "502" in reason
    away = Network(proxy=f"http://127.0.0.1:{port}")
    raised, reason = await why_not(f"https://{ELSEWHERE}", away)
    assert reason == f"the proxy 127.0.0.1:{port}: connection refused"
    assert reason in str(raised)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://127.0.0.1:1080",
        "http://",
        "ftp://x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "127.0.0.1:port",
        "http://127.0.0.1 :80",
        "http://[::1",
        "http://me:secret@127.0.0.1:99999",
    ],
)
async def test_a_proxy_that_cannot_be_gone_by(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        connect("https://127.0.0.1:1", token="t", network=Network(proxy=url))
    monkeypatch.setenv("HTTPS_PROXY", url)
    for there in (Api, connect):
        with pytest.raises(ValueError, match="cannot be used") as raised:
            there(f"https://{ELSEWHERE}", token="t")
        assert "secret" not in str(raised.value)
    with pytest.raises(SettingsError, match="cannot be used"):
        relay(tmp_path, f"https://{ELSEWHERE}")


@pytest.mark.parametrize(
    "url", ["http://a:99999", "http://a:0", "http://a:b", "http://a b", "http://[::1", "http://u:secret@a:0"]
)
def test_what_is_no_address_of_a_server(url: str, tmp_path: Path) -> None:
    for there in (Api, connect):
        with pytest.raises(ValueError, match="is no address of a server") as raised:
            there(url, token="t")
        assert "secret" not in str(raised.value)
    with pytest.raises(SettingsError, match=r"--upstream-url: .* is no address of a server"):
        relay(tmp_path, url)


async def test_a_relay_says_why(secure: Served, tmp_path: Path) -> None:
    relay: dict[str, Any] = {"source": "alltick", "upstream_url": secure.url, "upstream_token": "t"}
    async with serving(tmp_path / "relay", **relay) as relayed, relayed.link() as link:
        await link.subscribe(22004, "BTCUSDT")
        health = relayed.engine.market.source.health
        await until(lambda: "is refused" in health.reason)
        assert f"the certificate of {secure.url.removeprefix('https://')}" in health.reason


async def test_a_relay_goes_the_same_way(
    secure: Served, script: Script, proxy: ForwardProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    relay: dict[str, Any] = {
        "source": "alltick",
        "upstream_url": elsewhere(secure),
        "upstream_token": "t",
        "upstream_plan": "unlimited",
        "ca_file": ca(secure),
    }
    async with serving(tmp_path / "relay", **relay) as relayed, contextlib.AsyncExitStack() as stack:
        link = await stack.enter_async_context(relayed.link())
        await link.subscribe(22004, "BTCUSDT")
        await until(lambda: bool(subscribed_codes(secure.engine.gateway.hub)))
        script.emit(trade())
        assert (await link.push())["data"]["price"] == "79317.70"
    assert proxy.asked
