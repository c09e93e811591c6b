"""A topic and what is seen of it: one stream, one encoding for each way it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ...model import Book, Instrument, Kind, KlineUpdate, Trade
from ...wire import encoder

if TYPE_CHECKING:
    from .lane import Lane


Published: TypeAlias = Trade | Book | KlineUpdate


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
    """One kind of event of one instrument, of bars also of one type: its last event, and a sequence that
    grows by one.

    The first event of an epoch has the epoch's start as `seq` (section 2, "Push").
    """

    __slots__ = ("instrument", "kind", "kline_type", "last", "seq", "views")

    def __init__(self, kind: Kind, instrument: Instrument, kline_type: int, epoch: int) -> None:
        self.kind = kind
        self.kline_type = kline_type
        self.instrument = instrument
        self.seq = epoch - 1
        self.last: Published | None = None
        self.views: dict[tuple[str, int], View] = {}

    def append(self, event: Published) -> int:
        """Takes the next event and returns its `seq`."""
        self.last = event
        self.seq += 1
        return self.seq

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
