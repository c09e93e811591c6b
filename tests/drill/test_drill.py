"""A store that is locked, full, slow and damaged in turn, under a publisher and fifty clients.

Pushes go on, /kline answers from memory, and nothing at or below `durable` is missing afterwards. Shortened
here; `make soak` has it in full, with the figures of pauses and delays.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import re
import signal
import sqlite3
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from ..serving import HEARTBEAT, OTHER_HTTP, OTHER_WS, TRADE, Program, masked, running, upgrade

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

SOAK = "TICKWIRE_SOAK" in os.environ
RATE, FAULT, CLIENTS = (20_000, 10.0, 50) if SOAK else (1_000, 1.5, 10)
"""Trades a second, seconds that a fault lasts, and clients."""
BATCH = 0.01
"""Seconds between messages of the publisher."""
PAST = 50
"""Minutes of which trades are published before."""
CODES = "BTCUSDT ETHUSDT GOLD EURUSD USDJPY GBPUSD Silver USOIL SOLUSDT DOGEUSDT".split()
HELD, ROWS = 12, 60
"""Minutes of a code that memory holds, and bars that stand on a page, at the most."""
PAGE, LEAF = 4096, 10
"""Bytes of a page, and what a leaf of a table without row ids begins with."""
LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def _steady() -> Iterator[None]:
    """No collection of garbage in this process, which keeps a million trades: it would look like a pause."""
    gc.disable()
    yield
    gc.enable()


class Publisher:
    """Publishes trades with a seq, and knows what was taken and what is durable."""

    def __init__(self, url: str) -> None:
        self.sent: list[tuple[str, int, Decimal, Decimal]] = []
        """Code, time in milliseconds, price and volume of each trade; the first has seq 1."""
        self.seq = self.durable = 0
        self.rate = 0
        self._url = url.replace("http", "ws", 1) + "/v1/publish?publisher=drill"
        self._dice = random.Random(1)

    def trade(self, code: str, at: int) -> str:
        """The next line."""
        price, volume = Decimal(self._dice.randrange(1_000, 1_100)), Decimal(self._dice.randrange(1, 9))
        self.sent.append((code, at, price, volume))
        return (  # written by hand, since this process is to leave the server its core
            f'{{"type":"trade","code":"{code}","time":{at},"price":"{price}","volume":"{volume}",'
            f'"seq":{len(self.sent)}}}'
        )

    async def past(self) -> None:
        """A trade each ten seconds of the last minutes, of each code."""
        now = int(time.time() * 1000)
        async with connect(self._url) as socket:
            for at in range(now - PAST * 60_000, now, 10_000):
                await socket.send("\n".join(self.trade(code, at) for code in CODES))
                self._read(await socket.recv())

    async def run(self) -> None:
        """`rate` trades a second, until it is cancelled; answers are read as they come."""
        async with connect(self._url) as socket:

            async def read() -> None:
                async for answer in socket:
                    self._read(answer)

            reading = asyncio.create_task(read())
            try:
                due = time.monotonic()
                while True:
                    now = int(time.time() * 1000)
                    count = int(self.rate * BATCH)
                    await socket.send(
                        "\n".join(self.trade(self._dice.choice(CODES), now) for _ in range(count))
                    )
                    due = max(due + BATCH, time.monotonic() - 1)
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
            finally:
                reading.cancel()

    def _read(self, answer: str | bytes) -> None:
        data = msgspec.json.decode(answer)["data"]
        assert not data["bad_lines"], data["bad"]
        self.seq, self.durable = data["seq"], max(self.durable, data["durable"])


class Listener:
    """A client that only counts what comes, and how long nothing came."""

    def __init__(self) -> None:
        self.bytes = 0
        self.pauses: list[tuple[float, float]] = []
        """When something came after more than ten milliseconds, and how long nothing had."""

    async def run(self, url: str, codes: list[str]) -> None:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            await self._listen(reader, writer, codes)
        finally:
            writer.close()

    async def _listen(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, codes: list[str]
    ) -> None:
        wanted = {"symbol_list": [{"code": code} for code in codes]}
        writer.write(upgrade(OTHER_WS))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(masked(1, msgspec.json.encode({"cmd_id": TRADE, "seq_id": 1, "data": wanted})))
        last = beat = time.monotonic()
        while data := await reader.read(2**18):
            now = time.monotonic()
            self.bytes += len(data)
            if now - last > 0.01:
                self.pauses.append((time.time(), now - last))
            last = now
            if now - beat > 5:
                beat = now
                writer.write(masked(1, msgspec.json.encode({"cmd_id": HEARTBEAT, "seq_id": 2})))
        raise AssertionError("the server hung up")


class Asker:
    """Asks for K-lines all the while."""

    def __init__(self) -> None:
        self.whole = self.partial = 0
        self.few: list[str] = []
        self.other: list[str] = []

    async def run(self, url: str) -> None:
        dice = random.Random(2)
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            while True:
                code = dice.choice(CODES)
                answer = await ask(client, code, 1)
                if answer.status_code != 200:
                    self.other.append(answer.text)
                    continue
                bars = answer.json()["data"]["kline_list"]
                if answer.headers.get("tickwire-partial") == "store":
                    self.partial += 1
                    if len(bars) < 11:
                        self.few.append(f"{code}: {len(bars)}")
                else:
                    self.whole += 1
                await asyncio.sleep(0.02)


async def ask(client: httpx.AsyncClient, code: str, kline_type: int) -> httpx.Response:
    query = {"data": {"code": code, "kline_type": kline_type, "query_kline_num": 500}}
    text = msgspec.json.encode(query).decode()
    return await client.get(f"{OTHER_HTTP}/kline", params={"token": "t", "query": text})


def expected(sent: list[tuple[str, int, Decimal, Decimal]]) -> dict[str, dict[int, list[Decimal]]]:
    """High, low and volume of each minute, by code and time."""
    found: defaultdict[str, dict[int, list[Decimal]]] = defaultdict(dict)
    for code, at, price, volume in sent:
        opened = at // 60_000 * 60
        bar = found[code].setdefault(opened, [price, price, Decimal(0)])
        bar[0], bar[1], bar[2] = max(bar[0], price), min(bar[1], price), bar[2] + volume
    return found


async def minutes(client: httpx.AsyncClient, code: str) -> dict[int, list[Decimal]]:
    """What the server says of them, once its store answers."""
    async with asyncio.timeout(60):
        while True:
            answer = await ask(client, code, 1)
            if answer.status_code == 200 and "tickwire-partial" not in answer.headers:
                break
            await asyncio.sleep(0.1)
    return {
        int(bar["timestamp"]): [Decimal(bar[name]) for name in ("high_price", "low_price", "volume")]
        for bar in answer.json()["data"]["kline_list"]
    }


async def check_whole(client: httpx.AsyncClient, truth: dict[str, dict[int, list[Decimal]]]) -> None:
    """All minutes are there, but for old ones that stood on the page that was destroyed, and nowhere else."""
    gone = 0
    for code, whole in truth.items():
        found = await minutes(client, code)
        lost = whole.keys() - found.keys()
        assert found == {at: one for at, one in whole.items() if at not in lost}, code
        assert lost <= {*sorted(whole)[:-HELD]}, "what memory held is written once more"
        gone += len(lost)
    assert gone <= ROWS


@contextlib.asynccontextmanager
async def drilled(folder: Path, data: Path, *more: str) -> AsyncIterator[Program]:
    """The server of this drill; killed at the end if it runs still."""
    served = "-m", "tests.drill.served", str(folder), "serve", "--port", "0", "--data-dir", str(data)
    source = "--source", "publish", "--codes", ",".join(CODES), "--late-window", "3600"
    path = os.pathsep.join(sys.path)
    async with running(folder / "log", *served, *source, *more, PYTHONPATH=path) as program:
        yield program


class Stage:
    """A fault, from when to when."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin = self.end = time.time()


async def fault_locked(database: Path) -> None:
    """Another process holds the lock of the database."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOCKER, str(database)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    await asyncio.sleep(FAULT)
    await process.communicate(b"")


async def fault_full(data: Path) -> None:
    """Nothing more can be written to the disk."""
    ballast = data.parent / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while data.parent.is_mount():
                file.write(bytes(2**16))

    await asyncio.to_thread(fill)
    await asyncio.sleep(FAULT)
    ballast.unlink()


async def fault_slow(folder: Path) -> None:
    """Each call of the store takes a fifth of a second."""
    (folder / "slow").touch()
    await asyncio.sleep(FAULT)
    (folder / "slow").unlink()


async def fault_damaged(database: Path) -> None:
    """A page of bars is no page any more."""

    def damage() -> None:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # so that they stand in the file
        time.sleep(1)  # for the pages that are written again and again to come into the log
        data = database.read_bytes()
        log = database.with_name(f"{database.name}-wal").read_bytes()
        frames = (log[at : at + 24] for at in range(32, len(log), 24 + PAGE))
        rewritten = {int.from_bytes(one[:4], "big") for one in frames if one[8:16] == log[16:24]}
        leaves = [
            number
            for number in range(len(data) // PAGE)
            if data[number * PAGE] == LEAF
            and data[number * PAGE + 4] > 10  # rows in it
            and number + 1 not in rewritten
        ]
        with database.open("r+b") as file:
            file.seek(leaves[len(leaves) // 2] * PAGE)
            file.write(random.Random(3).randbytes(PAGE))

    await asyncio.to_thread(damage)
    await asyncio.sleep(FAULT)


async def until_durable(client: httpx.AsyncClient) -> int:
    """The `seq` that was taken, once it is durable."""
    async with asyncio.timeout(60):
        while True:
            data = (await client.get("/v1/publish?publisher=drill")).json()["data"]
            if data["durable"] >= data["seq"]:
                return int(data["seq"])
            await asyncio.sleep(0.05)


async def go_through(
    faults: dict[str, Callable[[], Coroutine[Any, Any, None]]],
    publisher: Publisher,
    listeners: list[Listener],
    tasks: list[asyncio.Task[None]],
) -> list[Stage]:
    """Lets faults happen one after the other; in each of them everybody gets pushes."""
    stages = []
    for name, fault in faults.items():
        stages.append(stage := Stage(name))
        before, heard = publisher.seq, [one.bytes for one in listeners]
        await fault()
        stage.end = time.time()
        async with asyncio.timeout(30):
            while publisher.seq <= before or any(
                one.bytes <= then for one, then in zip(listeners, heard, strict=True)
            ):
                await asyncio.sleep(0.01)
                for task in tasks:
                    if task.done():
                        task.result()
    return stages


@pytest.mark.usefixtures("_steady")
async def test_the_server_goes_on_whatever_befalls_its_store(tmp_path: Path, disk: Path) -> None:
    data, database = disk / "data", disk / "data" / "tickwire.db"
    listeners, asker = [Listener() for _ in range(CLIENTS)], Asker()
    faults: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "calm": lambda: asyncio.sleep(FAULT),
        "locked": lambda: fault_locked(database),
        "full": lambda: fault_full(data),
        "slow": lambda: fault_slow(tmp_path),
        "damaged": lambda: fault_damaged(database),
        "calm again": lambda: asyncio.sleep(FAULT),
    }
    async with drilled(tmp_path, data) as running, httpx.AsyncClient(base_url=running.url) as client:
        publisher = Publisher(running.url)
        await publisher.past()
        publisher.rate = RATE
        tasks = [
            asyncio.create_task(publisher.run()),
            asyncio.create_task(asker.run(running.url)),
            *(
                asyncio.create_task(one.run(running.url, [CODES[number % len(CODES)]]))
                for number, one in enumerate(listeners)
            ),
        ]
        try:
            stages = await go_through(faults, publisher, listeners, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert (asker.other, asker.few) == ([], [])
        assert asker.whole > 0
        truth = expected(publisher.sent[: await until_durable(client)])
        await check_whole(client, truth)
        memory = memory_of(running.process.pid)
        running.process.send_signal(signal.SIGKILL)
        await running.process.wait()
        log = running.log
    async with drilled(tmp_path, data) as again, httpx.AsyncClient(base_url=again.url) as client:
        await check_whole(client, truth)
    lines = Counter(re.findall(r'event="?([^"\n]*?)"?(?: \w+=|$)', log, re.MULTILINE))
    del lines["a client did what the documents do not allow"]  # the listeners, each once
    del lines["the event loop is blocked"]  # on a busy machine, ten at most
    assert lines.total() < 30, lines
    report(stages, listeners, tmp_path / "delays", asker, memory, lines)


def memory_of(pid: int) -> int:
    """MiB that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 // 1024


def report(
    stages: list[Stage],
    listeners: list[Listener],
    delays: Path,
    asker: Asker,
    memory: int,
    lines: Counter[str],
) -> None:
    """Says what clients and the loop felt: on a quiet machine below 20 ms (p99) and 100 ms (a client)."""
    felt = [tuple(map(float, line.split())) for line in delays.read_text().splitlines()]
    print(f"\n/kline whole {asker.whole}, partial {asker.partial}; memory {memory} MiB; log {dict(lines)}")
    for stage in stages:
        of_stage = [delay for at, delay in felt if stage.begin <= at <= stage.end + 0.5]
        pauses = [
            pause for one in listeners for at, pause in one.pauses if stage.begin <= at <= stage.end + 0.5
        ]
        p99 = statistics.quantiles(of_stage, n=100)[98] if len(of_stage) > 1 else 0.0
        longest = max(pauses, default=0.0) * 1000
        print(
            f"{stage.name:12} loop delay p99 {p99:6.1f} ms, most {max(of_stage, default=0.0):6.1f} ms, "
            f"longest pause of a client {longest:6.1f} ms"
        )
