"""What streams sent lately, so that a client that was away can be given what it missed.

Of trades and corrections all are kept, of bars those that have closed or were revised: of a book, and of a
bar that forms, the newest state is enough. A trade is kept as its bytes, an eighth of what the object takes:
where objects stay, each next one is written to memory that no cache holds. Every few seconds what came
meanwhile becomes a block, and blocks go whole.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..bus import Missed
from ..model import Kind
from .kept import Piece
from .streams import Stream, Streams

BLOCK = 5.0
"""Seconds of a block."""
LOOK = 0.5
"""Seconds between looks whether a block is to be made."""
MOST_LOOSE = 4 * 2**20
"""Bytes after which a block is made before its time."""


class Block(NamedTuple):
    """What all streams sent in a few seconds, up to a moment; the pieces of each, ascending."""

    at: float
    pieces: dict[Stream, list[Piece]]
    size: int


class Ring:
    """The last events of all streams: of so many seconds, in so many bytes for all of them together."""

    def __init__(self, streams: Streams, seconds: float, limit: int, *, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._streams = streams
        self._clock = clock
        self._blocks: deque[Block] = deque()
        self._cut = clock()
        self.size = 0
        """Bytes of memory that the blocks take, about."""
        self.bound(seconds, limit)

    def bound(self, seconds: float, limit: int) -> None:
        """From now on it keeps so many seconds, in so many bytes; nothing, if one of them is 0."""
        self.seconds = seconds
        self.limit = limit
        self.cut()
        self._streams.keeps = seconds > 0 and limit > 0
        while self._blocks and not self._streams.keeps:
            self._drop_oldest()

    async def run(self) -> None:
        """Makes blocks of what comes. Never ends."""
        while True:
            await asyncio.sleep(LOOK)
            loose = sum(stream.kept.size for stream in self._streams.kept)
            if loose >= MOST_LOOSE or self._clock() - self._cut >= BLOCK:
                self.cut()

    def cut(self) -> None:
        """Makes a block of what has come since the last one, and lets go of blocks that are too old, or too
        much."""
        self._cut = self._clock()
        taken = {stream: stream.kept.take(stream.seq) for stream in self._streams.kept}
        pieces = {stream: some for stream, some in taken.items() if some}
        if pieces:
            size = sum(piece.size for some in pieces.values() for piece in some)
            self._blocks.append(Block(self._cut, pieces, size))
            self.size += size
        while self._blocks and (self.size > self.limit or self._cut - self._blocks[0].at > self.seconds):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        block = self._blocks.popleft()
        self.size -= block.size
        for stream, pieces in block.pieces.items():
            stream.forgotten = pieces[-1].seqs[-1]

    def missed(self, stream: Stream, after: int) -> Missed:
        """The next of what a stream has sent after that `seq` and is there."""
        whole = after >= stream.forgotten
        piece = self._piece(stream, after)
        if piece is None:
            return Missed((), (), whole)
        return piece.after(stream.instrument.code, after, whole=whole)

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
        yield from stream.kept.last_first(stream.seq)
        for block in reversed(self._blocks):
            yield from reversed(block.pieces.get(stream, ()))
