"""Bars of a source's history, put in place of what there was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ...klines import SECONDS, Closed, Grid, roll_up, smaller
from ...model import Instrument, Kline, KlineType
from ...sources import History, Source
from ..bars import Archive, Bars
from .depths import Depths

ASKED = (KlineType.MINUTE, KlineType.HOUR, KlineType.DAY)
"""The types that a source is asked for; the others are made of them."""
PARTS = 40
"""Bars that make up a larger one, at most: the days of a month."""


class Filling:
    """Fetches bars, and makes the types around them anew. Raises SourceError and StoreError."""

    def __init__(
        self, source: Source, history: History, archive: Archive, bars: Bars, depths: Depths
    ) -> None:
        self._source = source
        self._history = history
        self._archive = archive
        self._bars = bars
        self._depths = depths

    @property
    def most(self) -> int:
        """Bars that one request gives at most."""
        return self._history.most

    async def page(
        self, instrument: Instrument, kline_type: KlineType, end: int | None, begin: int | None = None
    ) -> list[Kline]:
        """Fetches a page of bars up to `end`, and keeps how deep it reaches; `begin` is where a hole begins
        before which all is known."""
        found, is_all = await self.fetch(instrument, kline_type, self.most, end)
        depth = self._depths.of(instrument)
        if is_all or not found:
            depth[kline_type] = 0
        elif kline_type not in depth or end is not None or begin is None or found[0].time > begin:
            depth[kline_type] = found[0].time
        if end is not None:
            self._archive.put(found)
            self._depths.note(instrument)
        return found

    async def fetch(
        self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None
    ) -> tuple[list[Kline], bool]:
        """Bars of the source that have closed, and whether there are none before them."""
        bars = await self._history.klines(instrument, kline_type, count=count, end=end)
        grid, now = Grid(instrument), self._source.market_time() // 1000
        found = []
        for bar in bars:
            if (over := grid.end(kline_type, bar.time)) <= now:
                first = grid.begin(kline_type, bar.time) * 1000
                found.append(msgspec.structs.replace(bar, first=first, last=over * 1000 - 1))
        return found, len(bars) < count

    async def take(self, instrument: Instrument, given: Mapping[KlineType, Sequence[Kline]]) -> list[Closed]:
        """Puts these bars in place of what there was, and makes the larger ones around them anew; returns
        those that differ from what there was."""
        types, depth = Grid(instrument).types, self._depths.of(instrument)
        taken: dict[KlineType, Sequence[Kline]] = {}
        changed: list[Closed] = []
        for kline_type in types:
            if kline_type < min(given, default=ASKED[0]):
                continue
            if kline_type in ASKED and kline_type not in depth and kline_type not in given:
                break
            bars = given.get(kline_type)
            if bars is None:
                bars = await self._rebuilt(instrument, kline_type, taken[smaller(kline_type, types)])
                base = depth.get(smaller(kline_type, types))
                if kline_type not in depth and base is not None:
                    depth[kline_type] = base and _next_open(Grid(instrument), kline_type, base)
            taken[kline_type] = bars
            if bars:
                count = len(bars) + PARTS
                before = await self._bars.joined(instrument, kline_type, count=count, end=bars[-1].time)
                known = {bar.time: _shown(bar) for bar in before}
                changed += [Closed(bar, revised=True) for bar in bars if known.get(bar.time) != _shown(bar)]
                self._archive.put(bars)
        self._depths.note(instrument)
        return changed

    async def _rebuilt(
        self, instrument: Instrument, kline_type: KlineType, parts: Sequence[Kline]
    ) -> list[Kline]:
        """The closed bars of a type around some of the smaller type, where all of their parts are there."""
        if not parts:
            return []
        grid, part = Grid(instrument), parts[0].kline_type
        opened = {grid.open_time(kline_type, bar.time) for bar in parts}
        first, last = min(opened), max(opened)
        end, depth = grid.end(kline_type, last), self._depths.of(instrument).get(part)
        count = max(PARTS, (end - first) // SECONDS.get(part, 86_400) + 2)
        around = await self._bars.joined(instrument, part, count=count, end=end - 1)
        found = roll_up(
            instrument, kline_type, (one for one in around if grid.open_time(kline_type, one.time) in opened)
        )
        before = await self._bars.joined(instrument, kline_type, count=count, end=last)
        known = {bar.time: bar for bar in before}
        now = self._source.market_time() // 1000
        return [
            bar
            for bar in found
            if grid.end(kline_type, bar.time) <= now
            and (depth == 0 or (depth is not None and grid.begin(kline_type, bar.time) >= depth))
            # What is known is a part at least: a bar with less in it lacks something.
            and (bar.time not in known or known[bar.time].volume <= bar.volume)
        ]


def asked_for(kline_type: KlineType) -> KlineType:
    """The type that a source is asked for where bars of that type are wanted."""
    return max(one for one in ASKED if one <= kline_type)


def _shown(bar: Kline) -> tuple[object, ...]:
    """What a client sees of a bar."""
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover, bar.incomplete


def _next_open(grid: Grid, kline_type: KlineType, at: int) -> int:
    """The first open time of a type from a moment on."""
    opened = grid.open_time(kline_type, at)
    return opened if grid.begin(kline_type, opened) >= at else grid.end(kline_type, opened)
