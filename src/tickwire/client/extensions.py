"""What Tickwire tells beyond the protocol: markets, instruments, gaps (docs/protocol.md, "Extensions")."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import field

from .errors import Unreadable
from .events import moment

T = TypeVar("T")


class MarketInfo(msgspec.Struct, frozen=True):
    """A calendar and what it says now.

    `state` is "open", "closed", "pre-open" or "break"; `holidays` are the weekdays of the next year without
    trading, as far as `known_until`. `round_the_clock`: this server's markets keep no hours.
    """

    calendar: str
    markets: tuple[str, ...]
    instruments: int
    timezone: str
    state: str
    round_the_clock: bool
    time_ms: int = field(name="time")
    next_open_ms: int | None = field(name="next_open")
    next_close_ms: int | None = field(name="next_close")
    holidays: tuple[date, ...]
    known_until: date

    @property
    def time(self) -> datetime:
        """The market's time, in UTC."""
        return moment(self.time_ms)

    @property
    def next_open(self) -> datetime | None:
        """When it opens next, in UTC; None if it does not."""
        return None if self.next_open_ms is None else moment(self.next_open_ms)

    @property
    def next_close(self) -> datetime | None:
        """When it closes next, in UTC; None if it does not."""
        return None if self.next_close_ms is None else moment(self.next_close_ms)


class InstrumentInfo(msgspec.Struct, frozen=True):
    """An instrument; `depth_levels` 0 means that it has no book. `state` is that of its market, or "halted",
    "limit-up", "limit-down", "delisted". `learned` says that no catalogue has it: the server learned from its
    own upstream what the code is."""

    code: str
    aliases: tuple[str, ...]
    family: str
    market: str
    calendar: str
    state: str
    name_en: str
    name_cn: str
    name_hk: str
    exchange: str
    currency: str
    lot_size: str
    depth_levels: int
    price_decimals: int
    volume_decimals: int
    turnover_decimals: int
    last_trade_ms: int | None = field(name="last_trade", default=None)
    learned: bool = False

    @property
    def last_trade(self) -> datetime | None:
        """When the last trade was that the server knows of, in UTC; None before it."""
        return None if self.last_trade_ms is None else moment(self.last_trade_ms)


class GapInfo(msgspec.Struct, frozen=True):
    """A time in which a source of the server was down: its data is missing for everybody.

    `end` is None while it lasts, `filled` (when the bars were complete again) while they are not.
    """

    source: str
    market: str
    codes: tuple[str, ...]
    begin_ms: int = field(name="begin")
    end_ms: int | None = field(name="end")
    reason: str
    filled_ms: int | None = field(name="filled")

    @property
    def begin(self) -> datetime:
        """When it began, in UTC."""
        return moment(self.begin_ms)

    @property
    def end(self) -> datetime | None:
        """When it ended, in UTC."""
        return None if self.end_ms is None else moment(self.end_ms)

    @property
    def filled(self) -> datetime | None:
        """When the bars were complete again, in UTC."""
        return None if self.filled_ms is None else moment(self.filled_ms)


def entries(data: Any, name: str, shape: type[T]) -> list[T]:
    """The list of that name in an answer. Raises Unreadable."""
    try:
        found = data[name] if isinstance(data, dict) else None
        return msgspec.convert(found, list[shape])  # type: ignore[valid-type]
    except (KeyError, msgspec.ValidationError) as error:
        raise Unreadable(f"an answer cannot be read: {error}", status=200) from None
