"""Bars in memory: what is answered from them, and what bounds them."""

from __future__ import annotations

import pytest
import structlog

from tickwire.errors import StoreError
from tickwire.market.bars import memory, retention

from .disk import BTC, HOUR, MINUTE, T0, Disk, a_run, take


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
