"""A bar that can still change."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from ..model import EXACT, Kline, KlineType, Trade

_add = EXACT.add


@dataclass(slots=True, eq=False)
class OpenBar:
    """A bar in the making: one minute of trades, or the minutes of a larger bar that are closed.

    `open` and `close` belong to the trades that came first and last by the source's time, then by the
    source's own number, then by arrival; `high`, `low` and the sums know no order.
    """

    time: int
    end: int
    """The second from which on nothing belongs to it."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    first: tuple[int, int]
    last: tuple[int, int]
    incomplete: bool = False

    @classmethod
    def begun(cls, time: int, end: int, trade: Trade, turnover: Decimal) -> Self:
        """A bar with one trade."""
        price, key = trade.price, (trade.time, trade.source_seq)
        return cls(time, end, price, price, price, price, trade.volume, turnover, key, key)

    @classmethod
    def of(cls, kline: Kline, time: int, end: int) -> Self:
        """A bar that holds what another one holds.

        A bar at rest does not know the numbers of its first and last trade: among trades of the same
        millisecond, those that come now count as later.
        """
        prices = kline.open, kline.high, kline.low, kline.close
        first, last = (kline.first, 0), (kline.last, 0)
        return cls(time, end, *prices, kline.volume, kline.turnover, first, last, kline.incomplete)

    def add(self, trade: Trade, turnover: Decimal) -> None:
        """Takes one more trade, in whatever order it comes."""
        price, key = trade.price, (trade.time, trade.source_seq)
        if key >= self.last:
            self.close, self.last = price, key
        elif key < self.first:
            self.open, self.first = price, key
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.volume = _add(self.volume, trade.volume)
        self.turnover = _add(self.turnover, turnover)

    def merge(self, other: OpenBar) -> None:
        """Takes all that another bar holds."""
        if other.last >= self.last:
            self.close, self.last = other.close, other.last
        if other.first < self.first:
            self.open, self.first = other.open, other.first
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.volume = _add(self.volume, other.volume)
        self.turnover = _add(self.turnover, other.turnover)
        self.incomplete = self.incomplete or other.incomplete

    def copy(self, time: int, end: int) -> OpenBar:
        """The same trades in a bar of another time."""
        bar = OpenBar.__new__(OpenBar)
        for name in OpenBar.__slots__:
            setattr(bar, name, getattr(self, name))
        bar.time, bar.end = time, end
        return bar

    def kline(self, code: str, kline_type: KlineType, time: int) -> Kline:
        """What it holds now, as a bar of that type and open time."""
        return Kline(
            code,
            kline_type,
            time,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.turnover,
            self.first[0],
            self.last[0],
            self.incomplete,
        )
