"""A topic and what is seen of it: one stream, one encoding for each way that it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ...bus import StreamEvent
from ...model import Instrument, Kind, KlineUpdate, Position, Trade
from ...wire import Want
from ...wire.canonical import event_of
from ...wire.form import BARE, PLAIN, Form
from ...wire.push import encoder, several_trades
from .digest import Digest, Stretch
from .rate import Rate

if TYPE_CHECKING:
    from .lane import Client, Lane

Key: TypeAlias = tuple[str, int, Form]
"""A name, a number of levels, and a form."""


class Noted(NamedTuple):
    """A push that is to say when it is sent; when its event came and went on, in microseconds since the
    epoch, see `Form.timed`."""

    push: bytes
    received: int
    published: int


class View:
    """A topic under one name, with one number of levels, in one form: what a group of clients receives.

    A push is made once for a view, however many clients there are. One that says its times is Noted until it
    is sent.
    """

    __slots__ = (
        "_first",
        "_made",
        "_micros",
        "_text_ids",
        "carried",
        "encode",
        "form",
        "is_canonical",
        "lanes",
        "levels",
        "name",
        "needed",
        "pending",
        "rate",
        "topic",
    )

    def __init__(
        self, topic: Topic, name: str, levels: int, form: Form, *, text_ids: bool, micros: Callable[[], int]
    ) -> None:
        """`micros` are microseconds since the epoch."""
        self.topic = topic
        self._micros = micros
        self.name = name
        self.levels = levels
        self.form = form
        self.rate: Rate | None = None
        """What it is not to carry yet, where a client wants no more than so many pushes a second."""
        self.set_encoder(text_ids=text_ids)
        self.lanes: dict[Lane, None] = {}
        self.pending: list[Any] = []
        """What is to be flushed: pushes, or where they say their times what is to be `written`."""
        self.carried = 0
        """How many events were flushed."""
        self.needed = False
        """Whether there is one among those to be flushed that nobody may miss."""
        self._text_ids = text_ids
        self._made: tuple[object, Any] | None = None  # the last frame of several clients, and of what

    @property
    def key(self) -> Key:
        """What it is known by to its topic."""
        return self.name, self.levels, self.form

    def set_encoder(self, *, text_ids: bool) -> None:
        """From now on events are written in the numbers of the topic's instrument."""
        instrument = self.topic.instrument
        place = self.topic.kind, self.name, instrument, self.levels
        form = self.form
        levels = instrument.levels if self.topic.kind is Kind.DEPTH else self.levels
        as_it_comes = PLAIN, instrument.code, levels
        self.is_canonical = not text_ids and (form, self.name, self.levels) == as_it_comes
        """Whether it is what `wire.canonical` writes."""
        if form.times:
            self._first = encoder(*place, text_ids=text_ids, form=BARE._replace(marked=form.marked))
            self.encode: Callable[[Any, int], Any] = self._note
            return
        self.encode = self._first = encoder(*place, text_ids=text_ids, form=form)
        if form.changes:
            self._first = encoder(*place, text_ids=text_ids, form=form.first)

    def snapshot(self) -> bytes:
        """The frame of the last event, see `Form.told`; empty if there was none."""
        topic, form = self.topic, self.form
        if topic.last is None:
            return b""
        push = self._first(topic.last, topic.seq)
        return form.first.timed(push, topic.received, 0, self._micros()) if form.times else push

    def written(self, noted: Iterable[Noted]) -> list[bytes]:
        """Pushes that say that they are sent now."""
        sent = self._micros()
        return [self.form.timed(*one, sent) for one in noted]

    def _note(self, event: StreamEvent, seq: int) -> Noted:
        return Noted(self._first(event, seq), self._received(seq), self._micros())

    def _received(self, seq: int) -> int:
        """When an event came, 0 if it is not the last one."""
        return self.topic.received if seq == self.topic.seq else 0

    def thinned(self, stretch: Stretch) -> list[bytes]:
        """The pushes of a stretch of the topic for who is not given all of it, in order."""
        made = self.made(stretch)
        return self.written(made) if self.form.times else made

    def made(self, stretch: Stretch) -> list[Any]:
        """The same, to be flushed."""
        if stretch.count > 1 and type(stretch.last) is Trade:
            return [self._several(stretch)]
        events = stretch.kept
        if stretch.last is not None and not _is_over(stretch):
            events = sorted([*events, (stretch.last, stretch.seq)], key=lambda one: one[1])
        return [self._shared(seq, event) for event, seq in events]

    def _several(self, stretch: Stretch) -> Any:
        key = stretch.first, stretch.seq, stretch.count, self._first
        if self._made is None or self._made[0] != key:
            place = self.name, self.topic.instrument, stretch.several(), stretch.seq
            times, form = self.form.times, BARE if self.form.times else self.form
            made = several_trades(*place, text_ids=self._text_ids, form=form)
            self._made = key, Noted(made, self._received(stretch.seq), 0) if times else made
        return self._made[1]

    def _shared(self, seq: int, event: StreamEvent) -> Any:
        """Made once for clients that are given the same one after the other."""
        key = seq, self._first
        if self._made is None or self._made[0] != key:
            made = self.encode(event, seq)
            self._made = key, made._replace(published=0) if self.form.times else made
        return self._made[1]


def _is_over(stretch: Stretch) -> bool:
    """Whether the bar that was forming last has closed."""
    last = stretch.last
    return isinstance(last, KlineUpdate) and any(
        isinstance(one, KlineUpdate) and one.kline.time == last.kline.time and seq > stretch.seq
        for one, seq in stretch.kept
    )


class Topic:
    """A stream at the hub: its last event and the `seq` of that, 0 if there is none yet; its inlet."""

    __slots__ = (
        "_frame",
        "_last",
        "_send",
        "_send_frame",
        "_tell_begun",
        "digest",
        "goes_on",
        "held",
        "instrument",
        "is_rare",
        "kind",
        "kline_type",
        "received",
        "seq",
        "stream",
        "views",
    )

    def __init__(
        self,
        kind: Kind,
        instrument: Instrument,
        kline_type: int,
        send: Callable[[Topic, StreamEvent, int], None],
        send_frame: Callable[[Topic, bytes, int], None],
        begun: Callable[[Topic], None],
    ) -> None:
        """`send` sends an event to those who want it, `send_frame` one that is written already; `begun` is
        told of the first one there is."""
        self.kind = kind
        self.is_rare = kind in (Kind.KLINE, Kind.CORRECTION)
        """Whether something may be among its events that nobody may miss."""
        self.kline_type = kline_type
        self.instrument = instrument
        self.stream = kind.flow, instrument.code
        """What a source is asked for for its sake."""
        self.seq = 0
        self._last: StreamEvent | None = None
        self._frame = b""  # of the last event, until somebody asks for that
        self.received = 0
        """When that came, in microseconds since the epoch; 0: it is not known, or came from nowhere."""
        self.goes_on: tuple[Position, bool] | None = None
        """Where it went on last behind an outage of its source, and whether events of that cannot be had."""
        self.views: dict[Key, View] = {}
        self.held = 0
        """How many clients want it, and are not given it yet."""
        self.digest: Digest | None = None
        """What it carries, thinned, while a client needs it."""
        self._send = send
        self._send_frame = send_frame
        self._tell_begun = begun

    @property
    def last(self) -> StreamEvent | None:
        """Its last event; None if there was none yet."""
        if self._frame:
            self._last, self._frame = event_of(self.kind, self._frame), b""
        return self._last

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        """The next event of the stream, or one that a scenario sends twice or too late."""
        if seq > self.seq:
            if not self.seq:
                self._tell_begun(self)
            self._last, self._frame = event, b""
            self.seq = seq
            self.received = received
        if self.views:
            if self.digest is not None:
                self.digest.add(event, seq, self.instrument)
            self._send(self, event, seq)

    def take_frame(self, frame: bytes, seq: int, received: int = 0) -> None:
        """The same of one that comes from another process: it is read only where that is needed."""
        if seq > self.seq:
            if not self.seq:
                self._tell_begun(self)
            self._frame = frame
            self.seq = seq
            self.received = received
        if self.views:
            if self.digest is None:
                self._send_frame(self, frame, seq)
                return
            event = event_of(self.kind, frame)
            self.digest.add(event, seq, self.instrument)
            self._send(self, event, seq)

    def forget(self) -> None:
        """What it has had is not known any more."""
        self._last, self._frame, self.seq, self.received = None, b"", 0, 0

    def key(self, want: Want, client: Client) -> Key:
        """What a client's view of it is known by: bars alone are marked."""
        form = client.form
        if form.marked and self.kind is not Kind.KLINE:
            form = form._replace(marked=False)
        return want.name, want.levels, form

    def view(self, key: Key, *, text_ids: bool, micros: Callable[[], int]) -> View:
        """The view of that key: the same one for all who ask alike."""
        if (found := self.views.get(key)) is None:
            found = self.views[key] = View(self, *key, text_ids=text_ids, micros=micros)
        return found

    def redefine(self, instrument: Instrument, *, text_ids: bool) -> None:
        """The instrument is known in other numbers. Whoever had all levels of its book still has all."""
        before, self.instrument = self.instrument, instrument
        for view in self.views.values():
            if view.levels == before.levels:
                view.levels = instrument.levels
            view.set_encoder(text_ids=text_ids)
        self.views = {view.key: view for view in self.views.values()}

    @property
    def wanted(self) -> bool:
        """Whether anybody wants it."""
        return bool(self.views) or self.held > 0

    def drop(self, view: View) -> None:
        """Nobody wants the view any more."""
        self.views.pop(view.key, None)
