"""The simulator: plausible, complete, and the same again with the same seed and clock."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import pairwise

import pytest

from tickwire.machine import REAL
from tickwire.model import Event, Kind, Trade
from tickwire.sources import DEFAULT_CODES, Simulator
from tickwire.sources.simulated_markets import FORGET_AFTER, LAG_LIMIT, SimulatedMarkets
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


def test_steps_left_out_are_counted() -> None:
    some = markets(["BTCUSDT", "GOLD"])
    some.open(START)
    assert list(some.due(START))
    assert list(some.due(START + 100_000))
    assert 390 <= some.skipped <= 400  # two a second of each


@pytest.mark.parametrize("rate", [0.5, 3, 700, 1000])
def test_a_market_makes_as_many_steps_as_the_rate_says(rate: float) -> None:
    some = markets(["BTCUSDT"], rate=rate)
    some.open(START)
    seconds = int(5000 / rate)
    assert [*some.due(START)]
    made = sum(
        isinstance(event, Trade) for n in range(seconds) for event in some.due(START + 1000 * n + 1000)
    )
    assert abs(made / seconds / rate - 1) < 0.02


# In a virtual time.
def whole(codes: Collection[str], hours: bool = False) -> SimulatedMarkets:
    return SimulatedMarkets(CATALOGUE, codes, seed=7, rate=5.0, hours=hours, whole=True)


def of(code: str, events: list[Event]) -> list[Event]:
    return [event for event in events if event.code == code]


@pytest.mark.parametrize("hours", [False, True])
def test_what_comes_of_a_code_depends_on_no_other_and_on_nobody_who_asks(hours: bool) -> None:
    end = START + 60_000
    one, other = whole(["GOLD", "AAPL.US"], hours), whole(DEFAULT_CODES, hours)
    one.open(START)
    other.open(START)
    found = [*one.due(START + 20_000)]
    one.want(["SHIBUSDT"], START + 20_000)
    found += one.due(end)
    others = [*other.due(START)]
    other.want(["SHIBUSDT"], START)
    for now in range(START, end + 1, 700):
        others += other.due(now)
    others += other.due(end)
    for code in ("GOLD", "AAPL.US", "SHIBUSDT"):
        assert of(code, found)
        assert of(code, found) == of(code, others)


def test_a_late_machine_leaves_nothing_out() -> None:
    some, late = whole(["GOLD"]), whole(["GOLD"])
    some.open(START)
    late.open(START)
    often = [event for now in range(START, START + 600_000, 100) for event in some.due(now)]
    assert [*late.due(START + 599_900)] == often
    assert late.skipped == 0


def test_the_markets_time_is_that_up_to_which_all_has_been_yielded() -> None:
    some = whole(["GOLD"])
    now = START + 30_000
    assert some.position(START) == START
    some.open(START)
    for event in some.due(now):
        assert event.time <= some.position(now) <= now or event.time == START
        assert some.position(now) <= event.time or event.time == START
    assert some.position(now) == now
    some.want(["SHIBUSDT"], now)
    assert some.catching_up == {"SHIBUSDT"}
    for event in some.due(now):
        assert some.position(now) < START + 1000 + event.time - START
    assert not some.catching_up
    assert some.position(now) == now


def test_a_code_on_request_is_not_forgotten() -> None:
    some = whole([])
    some.open(START)
    some.want(["SHIBUSDT"], START)
    later = START + 2 * FORGET_AFTER
    assert [*some.due(later)][-1].time > later - 1000


async def test_a_request_wakes_a_simulator_that_waits() -> None:
    source = Simulator(CATALOGUE, ["BTCUSDT"], seed=1, rate=0.001, clock=REAL.millis)
    events = source.events()
    async with asyncio.timeout(120):
        assert [(await anext(events)).code for _ in range(3)] == ["BTCUSDT"] * 3
        coming = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert source.want(Kind.TRADE, {"SHIBUSDT"}, subscribed=False)
        assert (await coming).code == "SHIBUSDT"
