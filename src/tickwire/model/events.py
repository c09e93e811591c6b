"""What a source yields: trades and books; where they stand, and the money that changes hands."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import msgspec

from .decimals import EXACT, QUANTA
from .instrument import Instrument

_multiply, _quantize = EXACT.multiply, EXACT.quantize


class Kind(IntEnum):
    """The streams that an instrument has: trades, books, bars of each type, and corrections of trades."""

    TRADE = 1
    DEPTH = 2
    KLINE = 3
    CORRECTION = 4

    @property
    def flow(self) -> Kind:
        """What a source is asked for, for the sake of that: bars are made of trades, corrections are of
        them."""
        return Kind.DEPTH if self is Kind.DEPTH else Kind.TRADE


class Direction(IntEnum):
    """Who took liquidity in a trade."""

    NEUTRAL = 0
    BUY = 1
    SELL = 2


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade.

    `time` is the source's time in milliseconds since the epoch. `volume` is in the instrument's unit
    (shares; lots for A-shares), `turnover` in money; None means price × volume × the unit's size.
    `source_seq` is the source's own number, 0 if it has none.
    """

    code: str
    time: int
    price: Decimal
    volume: Decimal
    turnover: Decimal | None = None
    direction: int = Direction.NEUTRAL
    source_seq: int = 0


class Level(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A price of the book and the volume that waits there. A pair in JSON, as in journals."""

    price: Decimal
    volume: Decimal


class Book(msgspec.Struct, frozen=True, gc=False):
    """The whole order book, best level first on both sides. A side without orders is empty."""

    code: str
    time: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


Event: TypeAlias = Trade | Book


class Correction(msgspec.Struct, frozen=True, gc=False):
    """A trade was not as it had been told.

    `time` is when that was said, in milliseconds since the epoch. `was` is the trade as it counted until
    then, `became` as it counts from then on, with the same time and number; None: it is cancelled.
    `trade_seq` is the `seq` under which the trade was sent to clients, 0 if it was not or is not known any
    more; `source_seq` the source's own number of the correction, 0 if it has none.
    """

    code: str
    time: int
    was: Trade
    became: Trade | None
    trade_seq: int = 0
    source_seq: int = 0


def kind_of(event: Event | Correction) -> Kind:
    """The kind of stream that an event is of."""
    if type(event) is Trade:
        return Kind.TRADE
    return Kind.CORRECTION if type(event) is Correction else Kind.DEPTH


class Position(NamedTuple):
    """A place in a stream: of one code and kind, of bars also of one type.

    An epoch begins when a server takes the stream over; a later one is the larger number, in microseconds.
    Within it `seq` grows, of trades by exactly one.
    """

    epoch: int
    seq: int


def turnover(instrument: Instrument, trade: Trade) -> Decimal:
    """The source's figure, or price × volume × shares in a unit of volume; half up to its decimals.

    Section 2, "Push: trade".
    """
    money = trade.turnover
    if money is None:
        money = _multiply(trade.price, trade.volume)
        if instrument.volume_unit != 1:
            money = _multiply(money, Decimal(instrument.volume_unit))
    quantum = QUANTA[instrument.turnover_decimals]
    return money if money.same_quantum(quantum) else _quantize(money, quantum)
