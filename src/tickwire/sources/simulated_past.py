"""The past of a simulated market: bars that lead up to its first trade without a jump.

Recent bars are made minute by minute, older ones in ever longer steps, and every larger type is rolled up
from the smaller ones, so that all types agree wherever they overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from ..calendars import Calendar
from ..klines import Grid, roll_up, smaller
from ..model import EXACT, QUANTA, Instrument, Kline, KlineType, tick_size
from .simulated_market import CHARACTERS, PULL, SECONDS_PER_DAY, SHARE_PRICE, volume_step

INTRADAY_BARS = 520
"""Bars of each type of less than a day, some more than a page."""
STRETCHES = (1, 2, 4, 8, 12)
"""How much longer it may take for so many bars, in a market that is closed most of the time."""
MONTHS = 36
"""Whole months before the first; they are more than 104 weeks and 365 days."""
WICK = 0.4
"""How far a bar's extremes lie beyond its open and close, in standard deviations of its length."""


def simulated_past(
    instrument: Instrument, first: Kline, calendar: Calendar | None, *, seed: int, rate: float
) -> dict[KlineType, list[Kline]]:
    """The bars before a market's first minute, by type and ascending.

    Without a calendar the market never closed; with one, no bar lies where it was closed. The last bar of
    a larger type ends in the middle: it is the part of the bar that goes on with `first`.
    """
    grid = Grid(instrument)
    walk = Walk(instrument, first.open, seed=seed, rate=rate)
    made: dict[KlineType, list[Kline]] = {}
    end = first.time
    for kline_type in [one for one in grid.types if one <= KlineType.DAY]:
        begin, steps = _steps(grid, kline_type, calendar, first.time, end)
        made[kline_type] = [walk.before(kline_type, opened, ends) for opened, ends in reversed(steps)][::-1]
        end = begin
    for kline_type in grid.types[1:]:
        rolled = roll_up(instrument, kline_type, made[smaller(kline_type, grid.types)])
        made[kline_type] = [*made.get(kline_type, ()), *rolled]
    return made


def _steps(
    grid: Grid, kline_type: KlineType, calendar: Calendar | None, until: int, end: int
) -> tuple[int, list[tuple[int, int]]]:
    """Where the bars of a type begin, so early that there are enough until `until`, and the open time and
    end of each bar that is made of its own, up to `end`."""
    for stretch in STRETCHES:
        begin = _begin(grid, kline_type, until, stretch)
        if kline_type is KlineType.DAY or calendar is None:
            break
        if len(list(_bars(grid, kline_type, calendar, begin, until))) >= INTRADAY_BARS:
            break
    return begin, list(_bars(grid, kline_type, calendar, begin, end))


def _begin(grid: Grid, kline_type: KlineType, until: int, stretch: int) -> int:
    """A moment far enough back, at which a larger bar begins."""
    if kline_type is KlineType.DAY:
        first = datetime.fromtimestamp(until, UTC)
        month = first.year * 12 + first.month - 1 - MONTHS
        second = datetime(month // 12, month % 12 + 1, 2, tzinfo=UTC)  # of the month in every zone
        return grid.begin(KlineType.MONTH, grid.open_time(KlineType.MONTH, int(second.timestamp())))
    span = grid.end(kline_type, 0)
    larger = grid.types[grid.types.index(kline_type) + 1]
    return grid.begin(larger, grid.open_time(larger, until - INTRADAY_BARS * span * stretch))


def _bars(
    grid: Grid, kline_type: KlineType, calendar: Calendar | None, begin: int, end: int
) -> Iterator[tuple[int, int]]:
    """The bars of a type between two moments: open time and end of each."""
    at = begin
    while at < end:
        opened = grid.open_time(kline_type, at)
        ends = min(grid.end(kline_type, opened), end)
        if calendar is not None and not calendar.is_open(at * 1000):
            opens = calendar.next_open(at * 1000)
            if opens is None or opens >= ends * 1000:
                at = ends
                continue
        yield opened, ends
        at = ends


class Walk:
    """A price that is followed back in time, from where the market began."""

    def __init__(self, instrument: Instrument, anchor: Decimal, *, seed: int, rate: float) -> None:
        self._instrument = instrument
        self._dice = Random(f"{seed}:{instrument.code}:past")
        self._anchor = math.log(anchor)
        self._away = 0.0
        self._open = anchor  # of the bar made last, which is where the one before it closes
        character = CHARACTERS[instrument.market]
        self._daily = character.daily_volatility
        money = float(anchor * volume_step(instrument) * instrument.volume_unit)
        self._steps_per_second = rate * (1 + character.trade_size / money)

    def before(self, kline_type: KlineType, opened: int, end: int) -> Kline:
        """The bar that comes before those made so far."""
        dice, days = self._dice, (end - opened) / SECONDS_PER_DAY
        deviation = self._daily * math.sqrt(days)
        self._away = self._away * math.exp(-PULL * days) + dice.gauss(0, deviation)
        close, self._open = self._open, self._price(self._away)
        low, high = sorted((math.log(self._open) - self._anchor, math.log(close) - self._anchor))
        highest = max(self._open, close, self._price(high + abs(dice.gauss(0, WICK * deviation))))
        lowest = min(self._open, close, self._price(low - abs(dice.gauss(0, WICK * deviation))))
        count = 1 + int(self._steps_per_second * (end - opened) * dice.lognormvariate(-0.08, 0.4))
        volume = EXACT.multiply(volume_step(self._instrument), Decimal(count))
        return Kline(
            self._instrument.code,
            kline_type,
            opened,
            self._open,
            highest,
            lowest,
            close,
            volume,
            self._turnover(volume, (self._open + highest + lowest + close) / 4),
            opened * 1000,
            end * 1000 - 1,
        )

    def _price(self, away: float) -> Decimal:
        """A price on the market's tick, so far away from the anchor in logarithms."""
        price = Decimal(math.exp(self._anchor + away))
        tick = tick_size(self._instrument, price)
        return max(tick, tick * round(price / tick))

    def _turnover(self, volume: Decimal, price: Decimal) -> Decimal:
        unit = Decimal(self._instrument.volume_unit)
        money = EXACT.multiply(volume * unit, price if self._instrument.levels else SHARE_PRICE)
        return EXACT.quantize(money, QUANTA[self._instrument.turnover_decimals])
