"""`tickwire watch` as a user has it: in a terminal of its own, against a server in a process of its own."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import re
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ..client.alltick_stub import TOKEN, alltick
from ..forks import Process, spawn
from ..serving import program, program_environment

if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)

import fcntl
import pty
import termios

OWN_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the terminal from which Ctrl-C and Ctrl-Z come."""
MOVE = re.compile(r"\x1b\[(\d+);1H|(\x1b\[2J)")
OTHER = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A terminal in which a program runs, and what stands on its screen."""

    def __init__(self, columns: int, lines: int) -> None:
        self.fd, self.inner = pty.openpty()
        os.set_blocking(self.fd, False)
        self.before = termios.tcgetattr(self.inner)
        self.written = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.process: asyncio.subprocess.Process | None = None
        self._news = asyncio.Event()
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # EIO when the program has ended
            self.written += self._decoder.decode(os.read(self.fd, 65536))
            self._news.set()

    @property
    def screen(self) -> list[str]:
        """The lines of it, without colours."""
        found: dict[int, str] = {}
        place = 0
        pieces = MOVE.split(self.written)
        for text, line, clear in zip(pieces[0::3], ["", *pieces[1::3]], [None, *pieces[2::3]], strict=True):
            if clear:
                found.clear()
            place = int(line) if line else place
            if plain := OTHER.sub("", text):
                found[place] = plain
        return [found[line] for line in sorted(found)]

    async def until(self, what: Callable[[list[str]], object], seconds: float = 20) -> list[str]:
        """The screen as soon as that is so."""
        ends = time.monotonic() + seconds
        while not what(screen := self.screen):
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), ends - time.monotonic())
            except TimeoutError:
                raise AssertionError("\n".join(screen)) from None
        return screen

    async def ended(self) -> int:
        """The exit status."""
        assert self.process is not None
        async with asyncio.timeout(120):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def watching(*arguments: str, columns: int = 110, lines: int = 12) -> AsyncIterator[Terminal]:
    """`tickwire watch` in a terminal."""
    terminal = Terminal(columns, lines)
    asyncio.get_running_loop().add_reader(terminal.fd, terminal.read)
    command = [sys.executable, "-m", "tickwire", "watch", *arguments]
    inner = terminal.inner
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWN_TERMINAL, *command),
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=program_environment(TERM="xterm-256color"),
    )
    terminal.process = process
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(terminal.fd)
        os.close(terminal.fd)
        os.close(inner)


def row(code: str, screen: list[str]) -> list[str]:
    """The cells of a code."""
    return next((line.split() for line in screen if line.startswith(f"{code} ")), [])


async def test_a_live_table_and_its_keys(tmp_path: Path) -> None:
    codes = ("BTCUSDT", "GOLD", ".DJI.US", "NOPE")
    async with (
        program(tmp_path, "--rate", "5", "--codes", "BTCUSDT,GOLD,.DJI.US") as server,
        watching(*codes, "--url", server.url, "--klines", "1m") as terminal,
    ):
        await terminal.until(lambda screen: row("NOPE", screen)[1:] == ["code", "invalid"])
        screen = await terminal.until(lambda screen: len(row("GOLD", screen)) == 9)
        assert screen[0].split() == "CODE LAST CHANGE 24H BID ASK VOLUME AGE TREND 1m".split()
        assert re.fullmatch(r"\d+\.\d\d", row("BTCUSDT", screen)[1])
        assert re.fullmatch(r"[+-]\d+\.\d\d%", row("BTCUSDT", screen)[2])
        assert row(".DJI.US", screen)[4:6] == ["-", "-"]  # an index has no book
        assert "● stock up  ● other up" in screen[-1]
        assert len(screen) == 12
        assert "\x1b[1mBTCUSDT" in terminal.written  # in bold: it is a terminal

        terminal.press(" ")
        await terminal.until(lambda screen: "PAUSED" in screen[-1])
        terminal.read()
        shown = terminal.written
        await asyncio.sleep(0.7)  # three looks, in which several trades come
        assert terminal.written == shown
        terminal.press(" ")
        await terminal.until(lambda screen: "PAUSED" not in screen[-1])

        terminal.resize(40, 6)
        screen = await terminal.until(lambda screen: len(screen) == 6 and len(screen[0]) == 40)
        assert "VOLUME" not in screen[0]
        assert "1 hidden" in screen[-2]
        terminal.press("\x1b[B")
        await terminal.until(lambda screen: row("NOPE", screen))

        terminal.press("q")
        assert await terminal.ended() == 0
        assert terminal.written.endswith("\x1b[?25h\x1b[?1049l")
        assert termios.tcgetattr(terminal.inner) == terminal.before


async def test_ladders_ctrl_z_a_lost_connection_and_ctrl_c(tmp_path: Path) -> None:
    breaks = tmp_path / "breaks.toml"
    breaks.write_text('[[step]]\ndo = "disconnect"\nafter = [2, 2]\ncode = 1011\nreason = "test"\n')
    arguments = ("--codes", "BTCUSDT,700.HK", "--scenario", str(breaks))
    async with (
        program(tmp_path, *arguments) as server,
        watching("BTCUSDT", "700.HK", "--book", "--url", server.url, lines=30) as terminal,
    ):
        screen = await terminal.until(lambda screen: "\n".join(screen).count("spread") == 2)
        assert sum("█" in line for line in screen) >= 10
        await terminal.until(lambda screen: "reconnects 0" not in screen[-1] and "up" in screen[-1])
        screen = await terminal.until(
            lambda screen: re.match(r"\w+ down: .* 1011 test", screen[-2]) and "reconnects" in screen[-1]
        )  # both: what was read may end within a line
        assert "gaps 0" in screen[-1]  # the server has given what was missed

        assert terminal.process is not None
        terminal.press("\x1a")
        await terminal.until(lambda _: terminal.written.endswith("\x1b[?1049l"))
        async with asyncio.timeout(120):
            while termios.tcgetattr(terminal.inner) != terminal.before:  # noqa: ASYNC110 - a terminal tells nobody
                await asyncio.sleep(0.05)
        while terminal.written.endswith("\x1b[?1049l"):  # it may be about to stop still
            terminal.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.05)
        await terminal.until(lambda screen: len(screen) == 30)

        terminal.press("\x03")
        assert await terminal.ended() == 130
        assert terminal.written.endswith("\x1b[?1049l")  # and no word more
        assert termios.tcgetattr(terminal.inner) == terminal.before


async def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    async with watching("BTCUSDT", "--url", "http://127.0.0.1:1") as terminal:
        screen = await terminal.until(lambda screen: "down, again in" in "\n".join(screen))
        assert "no event yet" in screen[-1]
        assert "other down: " in screen[-2]
        assert terminal.process is not None
        terminal.process.send_signal(signal.SIGTERM)
        assert await terminal.ended() == 0
        assert termios.tcgetattr(terminal.inner) == terminal.before


@contextlib.asynccontextmanager
async def piped(*arguments: str) -> AsyncIterator[Process]:
    """`tickwire watch` without a terminal."""
    process = await spawn("watch", *arguments, env=program_environment())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def record(process: Process, what: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The next line of which that is so."""
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while not what(found := json.loads(await process.stdout.readline())):
            pass
    return found  # type: ignore[no-any-return]


async def test_lines_of_json_from_a_server_that_behaves_like_the_vendor_s() -> None:
    async with alltick() as server:
        await server.trade("GOLD", "4437.39")
        arguments = ("GOLD", "AAPL.US", "--json", "--klines", "1m", "--every", "0.1")
        async with piped(*arguments, "--url", server.url, "--token", TOKEN) as process:
            found = await record(process, lambda one: one["code"] == "GOLD" and one["last"] and one["change"])
            assert found | {"time": "", "volume": ""} == {
                "event": "quote",
                "code": "GOLD",
                "time": "",
                "last": "4437.39",
                "change": "0.50",
                "change_24h": None,  # that server's bars do not reach so far back
                "bid": None,
                "bid_volume": None,
                "ask": None,
                "ask_volume": None,
                "volume": "",  # with that trade, or read after it
                "state": None,
                "note": None,
            }
            await server.book("GOLD", at=1788529064127)
            found = await record(process, lambda one: one["bid"])
            assert (found["bid"], found["ask"], found["time"]) == (
                "4415.30",
                None,
                "2026-09-04T13:37:44.127Z",
            )
            await server.cut()
            while "GOLD" not in server.wanted(22004):  # noqa: ASYNC110  # it comes back
                await asyncio.sleep(0.02)
            await server.trade("GOLD", "4440.00", at=1788529066000)
            gap = await record(process, lambda one: one["event"] == "gap")
            assert (gap["code"], gap["kind"]) == ("GOLD", "trade")
            assert process.stdout is not None
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(120):
                assert await process.wait() == 130
            assert process.stderr is not None
            told = (await process.stderr.read()).decode()
            assert "refused: klines of GOLD" in told
            assert "Traceback" not in told
            assert TOKEN not in told


async def test_a_reader_that_has_had_enough_ends_it() -> None:
    async with alltick() as server:
        await server.trade("GOLD")
        read, write = os.pipe()
        arguments = ("watch", "GOLD", "--json", "--url", server.url, "--token", TOKEN)
        process = await spawn(*arguments, stdout=write, env=program_environment())
        os.close(write)
        os.close(read)
        async with asyncio.timeout(120):
            _, err = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in err


async def test_a_pipe_is_no_terminal() -> None:
    async with piped("GOLD") as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"tickwire tail" in err
    assert len(err.splitlines()) == 1


async def test_a_token_that_is_refused_ends_it_with_a_remedy() -> None:
    async with (
        alltick() as server,
        watching("GOLD", "--url", server.url, "--token", "wrong-secret") as terminal,
    ):
        assert await terminal.ended() == 1
        terminal.read()
        left = terminal.written.rpartition("\x1b[?1049l")[2]
        assert "token invalid" in left
        assert "--token" in left
        assert "wrong-secret" not in terminal.written
