"""What a feed gives its user: values with exact decimals and times that know their zone.

Event
├── Trade        one trade
├── Book         a whole order book
├── Kline        a bar; also what is read over HTTP
├── Correction   a trade was another one, or none
├── Gap          here something is missing
├── Spared       the server did not send all, since we are slow
├── Status       how a connection is
├── SourceStatus how a source of the server is
├── MarketState  what an instrument does: open, halted …
├── Subscribed   the server has taken a list of streams
└── Refusal      the server, or the plan, refuses some of them

    match event:
        case Trade(code=code, price=price):
            print(event.time, code, price)
        case Gap(reason=reason):
            print("a hole:", reason)
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import msgspec

from ..model import Direction, Family, Kind, KlineState, KlineType, Level, moment, trading_date
from ..model import Kline as Bar
from ..wire import MarketState, Refusal, SourceStatus, Spared, Subscribed, Times
from .intervals import INTERVAL_OF, kline_type_of
from .state import LinkStatus

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timed:
    """What came and went at times that the server says, if it was asked for them: `connect(times=True)`.

    Those that it does not say are None: see "Times" in the protocol.
    """

    __slots__ = ()
    times: Times | None
    """The same in microseconds since the epoch, 0 where it does not say; None if it was not asked."""

    @property
    def receive_time(self) -> datetime | None:
        """When the server received it, in UTC, by its clock."""
        return None if self.times is None else _moment(self.times.received)

    @property
    def publish_time(self) -> datetime | None:
        """When the server put it into its stream, in UTC."""
        return None if self.times is None else _moment(self.times.published)

    @property
    def send_time(self) -> datetime | None:
        """When the server sent it, in UTC."""
        return None if self.times is None else _moment(self.times.sent)


class Trade(Timed, msgspec.Struct, frozen=True, gc=False):
    """One trade.

    `time` is the source's. `volume` is in the instrument's unit (shares; lots of 100 for A-shares),
    `turnover` in money, None if the server does not say. `seq` is the server's number of it, which grows per
    code; 0 if it has none.

    A server that thins what we do not take (see Spared) sends several as one: then `trades` is how many,
    `volume` and `turnover` are their sums, `price`, `time` and `seq` the last one's, `open` and `first_seq`
    the first one's, `high` and `low` the bounds of their prices. Of one that came alone these are None, and
    `first_seq` 0.

    >>> Trade("GOLD", 1788530573000, Decimal("4415.32"), Decimal(8)).time.isoformat()
    '2026-09-04T14:02:53+00:00'
    """

    code: str
    time_ms: int
    price: Decimal
    volume: Decimal
    turnover: Decimal | None = None
    direction: Direction = Direction.NEUTRAL
    seq: int = 0
    trades: int = 1
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    first_seq: int = 0
    times: Times | None = None

    @property
    def time(self) -> datetime:
        """When it was made, in UTC."""
        return moment(self.time_ms)


class Book(Timed, msgspec.Struct, frozen=True, gc=False):
    """A whole order book: levels of a price and a volume, best first on both sides; a side may be empty.

    >>> book = Book("GOLD", 1788530573000, bids=(Level(Decimal("4415.3"), Decimal(2)),), asks=())
    >>> book.best_bid.price, book.best_ask
    (Decimal('4415.3'), None)
    """

    code: str
    time_ms: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    seq: int = 0
    times: Times | None = None

    @property
    def time(self) -> datetime:
        """When it was like that, in UTC."""
        return moment(self.time_ms)

    @property
    def best_bid(self) -> Level | None:
        """The highest price that somebody pays; None if nobody does."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest price that somebody takes; None if nobody does."""
        return self.asks[0] if self.asks else None


class Kline(Timed, msgspec.Struct, frozen=True, gc=False):
    """One bar.

    `interval` is one of INTERVALS ("1m", "1d" …), `time` when it opens: days, weeks and months do so at
    midnight of their exchange. `state` is what a bar that is pushed has come to; None over HTTP, where the
    last one may still be forming. `incomplete`: the server's source was down during a part of it. `seq` is
    the server's number of the push, 0 over HTTP. `removed`: all its trades were cancelled; it is what it was,
    and there is no such bar any more. `trade_seq` is the `seq` of the last trade that it counts, so that who
    adds trades to it counts none twice; 0 where the server does not say.
    """

    code: str
    interval: str
    time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    state: KlineState | None = None
    incomplete: bool = False
    seq: int = 0
    removed: bool = False
    trade_seq: int = 0
    times: Times | None = None

    @property
    def time(self) -> datetime:
        """When it opens, in UTC."""
        return moment(self.time_ms)

    @property
    def trading_date(self) -> date | None:
        """The date of a day's bar at its exchange; of a week's or a month's, its first one. None for shorter
        bars."""
        return trading_date(self.time_ms) if kline_type_of(self.interval) >= KlineType.DAY else None


class Correction(Timed, msgspec.Struct, frozen=True, gc=False):
    """A trade was not as it had been told: `was` is what it counted as, with the `seq` under which it came,
    `became` what it counts as; None: it was cancelled. `time` is when that was said."""

    code: str
    time_ms: int
    was: Trade
    became: Trade | None
    seq: int = 0
    times: Times | None = None

    @property
    def time(self) -> datetime:
        """When it was said, in UTC."""
        return moment(self.time_ms)


class Gap(msgspec.Struct, frozen=True):
    """Here events may be missing: between two of the feed.

    `begin` is the time of the last event before it, None if none came; `end` that of the first one after it,
    or of the last one that was dropped. `missed` is how many were dropped because the user was slower than
    the market or their numbers were those of long before, or how many lines could not be read; None after a
    lost connection, or where the server counts anew, since nobody knows.
    `interval` is that of a K-line, else "". `code` is "" and `kind` None where what came could not be read:
    then it may be any stream of the feed.

    What went missing of trades is to be had as K-lines over HTTP.
    """

    code: str
    kind: Kind | None
    begin: datetime | None
    end: datetime | None
    reason: str
    missed: int | None = None
    interval: str = ""


class Status(msgspec.Struct, frozen=True):
    """How the connection of a family is since `time`: "connecting", "up", "stale" or "down".

    Stale: a request has been unanswered for so long that the connection is about to count as dead. Down: it
    is tried again in `again` seconds, None if it is not; `http_status` says how it was refused, 0 if it was
    not; `untrusted` if the server's certificate is refused.
    """

    state: LinkStatus
    family: Family
    time: datetime
    reason: str = ""
    again: float | None = None
    http_status: int = 0
    untrusted: bool = False


Event: TypeAlias = (
    Trade
    | Book
    | Kline
    | Correction
    | Gap
    | Spared
    | Status
    | SourceStatus
    | MarketState
    | Subscribed
    | Refusal
)


def _moment(micros: int) -> datetime | None:
    return EPOCH + timedelta(microseconds=micros) if micros else None


def kline_of(
    bar: Bar,
    state: KlineState | None = None,
    seq: int = 0,
    trade_seq: int = 0,
    times: Times | None = None,
) -> Kline:
    """A bar as users see it."""
    return Kline(
        bar.code,
        INTERVAL_OF[bar.kline_type],
        bar.time * 1000,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.turnover,
        state,
        bar.incomplete,
        seq,
        bar.removed,
        trade_seq,
        times,
    )
