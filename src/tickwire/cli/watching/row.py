"""What is known of one code: its last trade, its book, its day and the day before. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ...client import Book, Kline, Trade
from ...wire import UNKNOWN
from ..output import plain, utc

DAY, PAST = "1d", "5m"
"""The bars that give the day's open and volume, and those in which the price of 24 hours ago is found."""
PAST_BARS = 24 * 12 + 2
PAST_BAR = 5 * 60_000
HOURS_24 = 24 * 3600_000
MOST_CLOSES = 120
"""Closes that are kept for a sparkline."""


class Row:
    """A code. Times are in milliseconds since the epoch, changes in per cent; None where nothing is known.

    `rose` is whether the last price that differed was higher than the one before it. `state` is what the
    instrument does, "" where the server does not say. `note` is why there is nothing to show. `touched` says
    that something has changed; who shows it takes it back.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.last: Trade | None = None
        self.book: Book | None = None
        self.rose: bool | None = None
        self.open: Decimal | None = None
        self.volume: Decimal | None = None
        self.state = ""
        self.note = ""
        self.touched = False
        self._day = 0
        self._past: list[tuple[int, Decimal]] = []
        self._closes: dict[int, Decimal] = {}

    @property
    def time(self) -> int | None:
        """When it last traded or its book last changed."""
        return max((one.time_ms for one in (self.last, self.book) if one is not None), default=None)

    @property
    def price(self) -> Decimal | None:
        """That of the last trade."""
        return None if self.last is None else self.last.price

    @property
    def change(self) -> Decimal | None:
        """Against the day's open."""
        return _change(self.price, self.open)

    @property
    def change_24h(self) -> Decimal | None:
        """Against the price 24 hours before the last trade, to five minutes; only where bars reach back."""
        if self.last is None:
            return None
        ended = self.last.time_ms - HOURS_24 - PAST_BAR
        place = bisect_right(self._past, ended, key=lambda bar: bar[0])
        return _change(self.price, self._past[place - 1][1]) if place else None

    def closes(self, most: int) -> list[Decimal]:
        """The closes of the last bars, ascending; the last trade is the close of the one that is forming."""
        found = [self._closes[time] for time in sorted(self._closes)[-most:]]
        if found and self.price is not None:
            found[-1] = self.price
        return found

    def take_trade(self, trade: Trade) -> None:
        """A trade came; one that comes late counts as volume only."""
        self.touched = True
        self.note = ""
        if self.volume is not None:
            self.volume += trade.volume
        if self.last is not None:
            if trade.time_ms < self.last.time_ms:
                return
            if trade.price != self.last.price:
                self.rose = trade.price > self.last.price
        self.last = trade

    def take_book(self, book: Book) -> None:
        self.touched = True
        self.note = ""
        if self.book is None or book.time_ms >= self.book.time_ms:
            self.book = book

    def take_state(self, state: str) -> None:
        """The instrument does that."""
        self.touched = True
        self.state = "" if state == UNKNOWN else state

    def take_note(self, text: str) -> None:
        """There is nothing to show, for that reason."""
        self.touched = True
        self.note = text

    def take_day(self, bar: Kline) -> None:
        """The bar of a day came, which holds the volume of all its trades until now."""
        if bar.time_ms >= self._day:
            self.touched = True
            self._day, self.open, self.volume = bar.time_ms, bar.open, bar.volume

    def take_bar(self, bar: Kline) -> None:
        """A bar of the sparkline came."""
        self.touched = True
        self._closes[bar.time_ms] = bar.close
        if len(self._closes) > MOST_CLOSES:
            del self._closes[min(self._closes)]

    def take_past(self, bars: Sequence[Kline]) -> None:
        """Bars of the last day came, ascending."""
        self.touched = True
        self._past = [(bar.time_ms, bar.close) for bar in bars]

    def record(self) -> dict[str, Any]:
        """What it shows, for a pipe: numbers as texts, times in UTC, null where nothing is known."""
        bid = self.book.best_bid if self.book else None
        ask = self.book.best_ask if self.book else None
        return {
            "event": "quote",
            "code": self.code,
            "time": utc(self.time),
            "last": plain(self.price),
            "change": plain(self.change),
            "change_24h": plain(self.change_24h),
            "bid": plain(bid.price if bid else None),
            "bid_volume": plain(bid.volume if bid else None),
            "ask": plain(ask.price if ask else None),
            "ask_volume": plain(ask.volume if ask else None),
            "volume": plain(self.volume),
            "state": self.state or None,
            "note": self.note or None,
        }


def _change(price: Decimal | None, since: Decimal | None) -> Decimal | None:
    """Per cent of what it was, whatever its sign, to two decimals: above 0 if the price has risen."""
    if price is None or not since:
        return None
    return ((price - since) / abs(since) * 100).quantize(Decimal("0.01"))
