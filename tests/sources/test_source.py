"""What every source promises; see tickwire.sources.Source."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from tickwire.machine import REAL
from tickwire.model import Book, Kind, Trade
from tickwire.sources import (
    Began,
    Broke,
    Csv,
    Health,
    Published,
    QuoteTrades,
    Recording,
    Reel,
    Replay,
    Simulator,
    Snapshot,
    Source,
    Status,
)
from tickwire.sources.relay import Relay
from tickwire.sources.source import Yielded
from tickwire.store import load_catalogue

from ..serving import serving
from .exchange.binance import binance
from .exchange.reading import exchange
from .relay.bench import MACHINE

pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")

CATALOGUE = load_catalogue()
EVENTS = 300


@asynccontextmanager
async def a_simulator(_: Path) -> AsyncIterator[Source]:
    yield Simulator(CATALOGUE, ["BTCUSDT", "GOLD"], seed=1, rate=1000, clock=REAL.millis)


@asynccontextmanager
async def a_replay(folder: Path) -> AsyncIterator[Source]:
    path = folder / "t.csv"
    at = range(1_788_530_000_000, 1_788_530_002_000)
    lines = (f"GOLD,{n},{n % 50 + 1}.5,1\nBTCUSDT,{n},7,1\n" for n in at)
    path.write_text("code,tick_time_ms,price,volume\n" + "".join(lines))
    codes = ["BTCUSDT", "GOLD"]
    csv = Csv(Recording([path], CATALOGUE), CATALOGUE, codes, QuoteTrades.BID)
    yield Replay(
        "t",
        lambda _: Reel(codes, at.start, csv.moments),
        speed=0,
        loop=True,
        health=Health(Status.UP, wall=REAL.millis),
        monotonic=REAL.monotonic,
        wall=REAL.millis,
    )


@asynccontextmanager
async def a_relay(folder: Path) -> AsyncIterator[Source]:
    async with serving(folder, codes=["BTCUSDT", "GOLD"], rate=500) as upstream:
        yield Relay(CATALOGUE, upstream.url, token=lambda: "t", keep=["BTCUSDT", "GOLD"], **MACHINE)


@asynccontextmanager
async def an_exchange(_: Path) -> AsyncIterator[Source]:
    async def trade() -> None:
        while True:
            for code in ("BTCUSDT", "ETHUSDT"):
                await venue.trade(code, "100.5", "0.1")
            await asyncio.sleep(0.001)

    async with binance(REAL.millis) as venue:
        trading = asyncio.create_task(trade())
        try:
            yield exchange(venue.options, keep=["BTCUSDT", "ETHUSDT"])
        finally:
            trading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await trading


@asynccontextmanager
async def a_publisher(_: Path) -> AsyncIterator[Source]:
    async def publish() -> None:
        publisher = made.publishers.named("local")
        line = {"type": "trade", "price": "5", "volume": "1", "time": REAL.millis()}
        lines = [json.dumps(line | {"code": code}).encode() for code in ("BTCUSDT", "GOLD")] * 100
        while True:
            await made.take(publisher, lines, made.tally(publisher))

    made = Published(CATALOGUE, ["BTCUSDT", "GOLD"], wall=REAL.millis)
    publishing = asyncio.create_task(publish())
    try:
        yield made
    finally:
        publishing.cancel()


SOURCES = [a_simulator, a_replay, a_relay, an_exchange, a_publisher]


@pytest.fixture(params=SOURCES, ids=lambda one: one.__name__)
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Source]:
    async with request.param(tmp_path) as made:
        await made.prepare()
        yield made


async def some(source: Source, count: int) -> list[Yielded]:
    """What it yields up to so many events."""
    found: list[Yielded] = []
    events = 0
    async with asyncio.timeout(120), aclosing(source.events()) as stream:  # type: ignore[type-var]
        async for one in stream:
            found.append(one)
            events += isinstance(one, (Trade, Book))
            if events == count:
                break
    return found


def follow(complete: set[str], one: Began | Broke) -> None:
    """Which codes are complete from then on: none begins twice, or breaks before it has begun."""
    if isinstance(one, Began):
        assert complete.isdisjoint(one.codes)
        complete.update(one.codes)
    else:
        assert complete.issuperset(one.codes)
        complete.difference_update(one.codes)


async def test_events_are_of_its_codes_and_times_grow_per_code_and_kind(source: Source) -> None:
    last: dict[tuple[type, str], int] = {}
    for event in await some(source, EVENTS):
        if isinstance(event, (Trade, Book)):
            assert event.code in source.codes
            assert source.serves(CATALOGUE[event.code])
            key = (type(event), event.code)
            assert event.time >= last.get(key, 0)
            last[key] = event.time
    assert source.health.status is Status.UP
    assert source.market_time() >= max(last.values()) - 1000


async def test_a_live_one_says_what_is_complete(source: Source) -> None:
    """Trades come only of codes that have begun; nothing begins twice, or breaks before it has begun."""
    complete: set[str] = set()
    for one in await some(source, EVENTS):
        match one:
            case Began() | Broke():
                follow(complete, one)
            case Snapshot(kind, code, event):
                assert event is None or (
                    event.code == code and isinstance(event, Trade) is (kind is Kind.TRADE)
                )
            case Trade(code) if source.live:
                assert code in complete
    assert complete == (set(source.codes) if source.live else set())


@pytest.mark.parametrize("ends", ["closed", "raised", "in the middle"])
async def test_it_is_called_again_and_goes_on(source: Source, ends: str) -> None:
    """Nothing comes twice or begins twice, and what is incomplete is told before it begins anew."""
    complete: set[str] = set()
    last: dict[tuple[type, str], int] = {}
    seen: set[Trade] = set()
    for _ in range(3):
        stream = source.events()
        async with asyncio.timeout(120), aclosing(stream):  # type: ignore[type-var]
            events = 0
            async for one in stream:
                match one:
                    case Began() | Broke():
                        follow(complete, one)
                    case Trade() | Book():
                        assert isinstance(one, Book) or not source.live or one.code in complete
                        key = (type(one), one.code)
                        assert one.time >= last.get(key, 0)
                        last[key] = one.time
                        if isinstance(one, Trade) and one.source_seq:
                            assert one not in seen
                            seen.add(one)
                        events += 1
                if events == (EVENTS if ends != "in the middle" else 7):
                    break
            if ends == "raised":
                with contextlib.suppress(RuntimeError):
                    await stream.athrow(RuntimeError("a bug"))  # type: ignore[attr-defined]
    assert source.health.status is Status.UP


async def test_it_gives_way_to_the_event_loop(source: Source) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await some(source, 10 * EVENTS)
    counting.cancel()
    assert turns >= 3


async def test_what_it_yields_anyway_is_never_worth_waiting_for(source: Source) -> None:
    seen: set[str] = set()
    async with asyncio.timeout(120), aclosing(source.events()) as stream:  # type: ignore[type-var]
        async for one in stream:
            if isinstance(one, Trade):
                seen.add(one.code)
            if seen == set(source.codes):
                break
        assert not source.want(Kind.TRADE, source.codes, subscribed=False)
        assert not source.want(Kind.TRADE, source.codes, subscribed=True)
        assert set(source.room(Kind.TRADE, source.codes)) == set(source.codes)


async def test_it_says_what_it_is(source: Source) -> None:
    assert source.name.partition(":")[0] in ("simulator", "replay", "alltick", "exchange", "publish")
    assert source.simulated is (source.name == "simulator")
    assert source.codes
