"""How commands print: tables, numbers, times; and an output whose reader pauses."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tickwire.cli.output import Outlet, coloured, plain, put, table, utc, visible


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_as_wide_as_what_is_seen_and_numbers_stand_right() -> None:
    rows: list[list[str | None]] = [["700.HK", "Tencent 腾讯", "443.4"], ["X", None, "1000.25"]]
    assert table(["CODE", "NAME", "LAST"], rows, right={"LAST"}) == (
        "CODE    NAME             LAST\n700.HK  Tencent 腾讯    443.4\nX       –             1000.25\n"
    )


def test_a_server_s_text_steers_no_terminal() -> None:
    assert visible("a\x1b[2Jb\nc\u200bd腾") == "a�[2Jb�c�d腾"
    assert "\x1b" not in table(["NAME"], [["\x1b]0;owned\x07"]])


def test_numbers_keep_their_decimals_and_have_no_exponent() -> None:
    assert [plain(Decimal(text)) for text in ("4415.30", "0.0000001", "1E+3", "0.00")] == [
        "4415.30",
        "0.0000001",
        "1000",
        "0.00",
    ]
    assert plain(None) is None


def test_times_are_in_utc_to_the_millisecond() -> None:
    assert utc(1788529064027) == "2026-09-04T13:37:44.027Z"
    assert utc(0) == "1970-01-01T00:00:00.000Z"
    assert utc(None) is None


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert not coloured(io.StringIO())
    assert coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Terminal())


def test_a_pipe_without_a_reader_ends_the_program_without_an_error() -> None:
    program = (
        "import typer\nfrom tickwire.cli.output import put\napp = typer.Typer()\n"
        "@app.command()\ndef shout() -> None:\n    put('x' * 1_000_000)\n    raise AssertionError\n"
        "app([])"
    )
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -c 1', sys.executable, program],  # noqa: S607
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x", b"")


async def test_a_reader_that_pauses_holds_up_nothing_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe, os.fdopen(reader, "rb") as end:
        monkeypatch.setattr("sys.stdout", pipe)
        outlet = Outlet()
        writing = asyncio.create_task(outlet.write("é" * 500_000 + "\n"))  # far more than a pipe holds
        for _ in range(10):
            await asyncio.sleep(0.001)  # the loop goes on
        assert not writing.done()
        read = await asyncio.to_thread(end.readline)
        await asyncio.wait_for(writing, 120)
        assert read.decode() == "é" * 500_000 + "\n"


async def test_a_reader_that_has_gone_is_told_to_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        outlet = Outlet()
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            await outlet.write("x")


def test_what_is_put_is_there_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        put("one\n")
        assert (tmp_path / "out").read_text() == "one\n"
