"""Flat bars: what an open market without trades may be shown as."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from ..calendars import KEYS, load
from ..model import Instrument, Kline, KlineType
from .grid import Grid

NONE = Decimal(0)


def filled(
    instrument: Instrument, kline_type: KlineType, bars: Sequence[Kline], until: int | None
) -> list[Kline]:
    """Ascending bars with a flat one, at the price before it, wherever the market was open without a trade.

    `until` (in seconds, included) fills on behind the last bar. Nothing is filled behind an incomplete bar:
    there the source was silent, not the market.
    """
    grid = Grid(instrument)
    calendar = load(instrument.calendar) if instrument.calendar in KEYS else None
    out: list[Kline] = []
    for place, bar in enumerate(bars):
        out.append(bar)
        if bar.incomplete:
            continue
        last = place == len(bars) - 1
        before = bars[place + 1].time if not last else until + 1 if until is not None else 0
        at = grid.end(kline_type, bar.time)
        while at < before:
            if calendar is None or calendar.is_open(at * 1000):
                out.append(_flat(bar, at))
            at = grid.end(kline_type, at)
    return out


def _flat(bar: Kline, at: int) -> Kline:
    price = bar.close
    flat = Kline(bar.code, bar.kline_type, at, price, price, price, price, NONE, NONE)
    return msgspec.structs.replace(flat, first=at * 1000, last=at * 1000)
