"""Who wants what, and the way from an event to the clients that want it."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

import structlog

from ...bus import StreamEvent
from ...model import Book, Histogram, Instrument, Kind, KlineType, Position, Trade
from ...wire import Want
from ...wire.canonical import event_of
from ...wire.items import gap_frame
from ...wire.push import Encoder, encoder
from .digest import Stretch, is_passing
from .held import Held
from .lane import Carry, Client, Lane, Load
from .outbox import Chunk, Outbox
from .outboxes import Outboxes
from .rate import Later, Rate
from .topic import Topic, View

UNREPEATED = (Kind.KLINE, Kind.CORRECTION)
"""Of these a new subscriber does not get the last push: that of a bar may be long out of date, and a
correction of a trade that he has not seen."""
TURN = 32 * 1024
"""Bytes that outboxes give in one turn of the loop, all together, so that they hold nobody up."""

LATENCIES = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds: the upper bounds of the histogram."""

log = structlog.get_logger()


class Membership(NamedTuple):
    """What one client is subscribed to; `since` is what its lane had carried when it came."""

    lane: Lane
    views: dict[Kind, frozenset[View]]
    since: int


class Hub:
    """Topics, and the lanes that carry them to clients.

    What comes in is only appended to lists; the flush, once per turn of the event loop (`schedule` runs it
    there), joins the new frames of each view, then those of each lane, and has the same bytes carried to all
    clients of the lane. So a tick costs a view one encoding and a lane at most one append per flush, and
    batches grow with the load. Order is kept per code and kind; with `in_order` across them too, at the price
    of an append to a lane whenever another of its views has its turn.

    Who does not take all that its lane writes leaves it for an outbox, which costs the lane at most an append
    per flush, and comes back when it has taken what that holds.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        carry: Carry,
        *,
        text_ids: bool = False,
        snapshots: bool = True,
        in_order: bool = False,
        bound: int = 8 * 2**20,
        wall: Callable[[], float] = lambda: 0.0,
        wanted: Callable[[Topic, bool], None] = lambda *_: None,
        begun: Callable[[Topic], None] = lambda _: None,
        clock: Callable[[], float] = lambda: 0.0,
        later: Later = lambda *_: None,
    ) -> None:
        """`carry` is that of the machine's network. `bound` is how many bytes may wait for a client, `wall`
        the time since the epoch in seconds, `clock` monotonic, and `later` calls something in so many.
        `wanted` is told when somebody is subscribed to a topic, and when nobody is any more, `begun` when a
        topic has its first event."""
        self._schedule = schedule
        self._carry = carry
        self._clock, self._wall = clock, wall
        self._later = later
        self._since = 0.0  # when the first event came that is to be flushed
        self.latency = Histogram(LATENCIES)
        """Seconds from an event to the end of its flush: of each flush the event that waited longest, since
        a measurement of each would cost what it measures."""
        self.sent_bytes = 0
        """What flushes handed to clients, the bytes of each client."""
        self.redefined = 0
        """How often an instrument became known in other numbers."""
        self.text_ids = text_ids
        """Whether `seq` and times are written as texts."""
        self._snapshots = snapshots
        self._in_order = in_order
        self._topics: dict[tuple[Kind, str, int], Topic] = {}
        self._tell_wanted = wanted
        self._begun = begun
        self._wanted: dict[Kind, dict[Topic, int]] = {kind: {} for kind in Kind}  # what has views
        self._places = itertools.count()  # in which order they came
        self._lanes: dict[frozenset[View], Lane] = {}
        self._members: dict[Client, Membership] = {}
        self._held = Held(self.topic, self._want, self._unwant)
        self._pushed: dict[Client, int] = {}  # events that were pushed to it over other lanes, or first
        self._dirty: list[View] = []
        self._loaded: list[Lane] = []
        self._corrected = False
        self.outboxes = Outboxes(bound, wall, self._unsent)
        self._carried: list[Chunk] = []  # in this flush, while there is an outbox that keeps it
        self._ready: deque[Client] = deque()  # those that take more now

    @property
    def topics(self) -> int:
        """How many streams are known: those that somebody was subscribed to, or of which something came."""
        return len(self._topics)

    def topic(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Topic:
        """The topic of that kind and instrument; of bars, one for each type."""
        key = (kind, instrument.code, kline_type)
        found = self._topics.get(key)
        if found is None:
            found = self._topics[key] = Topic(
                kind, instrument, kline_type, self._send, self._send_frame, self._begun
            )
        return found

    def running(self, kind: Kind) -> list[Topic]:
        """The topics of a kind that have had an event."""
        return [topic for key, topic in self._topics.items() if key[0] is kind and topic.seq]

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Topic:
        """The inlet of a stream."""
        return self.topic(kind, instrument, kline_type)

    def _send(self, topic: Topic, event: StreamEvent, seq: int, views: Collection[View] = ()) -> None:
        """Puts an event into views of its topic, without any into all of them."""
        if topic.is_rare and not is_passing(event):
            self._corrected = self._corrected or topic.kind is Kind.CORRECTION
            for view in topic.views.values():
                view.needed = True
        for view in views or topic.views.values():
            if view.rate is not None:
                view.rate.take(event, seq, topic.instrument)
                continue
            if not view.pending:
                self._begin(view)
            view.pending.append(view.encode(event, seq))

    def _send_frame(self, topic: Topic, frame: bytes, seq: int) -> None:
        """The same of a trade or a book that is written already: who wants it so gets it as it is."""
        others = []
        for view in topic.views.values():
            if view.is_canonical:
                if not view.pending:
                    self._begin(view)
                view.pending.append(frame)
            else:
                others.append(view)
        if others:
            self._send(topic, event_of(topic.kind, frame), seq, others)

    def _begin(self, view: View) -> None:
        """A view has something that is to be flushed."""
        if not self._dirty:
            if not self._loaded:
                self._since = self._clock()
                self._schedule(self.flush)
        elif self._in_order:
            self._load()
        self._dirty.append(view)

    def _release(self, view: View, stretch: Stretch) -> None:
        """A view carries what it had not carried yet."""
        if not view.pending:
            self._begin(view)
        view.pending += view.made(stretch)

    def _load(self) -> None:
        """Puts the new frames of each view, joined, onto its lanes."""
        views, self._dirty = self._dirty, []
        if self._corrected:  # each behind the trade that it corrects
            self._corrected = False
            views.sort(key=lambda view: view.topic.kind is Kind.CORRECTION)
        kept = self.outboxes.whole > 0
        for view in views:
            form = view.form
            pushes = view.written(view.pending) if form.times else view.pending
            chunk = b"".join(pushes) if not form.batch else form.whole(pushes) if kept else b""
            view.carried += len(pushes)
            if kept:
                last = form.whole(pushes[-1:])
                self._carried.append(Chunk(view, chunk, last, len(pushes), view.needed))
            view.needed = False
            for lane in view.lanes:
                if not lane.pending:
                    self._loaded.append(lane)
                if form.batch:
                    lane.pending += pushes
                else:
                    lane.pending.append(chunk)
            view.pending.clear()

    def flush(self) -> None:
        """Writes all that was published since the last flush."""
        self._load()
        lanes, self._loaded = self._loaded, []
        if not lanes:
            self._carried.clear()
            return
        loads: list[Load] = []
        slow: list[tuple[Lane, Iterable[tuple[Client, Outbox]], bytes]] = []  # without who falls behind now
        for lane in lanes:
            if lane.form.batch:
                lane.pending = [lane.form.whole(lane.pending)]
            if lane.slow:
                slow.append((lane, tuple(lane.slow.items()), b"".join(lane.pending)))
            loads.append((lane.pending, lane.clients))
            lane.pending = []
        self.sent_bytes += self._carry(loads, self.push)
        for one in slow:
            self._put(*one)
        self._carried.clear()
        self.latency.add(self._clock() - self._since)

    def _put(self, lane: Lane, slow: Iterable[tuple[Client, Outbox]], data: bytes) -> None:
        """Puts what a lane carries into the outboxes of those who do not keep up with it."""
        chunks = [one for one in self._carried if one.view in lane.views]
        for client, outbox in slow:
            try:
                if outbox.put(data, chunks) and client in lane.slow:
                    self.outboxes.close(client, lane)
                    lane.clients[client] = client.direct
            except Exception:
                self._drop(client)

    def _fall_behind(self, client: Client) -> None:
        """Bytes wait for it: from now on it has an outbox, unless it is gone."""
        if (member := self._members.get(client)) is not None and client in member.lane.clients:
            lane = member.lane
            del lane.clients[client]
            self.outboxes.open(client, lane)
            if lane.form.max_rate and self.outboxes.is_conflating(client):  # which begins with what comes now
                waits = [(view, view.rate.held()) for view in lane.views if view.rate is not None]
                pushes = [one for view, held in waits if held.count for one in view.thinned(held)]
                client.push(lane.form.whole(pushes))

    def ready(self, client: Client) -> None:
        """Nothing waits any more in the transport of a client that has an outbox."""
        if not self._ready:
            self._schedule(self._give)
        self._ready.append(client)

    def _give(self) -> None:
        """Gives clients the next of what waits for them, in turn."""
        self.flush()
        given = 0
        waiting, self._ready = self._ready, deque()
        while waiting and given < TURN:
            client = waiting.popleft()
            try:
                given += self._give_to(client)
            except Exception:
                self._drop(client)
        waiting.extend(self._ready)
        self._ready = waiting
        if waiting:
            self._schedule(self._give)

    def _give_to(self, client: Client) -> int:
        """Gives a client a slice of what waits for it; returns how many bytes. If nothing does, it is back in
        its lane."""
        outbox = self.outboxes.get(client)
        if outbox is None or client.unread:
            return 0
        data = outbox.take()
        if not data:
            lane = self._members[client].lane
            if self.outboxes.is_conflating(client):  # it was given that already
                self._give_rated(lane.views)
            self.outboxes.close(client, lane)
            lane.clients[client] = client.direct
        said = data + client.form.told(self.outboxes.notice(client))
        if not said or client.push(said):
            if data:
                self._ready.append(client)
        elif not data:
            self._fall_behind(client)
        return len(said)

    def _give_last(self, client: Client, going_on: Collection[View] = ()) -> None:
        """A client is given what has not come yet of all its views but these, for it leaves the others."""
        member = self._members.get(client)
        if member is None or self.outboxes.is_conflating(client):  # it was given that already
            return
        lane = member.lane
        held = [
            (view, view.rate.held()) for view in lane.views if view.rate is not None and view not in going_on
        ]
        if pushes := [one for view, stretch in held if stretch.count for one in view.thinned(stretch)]:
            self._pushed[client] = self._pushed.get(client, 0) + len(pushes)
            self.push(client, lane.form.whole(pushes))

    def _give_rated(self, views: Iterable[View]) -> None:
        """Whoever joins is not to be given what was before: it goes to those who are there."""
        rates = [view.rate for view in views if view.rate is not None]
        for rate in rates:
            rate.give()
        if rates:
            self.flush()

    def _unsent(self, client: Client, events: int) -> None:
        self._pushed[client] = self._pushed.get(client, 0) - events

    def look(self) -> None:
        """Once a second: ends those for whom too much waits, and tells others what they were spared."""
        for client in self.outboxes.look():
            if notice := self.outboxes.notice(client):
                self.tell(client, notice)

    def tell(self, client: Client, frames: bytes) -> None:
        """Writes whole frames to a client, in the form that it has chosen; see `push` and `Form.told`."""
        self.push(client, client.form.told(frames))

    def push(self, client: Client, data: bytes) -> None:
        """Writes whole frames to a client; one that cannot be written to is ended. What was published must be
        flushed: an outbox that this opens knows nothing of what is yet to be."""
        try:
            if not client.push(data):
                self._fall_behind(client)
        except Exception:
            self._drop(client)

    def settle(self, client: Client) -> None:
        """Before a client's lists change: what was published until now goes before the answer."""
        self.flush()
        if (outbox := self.outboxes.get(client)) is not None and (data := outbox.rest()):
            self.push(client, data)

    def finish(self, client: Client) -> None:
        """Before a connection is closed that did nothing wrong: what waits for it goes first, and what it was
        spared."""
        self.settle(client)
        self._give_last(client)
        if notice := self.outboxes.notice(client, last=True):
            self.tell(client, notice)

    def _drop(self, client: Client) -> None:
        """Ends a client whose `push` has just raised, so that the others get their bytes."""
        log.exception("a client cannot be written to and is dropped")
        self.leave(client)
        try:
            client.reset()
        except Exception:
            log.exception("a client cannot be ended")

    def subscribe(
        self, client: Client, kind: Kind, wants: Iterable[Want], *, fresh: Iterable[Want] | None = None
    ) -> bytes:
        """Replaces the client's list of that kind.

        Returns the frames to send first: the last event of what is `fresh` in the list, by itself what was
        not in it before, under whatever depth; of bars there is none, see `repeat`.
        """
        self.settle(client)
        membership = self._members.get(client)
        earlier = membership.views.get(kind, frozenset()) if membership else frozenset()
        before = {(view.name, view.topic.kline_type) for view in earlier}
        wants = self._held.keep(client, kind, wants)
        asked = [self._view_of(client, kind, want) for want in wants]
        for view in asked:
            self._want(view.topic)
        self._move(client, {**(membership.views if membership else {}), kind: frozenset(asked)})
        if not self._snapshots or kind in UNREPEATED:
            return b""
        if fresh is not None:
            before -= {(want.name, want.kline_type) for want in fresh}
        new = [view for view in asked if (view.name, view.topic.kline_type) not in before]
        frames = [frame for view in new if (frame := self._snapshot(client, view))]
        self._pushed[client] = self._pushed.get(client, 0) + len(frames)
        return b"".join(frames)

    def _snapshot(self, client: Client, view: View) -> bytes:
        """The frame to send first. If that is of before an outage whose end nothing has followed yet, a
        client that knows positions is told so, as those who were there are, see `go_on`."""
        frame, topic = view.snapshot(), view.topic
        if frame and topic.goes_on is not None and client.form.marked:
            begin, gap = topic.goes_on
            if topic.seq < begin.seq:
                frame += gap_frame(topic.kind, view.name, topic.kline_type, begin, gap=gap)
        return frame

    def join(self, client: Client, kind: Kind, want: Want) -> bytes:
        """Adds to the client's list of that kind; returns the frame to send first, if there is one."""
        self.settle(client)
        views = membership.views if (membership := self._members.get(client)) else {}
        view = self._view_of(client, kind, want)
        self._want(view.topic)
        self._move(client, {**views, kind: views.get(kind, frozenset()) | {view}})
        frame = self._snapshot(client, view) if self._snapshots and kind not in UNREPEATED else b""
        self._pushed[client] = self._pushed.get(client, 0) + bool(frame)
        return frame

    def renew(self, client: Client) -> None:
        """A client is given what it is subscribed to in another form from now on; what was published until
        now was flushed."""
        if (membership := self._members.get(client)) is not None:
            views = {
                kind: frozenset(self._view_of(client, kind, want) for want in [*self._given(client, kind)])
                for kind in membership.views
            }
            if views != membership.views:
                self._move(client, views)

    def hold(self, client: Client, kind: Kind, want: Want) -> None:
        """Puts something into the client's list of that kind that it is not given until it is released."""
        self._held.put(client, kind, want)
        if (membership := self._members.get(client)) is not None:
            views = membership.views.get(kind, frozenset())
            place = want.name, want.kline_type
            others = frozenset(one for one in views if (one.name, one.topic.kline_type) != place)
            if len(others) < len(views):  # another depth of a book
                self.settle(client)
                self._move(client, {**membership.views, kind: others})

    def let_go(self, client: Client, kind: Kind, want: Want) -> None:
        """Holds that no more, if it is held: it is removed from a list."""
        self._held.let_go(client, kind, want)

    def is_held(self, client: Client, kind: Kind, want: Want) -> bool:
        """Whether that is held for the client still."""
        return self._held.has(client, kind, want)

    def release(self, client: Client, wants: Iterable[tuple[Kind, Want]]) -> None:
        """From now on the client is given these, which were held."""
        self.settle(client)
        membership = self._members.get(client)
        views = dict(membership.views) if membership else {}
        more: dict[Kind, list[View]] = {}
        for kind, want in wants:
            more.setdefault(kind, []).append(self._view_of(client, kind, want))
            self._held.let_go(client, kind, want)
        for kind, some in more.items():
            views[kind] = views.get(kind, frozenset()).union(some)
        self._move(client, views)

    def push_missed(self, client: Client, data: bytes, events: int) -> None:
        """Writes whole frames in its form to a client, of so many events of what is held for it."""
        self._pushed[client] = self._pushed.get(client, 0) + events
        self.catch_up(client)
        self.push(client, data)

    def catch_up(self, client: Client) -> None:
        """Before something is written to a client outside its lane: what was published for it goes first. One
        that has no lane is given nothing, and all the others need not be written to for its sake."""
        if client in self._members:
            self.flush()

    def encoder(self, client: Client, kind: Kind, want: Want) -> Encoder:
        """What makes the frames of a client's events of that, as its instrument is known now; see `tell`."""
        instrument = self.topic(kind, want.instrument, want.kline_type).instrument
        place = kind, want.name, instrument, want.levels
        return encoder(*place, text_ids=self.text_ids, form=client.form.first, micros=self.micros)

    def wants(self, client: Client, kind: Kind) -> dict[tuple[str, int], Want]:
        """The client's list of that kind, by name and type of bars, the first ones that anybody was
        subscribed to first."""
        held = self._held.wants(client, kind)
        return {(want.name, want.kline_type): want for want in chain(self._given(client, kind), held)}

    def _given(self, client: Client, kind: Kind) -> Iterator[Want]:
        """What stands in the client's list of that kind and is not held."""
        membership = self._members.get(client)
        views = membership.views.get(kind, ()) if membership else ()
        places = self._wanted[kind]
        for view in sorted(views, key=lambda view: (places[view.topic], view.name)):
            yield Want(view.name, view.topic.instrument, view.levels, view.topic.kline_type)

    def instruments(self, client: Client, kind: Kind) -> list[Instrument]:
        """What stands in the client's list of that kind, the first ones that anybody was subscribed to
        first."""
        membership = self._members.get(client)
        topics = {view.topic for view in membership.views.get(kind, ())} if membership else set()
        topics |= {topic for topic in self._held.topics(client) if topic.kind is kind}
        return [topic.instrument for topic in sorted(topics, key=self._wanted[kind].__getitem__)]

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers: what is sent from now on is written in them."""
        self.redefined += 1
        for kind in Kind:
            for kline_type in (0,) if kind is not Kind.KLINE else KlineType:
                if (topic := self._topics.get((kind, instrument.code, kline_type))) is not None:
                    topic.redefine(instrument, text_ids=self.text_ids)

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        """Trades of these go on there, behind an outage of their source: clients that know positions are told
        so, and whether (`gap`) those of it cannot be had, before them."""
        self.flush()
        frames: dict[Client, bytes] = {}
        for instrument, begin in begins.items():
            topic = self.topic(Kind.TRADE, instrument)
            topic.goes_on = begin, gap
            for view in topic.views.values():
                frame = gap_frame(Kind.TRADE, view.name, 0, begin, gap=gap)
                for client in chain.from_iterable((*lane.clients, *lane.slow) for lane in view.lanes):
                    if client.form.marked:
                        frames[client] = frames.get(client, b"") + frame
        for client, told in frames.items():
            self.settle(client)
            self.tell(client, told)

    def has(self, client: Client, kind: Kind, want: Want) -> bool:
        """Whether that stands in the client's list."""
        return want in self._held.wants(client, kind) or self.view(client, kind, want) is not None

    def view(self, client: Client, kind: Kind, want: Want) -> View | None:
        """What the client receives of that, if it is subscribed to it."""
        topic = self._topics.get((kind, want.instrument.code, want.kline_type))
        view = None if topic is None else topic.views.get(topic.key(want, client))
        membership = self._members.get(client)
        return view if view is not None and membership and view in membership.lane.views else None

    def repeat(self, client: Client, kind: Kind, want: Want) -> None:
        """Sends a client the last event of what it is subscribed to once more."""
        if (view := self.view(client, kind, want)) is not None:
            self.settle(client)
            self.tell(client, view.snapshot())

    def cancel(self, client: Client, kinds: Iterable[Kind]) -> None:
        """Ends the client's lists of these kinds. What was published before is still sent."""
        self.settle(client)
        gone = set(kinds)
        for kind in gone:
            self._held.keep(client, kind, ())
        if membership := self._members.get(client):
            self._move(client, {kind: views for kind, views in membership.views.items() if kind not in gone})

    def leave(self, client: Client) -> None:
        """The client is gone."""
        self._move(client, {}, is_gone=True)
        for kind in Kind:
            self._held.keep(client, kind, ())
        self._pushed.pop(client, None)
        self.outboxes.forget(client)

    def pushes(self, client: Client) -> int:
        """How many events the client was pushed."""
        member, before = self._members.get(client), self._pushed.get(client, 0)
        return before if member is None else before + member.lane.pushes - member.since

    def streams(self, client: Client) -> frozenset[tuple[Kind, str]]:
        """What a client is subscribed to: trades and books, and the codes; bars need trades."""
        member = self._members.get(client)
        held = {topic.stream for topic in self._held.topics(client)}
        lane = frozenset() if member is None else member.lane.streams
        return lane | held if held else lane

    def wanted_by(self, client: Client, without: Kind | None = None) -> dict[Kind, list[Instrument]]:
        """The instruments whose trades and books one client is subscribed to, the first ones that anybody
        was subscribed to first; bars need trades. Without its list of the kind `without`."""
        found: dict[Kind, dict[str, Instrument]] = {Kind.TRADE: {}, Kind.DEPTH: {}}
        for kind in Kind:
            if kind is not without:
                found[kind.flow].update((one.code, one) for one in self.instruments(client, kind))
        return {kind: [*instruments.values()] for kind, instruments in found.items()}

    def wanted(self, leaving: Client | None = None, of: Kind | None = None) -> dict[Kind, list[Instrument]]:
        """The instruments whose trades and books somebody is subscribed to; bars need trades.

        Without what only the client `leaving` is subscribed to by its list of that kind.
        """
        found: dict[Kind, dict[str, Instrument]] = {Kind.TRADE: {}, Kind.DEPTH: {}}
        membership = self._members.get(leaving) if leaving is not None else None
        gone: frozenset[View] = frozenset()
        if membership is not None and of is not None and membership.lane.size == 1:
            views = membership.views.get(of, frozenset())
            gone = frozenset(view for view in views if len(view.lanes) == 1)
        for kind, topics in self._wanted.items():
            of_kind = found[kind.flow]
            for topic in topics:
                if not gone or topic.held or any(view not in gone for view in topic.views.values()):
                    of_kind[topic.instrument.code] = topic.instrument
        return {kind: [*instruments.values()] for kind, instruments in found.items()}

    def wanted_bars(self) -> list[tuple[str, KlineType]]:
        """The codes and types of the bars that somebody is subscribed to."""
        return [(one.instrument.code, KlineType(one.kline_type)) for one in self._wanted[Kind.KLINE]]

    def last_trade(self, instrument: Instrument) -> tuple[Trade, int] | None:
        """The last trade and its `seq`."""
        topic = self._topics.get((Kind.TRADE, instrument.code, 0))
        return (topic.last, topic.seq) if topic is not None and isinstance(topic.last, Trade) else None

    def last_book(self, instrument: Instrument) -> tuple[Book, int] | None:
        """The last book and its `seq`."""
        topic = self._topics.get((Kind.DEPTH, instrument.code, 0))
        return (topic.last, topic.seq) if topic is not None and isinstance(topic.last, Book) else None

    def _view_of(self, client: Client, kind: Kind, want: Want) -> View:
        """What a client receives of that, made where nobody does yet."""
        topic = self.topic(kind, want.instrument, want.kline_type)
        view = topic.view(topic.key(want, client), text_ids=self.text_ids, micros=self.micros)
        if view.form.max_rate and view.rate is None:
            release = functools.partial(self._release, view)
            view.rate = Rate(view.form.max_rate, topic.seq, release, self._clock, self._later)
        return view

    def micros(self) -> int:
        """Microseconds since the epoch."""
        return int(self._wall() * 1e6)

    def _want(self, topic: Topic) -> None:
        """Somebody is subscribed to it, whoever was before."""
        if topic not in self._wanted[topic.kind]:
            self._wanted[topic.kind][topic] = next(self._places)
            self._tell_wanted(topic, True)

    def _move(self, client: Client, views: dict[Kind, frozenset[View]], *, is_gone: bool = False) -> None:
        """Puts the client on the lane of these views, and drops what nobody wants any more."""
        wanted = frozenset().union(*views.values())
        self._give_rated(wanted)
        if not is_gone:
            self._give_last(client, wanted)
        slow = False
        if (membership := self._members.pop(client, None)) is not None:
            lane = membership.lane
            self._pushed[client] = self._pushed.get(client, 0) + lane.pushes - membership.since
            if slow := client in lane.slow:
                self.outboxes.close(client, lane)
            else:
                del lane.clients[client]
            if not lane.size:
                del self._lanes[lane.views]
                for view in lane.views:
                    del view.lanes[lane]
        if wanted:
            lane = self._lanes.get(wanted) or self._open(wanted)
            lane.clients[client] = client.direct
            self._members[client] = Membership(lane, views, lane.pushes)
            if slow and client.unread:
                self._fall_behind(client)
        if membership is not None:
            for view in membership.lane.views:
                if not view.lanes:
                    view.topic.drop(view)
                    self._unwant(view.topic)

    def _unwant(self, topic: Topic) -> None:
        """Somebody does not want it any more."""
        if not topic.wanted:
            del self._wanted[topic.kind][topic]
            self._tell_wanted(topic, False)

    def _open(self, views: frozenset[View]) -> Lane:
        streams = frozenset((view.topic.kind.flow, view.topic.instrument.code) for view in views)
        lane = self._lanes[views] = Lane(views, streams)
        for view in views:
            view.lanes[lane] = None
        return lane
