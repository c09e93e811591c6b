"""Streams: where events get their place, and what each of them carried last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..bus import Inlet, Receiver, StreamEvent
from ..model import Book, Instrument, Kind, KlineType, KlineUpdate, Position, Trade


class Stream:
    """One kind of event of one instrument, of bars also of one type: its last event, and a sequence that
    grows by one.

    The first event of an epoch has the epoch's start as `seq` (section 2, "Push").
    """

    __slots__ = ("inlets", "instrument", "kind", "kline_type", "last", "seq")

    def __init__(self, kind: Kind, instrument: Instrument, kline_type: int, epoch: int) -> None:
        self.kind = kind
        self.kline_type = kline_type
        self.instrument = instrument
        self.seq = epoch - 1
        self.last: StreamEvent | None = None
        self.inlets: list[Inlet] = []


class Numbered(NamedTuple):
    """An event that has its `seq`, and is yet to be sent."""

    stream: Stream
    event: StreamEvent
    seq: int

    def send(self) -> None:
        """Sends it to all receivers."""
        for inlet in self.stream.inlets:
            inlet.take(self.event, self.seq)


class Streams:
    """All streams of a market, and the receivers that they go to."""

    def __init__(self, epoch: int) -> None:
        """`epoch` is the first `seq` of every stream: the server's start in microseconds."""
        self.epoch = epoch
        self._streams: dict[tuple[Kind, str, int], Stream] = {}
        self._receivers: list[Receiver] = []

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams.values())

    def join(self, receiver: Receiver) -> None:
        """Another receiver gets what follows of all streams."""
        self._receivers.append(receiver)
        for stream in self:
            self._open(stream, receiver)

    def of(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Stream:
        """The stream of that kind and instrument; of bars, one for each type."""
        key = (kind, instrument.code, kline_type)
        found = self._streams.get(key)
        if found is None:
            found = self._streams[key] = Stream(kind, instrument, kline_type, self.epoch)
            for receiver in self._receivers:
                self._open(found, receiver)
        return found

    def publish(self, instrument: Instrument, event: StreamEvent) -> int:
        """Gives the next event of an instrument its `seq`, and sends it. Returns the `seq`."""
        stream = self._of(instrument, event)
        stream.seq = seq = stream.seq + 1
        stream.last = event
        for inlet in stream.inlets:
            inlet.take(event, seq)
        return seq

    def number(self, instrument: Instrument, event: StreamEvent) -> Numbered:
        """Gives the next event of an instrument its `seq`; it is yet to be sent."""
        stream = self._of(instrument, event)
        stream.seq += 1
        stream.last = event
        return Numbered(stream, event, stream.seq)

    def last(self, kind: Kind, instrument: Instrument) -> StreamEvent | None:
        """The last event of that kind; None if nothing has come yet."""
        stream = self._streams.get((kind, instrument.code, 0))
        return None if stream is None else stream.last

    def position(self, stream: Stream) -> Position:
        """Where a stream is."""
        return Position(self.epoch, stream.seq)

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers: what is sent from now on is written in them."""
        for kind in Kind:
            for kline_type in (0,) if kind is not Kind.KLINE else KlineType:
                if (stream := self._streams.get((kind, instrument.code, kline_type))) is not None:
                    stream.instrument = instrument
        for receiver in self._receivers:
            receiver.redefine(instrument)

    def _of(self, instrument: Instrument, event: StreamEvent) -> Stream:
        match event:
            case Trade():
                return self.of(Kind.TRADE, instrument)
            case Book():
                return self.of(Kind.DEPTH, instrument)
            case KlineUpdate(kline):
                return self.of(Kind.KLINE, instrument, kline.kline_type)

    def _open(self, stream: Stream, receiver: Receiver) -> None:
        stream.inlets.append(receiver.open(stream.kind, stream.instrument, stream.kline_type))
