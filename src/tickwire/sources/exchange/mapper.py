"""From ccxt's unified structures to our values. Pure; whatever comes is hostile until it was read here.

Numbers may be Decimal, text, or the floats of a venue that writes them without quotes. The structures are
described in ccxt's manual, "Public Trades", "Order Book Structure" and "OHLCV Structure".
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal, InvalidOperation
from typing import Any

from ...model import (
    Book,
    Direction,
    Entrance,
    Fault,
    Instrument,
    Kline,
    KlineType,
    Level,
    Trade,
    bar_fault,
    book_fault,
    trade_fault,
    turnover,
)

LEVELS = 20
"""The depth that is read of a book."""
MOST_DIGITS = 40
"""Characters of the longest number."""
MOST_DECIMALS, MOST_WHOLE = 30, 21
"""Digits behind the point and before it."""
DIRECTIONS = {"buy": Direction.BUY, "sell": Direction.SELL}


class Unreadable(ValueError):
    """What a venue sent is not what it should be. `fault` says which rule for data it breaks, if it does."""

    def __init__(self, text: str, fault: Fault | None = None) -> None:
        super().__init__(text)
        self.fault = fault


def exact(value: Any) -> Decimal:
    """A number exactly as the venue wrote it. Raises Unreadable if it is none, infinite or too long."""
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
    if number.adjusted() >= MOST_WHOLE:
        raise Unreadable(f"{str(number)[:MOST_DIGITS]} is out of bounds")
    return number


def positive(value: Any) -> Decimal:
    """The same for what is above zero: at a venue, something without an amount is gone."""
    number = exact(value)
    if number <= 0:
        raise Unreadable("an amount that is not above 0")
    return number


def moment(value: Any) -> int:
    """A time of the venue in milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"the time {str(value)[:MOST_DIGITS]!r}")
    return value


def read_trade(instrument: Instrument, raw: Any, now: int) -> Trade:
    """A trade as we know it. `now` is in milliseconds. Raises Unreadable.

    The turnover is left to the rule for all trades; of venues whose numbers of trades are not whole numbers
    below 2^63 the `source_seq` is 0.
    """
    if not isinstance(raw, dict):
        raise Unreadable(f"{type(raw).__name__} in place of a trade")
    number = str(raw.get("id"))
    plain = number.isascii() and number.isdigit() and len(number) < 20
    trade = Trade(
        code=instrument.code,
        time=moment(raw.get("timestamp")),
        price=exact(raw.get("price")),
        volume=positive(raw.get("amount")),
        direction=DIRECTIONS.get(str(raw.get("side")), Direction.NEUTRAL),
        source_seq=int(number) if plain and int(number) < 1 << 63 else 0,
    )
    _check(trade_fault(trade, instrument, Entrance.EXCHANGE, now))
    return trade


def identity(raw: dict[str, Any]) -> tuple[bool, Hashable]:
    """What tells a trade from others, and whether for certain: its number, else its fields."""
    number = raw.get("id")
    if isinstance(number, (str, int)) and number != "":
        return True, str(number)
    return False, tuple(str(raw.get(name)) for name in ("timestamp", "price", "amount", "side"))


def read_book(instrument: Instrument, raw: Any, now: int) -> Book:
    """The best levels of a book; one without a time has ours. Raises Unreadable."""
    if not isinstance(raw, dict):
        raise Unreadable(f"{type(raw).__name__} in place of a book")
    at = raw.get("timestamp")
    bids, asks = _side(raw.get("bids")), _side(raw.get("asks"))
    book = Book(instrument.code, now if at is None else moment(at), bids, asks)
    _check(book_fault(book, instrument, Entrance.EXCHANGE, now))
    return book


def _side(raw: Any) -> tuple[Level, ...]:
    if not isinstance(raw, list):
        raise Unreadable(f"{type(raw).__name__} in place of a side of a book")
    try:
        return tuple(Level(exact(level[0]), positive(level[1])) for level in raw[:LEVELS])
    except (TypeError, LookupError):
        raise Unreadable("a level of a book that is none") from None


def read_bar(instrument: Instrument, kline_type: KlineType, raw: Any, now: int) -> Kline:
    """A bar: time in milliseconds, open, high, low, close, volume and, if the venue says so, the turnover.

    Without it the turnover is close × volume. Raises Unreadable.
    """
    if not isinstance(raw, list) or len(raw) < 6:
        raise Unreadable("a bar that is none")
    opened, high, low, close, volume = (exact(value) for value in raw[1:6])
    said = None if len(raw) < 7 or raw[6] is None else exact(raw[6])
    as_trade = Trade(instrument.code, 0, close, volume, turnover=said)
    money = turnover(instrument, as_trade)
    opens = moment(raw[0]) // 1000
    bar = Kline(instrument.code, kline_type, opens, opened, high, low, close, volume, money)
    _check(bar_fault(bar, instrument, Entrance.EXCHANGE, now))
    return bar


def _check(fault: Fault | None) -> None:
    if fault is not None:
        raise Unreadable(fault.text, fault)
