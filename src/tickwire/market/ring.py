"""What streams sent lately, so that a client that was away can be given what it missed.

Of trades and corrections all are kept, of bars those that have closed or were revised: of a book, and of a
bar that forms, the newest state is enough. A trade costs an append; every few seconds what came meanwhile
becomes a block. Blocks go whole, and their trades are packed in a thread once all of them take too much
memory. Neither form is work for the garbage collector, which does not track trades, nor tuples of them.
"""

from __future__ import annotations

import asyncio
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ..bus import Missed, StreamEvent
from ..model import Kind, Trade
from .streams import Stream, Streams

BLOCK = 5.0
"""Seconds of a block."""
LOOK = 0.5
"""Seconds between looks whether a block is to be made."""
MOST_LOOSE = 50_000
"""Events after which a block is made before its time."""
LOOSE_SIZE = 400
"""Bytes of an event that is not packed, about: of a trade, itself and three decimals."""
SLICE = 1_000
"""Events that are read back at a time."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Trade]).decode


class Piece(NamedTuple):
    """Events of one stream that follow one another: the `seq` of each, and they themselves; of trades also
    packed, no more than a slice then."""

    seqs: Sequence[int]
    events: bytes | Sequence[StreamEvent]

    def after(self, seq: int, *, whole: bool) -> Missed:
        """Those after that `seq`, up to the next end of a slice."""
        begin = bisect_right(self.seqs, seq)
        end = begin + SLICE - begin % SLICE
        events = _unpack(zlib.decompress(self.events)) if isinstance(self.events, bytes) else self.events
        return Missed(self.seqs[begin:end], events[begin:end], whole)


class Block:
    """What all streams sent in a few seconds, up to a moment; the pieces of each, ascending."""

    __slots__ = ("at", "packed", "pieces", "size")

    def __init__(self, at: float, pieces: dict[Stream, list[Piece]]) -> None:
        self.at = at
        self.hold(pieces, packed=False)

    def hold(self, pieces: dict[Stream, list[Piece]], *, packed: bool) -> None:
        """Keeps the same events in these pieces."""
        self.pieces = pieces
        self.packed = packed
        self.size = sum(map(_size, (piece for some in pieces.values() for piece in some)))


class Ring:
    """The last events of all streams: of so many seconds, in so many bytes for all of them together."""

    def __init__(self, streams: Streams, seconds: float, limit: int, *, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._streams = streams
        self.seconds = seconds
        self.limit = limit
        self._clock = clock
        self._blocks: deque[Block] = deque()
        self._cut = clock()
        self.size = 0
        """Bytes of memory that the blocks take, about."""

    async def run(self) -> None:
        """Makes blocks of what comes. Never ends."""
        while True:
            await asyncio.sleep(LOOK)
            loose = sum(len(stream.loose) for stream in self._streams.kept)
            if loose >= MOST_LOOSE or self._clock() - self._cut >= BLOCK:
                await self.cut()

    async def cut(self) -> None:
        """Makes a block of what has come since the last one; packs blocks where they take too much memory,
        and lets go of those that are too old, or too much even so."""
        self._cut = self._clock()
        pieces: dict[Stream, list[Piece]] = {}
        for stream in self._streams.kept:
            if stream.loose:
                piece = _loose(stream)
                pieces[stream] = [Piece(piece.seqs, tuple(stream.loose))]
                stream.loose, stream.loose_seqs = [], []
        if pieces:
            self._blocks.append(block := Block(self._cut, pieces))
            self.size += block.size
        while self._blocks and self._cut - self._blocks[0].at > self.seconds:
            self._drop_oldest()
        while self.size > self.limit:
            loose = next((one for one in self._blocks if not one.packed), None)
            if loose is None:
                self._drop_oldest()
                continue
            packed = await asyncio.to_thread(_packed, loose.pieces)
            self.size -= loose.size
            loose.hold(packed, packed=True)
            self.size += loose.size

    def _drop_oldest(self) -> None:
        block = self._blocks.popleft()
        self.size -= block.size
        for stream, pieces in block.pieces.items():
            stream.forgotten = pieces[-1].seqs[-1]

    def missed(self, stream: Stream, after: int) -> Missed:
        """The next of what a stream has sent after that `seq` and is there."""
        whole = after >= stream.forgotten
        piece = self._piece(stream, after)
        return Missed((), (), whole) if piece is None else piece.after(after, whole=whole)

    def first(self, stream: Stream, after: int) -> int:
        """The `seq` of the first of those; 0 if there is none."""
        if stream.kind is Kind.TRADE:  # they grow by one
            first = max(after, stream.forgotten) + 1
            return first if first <= stream.seq else 0
        piece = self._piece(stream, after)
        return 0 if piece is None else piece.seqs[bisect_right(piece.seqs, after)]

    def _piece(self, stream: Stream, after: int) -> Piece | None:
        """The first piece of a stream that holds something after that `seq`."""
        found = None
        for piece in self._pieces(stream):
            if piece.seqs[-1] <= after:
                break
            found = piece
            if piece.seqs[0] <= after:
                break
        return found

    def _pieces(self, stream: Stream) -> Iterator[Piece]:
        """What there is of a stream, the last first."""
        if stream.loose:
            yield _loose(stream)
        for block in reversed(self._blocks):
            yield from reversed(block.pieces.get(stream, ()))


def _loose(stream: Stream) -> Piece:
    """What no block holds yet of a stream, some of it."""
    events = stream.loose
    if stream.kind is Kind.TRADE:
        return Piece(range(stream.seq + 1 - len(events), stream.seq + 1), events)
    return Piece(stream.loose_seqs, events)


def _size(piece: Piece) -> int:
    return len(piece.events) if isinstance(piece.events, bytes) else LOOSE_SIZE * len(piece.events)


def _packed(pieces: dict[Stream, list[Piece]]) -> dict[Stream, list[Piece]]:
    """The same with the trades packed."""
    return {
        stream: [part for piece in some for part in _parts(piece)] if stream.kind is Kind.TRADE else some
        for stream, some in pieces.items()
    }


def _parts(piece: Piece) -> Iterator[Piece]:
    for begin in range(0, len(piece.seqs), SLICE):
        some = slice(begin, begin + SLICE)
        yield Piece(piece.seqs[some], zlib.compress(_pack(piece.events[some]), 1))
