"""What comes over one connection, and what it says of completeness. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...model import Correction, Event, Fault, Kind, KlineUpdate, Rule, Trade
from ...wire import Key, Pushed, Renumbered, Resumed, Spared
from ...wire.spared import MOST_CODES
from ..judge import Judge
from ..source import Began, Broke, Mended, Resent, Snapshot
from .upstream_clock import UpstreamClock

TOO_FAR = Fault(Rule.TIME, "its time lies more than a minute ahead of all clocks")
MINUTE = 60_000
FIRST = 2.0
"""Seconds after the answer to a subscription within which upstream has sent how its codes stand, if it is
not known what its time was."""


@dataclass(slots=True)
class Stream:
    """One stream of a connection. `at` is the market's time of the server's consent in milliseconds, None if
    it was not known; `agreed` the same in seconds of a monotonic clock, None before there is consent. Other
    times are the market's, too."""

    agreed: float | None = None
    at: int | None = None
    first: bool = True
    """Whether nothing of it has come on this connection."""
    whole: bool = False
    """Whether upstream has said that nothing lies between what was shown last and what comes."""
    begun: bool = False
    last: int = 0
    """Up to when all of it has come: the time of the last event, or when it began."""
    since: int | None = None
    """Since when trades are missing or, while those come late that were missed, the time of the last one."""
    late: int = 0
    """What is not later than that comes late; 0: it does not."""
    fetched: int = 0
    """What comes late and is before that is in bars that are fetched: up to the end of the minute in which it
    began."""


class Reception:
    """The streams of one connection upstream.

    What a server sends a new subscriber first is how a code stands, whatever its age (section 2,
    "Subscribe"): a Snapshot. All that comes later is an event. `now` is in seconds of a monotonic clock,
    `wall` in milliseconds since the epoch; `is_open` says whether the market of a code is open at a moment,
    None if nobody knows.
    """

    def __init__(
        self, clock: UpstreamClock, is_open: Callable[[str, int], bool | None], judge: Judge, now: float
    ) -> None:
        self.heard = now
        """When the last live event came."""
        self.lag: int | None = None
        """Milliseconds by the wall clock that the last live event took from the source's time to us."""
        self.agreed = False
        """Whether the server has consented to something."""
        self._clock = clock
        self._is_open = is_open
        self._judge = judge
        self._streams: dict[Kind, dict[str, Stream]] = {Kind.TRADE: {}, Kind.DEPTH: {}}
        self._trades = self._streams[Kind.TRADE]
        self._in_effect: dict[Kind, frozenset[Key]] = dict.fromkeys(self._streams, frozenset())
        self._due: dict[str, Stream] = {}  # trades that the server consented to, and that have not begun
        self._begun = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is wanted of it."""
        return not any(self._streams.values())

    def codes(self) -> set[str]:
        """The codes that the server has consented to."""
        return {
            code
            for streams in self._streams.values()
            for code, stream in streams.items()
            if stream.agreed is not None
        }

    def trades(self) -> list[str]:
        """The codes whose trades are wanted of it."""
        return [*self._trades]

    def live(self, kind: Kind, code: str) -> bool:
        """Whether what was shown last is up to date: the stream is complete, and began."""
        stream = self._streams[kind].get(code)
        return stream is not None and stream.agreed is not None and (stream.whole or not stream.first)

    def add(self, kind: Kind, code: str, now: float) -> None:
        """A stream is asked for on this connection."""
        stream = self._streams[kind].setdefault(code, Stream())
        if code in self._in_effect[kind]:  # it was taken back before the server heard of that
            self._agree(kind, code, stream, now)

    def remove(self, kind: Kind, codes: Iterable[str], now: float) -> list[Broke]:
        """These are wanted no more."""
        gone = {code: stream for code in codes if (stream := self._streams[kind].pop(code, None))}
        if kind is Kind.TRADE:
            self._not_due(gone)
        return self._broke(gone, self._clock.read(now), "")

    def subscribed(self, kind: Kind, keys: Iterable[Key], now: float) -> list[Broke]:
        """The server consents to these, and to no others of that kind."""
        self._in_effect[kind] = frozenset(keys)
        lost = {}
        for code, stream in self._streams[kind].items():
            if code in self._in_effect[kind]:
                if stream.agreed is None:
                    self._agree(kind, code, stream, now)
            elif stream.agreed is not None:
                stream.agreed = None
                lost[code] = stream
        if kind is Kind.TRADE:
            self._not_due(lost)
        return self._broke(lost, self._clock.read(now), "the subscription was changed")

    def begin(self, now: float) -> list[Began]:
        """What is complete from now on, as soon as it is known what the market's time is."""
        if not self._due or not self._clock.sure:
            return []
        due, self._due = self._due, {}
        self._begun = self._clock.read(now)
        for stream in due.values():
            stream.begun, stream.since = True, None
            stream.last = max(stream.last, self._begun)
            stream.fetched = (self._begun // MINUTE + 1) * MINUTE
        return [Began(tuple(due), self._begun)]

    def lost(self, since: int, reason: str) -> list[Broke]:
        """The connection is gone: nothing is certain since that moment of the market's clock."""
        for kind, streams in self._streams.items():
            self._in_effect[kind] = frozenset()
            for stream in streams.values():
                stream.agreed, stream.at, stream.first = None, None, True
                stream.whole, stream.late = False, 0
        self._due = {}
        return self._broke(self._trades, since, reason)

    def resumed(self, told: Resumed, now: float) -> list[Broke | Mended]:
        """The server says where streams go on: behind what was shown last, whatever has come late there, or
        behind a hole. What comes late is an event of its time all the same; where a hole lies before it, the
        bars of that and of what follows are fetched, so that it must not be counted in them."""
        streams, at = self._streams.get(told.kind, {}), self._clock.read(now)
        whole = {str(key): one for key in told.whole if (one := streams.get(str(key))) is not None}
        for stream in whole.values():
            stream.whole = True
        if told.kind is not Kind.TRADE:
            return []
        gaps = {str(key): one for key, _ in told.gaps if (one := streams.get(str(key))) is not None}
        for stream in (*whole.values(), *gaps.values()):
            stream.late = at
            if stream.begun and stream.since is None:  # nobody knows how far above us it was
                stream.since = stream.last
        found: list[Broke | Mended] = [*self._hole(gaps, at, "upstream cannot give what was missed")]
        for stream in gaps.values():
            stream.fetched = at + 1
        mended = {code: one for code, one in whole.items() if one.since is not None}
        for stream in mended.values():
            stream.begun, stream.first = True, False
        return [*found, Mended(tuple(mended), at)] if mended else found

    def missed(self, now: float) -> list[Broke]:
        """Events were dropped, nobody knows which."""
        self._clock.read(now)
        since = self._clock.read_at(self.heard)
        return self._hole(self._trades, since, "events came faster than they were taken")

    def renumbered(self, told: Renumbered, now: float) -> list[Broke]:
        """The server counts a stream anew: trades may be missing before the next one."""
        stream = self._trades.get(told.key) if isinstance(told.key, str) else None
        if told.kind is not Kind.TRADE or stream is None or not stream.begun:
            return []
        self._clock.read(now)
        since = min(told.since, self._clock.read_at(now))
        return self._hole({str(told.key): stream}, since, "upstream counts anew")

    def spared(self, told: Spared, now: float) -> list[Broke]:
        """Trades came as one, or were left out: their bars are not known from the trades. Where not all codes
        are named, it may be any."""
        if told.kind is not Kind.TRADE:
            return []
        self._clock.read(now)
        codes = [*self._trades] if len(told.codes) >= MOST_CODES else told.codes
        streams = {code: one for code in codes if (one := self._trades.get(code))}
        since = min(told.since_ms, self._clock.read_at(now))
        return self._hole(streams, since, "upstream sent less than came")

    def event(self, pushed: Pushed, now: float, wall: int) -> Event | Correction | Snapshot | Resent | None:
        """What an event is to us; None if it was not asked for, is unfit, or has a time that cannot be."""
        event = pushed.event
        if isinstance(event, KlineUpdate):
            return None
        if isinstance(event, Correction):
            known = event.code in self._trades and self._judge.passes(event)
            return event if known else None
        kind = Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH
        stream = self._streams[kind].get(event.code)
        if stream is None or not self._judge.passes(event):
            return None
        if stream.late:
            if event.time <= stream.late:
                return self._late(stream, event, now)
            stream.late, stream.since = 0, None
        if stream.first and self._stands(stream, event.time, now):
            closed = self._is_open(event.code, wall) is False
            believed = self._clock.stood(event.time, now, wall, closed=closed)
            found: Event | Snapshot = Snapshot(kind, event.code, event)
        else:
            believed = self._clock.happened(event.time, now, wall)
            found = event
        if not believed:
            self._judge.refuse(event.code, TOO_FAR)
            return None
        stream.first, stream.last = False, event.time
        if found is event:
            self.heard, self.lag = now, wall - event.time
            if self._clock.is_ahead(event.time, now, wall):
                return Snapshot(kind, event.code, event)
        return found

    def _late(self, stream: Stream, event: Event, now: float) -> Event | Resent:
        """An event that was missed. It says nothing of the market's time, nor of how long it took."""
        stream.first, self.heard = False, now
        if event.time < stream.fetched:
            return Resent(event, counted=True, recorded=False)
        if stream.since is not None:
            stream.since = event.time
        return event

    def _stands(self, stream: Stream, time: int, now: float) -> bool:
        """Whether a first event tells how a code stands, rather than what happened since: after a reconnect
        the link leaves out what came before already."""
        if stream.agreed is None:
            return True
        if stream.at is not None:
            return time <= stream.at
        return now < stream.agreed + FIRST

    def _agree(self, kind: Kind, code: str, stream: Stream, now: float) -> None:
        stream.agreed = now
        if kind is Kind.TRADE and not stream.begun:
            self._due[code] = stream
        stream.at = self._clock.read(now) if self._clock.sure else None
        self.agreed = True

    def _not_due(self, codes: Iterable[str]) -> None:
        for code in codes:
            self._due.pop(code, None)

    def _hole(self, streams: dict[str, Stream], since: int, reason: str) -> list[Broke]:
        """Trades of these are missing, and complete again from now on."""
        broke = self._broke(streams, since, reason)
        for code in [code for one in broke for code in one.codes]:
            self._due[code] = streams[code]
        return broke

    def _broke(self, streams: dict[str, Stream], at: int, reason: str) -> list[Broke]:
        at = max(at, min(self._begun, self._clock.shown))  # which may have gone back since
        found: dict[int, list[str]] = {}
        for code, stream in streams.items():
            if stream.begun:
                stream.begun = False
                stream.since = at if stream.since is None else min(at, stream.since)
                found.setdefault(stream.since, []).append(code)
        return [Broke(tuple(codes), moment, reason) for moment, codes in found.items()]
