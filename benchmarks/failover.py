"""Measures for how long clients hear nothing when a process is lost.

    python benchmarks/failover.py postgresql://HOST/NAME [ROUNDS]

Prints a Markdown table: the longest time between two trades of a client around the loss, of a simulator that
makes fifty a second. A cluster has two markets, one gateway and one NATS server, all on this machine; a
process that is killed is started anew before the next round. The database must be empty. Needs Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import bench
from bus import nats
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

SOURCE = "--rate", "50", "--codes", "BTCUSDT", "--log-level", "info"
LEASE = 8.0
"""Seconds that a frozen process stays so: longer than its lease."""
BEFORE, AFTER = 11.0, 3.0
"""Seconds in which all is well before a loss, for what ends sooner is started anew later and later; and
after it."""
PATIENCE = 60.0


class Node:
    """A `tickwire serve` that may be lost and started anew."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder / "log"
        folder.mkdir()
        self._command = [
            *(sys.executable, "-m", "tickwire", "serve", "--port", "0", *SOURCE, *arguments),
            *("--data-dir", str(folder / "data")),
        ]
        self.process: subprocess.Popen[str]
        self.url = ""

    def start(self) -> None:
        """Returns when it is ready."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        for line in self.process.stdout:
            if "Ctrl-C" in line:
                return
        raise RuntimeError(self._log.read_text()[-2000:])

    @property
    def owned_at(self) -> str:
        """When it said last that it owns the streams."""
        said = [one for one in self._log.read_text().splitlines() if "this market owns the streams" in one]
        return said[-1].partition(" ")[0] if said else ""

    def send(self, number: int) -> None:
        """Sends a signal to it and its children."""
        for pid in (self.process.pid, *bench.children(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Listener:
    """A client that comes back where it was, and when it was last sent a trade."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("http", "ws", 1) + "/quote-b-ws-api?token=t"
        self.longest = 0.0
        self._last = 0.0

    async def run(self) -> None:
        """Never ends."""
        asked = {"cmd_id": 22004, "seq_id": 1, "trace": "t", "data": {"symbol_list": [{"code": "BTCUSDT"}]}}
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, EOFError):
                async with connect(self._url, ping_interval=None, compression=None) as socket:
                    await socket.send(json.dumps(asked))
                    async for message in socket:
                        if '"cmd_id":22998' in str(message)[:16]:
                            now = time.monotonic()
                            self.longest = max(self.longest, now - self._last if self._last else 0.0)
                            self._last = now
            await asyncio.sleep(0.05)

    async def calm(self) -> None:
        """Waits until it has been sent trades for some seconds without a pause."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.longest = 0.0
                await asyncio.sleep(BEFORE)
                if self._last and self.longest < 0.5 and time.monotonic() - self._last < 0.5:
                    return

    async def felt(self, lose: Callable[[], Awaitable[None]]) -> float:
        """The longest pause around a loss."""
        await self.calm()
        self.longest = 0.0
        before = self._last
        await lose()
        async with asyncio.timeout(PATIENCE):
            while self._last == before or time.monotonic() - self._last > 0.5 or self.longest < 0.1:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await asyncio.sleep(AFTER)
        return self.longest


@contextlib.asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listener]:
    one = Listener(url)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()


def row(title: str, limit: str, found: list[float]) -> None:
    bench.row(title, f"{statistics.median(found):.2f}", f"{max(found):.2f}", str(len(found)), limit)


async def of_a_cluster(folder: Path, database: str, rounds: int) -> None:
    with nats(None, jetstream=folder / "js") as (url, _):
        common = ("--bus", url, "--cluster", "failover", "--database", database)
        markets = [
            Node(folder / name, *common, "--node", name, "--role", "market") for name in ("one", "two")
        ]
        gateway = Node(folder / "gateway", *common, "--node", "gateway", "--role", "gateway")
        nodes = [*markets, gateway]
        try:
            for node in nodes:
                node.start()

            def owner() -> Node:
                return max(markets, key=lambda one: one.owned_at)

            async def killed() -> None:
                lost.append(one := owner())
                one.send(signal.SIGKILL)

            async def told() -> None:
                lost.append(one := owner())
                one.process.send_signal(signal.SIGTERM)

            async def frozen() -> None:
                one = owner()
                one.send(signal.SIGSTOP)
                await asyncio.sleep(LEASE)
                one.send(signal.SIGCONT)

            async with listening(gateway.url) as client:
                for title, lose, limit in (
                    ("cluster: a market is killed, one stands by", killed, "1"),
                    ("cluster: a market is told to end, one stands by", told, "1"),
                    ("cluster: a market stands still, one stands by", frozen, "-"),
                ):
                    found: list[float] = []
                    for _ in range(rounds):
                        lost: list[Node] = []
                        found.append(await client.felt(lose))
                        for one in lost:
                            await asyncio.to_thread(one.process.wait)
                            await asyncio.to_thread(one.start)
                    row(title, limit, found)
        finally:
            for node in nodes:
                node.send(signal.SIGKILL)
                node.process.wait()


async def of_workers(folder: Path, rounds: int) -> None:
    server = Node(folder / "server", "--workers", "1")
    try:
        server.start()
        async with listening(server.url) as client:
            for title, at, limit in (
                ("--workers: the market side", 0, "-"),
                ("--workers: the worker", 1, "2"),
            ):

                async def killed(at: int = at) -> None:
                    os.kill(bench.children(server.process.pid)[at], signal.SIGKILL)

                row(f"{title} is killed", limit, [await client.felt(killed) for _ in range(rounds)])
    finally:
        server.send(signal.SIGKILL)
        server.process.wait()


async def main() -> None:
    database, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    bench.heads("what is lost", "longest pause, s, median", "at most", "rounds", "to be")
    with tempfile.TemporaryDirectory() as folder:
        await of_workers(Path(folder), rounds)
        await of_a_cluster(Path(folder), database, rounds)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main())
