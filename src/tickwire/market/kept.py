"""The last events of a stream, as the ring keeps them: trades as rows of bytes, all others as they are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias, cast

import msgspec

from ..bus import Missed, StreamEvent
from ..model import Trade

SLICE = 1_000
"""Events that are read back at a time; a piece of trades has no more. They end at the same `seq` for all."""
OBJECT_SIZE = 400
"""Bytes of an event that is kept as it is, about."""

Row: TypeAlias = tuple[int, Decimal, Decimal, Decimal | None, int, int]
"""A trade without its code."""

_write = msgspec.msgpack.Encoder().encode_into
_read = msgspec.msgpack.Decoder(list[Row]).decode


class Piece(NamedTuple):
    """Events of one stream that follow one another: the `seq` of each, and they themselves or their rows."""

    seqs: Sequence[int]
    events: bytes | bytearray | Sequence[StreamEvent]

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        count = len(self.events)
        return count if isinstance(self.events, bytes | bytearray) else OBJECT_SIZE * count

    def after(self, code: str, seq: int, *, whole: bool) -> Missed:
        """Those of that code after that `seq`, up to the next end of a slice."""
        begin = bisect_right(self.seqs, seq)
        if isinstance(self.events, bytes | bytearray):
            # What msgpack writes before so many elements of an array.
            rows = _read(b"\xdd" + len(self.seqs).to_bytes(4, "big") + self.events)
            return Missed(self.seqs[begin:], [Trade(code, *row) for row in rows[begin:]], whole)
        end = begin + SLICE - begin % SLICE
        return Missed(self.seqs[begin:end], self.events[begin:end], whole)


class Rows:
    """Trades that no block of the ring holds yet. Their `seq` grows by one."""

    __slots__ = ("_begin", "_full", "_rows")

    def __init__(self) -> None:
        self._begin = 0
        self._rows = bytearray()
        self._full: list[Piece] = []

    def add(self, event: StreamEvent, seq: int) -> None:
        """Adds the next one."""
        if not self._rows:
            self._begin = seq
        trade = cast("Trade", event)
        row = trade.time, trade.price, trade.volume, trade.turnover, trade.direction, trade.source_seq
        _write(row, self._rows, -1)
        if seq % SLICE == SLICE - 1:
            self._full.append(Piece(range(self._begin, seq + 1), bytes(self._rows)))
            self._rows = bytearray()

    def last_first(self, seq: int) -> Iterator[Piece]:
        """All of them, up to that `seq`, which is the last."""
        if self._rows:
            yield Piece(range(self._begin, seq + 1), self._rows)
        yield from reversed(self._full)

    def take(self, seq: int) -> list[Piece]:
        """Gives them away, ascending, up to that `seq`, which is the last."""
        pieces = self._full
        if self._rows:
            pieces.append(Piece(range(self._begin, seq + 1), bytes(self._rows)))
        self._rows, self._full = bytearray(), []
        return pieces

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self._rows) + sum(piece.size for piece in self._full)


class Objects:
    """Events that no block of the ring holds yet, of which some have no place in it: the `seq` of each stands
    beside it."""

    __slots__ = ("_events", "_seqs")

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._seqs: list[int] = []

    def add(self, event: StreamEvent, seq: int) -> None:
        """Adds the next one."""
        self._events.append(event)
        self._seqs.append(seq)

    def last_first(self, _: int) -> Iterator[Piece]:
        """See `Rows`."""
        if self._events:
            yield Piece(self._seqs, self._events)

    def take(self, _: int) -> list[Piece]:
        """See `Rows`."""
        pieces = [Piece(self._seqs, tuple(self._events))] if self._events else []
        self._events, self._seqs = [], []
        return pieces

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return OBJECT_SIZE * len(self._events)
