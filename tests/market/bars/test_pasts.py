"""Pasts: bars before the first one, made when somebody asks, once, and kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from decimal import Decimal

import pytest

from tickwire.errors import StoreError
from tickwire.klines import Reach, roll_up
from tickwire.market.bars import Bars
from tickwire.model import Kline, KlineType

from .disk import ALL, BTC, HOUR, MINUTE, T0, Disk, Run, a_run, figures, price, take


class Past:
    """Ten minutes before the first one, and the larger bars of two types."""

    key = "k"

    def __init__(self) -> None:
        self.calls = 0
        self.may_go = threading.Event()
        self.may_go.set()
        self.under_way = threading.Event()

    def begin(self, first: Kline) -> dict[KlineType, list[Kline]]:
        self.calls += 1
        self.under_way.set()
        assert self.may_go.wait(30)
        minutes = some_minutes(first.code, first.time - 600, first.time)
        larger = {one: list(roll_up(BTC, one, minutes)) for one in (KlineType.MINUTES_5, HOUR)}
        return {MINUTE: minutes, **larger}

    def reach(self, kline_type: KlineType, first: int, count: int, end: int | None) -> list[Reach]:
        return []

    def days(self, begin: int, end: int, first: int, price: Decimal) -> list[Kline]:
        raise AssertionError

    def make(self, kline_type: KlineType, bars: Iterable[Kline], first: int) -> list[Kline]:
        raise AssertionError


def some_minutes(code: str, begin: int, end: int) -> list[Kline]:
    found = []
    for at in range(begin, end, 60):
        value, volume = price(at), Decimal(2)
        four = value, value + 3, value - 3, value
        found.append(Kline(code, MINUTE, at, *four, volume, Decimal("7.50"), at * 1000, at * 1000 + 59_999))
    return found


async def make_past(bars: Run, past: Past, count: int = 1, end: int | None = None) -> None:
    bars.past = past
    await bars.pasts.make(BTC, MINUTE, count=count, end=end)


FIRST = T0 + 3 * 60 + 5  # in the middle of five minutes, and of an hour


async def check_past(bars: Bars, ats: Iterable[int]) -> None:
    """There are ten minutes before the trades, and the larger bars agree with the minutes."""
    minutes = (await bars.read(BTC, MINUTE, count=ALL)).bars
    expected = {FIRST - 5 - 60 * n for n in range(1, 11)} | {at - at % 60 for at in ats}
    assert [one.time for one in minutes] == sorted(expected)
    for kline_type in (KlineType.MINUTES_5, HOUR):
        rolled = roll_up(BTC, kline_type, minutes)
        assert figures((await bars.read(BTC, kline_type, count=ALL)).bars) == figures(rolled), kline_type.name


@pytest.mark.parametrize("later", [0, 1, 2, 5, 30, 90], ids=lambda n: f"{n} minutes later")
@pytest.mark.parametrize("written", [False, True], ids=["in memory", "written"])
async def test_the_past_joins_the_first_bar_whenever_it_is_made(
    disk: Disk, later: int, written: bool
) -> None:
    bars, past, ats = a_run(disk), Past(), [FIRST + 60 * n for n in range(later + 1)]
    take(bars, ats)
    if written:
        await bars.batches.write()
    await make_past(bars, past)
    await check_past(bars, ats)
    more = [ats[-1] + 10, ats[-1] + 100, ats[-1] + 4000]
    take(bars, more)
    await check_past(bars, ats + more)
    await bars.batches.write()
    await check_past(a_run(disk), ats + more)


async def test_asked_by_many_at_once_the_past_is_made_once_and_all_see_it(disk: Disk) -> None:
    bars, past = a_run(disk), Past()
    take(bars, [FIRST])

    async def ask() -> int:
        await make_past(bars, past)
        return len((await bars.read(BTC, MINUTE, count=ALL)).bars)

    past.may_go.clear()
    asking = [asyncio.create_task(ask()) for _ in range(20)]
    assert await asyncio.to_thread(past.under_way.wait, 30)
    asking += [asyncio.create_task(ask()) for _ in range(20)]
    past.may_go.set()
    assert await asyncio.gather(*asking) == [11] * 40
    assert await ask() == 11
    assert past.calls == 1
    await check_past(bars, [FIRST])


async def test_one_that_gives_up_asking_takes_the_past_from_nobody(disk: Disk) -> None:
    bars, past = a_run(disk), Past()
    take(bars, [FIRST])
    past.may_go.clear()
    first = asyncio.create_task(make_past(bars, past))
    assert await asyncio.to_thread(past.under_way.wait, 30)
    second = asyncio.create_task(make_past(bars, past))
    first.cancel()
    await asyncio.wait([first])
    past.may_go.set()
    await second
    await check_past(bars, [FIRST])
    assert past.calls == 1


async def test_trades_that_come_while_the_past_is_made_are_counted(disk: Disk) -> None:
    bars, past = a_run(disk), Past()
    take(bars, [FIRST])
    past.may_go.clear()
    making = asyncio.create_task(make_past(bars, past))
    assert await asyncio.to_thread(past.under_way.wait, 30)
    ats = [FIRST, FIRST + 1, FIRST + 61, FIRST + 200]
    take(bars, ats[1:])
    past.may_go.set()
    await making
    await check_past(bars, ats)
    await bars.batches.write()
    await check_past(a_run(disk), ats)


async def test_there_is_no_past_before_the_first_trade(disk: Disk) -> None:
    bars, past = a_run(disk), Past()
    await make_past(bars, past)
    assert past.calls == 0
    take(bars, [FIRST])
    await make_past(bars, past)
    assert past.calls == 1
    await check_past(bars, [FIRST])


async def test_a_past_that_was_made_is_not_made_again_after_a_restart(disk: Disk) -> None:
    bars, past = a_run(disk), Past()
    take(bars, [FIRST])
    await make_past(bars, past)
    again = a_run(disk)
    take(again, [FIRST + 60])
    await make_past(again, past)
    assert past.calls == 1
    await check_past(again, [FIRST, FIRST + 60])


async def test_a_first_bar_of_an_earlier_run_gets_its_past(disk: Disk) -> None:
    bars, past = a_run(disk), Past()
    take(bars, [FIRST])
    await bars.batches.write()
    again = a_run(disk)
    take(again, [FIRST + 60, FIRST + 400])
    await make_past(again, past)
    await check_past(again, [FIRST, FIRST + 60, FIRST + 400])


async def a_run_without_its_past(disk: Disk) -> tuple[Run, Past]:
    """A run whose past could not be written."""
    bars, past = a_run(disk), Past()
    take(bars, [FIRST])
    await bars.batches.write()
    disk.failures = [True]
    with pytest.raises(StoreError):
        await make_past(bars, past)
    return bars, past


async def test_a_past_that_could_not_be_written_is_made_when_asked_for_again(disk: Disk) -> None:
    bars, past = await a_run_without_its_past(disk)
    take(bars, [FIRST + 400])
    await bars.batches.write()
    await make_past(bars, past)
    await check_past(bars, [FIRST, FIRST + 400])
    await bars.batches.write()
    again = a_run(disk)
    await make_past(again, past)
    await check_past(again, [FIRST, FIRST + 400])
    assert past.calls == 2


async def test_a_past_that_was_lost_with_a_kill_is_made_again(disk: Disk) -> None:
    _, past = await a_run_without_its_past(disk)
    again = a_run(disk)
    await again.batches.write()
    await make_past(again, past)
    await check_past(again, [FIRST])
