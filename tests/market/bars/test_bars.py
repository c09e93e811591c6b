"""Bars of a source: forming, waiting, being written and stored, read as one."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import structlog

from tickwire.market.bars import Bars
from tickwire.model import Kline, KlineType

from .disk import ALL, BTC, HOUR, MINUTE, T0, Clock, Disk, Run, a_run, check, some_hours, take


@contextlib.asynccontextmanager
async def a_write_under_way(bars: Run, disk: Disk) -> AsyncIterator[None]:
    disk.under_way.clear()
    disk.may_go.clear()
    writing = asyncio.create_task(bars.batches.write())
    try:
        assert await asyncio.to_thread(disk.under_way.wait, 30)
        yield
    finally:
        disk.may_go.set()
        await writing


# The join.
async def test_what_forms_waits_is_written_and_stored_joins_at_every_trade(disk: Disk) -> None:
    bars, ats, dice = a_run(disk), some_hours(), random.Random(7)
    begin = 0
    while begin < len(ats):
        cut = begin + dice.randrange(1, 12)
        take(bars, ats[begin:cut])
        await check(bars, ats[:cut])
        disk.failures = [dice.random() < 0.3]
        async with a_write_under_way(bars, disk):
            await check(bars, ats[:cut])
            begin, cut = cut, cut + dice.randrange(1, 12)
            take(bars, ats[begin:cut])
            await check(bars, ats[:cut])
        await check(bars, ats[:cut])
        begin = cut
    await bars.batches.write()
    await check(bars, ats)
    await check(a_run(disk), ats)


async def test_every_page_is_a_part_of_the_whole_also_under_a_write(disk: Disk) -> None:
    bars, ats = a_run(disk), some_hours(count=90)
    take(bars, ats[:40])
    await bars.batches.write()
    take(bars, ats[40:60])
    disk.failures = [True]
    async with a_write_under_way(bars, disk):
        take(bars, ats[60:])
        for _ in range(2):
            for kline_type in (MINUTE, KlineType.MINUTES_15, HOUR):
                whole = (await bars.read(BTC, kline_type, count=ALL)).bars
                for number, one in enumerate(whole):
                    for count in (1, 2, 7, 500):
                        expected = whole[max(0, number + 1 - count) : number + 1]
                        assert (await bars.read(BTC, kline_type, count=count, end=one.time)).bars == expected
                    assert (await bars.read(BTC, kline_type, count=1, end=one.time - 1)).bars == whole[
                        :number
                    ][-1:]
            disk.may_go.set()  # and again after the write has failed


async def test_paging_with_oldest_minus_one_gives_each_bar_once(disk: Disk) -> None:
    bars, ats = a_run(disk), some_hours()
    take(bars, ats[:200])
    await bars.batches.write()
    take(bars, ats[200:])
    pages: list[Kline] = []
    end = None
    while page := (await bars.read(BTC, MINUTE, count=7, end=end)).bars:
        pages = page + pages
        end = page[0].time - 1
    assert pages == (await bars.read(BTC, MINUTE, count=ALL)).bars


async def test_a_trade_that_is_late_under_a_write_revises_what_is_written_then(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, [T0 + 1, T0 + 61])
    async with a_write_under_way(bars, disk):
        take(bars, [T0 + 30])
        await check(bars, [T0 + 1, T0 + 30, T0 + 61])
    await check(bars, [T0 + 1, T0 + 30, T0 + 61])
    await bars.batches.write()
    await check(a_run(disk), [T0 + 1, T0 + 30, T0 + 61])


@pytest.mark.parametrize("failures", [[False, True], [True, False], [True, True]], ids=str)
async def test_of_two_writes_at_once_one_that_fails_loses_nothing(disk: Disk, failures: list[bool]) -> None:
    bars, ats = a_run(disk), some_hours(count=60)
    disk.failures = failures
    take(bars, ats[:30])
    async with a_write_under_way(bars, disk):
        take(bars, ats[30:])
        second = asyncio.create_task(bars.batches.write())
        await asyncio.sleep(0)
    await second
    await check(bars, ats)
    await bars.batches.write()
    await check(bars, ats)
    await check(a_run(disk), ats)


async def test_what_cannot_be_written_is_told_and_written_later(disk: Disk) -> None:
    bars, ats = a_run(disk), some_hours(count=30)
    take(bars, ats)
    disk.failures = [True]
    with structlog.testing.capture_logs() as logs:
        await bars.batches.write()
    (line,) = logs
    assert (line["log_level"], line["reason"]) == ("error", "The disk is full.")
    assert disk.span("s", "BTCUSDT", MINUTE) is None
    await bars.batches.write()
    await check(a_run(disk), ats)


async def test_nothing_of_another_source_is_read(disk: Disk) -> None:
    other = Run(disk, "other")
    take(other, [T0 + 1])
    await other.batches.write()
    bars = a_run(disk)
    take(bars, [T0 + 100])
    await check(bars, [T0 + 100])


# Runs.
@pytest.mark.parametrize("seed", range(6))
async def test_stopped_and_started_again_the_bars_are_those_of_one_run(disk: Disk, seed: int) -> None:
    ats, dice = some_hours(seed), random.Random(seed)
    cuts = sorted(dice.sample(range(1, len(ats)), 25))
    for begin, cut in zip([0, *cuts], [*cuts, len(ats)], strict=True):
        bars = a_run(disk)
        take(bars, ats[begin:cut])
        if dice.random() < 0.5:
            bars.advance(ats[cut - 1] * 1000 + dice.randrange(600_000))
        await check(bars, ats[:cut])
        await bars.batches.write()
    await check(a_run(disk), ats)


async def test_killed_it_lacks_what_came_after_the_last_write_and_nothing_else() -> None:
    ats = some_hours()
    for cut in range(1, 250, 17):
        store = Disk()
        bars = a_run(store)
        take(bars, ats[:cut])
        await bars.batches.write()
        take(bars, ats[cut : cut + 3])
        again = a_run(store)
        await check(again, ats[:cut])
        take(again, ats[cut + 3 :])
        await check(again, ats[:cut] + ats[cut + 3 :])
        store.database.close()


@pytest.mark.parametrize("seed", range(6))
async def test_a_source_that_begins_anew_is_counted_once(disk: Disk, seed: int) -> None:
    ats, dice = some_hours(seed), random.Random(seed)
    ats = sorted(ats * 2)  # many trades share a moment
    most = 0
    for _ in range(20):
        bars = a_run(disk, repeats=True)
        await bars.ready([BTC])
        written = dice.randrange(1, len(ats))
        take(bars, ats[:written])
        await bars.batches.write()
        take(bars, ats[written : written + dice.randrange(40)])  # lost with the kill
        most = max(most, written)
        whole = sorted({at - at % 60 for at in ats[:most]})
        assert [one.time for one in (await bars.read(BTC, MINUTE, count=ALL)).bars][: len(whole)] == whole
    bars = a_run(disk, repeats=True)
    await bars.ready([BTC])
    take(bars, ats)
    await check(bars, ats)


# What was missed.
async def marks(bars: Bars, kline_type: KlineType) -> dict[int, bool]:
    return {one.time - T0: one.incomplete for one in (await bars.read(BTC, kline_type, count=ALL)).bars}


async def test_bars_during_which_it_did_not_run_are_incomplete(disk: Disk) -> None:
    clock = Clock()
    first = a_run(disk, clock=clock)
    take(first, [T0 - 90, T0 + 10, T0 + 20])
    clock.now = T0 + 30
    await first.batches.write()
    for kline_type in KlineType:  # the server began at midnight, in the middle of a week and of a month
        began_before = kline_type > KlineType.DAY
        assert any((await marks(first, kline_type)).values()) is began_before, kline_type.name
    clock.now = T0 + 200
    second = a_run(disk, clock=clock)
    take(second, [T0 + 215, T0 + 250, T0 + 305])
    clock.now = T0 + 310
    await second.batches.write()
    for bars in (second, a_run(disk, clock=clock)):
        found = await marks(bars, MINUTE)
        if bars is not second:
            assert found.pop(300)  # it forms, and the third run began during it
            found[300] = False
        assert found == {-120: False, 0: True, 180: True, 240: False, 300: False}
    assert await marks(second, KlineType.MINUTES_5) == {-300: False, 0: True, 300: False}
    assert (await marks(second, HOUR)) == {-3600: False, 0: True}
    assert await marks(second, KlineType.DAY) == {-86400: False, 0: True}


async def test_bars_that_began_before_the_first_server_are_incomplete(disk: Disk) -> None:
    clock = Clock(T0 + 430.5)
    first = a_run(disk, clock=clock)
    take(first, [T0 + 5, T0 + 365, T0 + 431, T0 + 485])  # what was before is published belatedly
    assert await marks(first, MINUTE) == {0: False, 360: False, 420: True, 480: False}
    assert await marks(first, KlineType.MINUTES_5) == {0: False, 300: True}
    assert await marks(first, HOUR) == {0: True}


async def test_a_larger_bar_is_incomplete_also_where_the_minutes_beside_the_gap_are_not(disk: Disk) -> None:
    clock = Clock()
    first = a_run(disk, clock=clock)
    take(first, [T0 + 5])
    first.advance((T0 + 330) * 1000)
    clock.now = T0 + 330
    await first.batches.write()
    clock.now = T0 + 630
    second = a_run(disk, clock=clock)
    take(second, [T0 + 1205])
    second.advance((T0 + 1300) * 1000)
    assert (await marks(second, MINUTE)) == {0: False, 1200: False}
    assert await marks(second, KlineType.MINUTES_5) == {0: False, 1200: False}
    assert await marks(second, KlineType.MINUTES_15) == {0: True, 900: False}
    assert await marks(second, KlineType.MINUTES_30) == {0: True}
    assert (await marks(second, HOUR)) == {0: True}


async def test_the_first_trade_of_a_code_can_come_too_late_too(disk: Disk) -> None:
    first = a_run(disk)
    first.advance((T0 + 3600) * 1000)
    take(first, [T0 + 1, T0 + 3590])
    assert first.late == 1
    await check(first, [T0 + 3590])
    await first.ready_all()
    await first.batches.write()
    for joined in (False, True):
        again = a_run(disk)
        again.advance((T0 + 7200) * 1000)
        if joined:
            await again.ready([BTC])
        take(again, [T0 + 3591])
        assert again.late == 1
        await check(again, [T0 + 3590])


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("ahead", [45, 600, 3600, 40 * 86400], ids=str)
async def test_a_clock_that_was_ahead_for_a_while_leaves_no_trace(
    disk: Disk, ahead: int, joined: bool
) -> None:
    bars, ats, dice = a_run(disk), some_hours(count=120), random.Random(ahead)
    if joined:
        await bars.ready([BTC])
    wrong = 0
    with structlog.testing.capture_logs() as logs:
        for number, at in enumerate(ats, 1):
            bars.advance(at * 1000)
            late_ones = dice.random() < 0.3
            if late_ones and ahead < 60:
                bars.advance((at + ahead) * 1000)
            take(bars, [at])
            if late_ones:
                bars.advance((at + ahead) * 1000)
                bars.advance(at * 1000)
                wrong += 1
            if number % 10 == 0:
                await check(bars, ats[:number])
    assert bars.late == 0
    assert len([line for line in logs if "was set back" in line["event"]]) == wrong > 10
    await check(bars, ats)
    await bars.batches.write()
    await check(a_run(disk), ats)


@pytest.mark.parametrize("ahead", [90, 600, 3 * 3600, 30 * 86400], ids=str)
async def test_trades_of_a_clock_that_was_ahead_hold_up_none_of_the_right_time(
    disk: Disk, ahead: int
) -> None:
    bars, dice = Run(disk, on_clock=True), random.Random(ahead)
    right: list[int] = []
    wrong: list[int] = []

    async def go_to(now: int) -> None:
        for at in {at // 60 * 60: at for at in wrong if at <= now}:  # as each of them comes
            if at > right[-1] - 60:
                bars.advance(at * 1000)
                await bars.ready_all()

    async def agree(now: int) -> None:
        if not any(0 < at - now < 120 for at in wrong):  # which may be there or not
            await check(bars, [*right, *(at for at in wrong if at <= now)])

    for number, at in enumerate(some_hours(count=180)):
        if 20 <= number < 30:
            bars.advance((at + ahead) * 1000)
            take(bars, [at + ahead])
            wrong.append(at + ahead)
            await bars.ready_all()
            continue
        if number > 30:
            await go_to(at)
        if number == 30 or dice.random() < 0.7:  # else the trade is there before the clock is looked at
            bars.advance(at * 1000)
            if dice.random() < 0.5:
                await agree(at)
        right.append(at)
        take(bars, [at])
        bars.advance(at * 1000)
        await agree(at)
        if dice.random() < 0.1:
            await bars.batches.write()
            bars = Run(disk, on_clock=True)
            bars.advance(at * 1000)
            await agree(at)
    assert bars.late == 0
    bars.advance((max(*right, *wrong) + 60) * 1000)
    await check(bars, [*right, *wrong])


async def test_a_clock_that_was_set_back_by_mistake_costs_nothing(disk: Disk) -> None:
    ats = some_hours(count=120)
    bars, half = Run(disk, on_clock=True), ats[:60]
    for at in half:
        bars.advance(at * 1000)
        take(bars, [at])
        await bars.ready_all()
    bars.advance((half[-1] - 7200) * 1000)
    shown = (await bars.read(BTC, MINUTE, count=ALL)).bars
    assert shown[-1].time == max(at // 60 * 60 for at in half if at // 60 * 60 <= half[-1] - 7200)
    for at in ats[60:]:
        take(bars, [at])
        bars.advance(at * 1000)
    await check(bars, ats)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_clock_does_each_trade_is_in_its_minute(disk: Disk, seed: int) -> None:
    bars, dice, at = Run(disk, on_clock=True), random.Random(seed), T0
    taken: list[int] = []
    for number in range(150):
        at += dice.choice([0, 1, 61, 200, -300, -90, 600 if number % 7 == 0 else 0])
        bars.advance(at * 1000)
        await bars.ready_all()
        some = [at] * dice.randint(1, 2)
        take(bars, some)
        taken += some
        await bars.ready_all()
        if dice.random() < 0.2:
            await bars.batches.write()
    await bars.batches.write()
    for minute in range(min(taken) // 60 * 60, max(taken) + 120, 60):
        bars.advance(minute * 1000)
        await bars.ready_all()
    found = (await bars.read(BTC, MINUTE, count=ALL)).bars
    assert {bar.time: bar.volume * 10 for bar in found} == Counter(one // 60 * 60 for one in taken)
    assert bars.late == 0


async def test_what_begins_anew_has_missed_nothing(disk: Disk) -> None:
    ats = some_hours(count=100)
    first = a_run(disk, repeats=True)
    take(first, ats[:70])
    await first.batches.write()
    second = a_run(disk, repeats=True)
    take(second, ats)
    for kline_type in KlineType:
        assert not any((await marks(second, kline_type)).values()), kline_type.name


async def test_a_start_tells_what_it_recovered(disk: Disk) -> None:
    clock = Clock(T0 + 30.9)
    with structlog.testing.capture_logs() as logs:
        first = a_run(disk, clock=clock)
        assert logs == []
        take(first, [T0])
        await first.batches.write()
        clock.now = T0 + 100
        a_run(disk, clock=clock)
    (line,) = logs
    assert line == {
        "event": "bars recovered",
        "log_level": "info",
        "source": "s",
        "kept_until": T0 + 30,
        "down_seconds": 70,
    }
