"""The market's clock, and a simulator whose clock is moved, stopped, sped up, or told to keep hours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from tickwire.machine import REAL
from tickwire.model import Event, Kind
from tickwire.sources import Simulator
from tickwire.sources.simulated_clock import MarketClock, SteadyClock
from tickwire.store import load_catalogue

from ..serving import OTHER_HTTP, TRADE, serving

CATALOGUE = load_catalogue()
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WEDNESDAY = int(datetime(2026, 11, 18, 15, tzinfo=UTC).timestamp() * 1000)  # New York trades, Hong Kong not
SATURDAY = WEDNESDAY + 3 * DAY
CODES = ("BTCUSDT", "AAPL.US")
TURNS = 30


class Wall:
    """A wall clock that goes when it is told to."""

    def __init__(self, now: int = WEDNESDAY) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


# The clock.
def test_it_is_the_wall_clock_until_it_is_moved() -> None:
    wall = Wall()
    clock = MarketClock(wall)
    assert clock() == WEDNESDAY
    wall.now += 12_345
    assert clock() == WEDNESDAY + 12_345
    assert abs(MarketClock(REAL.millis)() - REAL.millis()) < 1000


def test_it_goes_on_from_where_it_was_set() -> None:
    wall = Wall()
    clock = MarketClock(wall)
    clock.move(SATURDAY, None)
    assert clock() == SATURDAY
    wall.now += 1500
    assert clock() == SATURDAY + 1500


def test_it_never_goes_back_by_itself() -> None:
    steps: list[int] = []
    wall = Wall()
    clock = SteadyClock(wall, steps.append)
    assert clock() == WEDNESDAY
    for wall_now, shows in (
        (WEDNESDAY + 1000, WEDNESDAY + 1000),
        (WEDNESDAY + 900, WEDNESDAY + 1000),  # as a time server corrects it
        (WEDNESDAY + 2000, WEDNESDAY + 2000),
        (WEDNESDAY + 2000 - HOUR, WEDNESDAY + 2000),
        (WEDNESDAY + 3000 - HOUR, WEDNESDAY + 3000),
        (WEDNESDAY + 4000, WEDNESDAY + 4000),  # set right again
        (WEDNESDAY + HOUR, WEDNESDAY + HOUR),
    ):
        wall.now = wall_now
        assert clock() == shows
    assert steps == [-HOUR, HOUR + 1000, HOUR - 4000]


@pytest.mark.parametrize(
    ("speed", "shows"), [(0, 0), (0.5, 5000), (1, 10_000), (60, 600_000), (1000, 10_000_000)]
)
def test_it_keeps_its_time_when_its_speed_changes(speed: float, shows: int) -> None:
    wall = Wall()
    clock = MarketClock(wall)
    wall.now += 777
    clock.move(None, speed)
    assert (clock(), clock.speed) == (WEDNESDAY + 777, speed)
    wall.now += 10_000
    assert clock() == WEDNESDAY + 777 + shows


def test_moves_add_up() -> None:
    wall = Wall()
    clock = MarketClock(wall)
    clock.move(None, 10)
    wall.now += 1000
    clock.move(None, 0)
    wall.now += 1000
    clock.move(clock() + 5, None)  # set while it stands still, it stands still there
    wall.now += 1000
    assert clock() == WEDNESDAY + 10_005
    clock.move(None, 2)
    wall.now += 1000
    clock.move(SATURDAY, 1)
    wall.now += 1000
    assert clock() == SATURDAY + 1000


def test_it_never_goes_backwards_by_rounding() -> None:
    wall = Wall()
    clock = MarketClock(wall)
    shown = []
    for number in range(1000):
        clock.move(None, 0.1 + number % 7 * 0.31)
        wall.now += 1
        shown.append(clock())
    assert shown == sorted(shown)


# The simulator.
class Bench:
    """A simulator on a wall clock that stands, or goes when a test says so."""

    def __init__(self, simulator: Simulator, wall: Wall) -> None:
        self.simulator = simulator
        self.wall = wall
        self._stream = cast("AsyncIterator[Event]", simulator.events())  # markets are open
        self._next: asyncio.Task[Event] | None = None

    async def take(self) -> list[Event]:
        """What comes before the stream waits for the clock."""
        found: list[Event] = []
        while await self._comes():
            found.append(await self.next())
        return found

    async def next(self) -> Event:
        """The next event, which must come."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._stream))
        async with asyncio.timeout(120):
            event = await self._next
        self._next = None
        return event

    async def _comes(self) -> bool:
        """Whether another event is there: what waits, waits after some turns of the event loop."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._stream))
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if self._next.done():
                return True
        return False

    async def aclose(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])


@asynccontextmanager
async def simulator(now: int = WEDNESDAY, *, hours: bool = False) -> AsyncIterator[Bench]:
    """One whose opening has been taken; the wall clock stands."""
    wall = Wall(now)
    made = Simulator(CATALOGUE, CODES, seed=1, rate=1, hours=hours, clock=wall)
    async with aclosing(Bench(made, wall)) as bench:
        opening = await bench.take()
        assert {event.code for event in opening} == {*CODES}
        yield bench


def times(events: list[Event], code: str = "BTCUSDT") -> list[int]:
    return [event.time for event in events if event.code == code]


async def test_set_forward_the_ticks_are_of_that_time_and_what_lies_between_is_skipped() -> None:
    async with simulator() as bench:
        bench.simulator.move_clock(SATURDAY, None, None)
        assert bench.simulator.market_time() == SATURDAY
        found = await bench.take()
        assert {event.time for event in found} == {SATURDAY}
        assert 0 < len(found) <= 2 * 2 * len(CODES)  # a step or two of each, not three days of them
        bench.wall.now += 3000
        bench.simulator.want(Kind.TRADE, [], subscribed=True)
        bench.simulator.move_clock(None, None, None)  # wakes it, and changes nothing
        later = await bench.take()
        assert later
        assert all(SATURDAY < event.time <= SATURDAY + 3000 for event in later)


async def test_a_wall_clock_that_is_set_back_stops_nothing() -> None:
    with capture_logs() as logged:
        async with simulator() as bench:
            bench.simulator.want(Kind.TRADE, ["GOLD"], subscribed=True)
            await bench.take()
            bench.wall.now -= HOUR
            found: list[Event] = []
            for _ in range(5):
                bench.wall.now += 2000
                bench.simulator.move_clock(None, None, None)  # wakes it, and changes nothing
                found += await bench.take()
            for code in (*CODES, "GOLD"):
                trades = times(found, code)
                assert len(trades) >= 5
                assert trades == sorted(trades)
                assert WEDNESDAY <= trades[0] <= trades[-1] <= WEDNESDAY + 10_000
    assert [entry["seconds"] for entry in logged] == [HOUR // 1000 - 2]


async def test_a_wall_clock_that_jumps_ahead_is_followed_at_once() -> None:
    with capture_logs() as logged:
        async with simulator() as bench:
            bench.simulator.want(Kind.TRADE, ["GOLD"], subscribed=True)
            await bench.take()
            bench.wall.now += 5 * HOUR
            found = [await bench.next(), *await bench.take()]
            assert {event.code for event in found} == {*CODES, "GOLD"}
            assert {event.time for event in found} == {WEDNESDAY + 5 * HOUR}
            assert len(found) <= 2 * 3 * len(CODES)
    assert [entry["seconds"] for entry in logged] == [5 * HOUR // 1000]


async def test_after_a_step_back_a_server_goes_on_with_each_bar_once(tmp_path: Path) -> None:
    wall = Wall(WEDNESDAY)
    made = Simulator(CATALOGUE, ["BTCUSDT"], seed=1, rate=1, clock=wall)
    query = {"data": {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 500}}

    async with serving(tmp_path, [(made, ())]) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        latest = 0

        async def pass_time() -> None:
            """150 seconds, no faster than trades come: there is one in each 1.6 seconds."""
            nonlocal latest
            for _ in range(75):
                wall.now += 2000
                made.move_clock(None, None, None)  # wakes it, and changes nothing
                while latest < made.market_time() - 1700:
                    latest = (await link.push())["data"]["tick_time"]

        await pass_time()
        wall.now -= HOUR
        await pass_time()
        reply = await served.get(f"{OTHER_HTTP}/kline", query)
        bars = [int(bar["timestamp"]) for bar in reply.json()["data"]["kline_list"]]
        begin = next(n for n, at in enumerate(bars) if at * 1000 >= WEDNESDAY)
        assert bars[begin:] == [WEDNESDAY // 1000 + 60 * n for n in range(len(bars) - begin)]
        assert len(bars) - begin == 5


async def test_frozen_nothing_comes_and_time_stands_until_it_goes_on() -> None:
    async with simulator() as bench:
        bench.simulator.move_clock(None, 0, None)
        bench.wall.now += HOUR
        assert await bench.take() == []
        assert bench.simulator.market_time() == WEDNESDAY
        bench.simulator.move_clock(None, 1, None)
        bench.wall.now += 2500
        bench.simulator.move_clock(None, None, None)
        found = await bench.take()
        assert found
        assert all(WEDNESDAY <= event.time <= WEDNESDAY + 2500 for event in found)


async def test_a_code_that_begins_while_the_clock_stands_still_shows_its_opening() -> None:
    async with simulator() as bench:
        bench.simulator.move_clock(SATURDAY, 0, None)
        await bench.take()
        assert bench.simulator.want(Kind.TRADE, ["GOLD"], subscribed=True)
        found = await bench.take()
        assert {(event.code, event.time) for event in found} == {("GOLD", SATURDAY)}


async def test_sped_up_a_second_holds_a_minute_of_ticks() -> None:
    wall_speed = 60.0
    made = Simulator(CATALOGUE, ["BTCUSDT"], seed=1, rate=1, clock=REAL.millis)
    async with aclosing(Bench(made, Wall())) as bench:
        for _ in range(2):
            await bench.next()
        made.move_clock(None, wall_speed, None)
        began, market = asyncio.get_running_loop().time(), made.market_time()
        found = [await bench.next() for _ in range(100)]
        took = asyncio.get_running_loop().time() - began
    assert found[-1].time - market <= (took + 0.1) * wall_speed * 1000
    assert took > 0.5  # 50 steps of a second each; a busy machine leaves some out
    assert all(a <= b for a, b in pairwise(event.time for event in found))


async def test_a_code_that_runs_on_request_goes_on_after_a_step_of_the_clock() -> None:
    """It stops when nobody has asked for it for long: that is no matter of the market's time."""
    async with simulator() as bench:
        assert bench.simulator.want(Kind.TRADE, ["GOLD"], subscribed=True)
        assert times(await bench.take(), "GOLD")
        bench.simulator.move_clock(WEDNESDAY + HOUR, None, None)
        bench.wall.now += 2000
        bench.simulator.move_clock(None, None, None)
        found = await bench.take()
        assert times(found)
        assert times(found, "GOLD")


async def test_a_code_that_runs_on_request_goes_on_on_a_fast_clock_between_two_reminders() -> None:
    async with simulator() as bench:
        assert bench.simulator.want(Kind.TRADE, ["GOLD"], subscribed=True)
        bench.simulator.move_clock(None, 60, None)
        last = 0
        for _ in range(30):  # seconds; the engine reminds the source every thirty
            bench.wall.now += 1000
            bench.simulator.move_clock(None, None, None)
            last = max([last, *times(await bench.take(), "GOLD")])
        assert last > WEDNESDAY + 29 * MINUTE


async def test_a_code_on_request_goes_on_when_a_fast_clock_slows_down() -> None:
    async with simulator() as bench:
        assert bench.simulator.want(Kind.TRADE, ["GOLD"], subscribed=True)
        bench.simulator.move_clock(None, 60, None)
        await bench.take()
        bench.wall.now += 20_000  # a third of an hour there
        bench.simulator.move_clock(None, 1, None)
        bench.wall.now += 3000
        bench.simulator.move_clock(None, None, None)
        assert times(await bench.take(), "GOLD")[-1] > WEDNESDAY + 20 * MINUTE


# Hours.
async def test_told_to_keep_hours_a_closed_market_falls_silent() -> None:
    async with simulator(SATURDAY) as bench:
        before = bench.simulator.round_the_clock
        bench.simulator.move_clock(None, None, True)
        assert (before, bench.simulator.round_the_clock) == (True, False)
        bench.wall.now += 4000
        bench.simulator.move_clock(None, None, None)
        found = await bench.take()
        assert {event.code for event in found} == {"BTCUSDT"}


async def test_told_to_keep_no_hours_any_more_a_closed_market_trades_at_once() -> None:
    async with simulator(SATURDAY, hours=True) as bench:
        bench.wall.now += 4000
        bench.simulator.move_clock(None, None, None)
        assert {event.code for event in await bench.take()} == {"BTCUSDT"}  # the stock waits for Monday
        bench.simulator.move_clock(None, None, False)
        bench.wall.now += 4000
        bench.simulator.move_clock(None, None, None)
        found = await bench.take()
        assert {event.code for event in found} == {*CODES}
        assert times(found, "AAPL.US")[-1] > SATURDAY + 4000


async def test_set_to_the_weekend_with_hours_and_on_to_monday() -> None:
    async with simulator() as bench:
        bench.simulator.move_clock(SATURDAY, None, True)
        assert {event.code for event in await bench.take()} == {"BTCUSDT"}
        bench.simulator.move_clock(SATURDAY + 2 * DAY, None, None)  # ten in the morning in New York
        found = await bench.take()
        assert {event.code for event in found} == {*CODES}
        assert {event.time for event in found} == {SATURDAY + 2 * DAY}


async def test_the_opening_wakes_a_market_that_kept_its_hours() -> None:
    async with simulator(SATURDAY, hours=True) as bench:
        opens = SATURDAY + 2 * DAY - 6 * HOUR  # 4:00 in New York, before the market proper
        bench.simulator.move_clock(opens - 1000, None, None)
        assert times(await bench.take(), "AAPL.US") == []
        bench.wall.now += 3000
        bench.simulator.move_clock(None, None, None)
        found = times(await bench.take(), "AAPL.US")
        assert found
        assert min(found) >= opens
