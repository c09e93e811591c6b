"""Bars on a store that cannot be read or written for a while: nothing is lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest
import structlog

from tickwire.errors import StoreError
from tickwire.market.bars import batches

from .disk import BTC, MINUTE, T0, Disk, a_run, check, some_hours, stored, take


# Reading fails.
async def test_a_store_that_cannot_be_read_at_the_first_trade_keeps_what_it_has(disk: Disk) -> None:
    before = [T0 + n for n in range(10)]
    bars = a_run(disk)
    take(bars, before)
    await bars.batches.write()
    again = a_run(disk)
    disk.unreadable = True
    take(again, [T0 + 30])
    assert not await again.batches.write()
    assert stored(disk) == [(T0, Decimal(1))]
    disk.unreadable = False
    assert await again.batches.write()
    assert stored(disk) == [(T0, Decimal("1.1"))]
    await check(again, [*before, T0 + 30])


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_fails_when_the_bars_are_those_of_all_trades(disk: Disk, seed: int) -> None:
    ats, dice = some_hours(seed), random.Random(seed)
    bars, begin = a_run(disk), 0
    while begin < len(ats):
        disk.unreadable = dice.random() < 0.5
        disk.failures = [dice.random() < 0.3]
        cut = begin + dice.randrange(1, 30)
        take(bars, ats[begin:cut])
        if dice.random() < 0.3:
            bars.advance(ats[min(cut, len(ats)) - 1] * 1000 + dice.randrange(60_000))
        whole = await bars.batches.write()
        if not disk.unreadable:
            await check(bars, ats[:cut])
        if whole and dice.random() < 0.5:  # it is ended and started
            bars = a_run(disk)
        begin = cut
    disk.unreadable, disk.failures = False, []
    assert await bars.batches.write()
    await check(bars, ats)
    await check(a_run(disk), ats)


async def test_what_closed_before_it_was_joined_is_told_as_revised(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, [T0 + 1])
    await bars.batches.write()
    again = a_run(disk)
    disk.unreadable = True
    take(again, [T0 + 2, T0 + 61])
    again.advance((T0 + 300) * 1000)
    disk.unreadable = False
    await again.batches.write()
    minutes = [(bar.time, bar.volume, is_new) for bar, is_new in again.revised if bar.kline_type is MINUTE]
    assert minutes == [(T0, Decimal("0.2"), True)]
    await check(again, [T0 + 1, T0 + 2, T0 + 61])


async def test_a_bar_that_is_committed_while_the_store_is_read_is_in_the_answer(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, [T0 + 1])
    await bars.batches.write()
    disk.read_may_go.clear()
    disk.reading.clear()
    reading = asyncio.create_task(bars.joined(BTC, MINUTE, count=10))
    assert await asyncio.to_thread(disk.reading.wait, 30)
    take(bars, [T0 + 61, T0 + 121, T0 + 181])
    assert await bars.batches.write()
    take(bars, [T0 + 241])
    disk.read_may_go.set()
    assert [bar.time - T0 for bar in await reading] == [0, 60, 120, 180, 240]


async def test_trades_that_come_while_a_series_is_begun_anew_are_counted(disk: Disk) -> None:
    bars, ats = a_run(disk), [T0 + 1, T0 + 61, T0 + 62]
    take(bars, ats)
    await bars.batches.write()
    reopening = asyncio.create_task(bars.reopen(BTC))
    await asyncio.sleep(0)
    take(bars, more := [T0 + 63, T0 + 121, T0 + 3700])
    await reopening
    await check(bars, ats + more)
    take(bars, last := [T0 + 3701])
    await check(bars, ats + more + last)


async def test_a_hole_up_to_what_is_stored_waits_until_that_is_known(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, [T0 + 1, T0 + 61])
    await bars.batches.write()
    again = a_run(disk)
    disk.unreadable = True
    again.hole(BTC, None, (T0 + 130) * 1000)
    take(again, [T0 + 125, T0 + 185])
    disk.unreadable = False
    await again.batches.write()
    marks = {bar.time - T0: bar.incomplete for bar in await again.joined(BTC, MINUTE, count=9)}
    assert marks == {0: False, 60: True, 120: True, 180: False}


async def test_at_the_end_what_was_never_joined_is_joined_and_written(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, ats := [T0 + 1])
    await bars.end()
    again = a_run(disk)
    take(again, [T0 + 2])
    await again.end()
    await check(a_run(disk), [*ats, T0 + 2])


async def test_what_is_lost_at_the_end_is_told(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "FINAL_WAIT", 0.05)
    bars = a_run(disk)
    take(bars, [T0 + 1, T0 + 61])
    disk.failures = [True] * 1000
    with pytest.raises(StoreError, match=r"last bars of .* lost \(BTCUSDT, from 20.*Z on\): "):
        await bars.end()


async def test_one_line_tells_of_a_store_that_fails_however_often(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, [T0 + 1])
    disk.failures = [True] * 20
    with structlog.testing.capture_logs() as logs:
        for _ in range(20):
            assert not await bars.batches.write()
        assert await bars.batches.write()
    assert [entry["event"] for entry in logs] == ["the store cannot be written"]


# What is kept in memory only.
async def test_from_a_moved_clock_on_bars_are_kept_apart_and_drained(disk: Disk) -> None:
    bars, before = a_run(disk), [T0 + 1, T0 + 61]
    await bars.ready([BTC])
    take(bars, before)
    bars.batches.detach()
    take(bars, after := [T0 + 3600 + 60 * n for n in range(300)])
    disk.failures = [True]
    assert not await bars.batches.write()
    await check(bars, before + after)
    assert await bars.batches.write()
    assert bars.batches.waiting == 0
    await check(bars, before + after)
    assert stored(disk) == [(T0, Decimal("0.1")), (T0 + 60, Decimal("0.1"))]
    take(bars, more := [after[-1] + 61])
    await bars.end()
    await check(bars, before + after + more)
    await check(a_run(disk), before)
