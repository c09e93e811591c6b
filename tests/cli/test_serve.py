"""`tickwire serve` where it does not serve: one clear line, the remedy, the right exit status."""

from __future__ import annotations

import gzip
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import structlog

from tickwire.cli.main import run
from tickwire.machine import logs

from ..forks import run as run_forked
from ..serving import program_environment

FAILED, WRONG = 1, 2
TRADES = "code,tick_time_ms,price,volume\n"

Run = Callable[..., subprocess.CompletedProcess[str]]


def tickwire(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    return run_forked(*arguments, env=program_environment(COLUMNS="200", NO_COLOR="1", **environment))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The same in this process, which is faster: only settings are read, and nothing is served."""

    async def served(*_: object) -> None:
        raise AssertionError("it serves")

    def run_here(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        for name in [name for name in os.environ if name.startswith("TICKWIRE_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["tickwire", *arguments])
        monkeypatch.setattr(logs, "configure", lambda _: None)
        monkeypatch.setattr(import_module("tickwire.server.serve"), "_serve", served)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end, structlog.testing.capture_logs():
            run()
        status = end.value.code
        assert isinstance(status, int)
        return subprocess.CompletedProcess(arguments, status, *capfd.readouterr())

    return run_here


def refused(
    run: Run,
    tmp_path: Path,
    status: int,
    words: list[str],
    *arguments: str,
    lines: int = 1,
    **environment: Any,
) -> None:
    """`serve` ends with that status and one line (log lines before it) that holds those words."""
    data_dir = () if "--data-dir" in arguments else ("--data-dir", str(tmp_path / "data"))
    done = run("serve", "--port", "0", *data_dir, *arguments, **environment)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("timestamp=")]
    assert len(said) == lines, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(tickwire, tmp_path, FAILED, [f"Port {port}", "taken", "--port"], "--port", str(port))


def test_an_address_that_is_not_ours(here: Run, tmp_path: Path) -> None:
    refused(here, tmp_path, FAILED, ["192.0.2.1", "--host"], "--host", "192.0.2.1", "--no-auth")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_that_others_reach_needs_no_auth(tmp_path: Path, host: str) -> None:
    refused(tickwire, tmp_path, WRONG, ["--no-auth", "127.0.0.1"], "--host", host)


def test_a_host_that_is_none(here: Run, tmp_path: Path) -> None:
    refused(here, tmp_path, WRONG, ["--host", "no.such.host.invalid"], "--host", "no.such.host.invalid")


def test_a_missing_recording(tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"
    refused(
        tickwire,
        tmp_path,
        FAILED,
        [str(missing), "No such file"],
        "--source",
        "replay",
        "--file",
        str(missing),
    )


def test_a_folder_for_a_recording(here: Run, tmp_path: Path) -> None:
    refused(
        here,
        tmp_path,
        FAILED,
        ["no recording in", str(tmp_path)],
        "--source",
        "replay",
        "--file",
        str(tmp_path),
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_recording_that_may_not_be_read(here: Run, tmp_path: Path) -> None:
    locked = tmp_path / "locked.csv"
    locked.write_text(TRADES)
    locked.chmod(0)
    refused(here, tmp_path, FAILED, [str(locked), "ermission"], "--source", "replay", "--file", str(locked))


def broken_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(TRADES.encode() + b"IBM.US,1381152600000,182.1,1\n" * 9999)[:200])


def spoiled_gzip(path: Path) -> None:
    good = bytearray(gzip.compress(os.urandom(9999)))
    good[5000] ^= 255
    path.write_bytes(good)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (broken_gzip, ["Cannot read", "after line"]),
        (spoiled_gzip, ["recording.csv"]),
        (
            lambda path: path.write_text("a,b,c\n1,2,3\n"),
            ["line 1", "'a,b,c'", "code,tick_time_ms,price,volume"],
        ),
        (lambda path: path.write_text(""), ["line 1", "code,tick_time_ms,price,volume"]),
        (lambda path: path.write_bytes(random.Random(1).randbytes(5000)), ["line 1"]),
        (lambda path: path.write_bytes(b"\x1f\x8b"), ["Cannot read"]),
    ],
    ids=[
        "cut gzip",
        "spoiled gzip",
        "wrong columns",
        "empty",
        "noise",
        "two bytes",
    ],
)
def test_a_recording_that_is_none(
    here: Run, tmp_path: Path, write: Callable[[Path], object], words: list[str]
) -> None:
    path = tmp_path / "recording.csv"
    write(path)
    refused(here, tmp_path, FAILED, [str(path.name), *words], "--source", "replay", "--file", str(path))


@pytest.mark.parametrize(
    ("text", "words", "flags"),
    [
        (TRADES, ["Nothing to replay in recording.csv"], []),
        (TRADES + "rubbish\n", ["Nothing to replay in recording.csv"], []),
        (
            TRADES + "IBM.US,1381152600000,182.1,1\nIBM.US,x,182.1,1\n",
            ["recording.csv, line 3", "--strict-input"],
            ["--strict-input"],
        ),
    ],
    ids=["header alone", "no good line", "bad line"],
)
def test_a_recording_of_which_it_is_found_when_it_is_read(
    tmp_path: Path, text: str, words: list[str], flags: list[str]
) -> None:
    """Connections are taken already: its URL has been printed, and nothing more."""
    path = tmp_path / "recording.csv"
    path.write_text(text)
    given = ("--source", "replay", "--file", str(path), "--data-dir", str(tmp_path / "data"))
    done = tickwire("serve", "--port", "0", *given, *flags)
    assert (done.returncode, done.stdout.count("\n"), done.stdout[:7]) == (FAILED, 1, "http://")
    (said,) = [line for line in done.stderr.splitlines() if not line.startswith("timestamp=")]
    assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], ["--port", "65535"]),
        (["--port", "-1"], ["--port"]),
        (["--speed", "-1"], ["--speed", "0"]),
        (["--speed", "nan"], ["--speed"]),
        (["--rate", "0"], ["--rate", "greater than 0"]),
        (["--client-buffer", "1"], ["--client-buffer", "65536"]),
        (["--codes", "NOPE"], ["NOPE", "--codes", "--instruments"]),
        (["--codes", "BTCUSDT,btcusdt"], ["btcusdt"]),
        (["--source", "replay"], ["--file"]),
        (["--file", "x.csv"], ["--source replay"]),
        (["--config", "/no/such/file.toml"], ["/no/such/file.toml", "No such file"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_setting(here: Run, tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    refused(here, tmp_path, WRONG, words, *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-such-flag"], ["--no-such-flag"]),
        (["--prot", "0"], ["--prot", "--port"]),
        (["--port", "many"], ["--port", "integer"]),
        (["too", "many"], ["too"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_usage(here: Run, arguments: list[str], words: list[str]) -> None:
    done = here("serve", *arguments)
    assert (done.returncode, done.stdout) == (WRONG, "")
    assert "Traceback" not in done.stderr
    assert "serve -h" in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "nothing"], ["--source", "nothing", "simulator", "replay", "alltick", "publish"]),
        (["--source", "exchange"], ["exchange:binance"]),
        (["--source", "simulator", "--source", "simulator"], ["each source is named once"]),
        (["--source", "alltick"], ["--upstream-token"]),
        (["--source", "alltick", "--upstream-token", "SECRET", "--upstream-plan", "no"], ["'no'", "basic"]),
        (["--source", "replay", "--file", "x.csv", "--loop", "--exit-at-end"], ["--loop", "--exit-at-end"]),
        (["--exit-at-end"], ["--exit-at-end", "--source replay"]),
        (["--source", "replay", "--source", "publish", "--file", "x.csv"], ["cannot be mixed"]),
        (["--speed", "60"], ["--speed", "--source replay"]),
        (["--source", "publish=NOSUCHCODE"], ["NOSUCHCODE", "--instruments"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_sources(here: Run, arguments: list[str], words: list[str]) -> None:
    done = here("serve", "--port", "0", *arguments)
    assert (done.returncode, done.stdout) == (WRONG, "")
    assert "Traceback" not in done.stderr
    assert "SECRET" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TICKWIRE_PROT", "0", ["TICKWIRE_PROT", "TICKWIRE_PORT"]),
        ("TICKWIRE_SED", "0", ["TICKWIRE_SED", "TICKWIRE_SEED"]),
        ("TICKWIRE_SEED", "x", ["TICKWIRE_SEED", "'x'"]),
        ("TICKWIRE_HOLD", "perhaps", ["TICKWIRE_HOLD", "perhaps"]),
    ],
)
def test_a_bad_variable(here: Run, tmp_path: Path, name: str, value: str, words: list[str]) -> None:
    variable: dict[str, Any] = {name: value}
    refused(here, tmp_path, WRONG, words, **variable)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", ["prot in", "port in"]),
        ("speed = -1", ["speed in", "-1"]),
        ("seed = [1]", ["seed in"]),
        ("codes = 5", ["codes in"]),
        ("[server]\nport = 1", ["server in"]),
        ("port = \n", ["not TOML", "line 1"]),
        ("port = 1\nport = 2\n", ["not TOML", "line 2"]),
    ],
)
def test_a_bad_file(here: Run, tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "tickwire.toml"
    path.write_text(text)
    refused(here, tmp_path, WRONG, [str(path), *words], "--config", str(path))


def test_a_file_that_is_not_utf_8(here: Run, tmp_path: Path) -> None:
    path = tmp_path / "tickwire.toml"
    path.write_bytes(b'host = "\xff"')
    refused(here, tmp_path, WRONG, [str(path), "not UTF-8"], "--config", str(path))


def test_two_mistakes_are_two_lines(here: Run, tmp_path: Path) -> None:
    refused(here, tmp_path, WRONG, ["--speed", "--rate"], "--speed", "-1", "--rate", "0", lines=2)


def test_a_data_dir_that_is_a_file(here: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    refused(here, tmp_path, FAILED, [str(path), "--data-dir"], "--data-dir", str(path))
    refused(here, tmp_path, FAILED, [str(path), "--data-dir"], "--data-dir", str(path / "below"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("own.csv", "code,market\nX,nowhere\n", ["line 2", "nowhere", "crypto"]),
        ("own.csv", "code,market\nX,crypto\n", ["line 2", "price_decimals"]),
        ("own.csv", "market\ncrypto\n", ["code is missing"]),
        ("own.toml", "[[instrument]]\ncode = 'X'\n", ["market is missing"]),
        ("own.toml", "x = ", ["not TOML"]),
        ("own.txt", "x", [".toml", ".csv"]),
    ],
)
def test_bad_instruments(here: Run, tmp_path: Path, name: str, text: str, words: list[str]) -> None:
    path = tmp_path / name
    path.write_text(text)
    refused(here, tmp_path, FAILED, [str(path), *words], "--instruments", str(path))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["-h"], ["serve", "-h"]], ids=" ".join
)
def test_help_shows_an_example(arguments: list[str]) -> None:
    done = tickwire(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example" in done.stdout
    assert "tickwire serve" in done.stdout
