"""Flat bars: what an open market without trades may be shown as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice

from ..calendars import KEYS, Calendar, load
from ..model import Instrument, Kline, KlineType
from .grid import Grid

NONE = Decimal(0)


def filled(
    instrument: Instrument, kline_type: KlineType, bars: Sequence[Kline], until: int | None, *, count: int
) -> list[Kline]:
    """The latest `count` of these ascending bars of less than a day, and of flat ones, at the price before
    them, wherever the market was open without a trade when a bar would have opened.

    `until` (in seconds, included) fills on behind the last bar. Nothing is filled behind an incomplete bar:
    there the source was silent, not the market. Takes as long as `count` is large, not as holes are.
    """
    grid = Grid(instrument)
    calendar = load(instrument.calendar) if instrument.calendar in KEYS else None
    latest: list[Kline] = []
    before = None if until is None else until + 1
    for bar in reversed(bars):
        if before is not None and not bar.incomplete:
            times = _open_times(grid, calendar, kline_type, grid.end(kline_type, bar.time), before)
            latest += (_flat(bar, at) for at in islice(times, count - len(latest)))
        if len(latest) == count:
            break
        latest.append(bar)
        before = bar.time
    return latest[:count][::-1]


def _open_times(
    grid: Grid, calendar: Calendar | None, kline_type: KlineType, first: int, before: int
) -> Iterator[int]:
    """Backwards, the open times from `first` on and before another moment at which the market is open."""
    at = grid.open_time(kline_type, before - 1)
    while at >= first:
        if calendar is None or calendar.is_open(at * 1000):
            yield at
            at = grid.open_time(kline_type, at - 1)
        elif (last := calendar.last_open(at * 1000)) is None:
            return
        else:
            at = grid.open_time(kline_type, last // 1000)


def _flat(bar: Kline, at: int) -> Kline:
    price = bar.close
    first = last = at * 1000
    return Kline(bar.code, bar.kline_type, at, price, price, price, price, NONE, NONE, first, last)
