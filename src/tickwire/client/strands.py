"""From what links tell to what users read: typed events, and a Gap where something may be missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from ..model import Book as WireBook
from ..model import Correction as WireCorrection
from ..model import Direction, Family, Kind, KlineType, KlineUpdate, moment
from ..model import Trade as WireTrade
from ..wire import (
    Bad,
    Key,
    Outdated,
    Pushed,
    Refusal,
    Renumbered,
    Several,
    SourceStatus,
    Spared,
    Subscribed,
)
from .events import Book, Correction, Event, Gap, Status, Trade, kline_of
from .intervals import INTERVAL_OF
from .state import LinkStatus, Missed, State, Told

SLOW = "the reader is slower than the market"
ANEW = "the server counts anew"
OUTDATED = "the server sends numbers of before"
_DIRECTIONS = tuple(Direction)
_trade, _book = WireTrade, WireBook


class Strand:
    """A stream that the user wants, and what he has seen of it.

    `last` is the time of the last event, in milliseconds, 0 before the first. `live`: the server has said
    that it pushes it. `broken` is why there may be a hole before the next event, else "", and `missed` how
    many events are known to be missing there. `dropped` counts events that the user never saw, from the time
    `since` up to `until`.
    """

    __slots__ = ("broken", "dropped", "family", "last", "live", "missed", "since", "until")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.last = self.since = self.until = self.dropped = 0
        self.live = False
        self.broken = ""
        self.missed: int | None = None


class Strands:
    """All streams of a feed. `wall` makes a time of a link's clock, for Status."""

    def __init__(self, wall: Callable[[float], datetime]) -> None:
        self.trades: dict[Key, Strand] = {}
        self.books: dict[Key, Strand] = {}
        self.klines: dict[Key, Strand] = {}
        self.corrections: dict[Key, Strand] = {}
        self._of_kind = {
            Kind.TRADE: self.trades,
            Kind.DEPTH: self.books,
            Kind.KLINE: self.klines,
            Kind.CORRECTION: self.corrections,
        }
        self._wall = wall
        self._slow: dict[tuple[Kind, Key], Strand] = {}

    def add(self, kind: Kind, key: Key, family: Family) -> None:
        """The user wants a stream; one that he wants already goes on."""
        strand = self._of_kind[kind].get(key)
        if strand is None or strand.family is not family:
            self._of_kind[kind][key] = Strand(family)

    def remove(self, kind: Kind, key: Key) -> Family | None:
        """He wants it no more. Returns the family it was of; None if he did not want it."""
        strand = self._of_kind[kind].pop(key, None)
        self._slow.pop((kind, key), None)
        return None if strand is None else strand.family

    def drop(self, told: Told) -> None:
        """The user never sees this."""
        if type(told) is not Pushed:
            self._note(told)
            return
        event = told.event
        kind, key, time = _place(event)
        if (strand := self._of_kind[kind].get(key)) is None:
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
                if (strand := trades.get(event.code)) is None:
                    continue
                if strand.broken:
                    give(_hole(Kind.TRADE, event.code, strand, event.time))
                strand.last = event.time
                trade = Trade(
                    event.code,
                    event.time,
                    event.price,
                    event.volume,
                    event.turnover,
                    _DIRECTIONS[event.direction],
                    one.seq,
                )
                give(trade if one.several is None else _with(trade, one.several))
            elif type(event) is _book:
                if (strand := books.get(event.code)) is None:
                    continue
                if strand.broken:
                    give(_hole(Kind.DEPTH, event.code, strand, event.time))
                strand.last = event.time
                give(Book(event.code, event.time, event.bids, event.asks, one.seq))
            elif type(event) is KlineUpdate:
                kind, key, time = _place(event)
                if (strand := self.klines.get(key)) is None:
                    continue
                if strand.broken:
                    give(_hole(kind, key, strand, time))
                strand.last = time
                give(kline_of(event.kline, event.state, one.seq))
            elif type(event) is WireCorrection:
                if (strand := self.corrections.get(event.code)) is None:
                    continue
                if strand.broken:
                    give(_hole(Kind.CORRECTION, event.code, strand, event.time))
                strand.last = event.time
                became = None if event.became is None else _trade_of(event.became)
                give(Correction(event.code, event.time, _trade_of(event.was), became, one.seq))
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
        elif isinstance(told, (Subscribed, Refusal, SourceStatus, Spared)):
            found.append(told)

    def _note(self, told: Told) -> None:
        """What follows from it for the events to come."""
        if isinstance(told, Subscribed):
            strands = self._of_kind[told.kind]
            for key in told.keys:
                if (strand := strands.get(key)) is not None:
                    strand.live = True
        elif isinstance(told, (Outdated, Renumbered)):
            one = self._of_kind[told.kind].get(told.key)
            if one is not None and one.broken in ("", OUTDATED):
                late = isinstance(told, Outdated)
                one.broken, one.missed = (OUTDATED, (one.missed or 0) + 1) if late else (ANEW, None)
        elif isinstance(told, State) and told.status is LinkStatus.DOWN:
            for strands in self._of_kind.values():
                for strand in strands.values():
                    if strand.live and strand.family == told.link:
                        strand.live = False
                        strand.broken, strand.missed = told.reason or "connection lost", None

    def _slow_gaps(self) -> Iterable[Gap]:
        for (kind, key), strand in self._slow.items():
            code, interval = _names(key)
            begin, end = moment(strand.since), moment(strand.until)
            yield Gap(code, kind, begin, end, SLOW, strand.dropped, interval)
            strand.dropped = 0
        self._slow.clear()


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
    missed, strand.missed = strand.missed, None
    code, interval = _names(key)
    begin = moment(strand.last) if strand.last else None
    return Gap(code, kind, begin, moment(max(time, strand.last)), reason, missed, interval)


def _names(key: Key) -> tuple[str, str]:
    if isinstance(key, tuple):
        return key[0], INTERVAL_OF[KlineType(key[1])]
    return key, ""
