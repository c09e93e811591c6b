"""Which trades, books and bars are fit to be served: one rule for every entrance.

docs/data-rules.md lists the rules for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum, StrEnum
from typing import NamedTuple, cast

from .decimals import MAX_DECIMALS
from .events import Book, Correction, Direction, Event, Level, Trade
from .instrument import Instrument
from .kline import Kline

YEAR_1990, YEAR_2100 = 631_152_000_000, 4_102_444_800_000
"""All data is of a time between these, in milliseconds since the epoch."""
LARGEST = Decimal(10**15)
"""Prices and volumes are below it."""
NONE = Decimal(0)

_LAST_DIRECTION = int(Direction.SELL)  # members compare slowly
_SMALLEST = Decimal(1).scaleb(-MAX_DECIMALS)
_ROUNDED = tuple(Decimal(5).scaleb(-n - 1) for n in range(MAX_DECIMALS + 1))
"""The least that is not zero once it is written with n decimals, by n."""


class Entrance(Enum):
    """Where data comes in, and what entrances differ in, on purpose.

    `ahead` is how many milliseconds data may be dated ahead of the wall clock; None: the entrance has a
    market's clock of its own. `crossed` says whether a bid may lie above the ask: live markets show it at
    times, a publisher who sends it has made a mistake. `rounded` says that prices are rounded to the
    instrument's decimals when they are written; elsewhere either the price has no more decimals or the
    instrument is given as many.
    """

    RELAY = (None, True, True)
    EXCHANGE = (60_000, True, True)
    PUBLISH = (60_000, False, False)
    REPLAY = (None, True, False)
    IMPORT = (86_400_000, True, False)
    """A day, for the bars of a Sunday evening belong to Monday's, which opens ahead."""

    def __init__(self, ahead: int | None, crossed: bool, rounded: bool) -> None:
        self.ahead = ahead
        self.crossed = crossed
        self.rounded = rounded


class Rule(StrEnum):
    """What can be wrong."""

    PRICE = "price"
    VOLUME = "volume"
    TURNOVER = "turnover"
    TIME = "time"
    DIRECTION = "direction"
    ORDER = "order"
    CROSSED = "crossed"
    SHAPE = "shape"


class Fault(NamedTuple):
    """Why something is unfit: the rule, and a clause for people such as `price is not above 0`."""

    rule: Rule
    text: str


def trade_fault(
    trade: Trade, instrument: Instrument, entrance: Entrance, now: int | None = None
) -> Fault | None:
    """What is wrong with a trade, if anything. `now` is the wall clock in milliseconds."""
    price, volume, money = trade.price, trade.volume, trade.turnover
    least = _ROUNDED[instrument.price_decimals] if entrance.rounded else _SMALLEST
    if not least <= price < LARGEST and (fault := _price_fault("price", price, instrument)) is not None:
        return fault
    if not NONE <= volume < LARGEST:
        return Fault(Rule.VOLUME, "volume is not from 0 to below 10^15")
    if money is not None and money < NONE <= price:
        return Fault(Rule.TURNOVER, "turnover is below 0")
    if not 0 <= trade.direction <= _LAST_DIRECTION:
        return Fault(Rule.DIRECTION, f"direction {trade.direction} is not 0, 1 or 2")
    if now is not None and YEAR_1990 <= trade.time <= now < YEAR_2100:  # as of most
        return None
    return time_fault(trade.time, entrance, now)


def book_fault(
    book: Book,
    instrument: Instrument,
    entrance: Entrance,
    now: int | None = None,
    *,
    changed: tuple[Sequence[Level], Sequence[Level]] | None = None,
) -> Fault | None:
    """What is wrong with a book, if anything. `now` is the wall clock in milliseconds.

    A level whose volume is not known has volume zero (section 2 of the protocol). `changed` are the bids and
    asks, in any order, that made a book that was fit into this one: only they are looked at.
    """
    bids, asks = changed or (book.bids, book.asks)
    ordered = changed is None
    fault = (
        _side_fault("bids", bids, instrument, entrance, ordered=ordered)
        or _side_fault("asks", asks, instrument, entrance, ordered=ordered)
        or time_fault(book.time, entrance, now)
    )
    if fault is None and not entrance.crossed and is_crossed(book):
        bid, ask = book.bids[0].price, book.asks[0].price
        return Fault(Rule.CROSSED, f"crossed: the bid {bid:f} is above the ask {ask:f}")
    return fault


def event_fault(
    event: Event | Correction, instrument: Instrument, entrance: Entrance, now: int | None = None
) -> Fault | None:
    """What is wrong with a trade, a book or a correction, if anything."""
    if type(event) is Trade:
        return trade_fault(event, instrument, entrance, now)
    if type(event) is Correction:
        trade = event.was if event.became is None else event.became
        return time_fault(event.time, entrance, now) or trade_fault(trade, instrument, entrance)
    return book_fault(cast("Book", event), instrument, entrance, now)


def bar_fault(bar: Kline, instrument: Instrument, entrance: Entrance, now: int | None = None) -> Fault | None:
    """What is wrong with a bar, if anything. `now` is the wall clock in milliseconds."""
    least = _least(instrument, entrance)
    for name, price in (("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)):
        if not least <= price < LARGEST and (fault := _price_fault(name, price, instrument)) is not None:
            return fault
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        return Fault(Rule.SHAPE, "open, high, low and close disagree")
    if bar.volume < NONE:
        return Fault(Rule.VOLUME, "volume is below 0")
    if bar.turnover < NONE <= bar.low:
        return Fault(Rule.TURNOVER, "turnover is below 0")
    return time_fault(bar.time * 1000, entrance, now)


def is_crossed(book: Book) -> bool:
    """Whether the best bid lies above the best ask."""
    return bool(book.bids and book.asks) and book.bids[0].price > book.asks[0].price


def side(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """The levels without those of price and volume zero, which is how an empty side is shown (section 2)."""
    for level in levels:
        if not level.price:
            return tuple(one for one in levels if one.price or one.volume)
    return levels


def _least(instrument: Instrument, entrance: Entrance) -> Decimal:
    """The lowest price of an instrument whose prices are above zero."""
    return _ROUNDED[instrument.price_decimals] if entrance.rounded else _SMALLEST


def _side_fault(
    name: str, levels: Sequence[Level], instrument: Instrument, entrance: Entrance, *, ordered: bool
) -> Fault | None:
    """What is wrong with the levels of a side."""
    if not levels:
        return None
    falling, before = name == "bids", None
    for level in levels:
        price = level.price
        if not NONE <= level.volume < LARGEST:
            return Fault(Rule.VOLUME, f"a volume of {name} is not from 0 to below 10^15")
        if before is not None and not (price < before if falling else price > before):
            return Fault(Rule.ORDER, f"{name} are not sorted best first, each price once")
        if ordered:
            before = price
    least = _least(instrument, entrance)
    # Of what is in order, the ends say enough.
    for level in (levels[0], levels[-1]) if ordered else levels:
        if not least <= level.price < LARGEST:
            fault = _price_fault(f"a price of {name}", level.price, instrument)
            if fault is not None:
                return fault
    return None


def _price_fault(name: str, price: Decimal, instrument: Instrument) -> Fault | None:
    """What is wrong with a price that is not as most are: above zero, and below the largest."""
    if instrument.goes_negative:
        if -LARGEST < price < LARGEST:
            return None
        return Fault(Rule.PRICE, f"{name} is not between -10^15 and 10^15")
    if price <= NONE:
        return Fault(Rule.PRICE, f"{name} is not above 0")
    if price >= LARGEST:
        return Fault(Rule.PRICE, f"{name} is not below 10^15")
    decimals = instrument.price_decimals
    return Fault(Rule.PRICE, f"{name} {price:f} is 0 in the {decimals} decimals of {instrument.code}")


def time_fault(at: int, entrance: Entrance, now: int | None) -> Fault | None:
    """What is wrong with a time in milliseconds, if anything. `now` is the wall clock."""
    if not YEAR_1990 <= at < YEAR_2100:
        if YEAR_1990 <= at * 1000 < YEAR_2100:
            return Fault(Rule.TIME, f"the time {at} looks like seconds, expected milliseconds since 1970")
        return Fault(Rule.TIME, f"the time {at} is not between 1990 and 2100, in milliseconds since 1970")
    if now is not None and entrance.ahead is not None and at > now + entrance.ahead:
        return Fault(Rule.TIME, "time is too far ahead of the server's clock")
    return None
