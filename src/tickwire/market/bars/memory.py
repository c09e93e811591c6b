"""Bars in memory: those that wait for the store, those that stand in for it, and those of a code that it
could not give yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from ...klines import Closed, Series
from ...model import Instrument, Kline, KlineType

KEPT = {KlineType.MINUTE: 12}
"""Closed bars that are kept of each code, by type."""
KEPT_OTHERS = 3
MOST_UNJOINED = 1_500
"""Minutes of a code that are kept while the store cannot be read: a day and an hour."""


class Waiting:
    """Bars that are not in the store yet."""

    def __init__(self) -> None:
        self._bars: defaultdict[tuple[str, KlineType], dict[int, Kline]] = defaultdict(dict)

    def __len__(self) -> int:
        return sum(map(len, self._bars.values()))

    def put(self, bars: Iterable[Kline]) -> None:
        """Adds these, each in place of an older one of its time."""
        for bar in bars:
            self._bars[bar.code, bar.kline_type][bar.time] = bar

    def of(self, code: str, kline_type: KlineType) -> dict[int, Kline]:
        """Those of a code and type, by time."""
        return self._bars.get((code, kline_type), {})

    def all(self) -> list[Kline]:
        """All of them."""
        return [bar for bars in self._bars.values() for bar in bars.values()]

    def take(self) -> list[Kline]:
        """All of them, which then wait no more."""
        bars = self.all()
        self._bars.clear()
        return bars

    def drop_oldest(self, most: int) -> int:
        """Lets go of the oldest where there are more than so many; returns how many went."""
        bars = self.all()
        excess = max(0, len(bars) - most)
        if excess:
            bars.sort(key=lambda bar: bar.time)
            self._bars.clear()
            self.put(bars[excess:])
        return excess


class Recent:
    """The last closed bars of each code, for when the store cannot be read."""

    def __init__(self) -> None:
        self._bars: defaultdict[tuple[str, KlineType], dict[int, Kline]] = defaultdict(dict)
        self.changes: Counter[tuple[str, KlineType]] = Counter()
        """How many bars of a code and type have been put so far, or have changed elsewhere."""

    def put(self, bars: Iterable[Kline]) -> None:
        """Takes closed bars, each in place of the one of its time."""
        for bar in bars:
            key = bar.code, bar.kline_type
            self.changes[key] += 1
            kept = self._bars[key]
            if bar.removed:
                kept.pop(bar.time, None)
                continue
            kept[bar.time] = bar
            if len(kept) > KEPT.get(bar.kline_type, KEPT_OTHERS):
                del kept[min(kept)]

    def of(self, code: str, kline_type: KlineType) -> dict[int, Kline]:
        """Those of a code and type, by time."""
        return self._bars.get((code, kline_type), {})

    def all(self) -> Iterator[Kline]:
        """All of them."""
        for bars in self._bars.values():
            yield from bars.values()


class Unjoined:
    """The bars of a code since its first trade, while what is stored of it is not known.

    `lost` counts minutes that were let go of because the store could not be read for too long.
    """

    def __init__(self, instrument: Instrument, series: Series) -> None:
        self.instrument = instrument
        self.series = series
        self.closed: dict[tuple[KlineType, int], Kline] = {}
        """By type and time, as clients have seen them."""
        self._minutes: dict[int, Kline] = {}
        self.lost = 0

    def note(self, closed: Iterable[Closed]) -> None:
        """Takes bars that have closed, or were revised."""
        for bar, _ in closed:
            self.closed[bar.kline_type, bar.time] = bar
            if bar.kline_type is KlineType.MINUTE:
                self._minutes[bar.time] = bar
        while len(self._minutes) > MOST_UNJOINED:
            oldest = min(self._minutes)
            del self._minutes[oldest]
            self.closed = {key: bar for key, bar in self.closed.items() if key[1] > oldest}
            self.lost += 1

    def of(self, kline_type: KlineType) -> dict[int, Kline]:
        """Those of a type that have closed, by time."""
        return {at: bar for (one, at), bar in self.closed.items() if one is kline_type}

    def minutes(self) -> list[Kline]:
        """All minutes, ascending, the one that forms last."""
        forming = self.series.forming(KlineType.MINUTE)
        return [*(self._minutes[at] for at in sorted(self._minutes)), *([forming] if forming else [])]


def latest(bars: Mapping[int, Kline], count: int, end: int | None = None) -> list[Kline]:
    """The latest of these up to and including `end`, ascending."""
    times = sorted(at for at in bars if end is None or at <= end)
    return [bars[at] for at in times[-count:]]
