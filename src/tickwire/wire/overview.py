"""What a server tells of its markets, instruments, gaps and use below /v1 (an extension).

Times are in milliseconds since the epoch on the wire. Names stand as texts, so that a client reads those of a
later server.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from ..model import Family, Market, moment

STATES = ("open", "closed", "pre-open", "break", "halted", "limit-up", "limit-down", "delisted")

StateName: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*STATES]})]
MarketName: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*Market]})]
FamilyName: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*Family]})]


class MarketInfo(msgspec.Struct, frozen=True):
    """A calendar and what it says now.

    `next_open` and `next_close` are null if there is none to come; `holidays` are the weekdays of the next
    year without trading, as far as `known_until`. Beyond it those of `expected` are closed, which are not
    official yet, and all others count as open. `round_the_clock` says that this server's markets keep no
    hours.
    """

    calendar: str
    markets: tuple[MarketName, ...]
    instruments: int
    timezone: str
    state: StateName
    round_the_clock: bool
    time_ms: int = field(name="time")
    next_open_ms: int | None = field(name="next_open")
    next_close_ms: int | None = field(name="next_close")
    holidays: tuple[date, ...]
    known_until: date
    expected: tuple[date, ...] = ()

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
    """An instrument, with what it does now: `depth_levels` 0 means that it has no book. `state` is that of
    its market, or what befell the instrument alone.

    `last_trade` is when the last trade was that the server knows of. `learned` says that no catalogue has it:
    the server learned from its own upstream what the code is. `negative_prices` says whether its prices may
    be zero and below; null of a server that does not say it.
    """

    code: str
    aliases: tuple[str, ...]
    family: FamilyName
    market: MarketName
    calendar: str
    state: StateName
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
    negative_prices: bool | None = None

    @property
    def last_trade(self) -> datetime | None:
        """When the last trade was that the server knows of, in UTC; None before it."""
        return None if self.last_trade_ms is None else moment(self.last_trade_ms)


class GapInfo(msgspec.Struct, frozen=True):
    """A time in which a source of the server was down: its data is missing for everybody.

    `end` is null while it lasts, `filled` (when the bars were complete again) while they are not; `codes` are
    those that went missing.
    """

    source: str
    market: MarketName
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


class MarketList(msgspec.Struct):
    """The data that /v1/markets answers."""

    market_list: list[MarketInfo]


class InstrumentList(msgspec.Struct):
    """The data that /v1/instruments answers. `next` is there if there are more: the code to go on `after`."""

    instrument_list: list[InstrumentInfo]
    next: str | UnsetType = UNSET


class GapList(msgspec.Struct):
    """The data that /v1/gaps answers."""

    gap_list: list[GapInfo]


class QuotaInfo(msgspec.Struct):
    """A limit of requests upstream: `left` of the `requests` in so many `seconds`. `name` is that of an
    endpoint, `http` for all of them, or `day`."""

    name: str
    requests: int
    seconds: float
    left: int


class CodesInfo(msgspec.Struct):
    """Codes that are subscribed to upstream; `most` is how many the plan allows, null for no limit."""

    family: Family
    kind: str
    used: int
    most: int | None


class ConnectionsInfo(msgspec.Struct):
    """WebSockets upstream; `most` is how many the plan allows, null for no limit."""

    family: Family
    used: int
    most: int | None


class UpstreamInfo(msgspec.Struct):
    """An account upstream, which all tokens share: `waiting` requests wait for their turn."""

    source: str
    waiting: int
    quotas: list[QuotaInfo]
    codes: list[CodesInfo]
    connections: list[ConnectionsInfo]


class TokenUse(msgspec.Struct):
    """What a token has used since the start: `requests` over HTTP that passed its plan and that were
    `refused` by it, `pushes`; and what it uses now: `connections`, `codes` that it is subscribed to, and
    those of them that are `without` a place upstream. `token` is its name, empty while any is let in."""

    token: str
    connections: int = 0
    codes: int = 0
    without: int = 0
    requests: int = 0
    refused: int = 0
    pushes: int = 0


class Usage(msgspec.Struct):
    """The data that /v1/usage answers."""

    upstream_list: list[UpstreamInfo]
    token_list: list[TokenUse]
