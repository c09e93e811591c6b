"""A cluster of real processes on a real NATS and a real PostgreSQL: killed, halted and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats import connect
from websockets.asyncio.client import connect as ws_connect

from tickwire.model import Trade
from tickwire.store.recordings import Recordings

from ..nats_server import NatsServer, three
from ..postgres import Postgres
from ..serving import OTHER_HTTP, OTHER_WS, PATIENCE, Link, Program, program, until
from .publishing import NDJSON, a_trade, packed
from .test_workers import ROUNDS, Reader, processes, reading

EACH = 3
"""Clients of each gateway."""
DAY = 8


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """One that may be killed."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """One that may be killed."""
    server = NatsServer()
    yield server
    server.close()


class Cluster:
    """Markets and gateways by name, and those who read from the gateways."""

    def __init__(self, folder: Path, bus: str, database: str, *more: str) -> None:
        self.nodes: dict[str, Program] = {}
        self.readers: list[Reader] = []
        self.prices: list[str] = []
        self._folder = folder
        self._common = ("--bus", bus, "--cluster", "drill", "--database", database, *more)
        self._stack = contextlib.AsyncExitStack()

    async def start(self, name: str, role: str, *more: str) -> None:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        arguments = (*self._common, "--node", name, "--role", role)
        source = ("--source", "publish", "--codes", "BTCUSDT")
        running = program(folder, *arguments, *source, *more)
        self.nodes[name] = await self._stack.enter_async_context(running)

    async def read(self, *names: str) -> None:
        for name in names:
            found = reading(self.nodes[name], EACH)
            self.readers += await self._stack.enter_async_context(found)

    async def end(self) -> None:
        await self._stack.aclose()

    def owner(self) -> str:
        """The market that said last that it owns the streams."""
        said = {}
        for name, node in self.nodes.items():
            for line in node.log.splitlines():
                if "this market owns the streams" in line:
                    said[name] = line.partition("timestamp=")[2].partition(" ")[0]
        return max(said, key=lambda name: said[name])

    async def reaches_all(self, by: str, how: str) -> None:
        """What is published at a node comes to everybody, once, behind all that came before."""
        self.prices.append(f"{len(self.prices) + 1}.00")
        await self._publish(by)
        for one in self.readers:
            try:
                await until(lambda one=one: len(one.prices) >= len(self.prices))  # type: ignore[misc]
            finally:
                assert one.prices == self.prices, how
                assert one.seqs == sorted(set(one.seqs)), "never an older epoch after a newer"

    async def _publish(self, by: str) -> None:
        """The next, until it is taken: the market may be on its way."""
        number = len(self.prices)
        lines = packed(a_trade(number, price=self.prices[-1]))
        async with httpx.AsyncClient(timeout=10) as http, asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await http.post(
                        f"{self.nodes[by].url}/v1/publish", content=lines, headers=NDJSON
                    )
                    if answer.status_code == 200 and answer.json()["data"]["seq"] == number:
                        return
                await asyncio.sleep(0.1)

    async def is_durable(self, by: str) -> None:
        """Waits until all that was published would survive a kill."""
        async with httpx.AsyncClient(timeout=10) as http, asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await http.get(f"{self.nodes[by].url}/v1/publish")
                    if answer.json()["data"]["durable"] == len(self.prices):
                        return
                await asyncio.sleep(0.1)

    async def day(self, name: str) -> dict[str, Any]:
        """The day's bar, as a node tells it."""
        query = f'{{"data":{{"code":"BTCUSDT","kline_type":{DAY},"query_kline_num":1}}}}'
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            answer = await http.get(
                f"{self.nodes[name].url}{OTHER_HTTP}/kline", params={"token": "t", "query": query}
            )
        bar: dict[str, Any] = answer.json()["data"]["kline_list"][0]
        return bar


@contextlib.asynccontextmanager
async def cluster(
    folder: Path, bus: str, database: str, *more: str, first: Sequence[str] = ()
) -> AsyncIterator[Cluster]:
    """Two markets and two gateways; the `first` market is told more."""
    made = Cluster(folder, bus, database, *more)
    try:
        await made.start("m1", "market", *first)
        await asyncio.gather(
            made.start("m2", "market"), made.start("g1", "gateway"), made.start("g2", "gateway")
        )
        await made.read("g1", "g2")
        yield made
    finally:
        await made.end()


def market_of(node: Program) -> int:
    """The process of a market."""
    return processes(node)[0]


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_whatever_is_killed_nothing_is_lost_and_gaps_are_told(
    tmp_path: Path, nats: NatsServer, postgres: Postgres, number: int
) -> None:
    recording = tmp_path / "recording"
    async with cluster(tmp_path, nats.url, postgres.database(), "--record", str(recording)) as at:
        await at.reaches_all("g1", "all is well")
        await at.reaches_all("g2", "all is well")
        assert [one.gaps for one in at.readers] == [[]] * len(at.readers)
        await at.is_durable("g2")

        before = at.owner()
        other = {"m1": "m2", "m2": "m1"}[before]
        child = market_of(at.nodes[before])
        at.nodes[before].process.kill()
        os.kill(child, signal.SIGKILL)
        await at.reaches_all("g1", "a market was killed, and one stood by")
        assert at.owner() == other
        assert all(one.gaps for one in at.readers), "another epoch is told"

        await at.is_durable("g1")
        await at.start(before, "market")
        frozen = market_of(at.nodes[other])
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: at.owner() == before)
        await at.reaches_all("g2", "a market stood still for longer than its lease")
        os.kill(frozen, signal.SIGCONT)
        await until(lambda: "another market owns the streams" in at.nodes[other].log)
        await at.reaches_all("g1", "it goes on, and is not heard")

        os.kill(processes(at.nodes["g1"])[0], signal.SIGKILL)
        await until(lambda: sum(one.cuts for one in at.readers) == EACH)
        await at.reaches_all("g2", "a gateway was killed: its clients come back, and miss nothing")

        nats.kill()
        nats.start()
        await at.reaches_all("g1", "NATS was killed, and is there again")

        postgres.kill()
        postgres.start()
        await at.reaches_all("g2", "PostgreSQL was killed, and is there again")

        await at.is_durable("g2")
        status, _ = await at.nodes[at.owner()].end()
        assert status == 0
        await at.reaches_all("g2", "a market was told to end, and the other one takes over")
        bars = [await at.day(name) for name in ("g1", "g2")]
        for bar in bars:
            assert float(bar["open_price"]) == 1, bar
            assert float(bar["close_price"]) == len(at.prices), bar
            assert float(bar["volume"]) == len(at.prices), bar
        await at.nodes[at.owner()].end()  # what was recorded in the last second is in memory
        for node in at.nodes.values():
            assert "Traceback" not in node.log, node.log
    recorded = [one.event for name in ("m1", "m2") for one in Recordings(recording / name).read()]
    found = sorted(one.price for one in recorded if isinstance(one, Trade))
    assert [f"{price:.2f}" for price in found] == at.prices, "each once, by whoever owned the streams then"
    folders = [argument for name in ("m1", "m2") for argument in ("--history", str(recording / name))]
    (tmp_path / "reader").mkdir()
    async with program(tmp_path / "reader", "--codes", "GOLD", *folders) as reader:
        assert await replayed(reader) == at.prices, "read as one recording"


async def replayed(node: Program) -> list[str]:
    """The prices of all trades that a server has recordings of."""
    url = node.url.replace("http", "ws", 1) + f"{OTHER_WS}?token=t"
    async with ws_connect(url, ping_interval=None, compression=None) as socket:
        link = Link(socket)
        item = {"kind": "trade", "code": "BTCUSDT"}
        asked = {"items": [item], "from": 1, "to": 4_000_000_000_000, "speed": 0}
        assert (await link.ask(28018, asked))["ret"] == 200
        prices: list[str] = []
        while (said := await link.push())["cmd_id"] != 28996 or said["data"]["state"] != "complete":
            if said["cmd_id"] == 22998:
                prices.append(said["data"]["price"])
        return prices


class Way:
    """A way to a server that can be cut without a word to either end."""

    def __init__(self, port: int) -> None:
        self.is_cut = False
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Its URL."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        try:
            yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, there[1]]
        for one, other in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                while self.is_cut:  # noqa: ASYNC110  # it is a network, which tells nobody
                    await asyncio.sleep(0.05)
                writer.write(data)
            writer.close()


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_a_market_that_is_cut_off_is_replaced_and_not_heard_when_it_is_back(
    tmp_path: Path, nats: NatsServer, postgres: Postgres, number: int
) -> None:
    way = Way(nats.port)
    async with (
        way.open() as url,
        cluster(tmp_path, nats.url, postgres.database(), first=("--bus", url)) as at,
    ):
        await at.reaches_all("g1", "all is well")
        assert at.owner() == "m1"
        way.is_cut = True
        await until(lambda: at.owner() == "m2")
        await at.reaches_all("g2", "a market was cut off")
        way.is_cut = False
        await until(lambda: re.search("this one ends|this market ends", at.nodes["m1"].log) is not None)
        await at.reaches_all("g1", "it is back, and not heard")
        at.nodes["m2"].process.send_signal(signal.SIGTERM)
        await until(lambda: at.owner() == "m1")
        await at.reaches_all("g1", "it owns the streams again")


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_of_three_nats_servers_any_may_be_killed(
    tmp_path: Path, postgres: Postgres, number: int
) -> None:
    with contextlib.ExitStack() as stack:
        servers = three()
        for server in servers:
            stack.callback(server.close)
        bus = ",".join(server.url for server in servers)
        async with cluster(tmp_path, bus, postgres.database()) as at:
            await at.reaches_all("g1", "all is well")
            leader = await leader_of(bus)
            for server in (servers[leader], servers[(leader + 1) % 3]):
                server.kill()
                await at.reaches_all("g2", "a NATS server was killed")
                server.start()
            assert at.owner() == "m1"
            at.nodes["m1"].process.send_signal(signal.SIGTERM)
            await until(lambda: at.owner() == "m2")
            await at.reaches_all("g1", "the lease was there still")


async def leader_of(bus: str) -> int:
    """Which server holds the lease for the others."""
    client = await connect(bus.split(","))
    try:
        found = await client.jetstream().stream_info("KV_tickwire-drill-lease")
        assert found.cluster is not None
        assert found.config.num_replicas == 3
        return int((found.cluster.leader or "")[1:]) - 1
    finally:
        await client.close()
