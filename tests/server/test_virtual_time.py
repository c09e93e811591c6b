"""`serve --start`: two runs give the same bytes, whatever the machine does beside them."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tickwire.machine import VirtualTime
from tickwire.model import Kind, KlineType
from tickwire.sandbox import scenario_of

from ..forks import spawn
from ..serving import (
    DEPTH,
    OTHER_HTTP,
    PLAIN,
    STOCK_WS,
    TRADE,
    Program,
    Raw,
    masked,
    program,
    program_environment,
    serving,
    until,
    upgrade,
)

START = "2026-11-16T14:30:00Z"
AT = int(datetime(2026, 11, 16, 14, 30, tzinfo=UTC).timestamp() * 1000)
KLINES, KLINE_PUSH = 28004, 28998
PING, PONG = 9, 10
FAST = 'name = "fast"\n[[step]]\ndo = "clock"\nspeed = 60\n'
STOCKS = ["600519.SH", "AAPL.US", "700.HK", ".SPX.US"]

Key = tuple[int, str]
"""What is pushed, and of which code."""


@asynccontextmanager
async def hogs(count: int) -> AsyncIterator[None]:
    """So many processes that take all of the processors that they get."""
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(count)
    ]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            await one.wait()


class Wire:
    """What a bare socket gets, by kind and code, byte for byte."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.got: defaultdict[Key, list[bytes]] = defaultdict(list)
        self.pushes: list[bytes] = []
        self._frames = 0

    async def subscribe(self, *cmd_ids: int, codes: list[str], **more: int) -> None:
        """In one packet, so that no busy machine comes in between."""
        items = [{"code": code, **more} for code in codes]
        requests = [
            {"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": {"symbol_list": items}}
            for cmd_id in cmd_ids
        ]
        await self.raw.send(b"".join(masked(1, msgspec.json.encode(one)) for one in requests))

    async def until(self, count: int, *keys: Key) -> dict[Key, list[bytes]]:
        """Reads until there are so many of each of these, and returns so many of them."""
        while any(len(self.got[key]) < count for key in keys):
            opcode, payload = await self.raw.frame()
            if opcode == PONG:
                continue
            assert opcode == 1, payload
            self._frames += 1
            if self._frames % 20 == 0:  # as a heartbeat
                await self.raw.send(masked(PING, b""))
            message = msgspec.json.decode(payload)
            if "ret" in message:
                assert message["ret"] == 200, message
            else:
                self.got[message["cmd_id"], message["data"]["code"]].append(payload)
                self.pushes.append(payload)
        return {key: self.got[key][:count] for key in keys}


@asynccontextmanager
async def wire(server: Program, path: str) -> AsyncIterator[Wire]:
    address = httpx.URL(server.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    raw = Raw(reader, writer)
    try:
        await raw.send(upgrade(path))
        assert b" 101 " in (await raw.head())
        yield Wire(raw)
    finally:
        writer.transport.abort()


def seq(payload: bytes) -> int:
    found: int = msgspec.json.decode(payload)["data"]["seq"]
    return found


async def extended(server: Program, flags: str) -> None:
    """A client that asks for all that AllTick has not, over and over."""
    kinds: list[dict[str, Any]] = [{"kind": kind} for kind in ("trade", "depth", "correction")]
    kinds.append({"kind": "kline", "kline_type": 1})
    every = [one | {"code": code} for one in kinds for code in (*STOCKS, "*.US")]
    named = [one for one in every if one["code"] in STOCKS]
    requests: list[tuple[int, Any]] = [
        (28012, {"add": every}),
        (28016, {"items": [one | {"epoch": 1, "seq": 1} for one in named]}),
        (28018, {"items": named, "speed": 0}),
        (28022, {"max_rate": 7, "slow": "drop"}),
        (28024, {"symbol_list": [{"code": code} for code in STOCKS]}),
        (28012, {"remove": every}),
    ]
    url = server.url.replace("http", "ws", 1) + f"{STOCK_WS}?token=t{flags}"
    async with connect(url, compression=None, ping_interval=None, max_size=None) as socket:
        taking = asyncio.create_task(_take(socket))
        try:
            while True:
                for number, data in requests:
                    request = {"cmd_id": number, "seq_id": 1, "data": data}
                    await socket.send(msgspec.json.encode(request).decode())
                    await asyncio.sleep(0.02)
        finally:
            taking.cancel()


async def _take(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


@asynccontextmanager
async def neighbours(server: Program, *flags: str) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(extended(server, one)) for one in flags]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def from_the_first(
    path: Path, *flags: str, busy: int = 0
) -> tuple[dict[Key, list[bytes]], list[bytes]]:
    """What comes, by kind and code, and the first of it in the order in which it came; with `flags` of
    neighbours that use the extensions."""
    more = ["--seed", "7", "--start", START, "--hold", "--rate", "100", "--codes", ",".join(STOCKS)]
    more += ["--record", str(path / "ticks")]
    async with (
        program(path, *more) as server,
        hogs(busy),
        wire(server, STOCK_WS) as client,
    ):
        await client.subscribe(TRADE, DEPTH, codes=STOCKS)
        async with neighbours(server, *flags):
            return await _all_of(client)


async def _all_of(client: Wire) -> tuple[dict[Key, list[bytes]], list[bytes]]:
    keys = [(22998, code) for code in STOCKS] + [(22999, code) for code in STOCKS[:-1]]
    return await client.until(250, *keys), client.pushes[: 250 * len(keys)]


async def test_a_held_stream_is_the_same_from_its_first_byte_on(tmp_path: Path) -> None:
    idle = await from_the_first(folder(tmp_path, "idle"))
    busy = await from_the_first(folder(tmp_path, "busy"), busy=3)
    assert idle == busy
    flags = "", "&batch=1&encoding=msgpack", "&slow=conflate&max_rate=3", "&batch=1&max_rate=1000"
    assert await from_the_first(folder(tmp_path, "beside others"), *flags) == idle, "whatever others use"
    for payloads in idle[0].values():
        first = [msgspec.json.decode(one)["data"] for one in payloads]
        assert first[0]["tick_time"] == AT
        assert [one["seq"] for one in first] == [AT * 1000 + n for n in range(250)]


def folder(path: Path, name: str) -> Path:
    """For a server, with a scenario in it that speeds up its clock."""
    made = path / name
    made.mkdir()
    (made / "fast.toml").write_text(FAST)
    return made


class Told(msgspec.Struct):
    """What clients learn that come at other moments."""

    book: dict[int, bytes]
    begun: list[bytes]
    closed: dict[int, dict[str, Any]]
    history: dict[str, dict[str, str]]


async def minutes(path: Path, *, busy: int, late: int) -> Told:
    """Four minutes of a market, at 60 times the speed; the second client comes after so many of them."""
    more = (
        "--seed",
        "7",
        "--start",
        START,
        "--rate",
        "5",
        "--codes",
        "BTCUSDT,GOLD",
        "--scenario",
        str(path / "fast.toml"),
    )
    async with program(path, *more) as server, hogs(busy), wire(server, "/quote-b-ws-api") as bars:
        await bars.subscribe(KLINES, codes=["BTCUSDT"], kline_type=1)
        closed: dict[int, dict[str, Any]] = {}

        async def until_closed(count: int) -> None:
            while len(closed) < count:
                have = len(bars.got[KLINE_PUSH, "BTCUSDT"])
                await bars.until(have + 1, (KLINE_PUSH, "BTCUSDT"))
                data = msgspec.json.decode(bars.got[KLINE_PUSH, "BTCUSDT"][-1])["data"]
                assert data["state"] != "revised"
                if data["state"] == "closed":
                    assert data.pop("seq") >= AT * 1000  # it counts pushes, those of forming bars too
                    closed[int(data["timestamp"])] = data

        await until_closed(late)
        async with wire(server, "/quote-b-ws-api") as later, wire(server, "/quote-b-ws-api") as other:
            await later.subscribe(DEPTH, codes=["GOLD"])
            await other.subscribe(TRADE, codes=["SHIBUSDT"])  # which nobody has asked for
            began, books, _ = await asyncio.gather(
                other.until(900, (22998, "SHIBUSDT")),  # three minutes of them
                later.until(900, (22999, "GOLD")),
                until_closed(4),
            )
        history = {}
        async with httpx.AsyncClient(base_url=server.url, verify=PLAIN, timeout=120) as client:
            for code in ("BTCUSDT", "PEPEUSDT"):  # one that runs, and one that begins with this
                query = {"data": {"code": code, "kline_type": 1, "query_kline_num": 100}}
                text = msgspec.json.encode(query).decode()
                answer = await client.get(f"{OTHER_HTTP}/kline", params={"token": "t", "query": text})
                for bar in answer.json()["data"]["kline_list"]:
                    if int(bar["timestamp"]) * 1000 < AT + 180_000:
                        history[f"{code} {bar['timestamp']}"] = bar
        return Told(
            {seq(one): one for one in books[22999, "GOLD"]}, began[22998, "SHIBUSDT"], closed, history
        )


async def test_who_comes_later_gets_the_same_from_there_and_bars_are_the_same(tmp_path: Path) -> None:
    idle = await minutes(folder(tmp_path, "idle"), busy=0, late=1)
    busy = await minutes(folder(tmp_path, "busy"), busy=3, late=2)
    both = idle.book.keys() & busy.book.keys()
    assert both
    assert all(idle.book[one] == busy.book[one] for one in both)
    assert idle.begun == busy.begun
    assert [seq(one) for one in idle.begun] == [AT * 1000 + n for n in range(900)]
    first = [AT // 1000 + 60 * n for n in range(3)]
    assert [idle.closed[one] for one in first] == [busy.closed[one] for one in first]
    for code in ("BTCUSDT", "PEPEUSDT"):
        assert {f"{code} {one}" for one in first} <= idle.history.keys()
    made = idle.history.keys() & busy.history.keys()
    assert len(made) > 150  # those before the first trade too
    assert all(idle.history[name] == busy.history[name] for name in made)


async def test_what_is_dated_by_the_market_is_of_its_time_and_tokens_are_not(tmp_path: Path) -> None:
    more = "--data-dir", str(tmp_path / "data"), "--name", "desk", "--expires", "1h"
    make = await spawn("token", "create", *more, env=program_environment())
    output, _ = await make.communicate()
    token = output.decode().split()[0]
    async with (
        program(tmp_path, "--start", START) as server,
        httpx.AsyncClient(base_url=server.url, verify=PLAIN, timeout=120) as client,
    ):
        ready = (await client.get("/readyz")).json()
        assert ready["sources"][0]["since"] == AT
        answer = await client.get("/v1/markets", params={"token": token})
        assert {AT <= one["time"] < AT + 60_000 for one in answer.json()["data"]["market_list"]} == {True}
        assert (await client.get("/v1/gaps", params={"token": token})).json()["data"]["gap_list"] == []
        assert (await client.get("/v1/markets", params={"token": "another"})).status_code == 401
        status, _ = await server.end()
        assert status == 0
    log = (tmp_path / "log").read_text("utf-8")
    assert "ahead" not in log
    assert "set back" not in log
    command = "serve", "--port", "0", "--start", START, "--data-dir", str(tmp_path / "data")
    again = await spawn(*command, env=program_environment())
    _, said = await again.communicate()
    assert again.returncode == 1
    assert b"--data-dir" in said
    assert b"leave out --start" in said


async def test_a_rate_that_the_machine_does_not_keep_is_told(tmp_path: Path) -> None:
    async with (
        program(tmp_path, "--rate", "1000") as server,  # 64 000 steps a second
        httpx.AsyncClient(base_url=server.url, verify=PLAIN, timeout=120) as client,
    ):
        source: dict[str, Any] = {"reason": ""}
        while not source["reason"] or not source["dropped"]:
            (source,) = (await client.get("/readyz")).json()["sources"]
        assert source["status"] == "up"
        assert "of 64000 steps a second" in source["reason"]
        assert source["lag_ms"] >= 0
        metrics = (await client.get("/metrics")).text
        counted = next(line for line in metrics.splitlines() if line.startswith("tickwire_source_dropped_t"))
        assert float(counted.split()[1]) > 0
        assert server.log.count("does not keep up") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--start", "1970-01-01"], "1990"),
        (["--start", "soon"], "2026-11-22T09:30Z"),
        (["--start", START, "--source", "simulator", "--source", "publish"], "other sources"),
        (["--start", START, "--source", "publish"], "--source simulator"),
        (["--hold"], "--start"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(tmp_path: Path, arguments: list[str], words: str) -> None:
    command = "serve", "--port", "0", "--data-dir", str(tmp_path), *arguments
    process = await spawn(*command, env=program_environment(COLUMNS="200"))
    _, said = await process.communicate()
    assert process.returncode in (1, 2)
    assert words in said.decode()
    assert "Traceback" not in said.decode()


def test_a_virtual_time_stands_until_it_is_begun() -> None:
    now = 5.0
    time = VirtualTime(AT, lambda: now)
    now = 7.0
    assert time() == AT * 1_000_000
    time.begin()
    now = 7.5
    time.begin()
    assert time() == AT * 1_000_000 + 500_000_000


async def test_bars_go_on_though_the_time_goes_back_for_a_code_that_begins_late(tmp_path: Path) -> None:
    """By more than what is taken for a clock that was wrong."""
    async with serving(tmp_path, start=AT, codes=["BTCUSDT"], rate=5, keep_bars=False) as served:
        feed = served.engine.market.feeds.first
        served.engine.market.scenarios.begin(scenario_of({"step": [{"do": "clock", "speed": 600}]}, "test"))
        btc = served.engine.catalogue["BTCUSDT"]
        await until(lambda: feed.bars.newest >= AT // 1000 + 120)
        before = feed.bars.forming(btc, KlineType.MINUTE)
        feed.source.want(Kind.TRADE, ["PEPEUSDT"], subscribed=True)
        assert (now := feed.source.market_time()) < AT + 30_000
        assert feed.bars.advance(now) == []
        assert before is not None
        assert feed.bars.forming(btc, KlineType.MINUTE) == before
