"""The past of a simulated market: bars that lead up to its first trade without a jump.

Days are made by following the price back in time, as many months of them as are asked for. Hours are cut from
days when somebody asks for them, five minutes from hours, minutes from five minutes: what is made of a bar is
exactly what that bar says. The other types are rolled up. So all agree, whichever of them is asked for first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from ..calendars import Calendar
from ..klines import SECONDS, Grid, Reach, roll_up
from ..model import EXACT, Instrument, Kline, KlineType, limit_percent, price_limits, tick_size
from .simulated_cut import DAY_MINUTES, Piece, Terms, cut, extremes, mean_price
from .simulated_market import BUSTLE, PULL, SECONDS_PER_DAY, SHARE_PRICE, first_close, mean_steps

LARGE = (KlineType.WEEK, KlineType.MONTH, KlineType.HOUR, KlineType.HOURS_2, KlineType.HOURS_4)
SMALL = (KlineType.MINUTES_5, KlineType.MINUTES_15, KlineType.MINUTES_30)
MADE_OF = dict.fromkeys(LARGE, KlineType.DAY) | dict.fromkeys(SMALL, KlineType.HOUR)
MADE_OF[KlineType.MINUTE] = KlineType.MINUTES_5
"""What bars are cut from, if that is larger, or rolled up from; each behind what it is made of."""
CUT_INTO = dict.fromkeys((KlineType.HOURS_2, KlineType.HOURS_4), KlineType.HOUR)
CUT_INTO |= dict.fromkeys((KlineType.MINUTES_15, KlineType.MINUTES_30), KlineType.MINUTES_5)
"""What is cut in place of these, and then rolled up."""
MONTHS = 36
"""Whole months of days, weeks and months before the first."""
LATEST_MONTHS = 1
"""Those that are made at once; the others as far as somebody asks."""
AUCTION = 600
"""Seconds of a day that may be one bar, however short the others are (`Grid`)."""
PARTS = 31
"""Days that may make up a larger bar."""
DAYS_OF = {KlineType.DAY: 1.6, KlineType.WEEK: 7, KlineType.MONTH: 31}
"""Days in which there is one bar of a type; a market is open on two of three."""
CLOSED_DAYS = 40
"""So many a market may be closed for besides."""
MOST_DAYS = {KlineType.MINUTE: 90}
MOST_DAYS_OTHERS = 365
"""How many days the types of less than a day reach back."""
LIMITS = "@limits"
"""What the key of a past ends with whose days keep the exchange's limits; an earlier Tickwire's do not."""


class SimulatedPast:
    """The past of one instrument: a `Past`. The same seed gives the same bars.

    Without a calendar the market never closed; with one, no bar lies where it was closed. With `limits` days
    keep the exchange's, where it has some, and the last one before the first trade closes at `first_close`.
    """

    def __init__(
        self, instrument: Instrument, calendar: Calendar | None, *, seed: int, rate: float, limits: bool
    ) -> None:
        self._limited = limits and limit_percent(instrument) is not None
        self.key = f"{'' if calendar is None else calendar.key}@{seed}{LIMITS if self._limited else ''}"
        self._instrument = instrument
        self._calendar = calendar
        self._grid = Grid(instrument)
        self._terms = Terms(instrument, rate)
        self._rate = rate
        self._seed = f"{seed}:{instrument.code}:past"

    def begin(self, first: Kline) -> dict[KlineType, list[Kline]]:
        grid, latest = self._grid, self._begin(first.time, LATEST_MONTHS)
        made = {KlineType.DAY: self.days(latest, first.time, first.time, first.open)}
        for kline_type, of in MADE_OF.items():
            parts = CUT_INTO.get(kline_type, of)
            if kline_type not in grid.types or not (bars := made.get(parts)):
                continue
            if parts > kline_type:
                bars = bars[-1:] if grid.open_time(of, first.time) == bars[-1].time else []
            elif parts is of:
                opened = grid.open_time(kline_type, first.time)
                bars = [bar for bar in bars[-PARTS:] if grid.open_time(kline_type, bar.time) == opened]
            made[kline_type] = self.make(kline_type, bars, first.time)
        return {kline_type: bars for kline_type, bars in made.items() if bars}

    def reach(self, kline_type: KlineType, first: int, count: int, end: int | None) -> list[Reach]:
        grid, found = self._grid, list[Reach]()
        if kline_type not in grid.types:
            return []
        until = first
        if end is not None and end < first:
            until = grid.end(kline_type, grid.open_time(kline_type, end))
        begin = self._back(kline_type, first, count, until)
        while kline_type is not KlineType.DAY and begin < until:
            of = MADE_OF[kline_type]
            whole = max(of, kline_type)  # of these bars all that they are made of, or that is made of them
            begin = grid.begin(whole, grid.open_time(whole, begin))
            until = min(first, grid.end(whole, grid.open_time(whole, until - 1)))
            if (parts := CUT_INTO.get(kline_type)) is not None:  # so an earlier Tickwire may have begun
                left = grid.begin(of, grid.open_time(of, first))
                found.append(Reach(kline_type, parts, left, max(left, until)))
            found.append(Reach(kline_type, of, begin, until))
            kline_type = of
        if begin < until and begin < self._begin(first, LATEST_MONTHS):
            month = grid.begin(KlineType.MONTH, grid.open_time(KlineType.MONTH, begin))
            found.append(Reach(KlineType.DAY, None, max(month, self._begin(first, MONTHS)), first))
        return found[::-1]

    def make(self, kline_type: KlineType, bars: Iterable[Kline], first: int) -> list[Kline]:
        bars, into = [*bars], CUT_INTO.get(kline_type, kline_type)
        if bars and bars[0].kline_type > kline_type:
            bars = [part for bar in bars for part in self._cut(bar, into, first)]
            if into is kline_type:
                return bars
        return list(roll_up(self._instrument, kline_type, bars))

    def days(self, begin: int, end: int, first: int, price: Decimal) -> list[Kline]:
        terms, dice = self._terms, Random(self._seed)
        anchor, away, opened = math.log(price), 0.0, price
        more = max(0.0, 60 * self._rate * mean_steps(self._instrument, price) - terms.trades)
        below, above = terms.sides
        made, today = [], self._grid.open_time(KlineType.DAY, first)
        pieces = self._pieces(KlineType.DAY, begin, first)
        if self._limited and pieces[-1].time != today:
            opened = first_close(self._instrument)
        for piece in reversed(pieces):
            variance, minutes = terms.variance * piece.minutes, piece.minutes
            close, was = opened, away
            away = away * math.exp(-PULL * minutes / DAY_MINUTES) + dice.gauss(0, math.sqrt(variance))
            opened, limits = terms.price(anchor + away, dice.choice(terms.sides)), None
            if self._limited:
                opened = self._from(first_close(self._instrument) if piece.time == today else opened, close)
                away, limits = math.log(opened) - anchor, price_limits(self._instrument, opened)
            high, low = extremes(away, was, variance, dice.random)
            busy = dice.lognormvariate(-(BUSTLE**2) / 2, BUSTLE)
            normal = dice.gauss() if self._instrument.levels else 0.0
            if piece.begin >= end:
                continue
            highest = max(opened, close, terms.price(anchor + high, above))
            lowest = min(opened, close, terms.price(anchor + low, below))
            if limits is not None:
                highest, lowest = min(highest, limits.up), max(lowest, limits.down)
            steps = minutes * terms.trades + int(minutes * more * busy)
            volume = EXACT.multiply(terms.step, Decimal(steps))
            mean = SHARE_PRICE
            if self._instrument.levels:
                mean = Decimal(mean_price(float(highest), float(lowest), normal))
            money = EXACT.multiply(volume * self._instrument.volume_unit, mean)
            turnover, prices = EXACT.quantize(money, terms.quantum), (opened, highest, lowest, close)
            span = piece.begin * 1000, piece.end * 1000 - 1
            code = self._instrument.code
            made.append(Kline(code, KlineType.DAY, piece.time, *prices, volume, turnover, *span))
        return made[::-1]

    def _from(self, opened: Decimal, close: Decimal) -> Decimal:
        """The price nearest to that one at which a day may have opened that closed so: each day opens where
        the one before it closed."""
        tick = tick_size(self._instrument, opened)
        while (limits := price_limits(self._instrument, opened)) is not None:
            if limits.down <= close <= limits.up:
                break
            opened += tick if close > limits.up else -tick
        return opened

    # When the market was open.
    def _back(self, kline_type: KlineType, first: int, count: int, until: int) -> int:
        """A moment so early that there are so many bars from there on, or the earliest that is made."""
        if kline_type not in SECONDS:
            days = int(count * DAYS_OF[kline_type]) + CLOSED_DAYS
            return max(self._begin(first, MONTHS), until - days * SECONDS_PER_DAY)
        grid, span = self._grid, SECONDS[kline_type]
        horizon = first - MOST_DAYS.get(kline_type, MOST_DAYS_OTHERS) * SECONDS_PER_DAY
        horizon = grid.begin(KlineType.DAY, grid.open_time(KlineType.DAY, horizon))
        if self._calendar is None:
            auctions = AUCTION * (1 + count * span // SECONDS_PER_DAY)
            return max(horizon, until - count * span - auctions)
        begin, counted = until, None
        while begin > horizon:
            until, begin = begin, max(horizon, begin - 7 * SECONDS_PER_DAY)
            for opens, closes in reversed([*self._open(begin, until)]):
                oldest, newest = (grid.open_time(kline_type, at) for at in (opens, closes - 1))
                count -= (newest - oldest) // span + (newest != counted)
                if count <= 0:
                    return oldest - count * span
                counted = oldest
        return begin

    def _open(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """When the market was open between two moments."""
        if self._calendar is None:
            yield begin, end
            return
        for opens, closes in self._calendar.open_between(begin * 1000, end * 1000):
            yield opens // 1000, closes // 1000

    def _pieces(self, kline_type: KlineType, begin: int, end: int) -> list[Piece]:
        """The bars of a type between two moments."""
        grid, found, goes_on = self._grid, list[Piece](), kline_type in SECONDS
        for at, closes in self._open(begin, end):
            opened, since, minutes = grid.open_time(kline_type, at), at, 0
            if found and found[-1].time == opened:  # a break is in it
                _, since, _, minutes = found.pop()
            while at < closes:
                ends = min(grid.end(kline_type, opened), closes)
                found.append(Piece(opened, since, ends, minutes + (ends - at) // 60))
                at, since, minutes = ends, ends, 0
                opened = at if goes_on else grid.open_time(kline_type, at)
        return found

    def _begin(self, first: int, months: int) -> int:
        """Where so many whole months before the first minute begin."""
        until = datetime.fromtimestamp(first, UTC)
        month = until.year * 12 + until.month - 1 - months
        in_it = int(datetime(month // 12, month % 12 + 1, 2, tzinfo=UTC).timestamp())  # in every zone
        return self._grid.begin(KlineType.MONTH, self._grid.open_time(KlineType.MONTH, in_it))

    def _cut(self, bar: Kline, kline_type: KlineType, first: int) -> list[Kline]:
        """The bars of a smaller type that make up that one, or the part of it before the first minute."""
        begin, end = (edge(bar.kline_type, bar.time) for edge in (self._grid.begin, self._grid.end))
        if pieces := self._pieces(kline_type, begin, min(first, end)):
            return cut(self._terms, bar, kline_type, pieces, f"{self._seed}:{kline_type:d}:{bar.time}")
        return []
