"""The simulator: plausible, complete, and the same again with the same seed and clock."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import pairwise

from tickwire.machine import REAL
from tickwire.model import Event, Kind, Trade
from tickwire.sources import DEFAULT_CODES, Simulator
from tickwire.sources.simulator import FORGET_AFTER, LAG_LIMIT, SimulatedMarkets
from tickwire.store import load_catalogue
from tickwire.wire.push import encoder

CATALOGUE = load_catalogue()
START = 1_788_530_573_000


def markets(codes: Collection[str], seed: int = 7, rate: float = 2.0) -> SimulatedMarkets:
    return SimulatedMarkets(CATALOGUE, codes, seed=seed, rate=rate)


def run_for(some: SimulatedMarkets, milliseconds: int) -> list[Event]:
    """All events of a stretch of market time after START."""
    some.open(START)
    return [event for now in range(START, START + milliseconds, 50) for event in some.due(now)]


def frames(events: list[Event]) -> bytes:
    """The stream as it goes over the wire, seq included."""
    encoders = {}
    for code in {event.code for event in events}:
        for kind in Kind:
            encoders[kind, code] = encoder(
                kind, code, CATALOGUE[code], CATALOGUE[code].levels, text_ids=False
            )
    return b"".join(
        encoders[Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH, event.code](event, number)
        for number, event in enumerate(events)
    )


def test_the_same_seed_and_clock_give_the_same_bytes() -> None:
    streams = [frames(run_for(markets(["BTCUSDT", "700.HK", "GOLD"], seed), 20_000)) for seed in (7, 7, 8)]
    assert len(streams[0]) > 20_000
    assert streams[0] == streams[1]
    assert streams[0] != streams[2]


def test_how_often_the_clock_is_looked_at_changes_nothing() -> None:
    some, same = markets(DEFAULT_CODES), markets(DEFAULT_CODES)
    some.open(START)
    same.open(START)
    often = [event for now in range(START, START + 4000) for event in some.due(now)]
    assert frames(often) == frames(list(same.due(START + 3999)))


def test_the_default_set_begins_at_once_and_goes_on_at_its_rate() -> None:
    events = run_for(markets(DEFAULT_CODES), 10_000)
    assert {event.code for event in events if event.time == START} == set(DEFAULT_CODES)
    for code in DEFAULT_CODES:
        times = [event.time for event in events if event.code == code and isinstance(event, Trade)]
        assert times == sorted(times)
        assert 17 <= len(times) <= 24  # the opening, and two a second
        assert all(b - a <= 800 for a, b in pairwise(times))


def test_a_code_runs_on_request_until_nobody_asks_for_it() -> None:
    some = markets(["BTCUSDT"])
    some.open(START)
    assert some.want({"SHIBUSDT"}, START)
    assert not some.want({"SHIBUSDT", "BTCUSDT"}, START)
    assert {event.code for event in some.due(START)} == {"BTCUSDT", "SHIBUSDT"}
    later = START + FORGET_AFTER
    assert not some.want({"SHIBUSDT"}, later - 1000)
    assert {event.code for event in some.due(later)} == {"BTCUSDT", "SHIBUSDT"}
    late = later + FORGET_AFTER
    assert {event.code for event in some.due(late)} == {"BTCUSDT"}
    assert some.want({"SHIBUSDT"}, late)
    assert {event.code for event in some.due(late + 1000)} == {"BTCUSDT", "SHIBUSDT"}


def test_opened_again_it_goes_on_at_its_rate_with_what_runs_on_request() -> None:
    some = markets(["BTCUSDT"])
    some.open(START)
    some.want(["GOLD"], START)
    first = [*some.due(START + 5000)]
    some.open(START + 5000)
    events = [*some.due(START + 10_000)]
    for code in ("BTCUSDT", "GOLD"):
        times = [event.time for event in events if event.code == code and isinstance(event, Trade)]
        assert 7 <= len(times) <= 15  # two a second, not four
        assert times[0] >= max(event.time for event in first if event.code == code)


def test_time_that_the_machine_slept_is_skipped() -> None:
    some = markets(DEFAULT_CODES)
    some.open(START)
    assert list(some.due(START))
    late = START + 8 * 3600 * 1000
    events = list(some.due(late))
    assert events
    assert all(late - event.time <= LAG_LIMIT for event in events)


async def test_a_request_wakes_a_simulator_that_waits() -> None:
    source = Simulator(CATALOGUE, ["BTCUSDT"], seed=1, rate=0.001, clock=REAL.millis)
    events = source.events()
    async with asyncio.timeout(20):
        assert [(await anext(events)).code for _ in range(3)] == ["BTCUSDT"] * 3
        coming = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert source.want(Kind.TRADE, {"SHIBUSDT"}, subscribed=False)
        assert (await coming).code == "SHIBUSDT"
