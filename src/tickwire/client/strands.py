"""From what links tell to what users read: typed events, and a Gap where something may be missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import msgspec

from ..model import Book as WireBook
from ..model import Correction as WireCorrection
from ..model import Direction, Family, Kind, KlineType, KlineUpdate, moment
from ..model import Trade as WireTrade
from ..wire import (
    Bad,
    Key,
    MarketState,
    Outdated,
    Pushed,
    Refusal,
    Renumbered,
    Resumed,
    Several,
    SourceStatus,
    Spared,
    Subscribed,
    Wanted,
)
from .events import Book, Correction, Event, Gap, Status, Trade, kline_of
from .intervals import INTERVAL_OF
from .state import LinkStatus, Missed, State, Told

SLOW = "the reader is slower than the market"
ANEW = "the server counts anew"
OUTDATED = "the server sends numbers of before"
LET_GO = "the server cannot give what lies between"
AWAY = "it came while the program was not connected"
_DIRECTIONS = tuple(Direction)
_trade, _book = WireTrade, WireBook


class Strand:
    """A stream that the user wants, and what he has seen of it.

    `last` is the time of the last event, in milliseconds, 0 before the first, and `seq` its number. `live`:
    the server has said that it pushes it. `broken` is why there may be a hole before the next event, else "",
    and `missed` how many events are known to be missing there; where that is a lost connection, `before` is
    why there may have been one anyway. `dropped` counts events that the user never saw, from the time `since`
    up to `until`. `implied`: a pattern alone asks for it.
    """

    __slots__ = (
        "before",
        "broken",
        "dropped",
        "family",
        "implied",
        "last",
        "live",
        "missed",
        "seq",
        "since",
        "until",
    )

    def __init__(self, family: Family) -> None:
        self.family = family
        self.last = self.seq = self.since = self.until = self.dropped = 0
        self.live = self.implied = False
        self.broken = ""
        self.before: str | None = None
        self.missed: int | None = None

    def cut(self, reason: str) -> None:
        """What comes next may not be what comes next in the market, unless the server says so."""
        if self.before is None:
            self.before = self.broken
        self.broken, self.missed, self.live = reason, None, False

    def joined(self) -> None:
        """What comes next is what came next when the connection was lost."""
        if self.before is not None:
            self.broken, self.before = self.before, None


class Strands:
    """All streams of a feed. `wall` makes a time of a link's clock, for Status."""

    def __init__(self, wall: Callable[[float], datetime]) -> None:
        self.trades: Wanted[Strand] = Wanted()
        self.books: Wanted[Strand] = Wanted()
        self.klines: Wanted[Strand] = Wanted()
        self.corrections: Wanted[Strand] = Wanted()
        self._of_kind: Mapping[Kind, Wanted[Strand]] = {
            Kind.TRADE: self.trades,
            Kind.DEPTH: self.books,
            Kind.KLINE: self.klines,
            Kind.CORRECTION: self.corrections,
        }
        self._wall = wall
        self._slow: dict[tuple[Kind, Key], Strand] = {}

    def add(self, kind: Kind, key: Key, family: Family) -> None:
        """The user wants a stream; one that he wants already goes on."""
        strand = self._of_kind[kind].want(key, lambda: Strand(family))
        if strand.family is not family:
            self._of_kind[kind][key] = Strand(family)

    def begin(self, kind: Kind, key: Key, seq: int, time: int) -> Family | None:
        """He has had it up to an event of that number and time, which came before there was this feed.
        Returns its family; None if he does not want it."""
        if (strand := self.strand(kind, key)) is None:
            return None
        strand.seq, strand.last = seq, time
        strand.cut(AWAY)
        return strand.family

    def strand(self, kind: Kind, key: Key) -> Strand | None:
        """What he wants of that name, by itself or by a pattern; None if nothing."""
        strands = self._of_kind[kind]
        return strands.get(key) or strands.imply(key, _implied)

    def all(self) -> Iterable[tuple[Kind, Key, Strand]]:
        """All that he wants."""
        for kind, strands in self._of_kind.items():
            for key, strand in strands.items():
                yield kind, key, strand

    def remove(self, kind: Kind, key: Key) -> Family | None:
        """He wants it no more. Returns the family it was of; None if he did not want it."""
        strand = self._of_kind[kind].drop(key)
        self._slow.pop((kind, key), None)
        return None if strand is None else strand.family

    def drop(self, told: Told) -> None:
        """The user never sees this."""
        if type(told) is not Pushed:
            self._note(told)
            return
        event = told.event
        kind, key, time = _place(event)
        if (strand := self.strand(kind, key)) is None:
            return
        if not strand.dropped:
            strand.since = strand.last or time
        strand.dropped += 1
        strand.until = max(time, strand.since)
        strand.last = time
        self._slow[kind, key] = strand

    def events(self, told: Iterable[Told]) -> list[Event]:
        """What the user reads of these, in order."""
        found: list[Event] = []
        give = found.append
        trades, books = self.trades, self.books
        for one in told:
            if type(one) is not Pushed:
                self._tell(one, found)
                continue
            event = one.event
            if type(event) is _trade:
                strand = trades.get(event.code) or self.strand(Kind.TRADE, event.code)
                if strand is None:
                    continue
                if strand.broken:
                    give(_hole(Kind.TRADE, event.code, strand, event.time))
                strand.last = time = event.time
                strand.seq = seq = one.seq
                trade = Trade(
                    event.code,
                    time,
                    event.price,
                    event.volume,
                    event.turnover,
                    _DIRECTIONS[event.direction],
                    seq,
                    times=one.times,
                )
                give(trade if one.several is None else _with(trade, one.several))
            elif type(event) is _book:
                strand = books.get(event.code) or self.strand(Kind.DEPTH, event.code)
                if strand is None:
                    continue
                if strand.broken:
                    give(_hole(Kind.DEPTH, event.code, strand, event.time))
                strand.last = time = event.time
                strand.seq = seq = one.seq
                give(Book(event.code, time, event.bids, event.asks, seq, one.times))
            elif type(event) is KlineUpdate:
                kind, key, time = _place(event)
                if (strand := self.strand(kind, key)) is None:
                    continue
                if strand.broken:
                    give(_hole(kind, key, strand, time))
                strand.last, strand.seq = time, one.seq
                give(kline_of(event.kline, event.state, one.seq, one.trade_seq, one.times))
            elif type(event) is WireCorrection:
                if (strand := self.strand(Kind.CORRECTION, event.code)) is None:
                    continue
                if strand.broken:
                    give(_hole(Kind.CORRECTION, event.code, strand, event.time))
                strand.last, strand.seq = event.time, one.seq
                became = None if event.became is None else _trade_of(event.became)
                was = _trade_of(event.was)
                give(Correction(event.code, event.time, was, became, one.seq, one.times))
        return found

    def status(self, state: State) -> Status:
        """How a link is, for the user."""
        name, status, since, reason, again, http_status, untrusted = state
        return Status(status, Family(name), self._wall(since), reason, again, http_status, untrusted)

    def _tell(self, told: Told, found: list[Event]) -> None:
        self._note(told)
        if isinstance(told, State):
            found.append(self.status(told))
        elif isinstance(told, Missed):
            found += self._slow_gaps()
        elif isinstance(told, Bad):
            found.append(Gap("", None, None, None, f"unreadable: {told.reason}", told.lines))
        elif isinstance(told, (Subscribed, Refusal, SourceStatus, MarketState, Spared)):
            found.append(told)

    def _note(self, told: Told) -> None:
        """What follows from it for the events to come."""
        if isinstance(told, Subscribed):
            strands = self._of_kind[told.kind]
            for key in told.keys:
                if (strand := strands.get(key)) is not None:
                    strand.live = True
        elif isinstance(told, Resumed):
            for key in told.whole:
                if (strand := self.strand(told.kind, key)) is not None:
                    strand.joined()
            for key, missed in told.gaps:
                if (strand := self.strand(told.kind, key)) is not None:
                    strand.broken, strand.missed = strand.broken or LET_GO, missed
        elif isinstance(told, (Outdated, Renumbered)):
            one = self._of_kind[told.kind].get(told.key)
            if one is not None and one.broken in ("", OUTDATED):
                late = isinstance(told, Outdated)
                one.broken, one.missed = (OUTDATED, (one.missed or 0) + 1) if late else (ANEW, None)
        elif isinstance(told, State) and told.status is LinkStatus.DOWN:
            for strands in self._of_kind.values():
                for strand in strands.values():
                    if strand.live and strand.family == told.link:
                        strand.cut(told.reason or "connection lost")

    def _slow_gaps(self) -> Iterable[Gap]:
        for (kind, key), strand in self._slow.items():
            code, interval = _names(key)
            begin, end = moment(strand.since), moment(strand.until)
            yield Gap(code, kind, begin, end, SLOW, strand.dropped, interval)
            strand.dropped = 0
        self._slow.clear()


def _implied(pattern: Strand) -> Strand:
    """A stream that a pattern asks for."""
    strand = Strand(pattern.family)
    strand.live = True
    return strand


def _with(trade: Trade, several: Several) -> Trade:
    """A trade that stands for several."""
    number, first, high, low, first_seq = several
    return msgspec.structs.replace(trade, trades=number, open=first, high=high, low=low, first_seq=first_seq)


def _trade_of(trade: WireTrade) -> Trade:
    """A trade as users see it."""
    return Trade(
        trade.code,
        trade.time,
        trade.price,
        trade.volume,
        trade.turnover,
        _DIRECTIONS[trade.direction],
        trade.source_seq,
    )


def _place(event: WireTrade | WireBook | KlineUpdate | WireCorrection) -> tuple[Kind, Key, int]:
    """Kind and key of its stream, and its time in milliseconds."""
    if isinstance(event, KlineUpdate):
        return Kind.KLINE, (event.code, event.kline.kline_type), event.kline.time * 1000
    if isinstance(event, WireCorrection):
        return Kind.CORRECTION, event.code, event.time
    return (Kind.TRADE if isinstance(event, WireTrade) else Kind.DEPTH), event.code, event.time


def _hole(kind: Kind, key: Key, strand: Strand, time: int) -> Gap:
    """The hole before an event of that time; the strand is whole again."""
    reason, strand.broken, strand.live = strand.broken, "", True
    missed, strand.missed, strand.before = strand.missed, None, None
    code, interval = _names(key)
    begin = moment(strand.last) if strand.last else None
    return Gap(code, kind, begin, moment(max(time, strand.last)), reason, missed, interval)


def _names(key: Key) -> tuple[str, str]:
    if isinstance(key, tuple):
        return key[0], INTERVAL_OF[KlineType(key[1])]
    return key, ""
