"""What is let go of, and when."""

from __future__ import annotations

import pytest

from tickwire.market.bars import retention

from .disk import T0, Disk, a_run, stored, take


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
