"""A server of several processes: real ones, killed one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ..serving import OTHER_WS, Link, Program, program, until
from .publishing import NDJSON, a_trade, packed

PUBLISHING = ("--workers", "2", "--source", "publish", "--codes", "BTCUSDT")
CLIENTS = 12


def processes(running: Program) -> list[int]:
    """The process of the market side, and those of the client sides."""
    parent = running.process.pid
    return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


class Reader:
    """A client that keeps what it is sent, and comes back where it was."""

    def __init__(self, running: Program) -> None:
        self._url = running.url.replace("http", "ws", 1) + f"{OTHER_WS}?token=t"
        self.prices: list[str] = []
        self.epochs: list[int] = []
        self.cuts = 0
        self.gaps: list[dict[str, Any]] = []
        self._place: dict[str, int] = {}
        self.ready = asyncio.Event()

    async def has(self, *prices: str) -> None:
        """Waits until it has been sent these, and nothing else."""
        await until(lambda: len(self.prices) >= len(prices))
        assert self.prices == [*prices]

    async def run(self) -> None:
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, EOFError):
                async with connect(self._url, ping_interval=None, compression=None) as connected:
                    await self._read(Link(connected))
            self.cuts += 1
            self.ready.clear()
            await asyncio.sleep(0.05)

    async def _read(self, link: Link) -> None:
        item = {"kind": "trade", "code": "BTCUSDT"}
        if not self._place:
            answer = await link.ask(28012, {"add": [item]})
            told = answer["data"]["added"][0]
            self._place = {"epoch": told["epoch"], "seq": told["seq"]}
        else:
            answer = await link.ask(28016, {"items": [item | self._place]})
            told = answer["data"]["items"][0]
            assert told["state"] in ("resumed", "gap")
            if told["state"] == "gap":
                self.gaps.append(told)
        self._place["epoch"] = told["epoch"]
        self.ready.set()
        while True:
            said = await link.push()
            if said["cmd_id"] == 28993:
                self.gaps.append(said["data"])
                self._place["epoch"] = said["data"]["epoch"]
            elif said["cmd_id"] == 22998:
                self.prices.append(said["data"]["price"])
                self._place["seq"] = said["data"]["seq"]


@contextlib.asynccontextmanager
async def reading(running: Program) -> AsyncIterator[list[Reader]]:
    readers = [Reader(running) for _ in range(CLIENTS)]
    tasks = [asyncio.create_task(one.run()) for one in readers]
    try:
        for one in readers:
            await one.ready.wait()
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def publish(running: Program, *prices: str) -> None:
    """Until they are taken: the market side may be on its way back."""
    lines = packed(*(a_trade(price=price) for price in prices))
    async with httpx.AsyncClient() as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await http.post(
                    f"{running.url}/v1/publish", content=lines, headers=NDJSON, timeout=10
                )
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.1)


async def test_whichever_process_dies_clients_get_all_and_are_told_what_is_lost(tmp_path: Path) -> None:
    async with program(tmp_path, *PUBLISHING) as running, reading(running) as readers:
        market, *gateways = processes(running)
        assert len(gateways) == 2
        await publish(running, "1.00", "2.00")
        for one in readers:
            await one.has("1.00", "2.00")

        os.kill(gateways[1], signal.SIGKILL)
        await until(lambda: any(one.cuts for one in readers))
        await publish(running, "3.00", "4.00")
        for one in readers:
            await one.has("1.00", "2.00", "3.00", "4.00")
        assert [one.gaps for one in readers] == [[]] * CLIENTS, "what was missed is there: nothing is a gap"
        cut = [one.cuts for one in readers]
        assert 0 in cut, "who is served by the other process notices nothing"

        os.kill(market, signal.SIGKILL)
        await until(lambda: all(one.gaps for one in readers))  # all live on, and know of the new epoch
        await publish(running, "5.00")
        for one in readers:
            await one.has("1.00", "2.00", "3.00", "4.00", "5.00")
        assert [one.cuts for one in readers] == cut
        await until(lambda: len(processes(running)) == 3)
        status, _ = await running.end()
        assert status == 0
    assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "taken"), "is taken"),
        (("--source", "alltick", "--upstream-token", "t"), "--workers cannot share"),
        (("--source", "replay", "--file", "nowhere.csv"), "nowhere.csv"),
    ],
)
async def test_what_cannot_begin_says_why_and_leaves_nobody_behind(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    with contextlib.ExitStack() as stack:
        if "taken" in arguments:
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            arguments = ("--port", str(taken.getsockname()[1]))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tickwire", "serve", "--workers", "2"),
            *("--data-dir", str(tmp_path / "data"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
    assert process.returncode in (1, 2)
    assert said in errors.decode()
    assert out == b""


async def test_all_end_when_the_one_that_was_started_is_killed(tmp_path: Path) -> None:
    async with program(tmp_path, "--workers", "1") as running:
        children = processes(running)
        assert len(children) == 2
        running.process.kill()
        await until(lambda: not any(Path(f"/proc/{one}").exists() for one in children))
