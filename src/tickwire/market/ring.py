"""What streams sent lately, so that a client that was away can be given what it missed.

Only trades are kept: of a book its newest state is enough, and bars are kept as bars. A trade costs an
append; every few seconds what came meanwhile becomes a block. Blocks go whole, and are packed in a thread
once all of them take too much memory. Neither form is work for the garbage collector, which does not track
trades, nor tuples of them.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from ..model import Trade
from .streams import Stream

BLOCK = 5.0
"""Seconds of a block."""
LOOK = 0.5
"""Seconds between looks whether a block is to be made."""
MOST_LOOSE = 50_000
"""Trades after which a block is made before its time."""
LOOSE_SIZE = 400
"""Bytes of a trade that is not packed, about: itself and three decimals."""
SLICE = 1_000
"""Trades that are read back at a time."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Trade]).decode


class Piece(NamedTuple):
    """Trades of one stream that follow one another: the `seq` of the first, how many, and they themselves,
    packed or not yet."""

    first: int
    number: int
    trades: bytes | Sequence[Trade]

    def read(self) -> Sequence[Trade]:
        """The trades."""
        return _unpack(zlib.decompress(self.trades)) if isinstance(self.trades, bytes) else self.trades


class Block:
    """What all streams sent in a few seconds, up to a moment."""

    __slots__ = ("at", "packed", "pieces", "size")

    def __init__(self, at: float, pieces: dict[Stream, Piece]) -> None:
        self.at = at
        self.pieces = pieces
        self.packed = False
        self.size = sum(LOOSE_SIZE * piece.number for piece in pieces.values())

    def hold(self, packed: dict[Stream, Piece]) -> None:
        """Keeps the same trades packed."""
        self.pieces = packed
        self.packed = True
        self.size = sum(len(piece.trades) for piece in packed.values())


class Ring:
    """The last trades of all streams: of so many seconds, in so many bytes for all of them together."""

    def __init__(
        self, streams: Collection[Stream], seconds: float, limit: int, *, clock: Callable[[], float]
    ) -> None:
        """`streams` are those of trades, whichever there are; `clock` is monotonic, in seconds."""
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
            loose = sum(len(stream.loose) for stream in self._streams)
            if loose >= MOST_LOOSE or self._clock() - self._cut >= BLOCK:
                await self.cut()

    async def cut(self) -> None:
        """Makes a block of what has come since the last one; packs blocks where they take too much memory,
        and lets go of those that are too old, or too much even so."""
        self._cut = self._clock()
        pieces: dict[Stream, Piece] = {}
        for stream in self._streams:
            if trades := stream.loose:
                stream.loose = []
                pieces[stream] = Piece(stream.seq + 1 - len(trades), len(trades), tuple(trades))
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
            loose.hold(packed)
            self.size += loose.size

    def _drop_oldest(self) -> None:
        self.size -= self._blocks.popleft().size

    def reaches(self, stream: Stream, after: int) -> bool:
        """Whether all that a stream sent after that `seq` is there."""
        return after >= stream.seq or any(piece.first <= after + 1 for piece in self._pieces(stream))

    def missed(self, stream: Stream, after: int) -> AsyncIterator[Sequence[tuple[int, Trade]]] | None:
        """What a stream has sent after that `seq`, up to now, each with its `seq`; some at a time, so that
        nobody is held up. None if not all of it is there any more."""
        return _read([*self._pieces(stream)], after) if self.reaches(stream, after) else None

    def _pieces(self, stream: Stream) -> Iterable[Piece]:
        """What there is of a stream, ascending."""
        for block in self._blocks:
            if (piece := block.pieces.get(stream)) is not None:
                yield piece
        if stream.loose:
            number = len(stream.loose)
            yield Piece(stream.seq + 1 - number, number, [*stream.loose])


async def _read(pieces: Iterable[Piece], after: int) -> AsyncIterator[Sequence[tuple[int, Trade]]]:
    for piece in pieces:
        if piece.first + piece.number <= after + 1:
            continue
        trades, skipped = piece.read(), max(0, after + 1 - piece.first)
        for begin in range(skipped, piece.number, SLICE):
            first, some = piece.first + begin, trades[begin : begin + SLICE]
            yield [*enumerate(some, first)]
            await asyncio.sleep(0)


def _packed(pieces: dict[Stream, Piece]) -> dict[Stream, Piece]:
    return {
        stream: piece._replace(trades=zlib.compress(_pack(piece.trades), 1))
        for stream, piece in pieces.items()
    }
