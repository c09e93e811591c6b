"""`tickwire tail --resume`: across runs nothing is left out, and a run that ends well repeats nothing."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
import termios
from pathlib import Path

import pytest

from tickwire.model import Trade

from ..client.alltick_stub import TOKEN, alltick
from ..forks import spawn
from ..serving import Script, Served, trade, until
from .commands import AT, DONE, FAILED, INTERRUPTED, environment, running, tickwire
from .test_tail import line_of


def numbers(text: str) -> list[int]:
    """When the trades of an output were, in milliseconds after the first."""
    records = [json.loads(line) for line in text.splitlines()]
    return [int(one["price"].replace(".", "")) // 100 for one in records if one["event"] == "trade"]


def trades(*prices: int, code: str = "BTCUSDT") -> list[Trade]:
    return [trade(code, str(price), at=AT + price) for price in prices]


@pytest.fixture
def arguments(tmp_path: Path, served: Served) -> tuple[str, ...]:
    return ("tail", "BTCUSDT", "--json", "--resume", str(tmp_path / "positions"), "--url", served.url)


async def test_each_run_goes_on_where_the_last_one_ended(
    tmp_path: Path, served: Served, script: Script, arguments: tuple[str, ...]
) -> None:
    script.emit(*trades(*range(1, 2)))
    found: list[int] = []
    for count, more in ((1, range(2, 30)), (3, range(30, 40)), (20, range(40, 45)), (20, ())):
        done = await tickwire(tmp_path, *arguments, "-n", str(count))
        assert (done.status, done.err) == (DONE, "")
        found += numbers(done.out)
        script.emit(*trades(*more))
    assert found == [*range(1, 45)]
    kept = json.loads((tmp_path / "positions").read_text())
    assert [(one["kind"], one["code"]) for one in kept["positions"]] == [("trade", "BTCUSDT")]
    assert kept["positions"][0]["seq"] == kept["positions"][0]["epoch"] + 43


async def test_ctrl_c_repeats_nothing(
    tmp_path: Path, served: Served, script: Script, arguments: tuple[str, ...]
) -> None:
    script.emit(*trades(1))
    async with running(tmp_path, *arguments) as process:
        await line_of(process)
        script.emit(*trades(*range(2, 200)))
        await line_of(process)
        process.send_signal(signal.SIGINT)
        rest, err = await process.communicate()
    assert (process.returncode, err) == (INTERRUPTED, b"")
    before = 2 + len(numbers(rest.decode()))
    script.emit(*trades(200))
    if before < 200:
        done = await tickwire(tmp_path, *arguments, "-n", str(200 - before))
        assert numbers(done.out) == [*range(before + 1, 201)]


async def test_a_kill_leaves_nothing_out(
    tmp_path: Path, served: Served, script: Script, arguments: tuple[str, ...]
) -> None:
    """What comes twice are the last lines of the run that was killed."""
    found: list[int] = []
    number, reached = 1, 0
    script.emit(*trades(1))
    for _ in range(3):
        async with running(tmp_path, *arguments) as process:
            reader = asyncio.create_task(process.stdout.read())  # type: ignore[union-attr]
            emitted = number
            while (tmp_path / "positions").exists() is False or emitted < number + 400:
                emitted += 1
                script.emit(*trades(emitted))
                await asyncio.sleep(0.002)
            number = emitted
            path = tmp_path / "positions"
            await until(lambda: seq_of(path) > reached)  # noqa: B023
            os.kill(process.pid, signal.SIGKILL)
            text = (await reader).decode()
        run = numbers(text[: text.rfind("\n") + 1])
        assert run == [*range(run[0], run[-1] + 1)]
        if found:
            assert run[0] <= found[-1] + 1
        found += run
        reached = seq_of(path)
    async with running(tmp_path, *arguments) as process:
        while not found or found[-1] < number:
            found += numbers(await line_of(process))
    assert {*found} == {*range(found[0], number + 1)}


MANY = 3000
"""Trades whose lines no pipe holds, and no socket."""


async def with_many(tmp_path: Path, served: Served, script: Script, *arguments: str) -> None:
    """Trade 1 is printed, and many more wait for the next run."""
    script.emit(*trades(1))
    assert numbers((await tickwire(tmp_path, *arguments, "-n", "1")).out) == [1]
    script.emit(*trades(*range(2, MANY + 1)))
    await until(lambda: served.engine.market.events == MANY)


def waiting(file: int) -> int:
    """Bytes that can be read there."""
    return int.from_bytes(fcntl.ioctl(file, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


async def test_what_a_pipe_took_before_it_was_closed_is_not_repeated_and_the_rest_is_not_left_out(
    tmp_path: Path, served: Served, script: Script, arguments: tuple[str, ...]
) -> None:
    """By a socket in place of the pipe, which can still be read when it is closed."""
    await with_many(tmp_path, served, script, *arguments)
    ours, its = socket.socketpair()
    with ours:
        with its:
            its.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so it holds the part of a write
            process = await spawn(*arguments, stdout=its.fileno(), env=environment(tmp_path))
        ours.setblocking(False)
        read = b""
        while len(read) < 20_000:
            read += await asyncio.get_running_loop().sock_recv(ours, 1500)
        ours.shutdown(socket.SHUT_RD)
        ours.setblocking(True)
        _, err = await process.communicate()
        while more := ours.recv(2**20):
            read += more
    assert (process.returncode, err) == (DONE, b"")
    taken = numbers(read[: read.rfind(b"\n") + 1].decode())
    assert taken == [*range(2, taken[-1] + 1)]
    rest = await tickwire(tmp_path, *arguments, "-n", str(MANY - taken[-1]))
    assert numbers(rest.out) == [*range(taken[-1] + 1, MANY + 1)]


async def test_ctrl_c_while_nobody_reads_repeats_nothing_and_tears_no_line(
    tmp_path: Path, served: Served, script: Script, arguments: tuple[str, ...]
) -> None:
    await with_many(tmp_path, served, script, *arguments)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        process = await spawn(*arguments, stdout=writer, env=environment(tmp_path))
        os.close(writer)
        await until(lambda: waiting(reader) > 50_000)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        text = pipe.read().decode()
    assert (process.returncode, err) == (INTERRUPTED, b"")
    assert text.endswith("\n")
    taken = numbers(text)
    assert taken == [*range(2, taken[-1] + 1)]
    assert taken[-1] < MANY
    rest = await tickwire(tmp_path, *arguments, "-n", str(MANY - taken[-1]))
    assert numbers(rest.out) == [*range(taken[-1] + 1, MANY + 1)]


async def test_head_behind_it_is_never_given_a_line_twice(
    tmp_path: Path, served: Served, script: Script, arguments: tuple[str, ...]
) -> None:
    """What it threw away of what the pipe held, nobody knows."""
    await with_many(tmp_path, served, script, *arguments)
    found: list[int] = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(
                "bash",
                "-c",
                'set -o pipefail; "$0" -m tickwire "$@" | head -n 500',
                sys.executable,
                *arguments,
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path),
        )
        async with asyncio.timeout(120):
            out, err = await process.communicate()
        assert (process.returncode, err) == (DONE, b"")
        found += numbers(out.decode())
    assert len(found) == 1000
    assert found == sorted({*found})


def seq_of(path: Path) -> int:
    positions = json.loads(path.read_text())["positions"]
    return int(positions[0]["seq"]) if positions else 0


async def test_a_pattern_goes_on_with_all_that_it_brought(
    tmp_path: Path, served: Served, script: Script
) -> None:
    place = ("--json", "--resume", str(tmp_path / "positions"), "--url", served.url)
    script.emit(*trades(1), *trades(2, code="ETHUSDT"), *trades(3, code="GOLD"))
    await until(lambda: served.engine.market.events == 3)
    done = await tickwire(tmp_path, "tail", "*USDT", "-n", "2", *place)
    assert sorted(numbers(done.out)) == [1, 2]
    script.emit(*trades(4, 5), *trades(6, code="ETHUSDT"), *trades(7, code="GOLD"))
    await until(lambda: served.engine.market.events == 7)
    done = await tickwire(tmp_path, "tail", "*USDT", "-n", "3", *place)
    assert sorted(numbers(done.out)) == [4, 5, 6]
    assert done.err == ""


async def test_what_is_no_file_of_positions_is_told_with_a_remedy(tmp_path: Path, served: Served) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text('{"price": 1}')
    newer = tmp_path / "newer"
    newer.write_text('{"version": 99, "positions": []}')
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, words in (
        (foreign, "holds no positions, or is damaged. Name another file, or delete it"),
        (newer, "was written by another version of Tickwire. Name another file, or delete it"),
        (tmp_path / "none" / "positions", "positions cannot be written: No such file or directory"),
        (fifo, "is a pipe, and positions are kept in a regular file. Name another one."),
        (Path("/dev/full"), "is a device, and positions are kept in a regular file. Name another one."),
        (Path("/dev/null"), "is a device, and positions are kept in a regular file. Name another one."),
    ):
        done = await tickwire(tmp_path, "tail", "GOLD", "--resume", str(path), "--url", served.url)
        assert (done.status, done.out) == (FAILED, "")
        assert words in done.err
        assert str(path) in done.err
        assert done.err.count("\n") == 1
    assert foreign.read_text() == '{"price": 1}'
    done = await tickwire(tmp_path, "tail", "GOLD", "--resume", "x", "--raw", "--url", served.url)
    assert "--raw and --resume exclude each other" in done.err


async def test_another_server_cannot_resume_and_that_is_told_once(tmp_path: Path) -> None:
    async with alltick() as vendor:
        await vendor.trade("GOLD")
        arguments = ("tail", "GOLD", "-n", "1", "--resume", str(tmp_path / "positions"))
        done = await tickwire(tmp_path, *arguments, "--url", vendor.url, "--token", TOKEN)
        assert (done.status, len(done.out.splitlines())) == (DONE, 1)
        assert done.err.count("only a Tickwire does") == 1
        pattern = await tickwire(tmp_path, "tail", "*USDT", "--url", vendor.url, "--token", TOKEN)
    assert pattern.status == FAILED
    assert "no trades of *USDT: names with * are understood by a Tickwire only (400)" in pattern.err
