"""What every source promises; see tickwire.sources.Source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tickwire.model import Book, Kind, Trade
from tickwire.sources import Csv, Mapper, QuoteTrades, Recording, Replay, Simulator, Source
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
Make = Callable[[Path], Source]


def a_simulator(_: Path) -> Source:
    return Simulator(CATALOGUE, ["BTCUSDT", "GOLD"], seed=1, rate=1000)


def a_replay(folder: Path) -> Source:
    path = folder / "t.csv"
    lines = (f"GOLD,{n},{n % 50 + 1}.5,1\nBTCUSDT,{n},7,1\n" for n in range(2000))
    path.write_text("code,tick_time_ms,price,volume\n" + "".join(lines))
    mapper = Mapper(CATALOGUE, ["GOLD", "BTCUSDT"], QuoteTrades.BID)
    return Replay(
        "t",
        Csv(Recording([path], CATALOGUE), mapper),
        codes=["BTCUSDT", "GOLD"],
        first_time=0,
        speed=0,
        loop=True,
    )


@pytest.fixture(params=[a_simulator, a_replay])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    made: Source = request.param(tmp_path)
    return made


async def test_events_are_of_its_codes_and_times_grow_per_code_and_kind(source: Source) -> None:
    last: dict[tuple[type, str], int] = {}
    async with asyncio.timeout(10):
        count = 0
        async for event in source.events():
            assert isinstance(event, (Trade, Book))
            assert event.code in source.codes
            key = (type(event), event.code)
            assert event.time >= last.get(key, 0)
            last[key] = event.time
            count += 1
            if count == 2000:
                break


async def test_it_gives_way_to_the_event_loop(source: Source) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    seen = 0
    async for _ in source.events():
        seen += 1
        if seen == 5000:
            break
    counting.cancel()
    assert turns >= 3


async def test_what_it_yields_anyway_is_never_worth_waiting_for(source: Source) -> None:
    events = source.events()
    await anext(events)
    assert not source.want(Kind.TRADE, source.codes, subscribed=False)
    assert not source.want(Kind.TRADE, source.codes, subscribed=True)


def test_it_says_what_it_is(source: Source) -> None:
    assert source.name.partition(":")[0] in ("simulator", "replay")
    assert source.simulated is (source.name == "simulator")
    assert source.codes
