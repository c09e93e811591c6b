"""Batches on their way to a store that fails, or is not waited for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import structlog

from tickwire.market.bars import archive
from tickwire.model import Kline, KlineType

from .disk import BTC, MINUTE, T0, Disk, Run, a_run, check, stored, take
from .test_pasts import Past, make_past


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
