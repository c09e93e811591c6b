"""A topic and what is seen of it: one stream, one encoding for each way that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...bus import StreamEvent
from ...model import Instrument, Kind
from ...wire.push import encoder

if TYPE_CHECKING:
    from .lane import Lane


class View:
    """A topic under one name and with one number of levels: what a group of clients receives of it.

    A frame is made once for a view, however many clients there are.
    """

    __slots__ = ("carried", "encode", "lanes", "levels", "name", "pending", "topic")

    def __init__(self, topic: Topic, name: str, levels: int, *, text_ids: bool) -> None:
        self.topic = topic
        self.name = name
        self.levels = levels
        self.encode = encoder(topic.kind, name, topic.instrument, levels, text_ids=text_ids)
        self.lanes: dict[Lane, None] = {}
        self.pending: list[bytes] = []
        self.carried = 0
        """How many events were flushed."""

    def snapshot(self) -> bytes:
        """The frame of the last event, empty if there was none."""
        topic = self.topic
        return b"" if topic.last is None else self.encode(topic.last, topic.seq)


class Topic:
    """A stream at the hub: its last event and the `seq` of that, 0 if there is none yet; its inlet."""

    __slots__ = ("_send", "instrument", "kind", "kline_type", "last", "seq", "views")

    def __init__(
        self,
        kind: Kind,
        instrument: Instrument,
        kline_type: int,
        send: Callable[[Topic, StreamEvent, int], None],
    ) -> None:
        """`send` sends an event to those who want it."""
        self.kind = kind
        self.kline_type = kline_type
        self.instrument = instrument
        self.seq = 0
        self.last: StreamEvent | None = None
        self.views: dict[tuple[str, int], View] = {}
        self._send = send

    def take(self, event: StreamEvent, seq: int) -> None:
        """The next event of the stream, or one that a scenario sends twice or too late."""
        if seq > self.seq:
            self.last = event
            self.seq = seq
        if self.views:
            self._send(self, event, seq)

    def view(self, name: str, levels: int, *, text_ids: bool) -> View:
        """The view of that name and depth, the same one for all who ask alike."""
        found = self.views.get((name, levels))
        if found is None:
            found = self.views[name, levels] = View(self, name, levels, text_ids=text_ids)
        return found

    def redefine(self, instrument: Instrument, *, text_ids: bool) -> None:
        """The instrument is known in other numbers. Whoever had all levels of its book still has all."""
        before, self.instrument = self.instrument, instrument
        for view in self.views.values():
            if view.levels == before.levels:
                view.levels = instrument.levels
            view.encode = encoder(self.kind, view.name, instrument, view.levels, text_ids=text_ids)
        self.views = {(view.name, view.levels): view for view in self.views.values()}

    def drop(self, view: View) -> None:
        """Nobody wants the view any more."""
        self.views.pop((view.name, view.levels), None)
