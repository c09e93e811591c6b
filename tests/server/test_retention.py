"""Bars older than the settings say are let go of."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from tickwire.model import KlineType

from ..serving import TRADE, Script, serving, trade


async def test_bars_older_than_their_days_are_removed(tmp_path: Path, script: Script) -> None:
    old, now = 1_788_529_020_000, 1_788_529_020_000 + 3 * 86_400_000
    async with serving(tmp_path, script, retention={1: 2}) as served, served.link() as link:
        feed = served.engine.market.feeds.first
        bars = feed.bars
        feed.retention._clock = lambda: now / 1000
        instrument = served.engine.catalogue["BTCUSDT"]
        await link.subscribe(TRADE, "BTCUSDT")
        for at in (old, old + 86_400_000 * 2, now):
            script.emit(trade(at=at))
            await link.push()
        await feed.batches.write()
        assert len(await bars.joined(instrument, KlineType.MINUTE, count=9)) == 3
        with capture_logs() as logged:
            await feed.retention.prune()
        assert [entry["bars"] for entry in logged] == [1]
        assert len(await bars.joined(instrument, KlineType.MINUTE, count=9)) == 2
        assert len(await bars.joined(instrument, KlineType.DAY, count=9)) == 3
