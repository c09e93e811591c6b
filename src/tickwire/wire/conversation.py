"""The client's side of a connection, without sockets: messages and a time in, events and requests out.

Section 2. What is wanted outlives connections: each new one is asked for all of it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import NamedTuple, TypeAlias

from ..model import Book, Correction, Kind, KlineUpdate, Position, Trade
from .changes import Changes, Resumed
from .following import Following, MarketState
from .messages import Command
from .pace import Pace
from .ret import OK
from .stream import Stream
from .subscription import INTERFACES, NO_ANSWER, Refusal, Subscribed, Subscription, request
from .upstream import Answer, Bad, GoesOn, Pushed, SourceStatus, Spared, read
from .upstream_fields import HelloFields
from .wanted import Key

PATIENCE = 3.0
"""Seconds after which a server that has not said who it is counts as one that never does."""


class Renumbered(NamedTuple):
    """The server counts a stream anew from the next event on, so that nobody knows what is missing before it.

    `dropped` events were taken for outdated before that was clear, and told as such. `since` is the time of
    the newest event before or of the oldest of those, in milliseconds.
    """

    kind: Kind
    key: Key
    dropped: int
    since: int


class Outdated(NamedTuple):
    """An event was dropped, since its number is lower than all that are remembered, and its time not newer.
    It may have come before, or the server counts anew."""

    kind: Kind
    key: Key


class Greeted(NamedTuple):
    """The server has said who it is: whether it takes changes, and resumes."""

    extended: bool


Happening: TypeAlias = (
    Pushed
    | Subscribed
    | Refusal
    | Resumed
    | Bad
    | Renumbered
    | Outdated
    | SourceStatus
    | MarketState
    | Spared
    | Greeted
)
"""What a conversation tells."""


class Terms(NamedTuple):
    """What the server's plan allows, and how a connection is kept; seconds.

    `spacing` lies between two subscription requests of one interface: the plan's second, and a tenth for
    what a network adds to the first and not to the second. `codes` is how many streams of a kind a
    connection may have, None for no limit. A `heartbeat` is sent so often; a connection on which nothing
    came for `mute` seconds after a request is dead, however long it was quiet before.
    """

    spacing: float = 1.1
    codes: int | None = None
    heartbeat: float = 10.0
    mute: float = 10.0


class Conversation:
    """What is wanted from one server, over one connection after another.

    `pace` is what all connections of a token on the same path share, since the server counts by token.
    `when` is in seconds of any monotonic clock, always the same one. `round_trip` is how long the last
    heartbeat took, None before the first. `bad_lines`, `duplicates` and `unasked` count what was not told.
    `latest` gives the latest time in milliseconds that does not lie ahead of all clocks; else none does.
    """

    def __init__(
        self,
        terms: Terms | None = None,
        pace: Pace | None = None,
        latest: Callable[[], float] = lambda: inf,
    ) -> None:
        self.terms = terms or Terms()
        self.bad_lines = self.duplicates = self.unasked = 0
        self.round_trip: float | None = None
        self._pace = pace or Pace(self.terms.spacing)
        self._spacing = self._pace.seconds
        self._latest = latest
        self._subscriptions = {
            kind: Subscription(kind, self.terms.spacing, self.terms.codes) for kind in INTERFACES
        }
        self._trades = self._subscriptions[Kind.TRADE].streams
        self._books = self._subscriptions[Kind.DEPTH].streams
        self._klines = self._subscriptions[Kind.KLINE].streams
        self._corrections = self._subscriptions[Kind.CORRECTION].streams
        self.sources = False
        """Whether to be told how the server's sources are."""
        self._sources_told = False  # whether the server has been asked to
        self._sources_asked = 0
        self._following = Following()
        self._says_states = False  # whether the server does
        self.extended = False
        """Whether the server takes changes, and resumes."""
        self._changes = Changes(self._subscriptions, self.terms.spacing)
        self._greets = False  # whether it is to be asked who it is, and has not said so
        self._hello = (0, inf)
        self._open = False
        self._seq_id = 0
        self._heartbeat_at = inf
        self._heartbeat = (0, -inf)
        self._silent_since: float | None = None

    # What the user wants.
    def add(
        self,
        *,
        trades: Iterable[str] = (),
        books: Mapping[str, int] | None = None,
        klines: Iterable[tuple[str, int]] = (),
        corrections: Iterable[str] = (),
        states: Iterable[str] = (),
    ) -> None:
        """Wants these too: codes, levels by code (0 for all), codes and types of bars, codes; what the
        instruments of these codes do."""
        self._following.add(states)
        for code in corrections:
            self._subscriptions[Kind.CORRECTION].add(code)
        for code in trades:
            self._subscriptions[Kind.TRADE].add(code)
        for code, depth in (books or {}).items():
            self._subscriptions[Kind.DEPTH].add(code, depth)
        for code, kline_type in klines:
            self._subscriptions[Kind.KLINE].add((code, int(kline_type)))

    def remove(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] = (),
        klines: Iterable[tuple[str, int]] = (),
        corrections: Iterable[str] = (),
        states: Iterable[str] = (),
    ) -> None:
        """Wants these no more: no event of them comes from now on."""
        self._following.remove(states)
        for code in corrections:
            self._subscriptions[Kind.CORRECTION].remove(code)
        for code in trades:
            self._subscriptions[Kind.TRADE].remove(code)
        for code in books:
            self._subscriptions[Kind.DEPTH].remove(code)
        for code, kline_type in klines:
            self._subscriptions[Kind.KLINE].remove((code, int(kline_type)))

    def wanted(self, kind: Kind) -> tuple[Key, ...]:
        """What is wanted of a kind, by name."""
        return tuple(key for key, one in self._subscriptions[kind].streams.items() if not one.implied)

    @property
    def followed(self) -> tuple[str, ...]:
        """The codes of the instruments that are followed."""
        return self._following.codes

    def patterns(self, kind: Kind) -> list[Key]:
        """Those of the names wanted of a kind that mean many."""
        return self._subscriptions[kind].streams.patterns

    def begin(self, kind: Kind, key: Key, position: Position, time: int) -> None:
        """What is wanted of a stream, by its name or by a pattern, goes on behind an event of that time in
        milliseconds, which came before there was this conversation."""
        self._subscriptions[kind].begin(key, position, time)

    def position(self, kind: Kind, key: Key, seq: int) -> Position | None:
        """The position of an event of a stream that came, or, with 0, of what came before the first one; None
        where the server says no epoch."""
        stream = self._subscriptions[kind].streams.get(key)
        return None if stream is None else stream.at(seq)

    # What happens to the connection.
    def opened(self, when: float, *, greets: bool = False) -> None:
        """A connection is there. The server of one that `greets` is asked who it is before all else."""
        self._open = True
        self._greets, self._hello, self.extended = greets, (0, inf), False
        self._changes.opened()
        self._following.opened()
        self._says_states = False
        if not greets:
            self._forget_positions()
        self._silent_since = None
        self._heartbeat_at = when + self.terms.heartbeat
        self._sources_told, self._sources_asked = False, 0
        for subscription in self._subscriptions.values():
            subscription.opened()

    def closed(self) -> None:
        """It is gone."""
        self._open = False

    def receive(self, frame: bytes, when: float) -> list[Happening]:
        """A frame came. Returns what it tells: the events that are wanted, each once. Never raises."""
        found: list[Happening] = []
        for message in read(frame):
            if type(message) is Pushed:
                self._silent_since = None
                event = message.event
                stream = self._trades.get(event.code) if type(event) is Trade else self._stream(event)
                if stream is None and (stream := self._implied(message, found)) is None:
                    self.unasked += 1
                elif stream.passes(message.seq, time := event.time, ahead=time > self._latest()):
                    if stream.anew is not None:
                        found.append(Renumbered(*_place(event), *stream.anew))
                        stream.anew = None
                    found.append(message)
                elif stream.outdated:
                    stream.outdated = False
                    found.append(Outdated(*_place(event)))
                else:
                    self.duplicates += 1
            elif type(message) is Answer:
                self._silent_since = None
                found += self._answered(message, when)
            elif type(message) is SourceStatus:
                self._silent_since = None
                found += [message] if self.sources else []
            elif type(message) is MarketState:
                self._silent_since = None
                found += self._following.heard(message)
            elif type(message) is Spared:
                self._silent_since = None
                found.append(message)
            elif type(message) is GoesOn:
                self._silent_since = None
                found += self._changes.goes_on(message)
            elif type(message) is Bad:
                self.bad_lines += message.lines
                found.append(message)
        return found

    def _stream(self, event: Trade | Book | KlineUpdate | Correction) -> Stream | None:
        if type(event) is KlineUpdate:
            return self._klines.get((event.code, event.kline.kline_type))
        if type(event) is Correction:
            return self._corrections.get(event.code)
        return self._books.get(event.code)

    def _implied(self, pushed: Pushed, found: list[Happening]) -> Stream | None:
        """The stream of an event that only a pattern asks for, and tells what came of it while the connection
        was lost; None if none does."""
        kind, key = _place(pushed.event)
        if not self.extended or (implied := self._subscriptions[kind].imply(key, pushed.seq)) is None:
            return None
        stream, whole = implied
        if not whole:
            found.append(Resumed(kind, (), ((key, None),)))
        return stream

    def _answered(self, answer: Answer, when: float) -> list[Happening]:
        if self._changes.owns(answer):
            return [*self._changes.answered(answer, when)]
        if self._greets and answer.seq_id == self._hello[0]:
            self._hear(answer.data if isinstance(answer.data, HelloFields) else HelloFields())
            return [Greeted(self.extended)]
        for subscription in self._subscriptions.values():
            if subscription.owns(answer.cmd_id, answer.seq_id):
                return [subscription.answered(answer.ret, answer.msg, when)]
        if self._following.owns(answer.seq_id):
            return [*self._following.answered(answer.ret)]
        number, sent = self._heartbeat
        if number and number == answer.seq_id:
            self._heartbeat = (0, -inf)
            self.round_trip = when - sent
        if self._sources_asked and self._sources_asked == answer.seq_id:
            self._sources_asked = 0
            if answer.ret != OK.code and self.sources:
                return [SourceStatus("", "unknown", 0, f"refused: {answer.ret} {answer.msg}")]
        return []

    def poll(self, when: float) -> list[bytes | Happening]:
        """What to send now, and what to tell."""
        out: list[bytes | Happening] = []
        if not self._open:
            return out
        if self._greets and when >= self._hello[1] + PATIENCE:
            self._greets = False  # it may do so next time
        if self._greets:
            if not self._hello[0]:
                self._hello = self._number(when), when
                out.append(request(Command.HELLO, self._hello[0], {}))
        elif self.extended:
            out += self._poll_changes(when)
        else:
            out += self._poll_lists(when)
        if self._following.changed and not self._greets:
            if self._says_states:
                out += self._following.ask(self._number(when))
            else:
                out += self._following.unanswerable()
        if self.sources is not self._sources_told:
            self._sources_told, self._sources_asked = self.sources, self._number(when)
            command = Command.STATUS if self.sources else Command.STATUS_CANCEL
            out.append(request(command, self._sources_asked, {}))
        if when >= self._heartbeat_at:
            self._heartbeat_at = when + self.terms.heartbeat
            self._heartbeat = (self._number(when), when)
            out.append(request(Command.HEARTBEAT, self._heartbeat[0], {}))
        return out

    def _hear(self, hello: HelloFields) -> None:
        """The server has said what it offers, if anything."""
        self._greets = False
        self.extended = {Command.CHANGE, Command.RESUME} <= {*hello.extensions}
        self._says_states = Command.STATES in hello.extensions
        if not self.extended:
            self._forget_positions()
        unpaced = self.extended and hello.plan and "subscriptions" not in hello.plan
        self._pace.seconds = 0.0 if unpaced else self._spacing

    def _forget_positions(self) -> None:
        """The server has none: what it numbers is another's."""
        for subscription in self._subscriptions.values():
            for stream in subscription.streams.values():
                stream.epoch = 0

    def _poll_changes(self, when: float) -> list[bytes | Happening]:
        out: list[bytes | Happening] = []
        if when >= self._changes.asked_at + self.terms.mute:
            out += self._changes.unanswered(when)
        refusals = [one.left_out() for one in self._subscriptions.values()]
        out += [one for one in refusals if one is not None]
        if (command := self._changes.next()) is not None and self._may_change_at(command) <= when:
            self._pace.take(command, when)
            out.append(self._changes.request(command, self._number(when), when))
        return out

    def _poll_lists(self, when: float) -> list[bytes | Happening]:
        out: list[bytes | Happening] = []
        for kind, subscription in self._subscriptions.items():
            if when >= subscription.asked_at + self.terms.mute:
                out.append(subscription.answered(NO_ANSWER, "no answer", when))
            refusals = subscription.without_patterns(), subscription.left_out()
            out += [one for one in refusals if one is not None]
            if self._may_ask_at(subscription) <= when:
                self._pace.take(kind, when)
                out.append(subscription.request(self._number(when), when))
        return out

    def due(self, when: float) -> float:
        """When to poll again, if nothing is added, removed or received before; infinity while closed."""
        if not self._open:
            return inf
        asks = self.sources is not self._sources_told or (self._following.changed and not self._greets)
        moments = [when if asks else self._heartbeat_at]
        if self._greets:
            moments.append(self._hello[1] + PATIENCE if self._hello[0] else when)
        elif self.extended:
            moments.append(self._changes.asked_at + self.terms.mute)
            if (command := self._changes.next()) is not None:
                moments.append(self._may_change_at(command))
        else:
            for subscription in self._subscriptions.values():
                moments += (self._may_ask_at(subscription), subscription.asked_at + self.terms.mute)
        if self._silent_since is not None:
            half = self.terms.mute if self.late(when) else self.terms.mute / 2
            moments.append(self._silent_since + half)
        return min(moments)

    def late(self, when: float) -> bool:
        """Whether half of the time has passed after which the connection counts as dead."""
        return self._silent_since is not None and when >= self._silent_since + self.terms.mute / 2

    def mute(self, when: float) -> bool:
        """Whether the connection is dead: nothing that can be read came since a request was sent."""
        return self._silent_since is not None and when >= self._silent_since + self.terms.mute

    def excuse(self, when: float) -> None:
        """What came could not be looked at until now, so silence begins here."""
        if self._silent_since is not None:
            self._silent_since = when
        self._changes.excuse(when)
        for subscription in self._subscriptions.values():
            subscription.excuse(when)

    def _may_change_at(self, command: Command) -> float:
        """From when on that request may be sent."""
        return max(self._pace.free_at(command), self._changes.not_before)

    def _may_ask_at(self, subscription: Subscription) -> float:
        """From when on its request may be sent; infinity if there is none to send."""
        if not subscription.ready():
            return inf
        return max(self._pace.free_at(subscription.kind), subscription.not_before)

    def _number(self, when: float) -> int:
        """The number of the next request, which is sent now."""
        if self._silent_since is None:
            self._silent_since = when
        self._seq_id = self._seq_id % (2**32 - 1) + 1
        return self._seq_id


def _place(event: Trade | Book | KlineUpdate | Correction) -> tuple[Kind, Key]:
    """Kind and key of the stream of an event."""
    if isinstance(event, KlineUpdate):
        return Kind.KLINE, (event.code, event.kline.kline_type)
    if isinstance(event, Correction):
        return Kind.CORRECTION, event.code
    return (Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH), event.code
