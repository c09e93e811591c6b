"""What steps do to the ticks of an instrument. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import NamedTuple

import msgspec

from ..calendars import State
from ..model import EXACT, QUANTA, Event, Instrument, Level, PriceLimits, Trade, tick_size
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
    """The price times a factor, in whole ticks, at most `HIGHEST`; at least one tick, or where the instrument
    goes below zero, more than `-HIGHEST`. A price of zero stays."""
    if not price:
        return price
    target = max(min(EXACT.multiply(price, by), HIGHEST), -HIGHEST)
    tick = tick_size(instrument, target)
    ticks = EXACT.divide(target, tick).to_integral_value(ROUND_HALF_UP)
    return EXACT.multiply(ticks if instrument.goes_negative else max(ticks, Decimal(1)), tick)


def with_prices_moved(event: Event, by: Decimal, instrument: Instrument) -> Event:
    """The tick with all its prices times a factor."""
    if isinstance(event, Trade):
        return _priced(event, moved(event.price, by, instrument), instrument)
    bids = _side(event.bids, by, instrument)
    above = _beside(bids[0].price, instrument, up=True) if bids else -HIGHEST  # rounded alike they could meet
    return msgspec.structs.replace(event, bids=bids, asks=_side(event.asks, by, instrument, above))


def _priced(trade: Trade, price: Decimal, instrument: Instrument) -> Trade:
    """The trade at another price. Its turnover follows, but for an index, whose turnover is that of its
    shares."""
    turnover = None if instrument.levels else trade.turnover
    return msgspec.structs.replace(trade, price=price, turnover=turnover)


def _side(
    side: tuple[Level, ...], by: Decimal, instrument: Instrument, lowest: Decimal = -HIGHEST
) -> tuple[Level, ...]:
    """The levels, moved but not below `lowest`; those that fall on one price become one."""
    found: dict[Decimal, Decimal] = {}
    for level in side:
        at = max(moved(level.price, by, instrument), lowest)
        found[at] = EXACT.add(found[at], level.volume) if at in found else level.volume
    return tuple(Level(price, volume) for price, volume in found.items())


def _beside(price: Decimal, instrument: Instrument, *, up: bool) -> Decimal:
    """The next price of the instrument's grid, above or below."""
    if up:
        return EXACT.add(price, tick_size(instrument, price))
    return EXACT.subtract(price, tick_size(instrument, EXACT.subtract(price, QUANTA[-1])))


def within_limits(event: Event, limits: PriceLimits, instrument: Instrument) -> Event:
    """The tick as an exchange lets it be: no price lies beyond the limits of the day."""
    price = price_of(event)
    if price is not None and price > limits.up:
        return at_limit(event, limits.up, instrument, up=True)
    if isinstance(event, Trade):
        return event if event.price >= limits.down else _priced(event, limits.down, instrument)
    if event.asks and event.asks[0].price < limits.down:
        return at_limit(event, limits.down, instrument, up=False)
    bids = tuple(level for level in event.bids if level.price >= limits.down)
    return msgspec.structs.replace(
        event, bids=bids, asks=tuple(level for level in event.asks if level.price <= limits.up)
    )


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
    side, price = [], limit
    for level in (event.bids or event.asks) if up else (event.asks or event.bids):
        if price > 0 or instrument.goes_negative:
            side.append(Level(price, level.volume))
            price = _beside(price, instrument, up=not up)
    return msgspec.structs.replace(event, bids=tuple(side) if up else (), asks=() if up else tuple(side))
