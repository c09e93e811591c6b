"""What steps do to the ticks of an instrument. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import NamedTuple

import msgspec

from ..calendars import State
from ..model import EXACT, Book, Event, Instrument, Level, Trade, tick_size
from .steps import CloseMarket, Delist, Gap, Halt, LimitDown, LimitUp, Step

SILENT = (Halt, Delist, CloseMarket, Gap)
"""Under these nothing is traded, or nothing of it comes."""
STATES: tuple[tuple[type[Step], State], ...] = (
    (Delist, State.DELISTED),
    (Halt, State.HALTED),
    (CloseMarket, State.CLOSED),
    (LimitUp, State.LIMIT_UP),
    (LimitDown, State.LIMIT_DOWN),
)
"""What an instrument is said to be under a step; of several the first here."""
HUNDRED = Decimal(100)
HIGHEST = Decimal(10**15)
"""The highest price that steps can lead to, however many there are."""


class Way(Enum):
    """How a tick is pushed."""

    ONCE = 1
    TWICE = 2
    BEHIND_THE_NEXT = 3


class Shaped(NamedTuple):
    """A tick as it comes out, and how it is pushed."""

    event: Event
    way: Way = Way.ONCE


def factor(percent: Decimal) -> Decimal:
    """What a price is multiplied with to move by that."""
    return EXACT.add(1, EXACT.divide(percent, HUNDRED))


def moved(price: Decimal, by: Decimal, instrument: Instrument) -> Decimal:
    """The price times a factor, in whole ticks, at least one and at most `HIGHEST`. A price of zero stays."""
    if not price:
        return price
    target = min(EXACT.multiply(price, by), HIGHEST)
    tick = tick_size(instrument, target)
    ticks = EXACT.divide(target, tick).to_integral_value(ROUND_HALF_UP)
    return EXACT.multiply(max(ticks, Decimal(1)), tick)


def with_prices_moved(event: Event, by: Decimal, instrument: Instrument) -> Event:
    """The tick with all its prices times a factor."""
    if isinstance(event, Trade):
        return _priced(event, moved(event.price, by, instrument), instrument)
    return msgspec.structs.replace(
        event, bids=_side(event.bids, by, instrument), asks=_side(event.asks, by, instrument)
    )


def _priced(trade: Trade, price: Decimal, instrument: Instrument) -> Trade:
    """The trade at another price. Its turnover follows, but for an index, whose turnover is that of its
    shares."""
    turnover = None if instrument.levels else trade.turnover
    return msgspec.structs.replace(trade, price=price, turnover=turnover)


def _side(side: tuple[Level, ...], by: Decimal, instrument: Instrument) -> tuple[Level, ...]:
    """The levels, moved; those that fall on one price become one."""
    found: dict[Decimal, Decimal] = {}
    for price, volume in side:
        at = moved(price, by, instrument)
        found[at] = EXACT.add(found[at], volume) if at in found else volume
    return tuple(Level(price, volume) for price, volume in found.items())


def price_of(event: Event) -> Decimal | None:
    """The price that a tick shows: of the trade, or the best one of the book."""
    if isinstance(event, Trade):
        return event.price
    best = event.bids[:1] or event.asks[:1]
    return best[0].price if best else None


def at_limit(event: Event, limit: Decimal, instrument: Instrument, *, up: bool) -> Event:
    """The tick at a price where only buyers are left (`up`), or only sellers: the other side is empty."""
    if isinstance(event, Trade):
        return _priced(event, limit, instrument)
    tick = tick_size(instrument, limit)
    volumes = [level.volume for level in ((event.bids or event.asks) if up else (event.asks or event.bids))]
    prices = (
        EXACT.subtract(limit, tick * n) if up else EXACT.add(limit, tick * n) for n in range(len(volumes))
    )
    side = tuple(Level(price, volume) for price, volume in zip(prices, volumes, strict=True) if price > 0)
    return msgspec.structs.replace(event, bids=side if up else (), asks=() if up else side)


def without_orders(code: str, time: int) -> Book:
    """The book of what is delisted."""
    return Book(code, time, (), ())
