"""Who wants what, and the way from an event to the clients that want it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from ...bus import StreamEvent
from ...model import Book, Instrument, Kind, KlineType, Trade
from ...wire import Want
from .lane import Client, Lane
from .topic import Topic, View

log = structlog.get_logger()


class Membership(NamedTuple):
    """What one client is subscribed to; `since` is what its lane had carried when it came."""

    lane: Lane
    views: dict[Kind, frozenset[View]]
    since: int


class Hub:
    """Topics, and the lanes that carry them to clients.

    What comes in is only appended to lists; the flush, once per turn of the event loop (`schedule` runs it
    there), joins the new frames of each view, then those of each lane, and writes the same bytes to all
    clients of the lane. So a tick costs a view one encoding and a lane at most one append per flush, and
    batches grow with the load. Order is kept per code and kind.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        *,
        text_ids: bool = False,
        snapshots: bool = True,
        wanted: Callable[[Topic, bool], None] = lambda *_: None,
    ) -> None:
        """`wanted` is told when somebody is subscribed to a topic, and when nobody is any more."""
        self._schedule = schedule
        self._text_ids = text_ids
        self._snapshots = snapshots
        self._topics: dict[tuple[Kind, str, int], Topic] = {}
        self._tell_wanted = wanted
        self._wanted: dict[Kind, dict[Topic, int]] = {kind: {} for kind in Kind}  # what has views
        self._places = itertools.count()  # in which order they came
        self._lanes: dict[frozenset[View], Lane] = {}
        self._members: dict[Client, Membership] = {}
        self._pushed: dict[Client, int] = {}  # events that were pushed to it over other lanes, or first
        self._dirty: list[View] = []

    @property
    def topics(self) -> int:
        """How many streams are known: those that somebody was subscribed to, or of which something came."""
        return len(self._topics)

    def topic(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Topic:
        """The topic of that kind and instrument; of bars, one for each type."""
        key = (kind, instrument.code, kline_type)
        found = self._topics.get(key)
        if found is None:
            found = self._topics[key] = Topic(kind, instrument, kline_type, self._send)
        return found

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Topic:
        """The inlet of a stream."""
        return self.topic(kind, instrument, kline_type)

    def _send(self, topic: Topic, event: StreamEvent, seq: int) -> None:
        for view in topic.views.values():
            if not view.pending:
                if not self._dirty:
                    self._schedule(self.flush)
                self._dirty.append(view)
            view.pending.append(view.encode(event, seq))

    def flush(self) -> None:
        """Writes all that was published since the last flush."""
        views, self._dirty = self._dirty, []
        lanes: list[Lane] = []
        for view in views:
            chunk = b"".join(view.pending)
            view.carried += len(view.pending)
            view.pending.clear()
            for lane in view.lanes:
                if not lane.pending:
                    lanes.append(lane)
                lane.pending.append(chunk)
        for lane in lanes:
            data = b"".join(lane.pending)
            lane.pending.clear()
            for client in tuple(lane.clients):
                try:
                    client.push(data)
                except Exception:
                    self._drop(client)

    def push(self, client: Client, data: bytes) -> None:
        """Writes whole frames to a client; one that cannot be written to is ended."""
        try:
            client.push(data)
        except Exception:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        """Ends a client whose `push` has just raised, so that the others get their bytes."""
        log.exception("a client cannot be written to and is dropped")
        self.leave(client)
        try:
            client.reset()
        except Exception:
            log.exception("a client cannot be ended")

    def subscribe(self, client: Client, kind: Kind, wants: Iterable[Want]) -> bytes:
        """Replaces the client's list of that kind.

        Returns the frames to send first: the last event of what was not in the list before, under
        whatever depth; of bars there is none, see `repeat`.
        """
        self.flush()
        membership = self._members.get(client)
        earlier = membership.views.get(kind, frozenset()) if membership else frozenset()
        before = {(view.name, view.topic.kline_type) for view in earlier}
        asked = [
            self.topic(kind, want.instrument, want.kline_type).view(
                want.name, want.levels, text_ids=self._text_ids
            )
            for want in wants
        ]
        for view in asked:
            self._want(view.topic)
        self._move(client, {**(membership.views if membership else {}), kind: frozenset(asked)})
        if not self._snapshots or kind is Kind.KLINE:  # the last push of a bar may be long out of date
            return b""
        fresh = [view for view in asked if (view.name, view.topic.kline_type) not in before]
        frames = [frame for view in fresh if (frame := view.snapshot())]
        self._pushed[client] = self._pushed.get(client, 0) + len(frames)
        return b"".join(frames)

    def join(self, client: Client, kind: Kind, want: Want) -> bytes:
        """Adds to the client's list of that kind; returns the frame to send first, if there is one."""
        self.flush()
        views = membership.views if (membership := self._members.get(client)) else {}
        view = self.topic(kind, want.instrument, want.kline_type).view(
            want.name, want.levels, text_ids=self._text_ids
        )
        self._want(view.topic)
        self._move(client, {**views, kind: views.get(kind, frozenset()) | {view}})
        frame = view.snapshot() if self._snapshots and kind is not Kind.KLINE else b""
        self._pushed[client] = self._pushed.get(client, 0) + bool(frame)
        return frame

    def instruments(self, client: Client, kind: Kind) -> list[Instrument]:
        """What stands in the client's list of that kind, the first ones that anybody was subscribed to
        first."""
        membership = self._members.get(client)
        topics = {view.topic for view in membership.views.get(kind, ())} if membership else ()
        return [topic.instrument for topic in sorted(topics, key=self._wanted[kind].__getitem__)]

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers: what is sent from now on is written in them."""
        for kind in Kind:
            for kline_type in (0,) if kind is not Kind.KLINE else KlineType:
                if (topic := self._topics.get((kind, instrument.code, kline_type))) is not None:
                    topic.redefine(instrument, text_ids=self._text_ids)

    def view(self, client: Client, kind: Kind, want: Want) -> View | None:
        """What the client receives of that, if it is subscribed to it."""
        topic = self._topics.get((kind, want.instrument.code, want.kline_type))
        view = None if topic is None else topic.views.get((want.name, want.levels))
        membership = self._members.get(client)
        return view if view is not None and membership and view in membership.lane.views else None

    def repeat(self, client: Client, kind: Kind, want: Want) -> None:
        """Sends a client the last event of what it is subscribed to once more."""
        if (view := self.view(client, kind, want)) is not None:
            self.flush()
            self.push(client, view.snapshot())

    def cancel(self, client: Client, kinds: Iterable[Kind]) -> None:
        """Ends the client's lists of these kinds. What was published before is still sent."""
        self.flush()
        if membership := self._members.get(client):
            gone = set(kinds)
            self._move(client, {kind: views for kind, views in membership.views.items() if kind not in gone})

    def leave(self, client: Client) -> None:
        """The client is gone."""
        self._move(client, {})
        self._pushed.pop(client, None)

    def pushes(self, client: Client) -> int:
        """How many events the client was pushed."""
        member, before = self._members.get(client), self._pushed.get(client, 0)
        return before if member is None else before + member.lane.pushes - member.since

    def streams(self, client: Client) -> frozenset[tuple[Kind, str]]:
        """What a client is subscribed to: trades and books, and the codes; bars need trades."""
        member = self._members.get(client)
        return frozenset() if member is None else member.lane.streams

    def wanted_by(self, client: Client, without: Kind | None = None) -> dict[Kind, list[Instrument]]:
        """The instruments whose trades and books one client is subscribed to, the first ones that anybody
        was subscribed to first; bars need trades. Without its list of the kind `without`."""
        found: dict[Kind, dict[str, Instrument]] = {Kind.TRADE: {}, Kind.DEPTH: {}}
        if (member := self._members.get(client)) is not None:
            for kind, views in member.views.items():
                if kind is not without:
                    topics = sorted({view.topic for view in views}, key=self._wanted[kind].__getitem__)
                    found[kind.flow].update((one.instrument.code, one.instrument) for one in topics)
        return {kind: [*instruments.values()] for kind, instruments in found.items()}

    def wanted(self, leaving: Client | None = None, of: Kind | None = None) -> dict[Kind, list[Instrument]]:
        """The instruments whose trades and books somebody is subscribed to; bars need trades.

        Without what only the client `leaving` is subscribed to by its list of that kind.
        """
        found: dict[Kind, dict[str, Instrument]] = {Kind.TRADE: {}, Kind.DEPTH: {}}
        membership = self._members.get(leaving) if leaving is not None else None
        gone: frozenset[View] = frozenset()
        if membership is not None and of is not None and len(membership.lane.clients) == 1:
            views = membership.views.get(of, frozenset())
            gone = frozenset(view for view in views if len(view.lanes) == 1)
        for kind, topics in self._wanted.items():
            of_kind = found[kind.flow]
            for topic in topics:
                if not gone or any(view not in gone for view in topic.views.values()):
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

    def _want(self, topic: Topic) -> None:
        """Somebody is subscribed to it, whoever was before."""
        if topic not in self._wanted[topic.kind]:
            self._wanted[topic.kind][topic] = next(self._places)
            self._tell_wanted(topic, True)

    def _move(self, client: Client, views: dict[Kind, frozenset[View]]) -> None:
        """Puts the client on the lane of these views, and drops what nobody wants any more."""
        if (membership := self._members.pop(client, None)) is not None:
            lane = membership.lane
            self._pushed[client] = self._pushed.get(client, 0) + lane.pushes - membership.since
            del lane.clients[client]
            if not lane.clients:
                del self._lanes[lane.views]
                for view in lane.views:
                    del view.lanes[lane]
        wanted = frozenset().union(*views.values())
        if wanted:
            lane = self._lanes.get(wanted) or self._open(wanted)
            lane.clients[client] = None
            self._members[client] = Membership(lane, views, lane.pushes)
        if membership is not None:
            for view in membership.lane.views:
                if not view.lanes:
                    view.topic.drop(view)
                    if not view.topic.views:
                        del self._wanted[view.topic.kind][view.topic]
                        self._tell_wanted(view.topic, False)

    def _open(self, views: frozenset[View]) -> Lane:
        streams = frozenset((view.topic.kind.flow, view.topic.instrument.code) for view in views)
        lane = self._lanes[views] = Lane(views, streams)
        for view in views:
            view.lanes[lane] = None
        return lane
