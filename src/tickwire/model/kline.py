"""K-lines: what happened to a price over a stretch of time."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum, StrEnum

import msgspec


class KlineType(IntEnum):
    """The ten stretches, by the protocol's number (section 3, "K-lines")."""

    MINUTE = 1
    MINUTES_5 = 2
    MINUTES_15 = 3
    MINUTES_30 = 4
    HOUR = 5
    HOURS_2 = 6
    HOURS_4 = 7
    DAY = 8
    WEEK = 9
    MONTH = 10


class Kline(msgspec.Struct, frozen=True, gc=False):
    """One bar.

    `time` is its open time in seconds since the epoch. `volume` and `turnover` are exact sums over its
    trades. `first` and `last` are the source's times, in milliseconds, of the trades that gave `open` and
    `close`, so that a late trade finds its place. `incomplete` says that the source was down during a part
    of it. `removed` says that all its trades were cancelled: it is what the bar was, and there is none now.
    """

    code: str
    kline_type: KlineType
    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    first: int = 0
    last: int = 0
    incomplete: bool = False
    removed: bool = False


class KlineState(StrEnum):
    """What a bar that is pushed has come to."""

    FORMING = "forming"
    CLOSED = "closed"
    REVISED = "revised"


class KlineUpdate(msgspec.Struct, frozen=True, gc=False):
    """A bar as it is now. What came behind `trade_seq`, the `seq` of a trade of its code, is not counted in
    it; 0 if there was no trade."""

    kline: Kline
    state: KlineState
    trade_seq: int = 0

    @property
    def code(self) -> str:
        """The code of its instrument."""
        return self.kline.code

    @property
    def time(self) -> int:
        """When it opens, in milliseconds since the epoch, as the times of other events are."""
        return self.kline.time * 1000
