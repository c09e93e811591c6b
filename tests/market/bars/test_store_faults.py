"""Bars on a store that cannot be read or written for a while: nothing is lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import structlog

from tickwire.errors import StoreError
from tickwire.market.bars import archive, batches, memory, retention
from tickwire.model import Kline, KlineType

from .disk import BTC, HOUR, MINUTE, T0, Disk, Run, a_run, check, some_hours, take
from .test_bars import Past, make_past


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    yield made
    made.database.close()


def stored(disk: Disk, kline_type: KlineType = MINUTE) -> list[tuple[int, Decimal]]:
    """Times and volumes of what stands in the store."""
    unreadable, disk.unreadable = disk.unreadable, False
    try:
        return [(bar.time, bar.volume) for bar in disk.read("s", "BTCUSDT", kline_type, count=1000)]
    finally:
        disk.unreadable = unreadable


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


async def test_memory_answers_while_the_store_cannot_be_read(disk: Disk) -> None:
    bars, ats = a_run(disk), [T0 + 60 * n for n in range(40)]
    take(bars, ats)
    await bars.batches.write()
    disk.unreadable = True
    bars_, partial = await bars.read(BTC, MINUTE, count=500)
    assert partial
    assert [bar.time for bar in bars_] == ats[-memory.KEPT[MINUTE] - 1 :]
    assert [bar.time for bar in (await bars.read(BTC, HOUR, count=5)).bars] == [T0]
    disk.unreadable = False
    assert (await bars.read(BTC, MINUTE, count=500)) == (await bars.joined(BTC, MINUTE, count=500), False)


async def test_memory_answers_for_a_code_that_was_never_joined(disk: Disk) -> None:
    bars = a_run(disk)
    disk.unreadable = True
    with pytest.raises(StoreError):
        await bars.read(BTC, MINUTE, count=500)
    ats = [T0 + 60 * n for n in range(15)]
    take(bars, ats)
    found, partial = await bars.read(BTC, MINUTE, count=500)
    assert (partial, [bar.time for bar in found]) == (True, ats)


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


async def test_minutes_that_wait_to_be_joined_are_bounded_and_told(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_UNJOINED", 20)
    bars = a_run(disk)
    disk.unreadable = True
    take(bars, ats := [T0 + 60 * n for n in range(60)])
    assert bars.batches.waiting < 40
    disk.unreadable = False
    with structlog.testing.capture_logs() as logs:
        await bars.batches.write()
    assert [(entry["event"], entry["bars"]) for entry in logs if "lost" in entry["event"]] == [
        ("bars lost: the store could not be read for too long", 39)
    ]
    assert bars.batches.lost == 39
    assert [bar.time for bar in await bars.joined(BTC, MINUTE, count=100)] == ats[-21:]


# Writing fails.
async def test_a_write_that_is_cancelled_before_its_turn_loses_nothing(disk: Disk) -> None:
    database = disk.database
    bars = a_run(disk)
    take(bars, ats := [T0 + 1, T0 + 61, T0 + 62])
    await bars.ready([BTC])
    busy = threading.Event()
    other = asyncio.create_task(database.write(busy.wait, 30))
    await asyncio.sleep(0)
    writing = asyncio.create_task(bars.batches.write())
    await asyncio.sleep(0.01)
    writing.cancel()
    await asyncio.wait([writing])
    busy.set()
    await other
    assert stored(disk) == []
    await bars.end()
    await check(a_run(disk), ats)


async def test_a_write_that_is_cancelled_under_way_loses_nothing(disk: Disk) -> None:
    bars = a_run(disk)
    take(bars, ats := [T0 + 1, T0 + 61, T0 + 62])
    disk.may_go.clear()
    disk.failures = [True]
    writing = asyncio.create_task(bars.batches.write())
    assert await asyncio.to_thread(disk.under_way.wait, 30)
    writing.cancel()
    await asyncio.wait([writing])
    disk.may_go.set()
    await bars.end()
    await check(a_run(disk), ats)


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
    with structlog.testing.capture_logs() as logs:
        await bars.end()
    assert logs[-1]["event"] == "the last bars cannot be written: lost"
    assert logs[-1]["bars"] == 2


async def test_what_waits_for_a_store_is_bounded_and_told_once(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_WAITING", 50)
    bars = a_run(disk)
    disk.failures = [True] * 10
    with structlog.testing.capture_logs() as logs:
        for n in range(10):
            take(bars, [T0 + 600 * n + 60 * m for m in range(10)])
            assert not await bars.batches.write()
    assert bars.batches.waiting == 51  # and the one that forms
    assert bars.batches.lost > 0
    assert len([entry for entry in logs if "lost" in entry["event"]]) == 1
    assert await bars.batches.write()
    newest = await bars.joined(BTC, MINUTE, count=20)
    assert [bar.time for bar in newest] == [T0 + 6000 - 60 * n for n in range(20, 0, -1)]


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


async def test_bars_in_memory_only_are_bounded(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEPT_IN_MEMORY", 30)
    bars = a_run(disk)
    take(bars, [T0])
    await bars.batches.write()
    bars.batches.detach()
    for n in range(1, 200):
        take(bars, [T0 + 60 * n])
        await bars.batches.write()
        await bars.retention.prune()
    minutes = [bar.time for bar in await bars.joined(BTC, MINUTE, count=500)]
    assert minutes == [T0, *(T0 + 60 * n for n in range(169, 200))]


async def test_while_the_store_awaits_its_last_batch_nothing_of_it_is_let_go(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEPT_IN_MEMORY", 30)
    bars = a_run(disk)
    take(bars, [T0, T0 + 60])
    await bars.batches.write()
    bars.batches.detach()
    take(bars, [T0 + 86_400 * 900])
    disk.failures = [True]
    assert not await bars.batches.write()
    await bars.retention.prune()
    assert await bars.batches.write()
    await bars.retention.prune()
    assert [at for at, _ in stored(disk)] == [T0, T0 + 60]


# The past.
async def test_pasts_that_are_made_keep_no_batch_waiting(disk: Disk) -> None:
    maker, may_go = ThreadPoolExecutor(1), threading.Event()

    class Slow(Past):
        def begin(self, first: Kline) -> dict[KlineType, list[Kline]]:
            assert may_go.wait(30)
            return {}

    bars = Run(disk, maker=maker)
    take(bars, [T0 + 1, T0 + 61])
    making = asyncio.create_task(make_past(bars, Slow()))
    assert await bars.batches.write()
    assert stored(disk) == [(T0, Decimal("0.1")), (T0 + 60, Decimal("0.1"))]
    may_go.set()
    await making
    maker.shutdown()
