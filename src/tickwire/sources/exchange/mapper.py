"""From ccxt's unified structures to our values. Pure; whatever comes is hostile until it was read here.

Numbers may be Decimal, text, or the floats of a venue that writes them without quotes. The structures are
described in ccxt's manual, "Public Trades", "Order Book Structure" and "OHLCV Structure".
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from ...model import Book, Direction, Instrument, Kline, KlineType, Level, Trade, turnover

LEVELS = 20
"""The depth that is read of a book."""
MOST_DIGITS = 40
"""Characters of the longest number."""
MOST_DECIMALS = 30
LARGEST = Decimal(10**15)
MOST_AHEAD = 60_000
"""Milliseconds that a venue's clock may be ahead of ours."""
DIRECTIONS = {"buy": Direction.BUY, "sell": Direction.SELL}


class Unreadable(ValueError):
    """What a venue sent is not what it should be."""


def exact(value: Any) -> Decimal:
    """A number exactly as the venue wrote it. Raises Unreadable if it is none, infinite or out of bounds."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        text = value if isinstance(value, str) else repr(value)
        if len(text) > MOST_DIGITS:
            raise Unreadable(f"a number of {len(text)} characters")
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise Unreadable(f"{text!r} is no number") from None
    else:
        raise Unreadable(f"{type(value).__name__} in place of a number")
    digits, exponent = number.as_tuple()[1:]
    if not isinstance(exponent, int) or exponent < -MOST_DECIMALS or len(digits) > MOST_DIGITS:
        raise Unreadable(f"{str(number)[:MOST_DIGITS]} is out of bounds")
    if not 0 <= number < LARGEST:
        raise Unreadable(f"{str(number)[:MOST_DIGITS]} is out of bounds")
    return number


def positive(value: Any) -> Decimal:
    """The same for what cannot be zero."""
    number = exact(value)
    if not number:
        raise Unreadable("zero")
    return number


def moment(value: Any, now: int) -> int:
    """A time of the venue in milliseconds. `now` is ours."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= now + MOST_AHEAD:
        raise Unreadable(f"the time {str(value)[:MOST_DIGITS]!r}")
    return value


def read_trade(code: str, raw: Any, now: int) -> Trade:
    """A trade as we know it. `now` is in milliseconds. Raises Unreadable.

    The turnover is left to the rule for all trades; of venues whose numbers of trades are not whole numbers
    below 2^63 the `source_seq` is 0.
    """
    if not isinstance(raw, dict):
        raise Unreadable(f"{type(raw).__name__} in place of a trade")
    number = str(raw.get("id"))
    plain = number.isascii() and number.isdigit() and len(number) < 20
    return Trade(
        code=code,
        time=moment(raw.get("timestamp"), now),
        price=positive(raw.get("price")),
        volume=positive(raw.get("amount")),
        direction=DIRECTIONS.get(str(raw.get("side")), Direction.NEUTRAL),
        source_seq=int(number) if plain and int(number) < 1 << 63 else 0,
    )


def identity(raw: dict[str, Any]) -> tuple[bool, Hashable]:
    """What tells a trade from others, and whether for certain: its number, else its fields."""
    number = raw.get("id")
    if isinstance(number, (str, int)) and number != "":
        return True, str(number)
    return False, tuple(str(raw.get(name)) for name in ("timestamp", "price", "amount", "side"))


def read_book(code: str, raw: Any, now: int) -> Book:
    """The best levels of a book; one without a time has ours. Raises Unreadable."""
    if not isinstance(raw, dict):
        raise Unreadable(f"{type(raw).__name__} in place of a book")
    at = raw.get("timestamp")
    bids, asks = _side(raw.get("bids")), _side(raw.get("asks"))
    if any(a.price <= b.price for a, b in pairwise(bids)) or any(
        a.price >= b.price for a, b in pairwise(asks)
    ):
        raise Unreadable("a book whose levels are not in order")
    return Book(code, now if at is None else moment(at, now), bids, asks)


def _side(raw: Any) -> tuple[Level, ...]:
    if not isinstance(raw, list):
        raise Unreadable(f"{type(raw).__name__} in place of a side of a book")
    try:
        return tuple(Level(positive(level[0]), positive(level[1])) for level in raw[:LEVELS])
    except (TypeError, LookupError):
        raise Unreadable("a level of a book that is none") from None


def read_bar(instrument: Instrument, kline_type: KlineType, raw: Any, now: int) -> Kline:
    """A bar: time in milliseconds, open, high, low, close, volume and, if the venue says so, the turnover.

    Without it the turnover is close × volume. Raises Unreadable.
    """
    if not isinstance(raw, list) or len(raw) < 6:
        raise Unreadable("a bar that is none")
    opened, high, low, close = (positive(value) for value in raw[1:5])
    volume = exact(raw[5])
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise Unreadable("a bar whose prices contradict one another")
    said = None if len(raw) < 7 or raw[6] is None else exact(raw[6])
    as_trade = Trade(instrument.code, 0, close, volume, turnover=said)
    return Kline(
        code=instrument.code,
        kline_type=kline_type,
        time=moment(raw[0], now) // 1000,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        turnover=turnover(instrument, as_trade),
    )
