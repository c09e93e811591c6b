"""Streams: where events get their place, and what each of them carried last."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, TypeVar, cast

import structlog

from ..bus import Inlet, StreamEvent, StreamReceiver
from ..model import (
    Book,
    Correction,
    Event,
    Instrument,
    Kind,
    KlineState,
    KlineType,
    KlineUpdate,
    Position,
    Trade,
)
from .kept import Objects, Rows

HOLES = 100
"""Of a stream so many holes are remembered."""
Key = TypeVar("Key", bound=Hashable)
log = structlog.get_logger()


class Stream:
    """One kind of event of one instrument, of bars also of one type: its last event, and a sequence that
    grows by one.

    The first event of an epoch has the epoch's start as `seq` (section 2, "Push").
    """

    __slots__ = (
        "failures",
        "forgotten",
        "holes",
        "inlets",
        "instrument",
        "kept",
        "kind",
        "kline_type",
        "last",
        "seq",
    )

    def __init__(self, kind: Kind, instrument: Instrument, kline_type: int, epoch: int) -> None:
        self.kind = kind
        self.kline_type = kline_type
        self.instrument = instrument
        self.seq = self.forgotten = epoch - 1
        self.last: StreamEvent | None = None
        self.holes: tuple[int, ...] = ()
        """Before which events, by their `seq`, some are missing: outages of the source left holes."""
        self.inlets: list[Inlet] = []
        self.failures = 0
        """Events that a receiver could not take: it misses them."""
        self.kept: Rows | Objects = Rows() if kind is Kind.TRADE else Objects()
        """The last events that no block of the ring holds yet, of those that it keeps: trades, corrections,
        and bars that do not form any more."""

    def is_holed(self, after: int, first: int) -> bool:
        """Whether there is a hole behind that `seq` and before the event with the other one."""
        return bool(self.holes) and any(after < hole <= first for hole in self.holes)

    def hole_behind(self, seq: int) -> int | None:
        """Before which event the first hole is behind the one with that `seq`."""
        return next((hole for hole in self.holes if hole > seq), None)


class Numbered(NamedTuple):
    """An event that has its `seq`, and is yet to be sent."""

    stream: Stream
    event: StreamEvent
    seq: int
    received: int

    def send(self) -> None:
        """Sends it to all receivers."""
        for inlet in self.stream.inlets:
            try:
                inlet.take(self.event, self.seq, self.received)
            except Exception:
                _failed(self.stream)


class Streams:
    """All streams of a market, and the receivers that they go to."""

    def __init__(self, epoch: int) -> None:
        """`epoch` is the first `seq` of every stream: the server's start in microseconds."""
        self.epoch = epoch
        self.keeps = True
        """Whether events are kept for the ring; `Ring.bound` sets it."""
        self._trades: dict[str, Stream] = {}
        self._books: dict[str, Stream] = {}
        self._bars: dict[tuple[str, int], Stream] = {}
        self._corrections: dict[str, Stream] = {}
        self._receivers: list[StreamReceiver] = []

    def __iter__(self) -> Iterator[Stream]:
        return chain(
            self._trades.values(), self._books.values(), self._bars.values(), self._corrections.values()
        )

    @property
    def kept(self) -> Iterator[Stream]:
        """The streams whose events the ring keeps."""
        return chain(self._trades.values(), self._bars.values(), self._corrections.values())

    def join(self, receiver: StreamReceiver) -> None:
        """Another receiver gets the last event of all streams, and what follows."""
        self._receivers.append(receiver)
        for stream in self:
            self._open(stream, receiver)

    def leave(self, receiver: StreamReceiver) -> None:
        """A receiver gets nothing more."""
        place = self._receivers.index(receiver)
        del self._receivers[place]
        for stream in self:
            del stream.inlets[place]

    def known(self, kind: Kind, code: str, kline_type: int = 0) -> Stream | None:
        """A stream of a code, if it has begun."""
        if kind is Kind.KLINE:
            return self._bars.get((code, kline_type))
        return {Kind.TRADE: self._trades, Kind.DEPTH: self._books, Kind.CORRECTION: self._corrections}[
            kind
        ].get(code)

    def trades(self, instrument: Instrument) -> Stream:
        """An instrument's trades."""
        return self._trades.get(instrument.code) or self._begin(
            self._trades, instrument.code, Stream(Kind.TRADE, instrument, 0, self.epoch)
        )

    def books(self, instrument: Instrument) -> Stream:
        """An instrument's books."""
        return self._books.get(instrument.code) or self._begin(
            self._books, instrument.code, Stream(Kind.DEPTH, instrument, 0, self.epoch)
        )

    def bars(self, instrument: Instrument, kline_type: int) -> Stream:
        """An instrument's bars of a type."""
        key = instrument.code, kline_type
        return self._bars.get(key) or self._begin(
            self._bars, key, Stream(Kind.KLINE, instrument, kline_type, self.epoch)
        )

    def corrections(self, instrument: Instrument) -> Stream:
        """The corrections of an instrument's trades."""
        return self._corrections.get(instrument.code) or self._begin(
            self._corrections, instrument.code, Stream(Kind.CORRECTION, instrument, 0, self.epoch)
        )

    def restore(self, instrument: Instrument, event: Event) -> None:
        """How an instrument stood when an earlier run ended, which is no event of this one: to be shown until
        one comes, under the `seq` before the first. To be called before any receiver joins."""
        (self.trades if type(event) is Trade else self.books)(instrument).last = event

    def publish(self, instrument: Instrument, event: StreamEvent, received: int = 0) -> int:
        """Gives the next event of an instrument its `seq`, and sends it. Returns the `seq`. `received` is
        that of `bus.Inlet`."""
        stream = self._append(instrument, event)
        seq = stream.seq
        for inlet in stream.inlets:
            try:
                inlet.take(event, seq, received)
            except Exception:  # the others are to get it all the same
                _failed(stream)
        return seq

    def number(self, instrument: Instrument, event: StreamEvent, received: int = 0) -> Numbered:
        """Gives the next event of an instrument its `seq`; it is yet to be sent."""
        stream = self._append(instrument, event)
        return Numbered(stream, event, stream.seq, received)

    def last_trade(self, instrument: Instrument) -> Trade | None:
        """The last trade; None if there was none yet."""
        stream = self._trades.get(instrument.code)
        return None if stream is None else cast("Trade | None", stream.last)

    def last_book(self, instrument: Instrument) -> Book | None:
        """The last book; None if there was none yet."""
        stream = self._books.get(instrument.code)
        return None if stream is None else cast("Book | None", stream.last)

    def is_silent(self, instrument: Instrument) -> bool:
        """Whether nothing of the instrument has come yet."""
        return self.last_trade(instrument) is None and self.last_book(instrument) is None

    def position(self, stream: Stream) -> Position:
        """Where a stream is."""
        return Position(self.epoch, stream.seq)

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers: what is sent from now on is written in them."""
        bars = (self._bars.get((instrument.code, kline_type)) for kline_type in KlineType)
        of_code = (one.get(instrument.code) for one in (self._trades, self._books, self._corrections))
        for stream in (*of_code, *bars):
            if stream is not None:
                stream.instrument = instrument
        for receiver in self._receivers:
            try:
                receiver.redefine(instrument)
            except Exception:
                log.exception("a client side cannot take other numbers", code=instrument.code)

    def go_on(self, instruments: Iterable[Instrument], *, gap: bool) -> None:
        """The trades of these go on behind an outage of their source, see `StreamReceiver`."""
        streams = [self.trades(one) for one in instruments]
        begins = {one.instrument: Position(self.epoch, one.seq + 1) for one in streams}
        for stream in streams if gap else ():
            stream.holes = (*stream.holes[1 - HOLES :], stream.seq + 1)
        for receiver in self._receivers if begins else ():
            try:
                receiver.go_on(begins, gap=gap)
            except Exception:
                log.exception("a client side cannot be told how trades go on", codes=len(begins))

    def _append(self, instrument: Instrument, event: StreamEvent) -> Stream:
        """Gives an event its `seq`, that of the stream now."""
        if type(event) is Trade:
            stream, is_kept = self._trades.get(instrument.code) or self.trades(instrument), True
        elif type(event) is Book:
            stream, is_kept = self.books(instrument), False
        elif type(event) is Correction:
            stream, is_kept = self.corrections(instrument), True
        else:
            bar = cast(KlineUpdate, event)
            stream = self.bars(instrument, bar.kline.kline_type)
            is_kept = bar.state is not KlineState.FORMING
        stream.seq = seq = stream.seq + 1
        if is_kept and self.keeps:
            stream.kept.add(event, seq)
        elif is_kept:
            stream.forgotten = seq
        stream.last = event
        return stream

    def _begin(self, streams: dict[Key, Stream], key: Key, stream: Stream) -> Stream:
        streams[key] = stream
        for receiver in self._receivers:
            self._open(stream, receiver)
        return stream

    def _open(self, stream: Stream, receiver: StreamReceiver) -> None:
        inlet: Inlet = Nowhere()
        try:
            inlet = receiver.open(stream.kind, stream.instrument, stream.kline_type)
            if stream.last is not None:
                inlet.take(stream.last, stream.seq)
        except Exception:
            _failed(stream)
        stream.inlets.append(inlet)


class Nowhere:
    """The inlet of a receiver that could not open the stream."""

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        """It misses it."""


def _failed(stream: Stream) -> None:
    """Something of a stream did not go into an inlet."""
    stream.failures += 1
    if stream.failures == 1:
        log.exception(
            "a client side cannot take an event, the others do",
            code=stream.instrument.code,
            kind=stream.kind.name.lower(),
        )
