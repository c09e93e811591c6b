"""Which positions a command keeps: those of the lines that standard output took, whole."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import msgspec

from ..client import Book, Event, Feed, Gap, Kline, Position, Trade, save_positions
from ..model import Kind
from .output import Outlet

PARTING = 1.0
"""Seconds in which what is being printed may still be, when the program is to end."""
KIND_OF = {Trade: Kind.TRADE, Book: Kind.DEPTH, Kline: Kind.KLINE}
Stream: TypeAlias = tuple[Kind | None, str, str]


class Keeping:
    """A file of positions that never says more of a feed than standard output took of it.

    Where it does not take all, since its reader is gone or the program is to end, the lines that it took
    count all the same: who goes on there is given none of them again.
    """

    def __init__(self, path: Path, feed: Feed, outlet: Outlet) -> None:
        """Raises PositionsError if the file cannot be written."""
        self._path = path
        self._feed = feed
        self._outlet = outlet
        self._kept = feed.positions()
        save_positions(path, self._kept)

    async def write(self, lines: Sequence[str], events: Sequence[Event], unprinted: Sequence[Event]) -> None:
        """Writes these lines, each of one event, and keeps up to where the feed is then, but for what is
        `unprinted` of it. Raises OSError and PositionsError."""
        positions = self._feed.positions(unprinted)
        written = partial(save_positions, self._path, positions)
        writing = asyncio.ensure_future(self._outlet.write("".join(lines), written))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([writing], timeout=PARTING)
            if not done or isinstance(writing.exception(), OSError):
                self._keep_taken(lines, events, unprinted)
            raise
        except OSError:
            self._keep_taken(lines, events, unprinted)
            raise
        self._kept = positions

    def _keep_taken(self, lines: Iterable[str], events: Sequence[Event], unprinted: Sequence[Event]) -> None:
        """Nothing more is written. Raises PositionsError."""
        taken = self._outlet.stop()
        ends = [*accumulate(len(self._outlet.encoded(line)) for line in lines)]
        if (place := bisect_right(ends, taken)) < len(ends):
            save_positions(self._path, self._between(events[:place], [*events[place:], *unprinted]))

    def _between(self, taken: Iterable[Event], rest: Sequence[Event]) -> Iterable[Position]:
        """The positions behind what was taken of what came, and before the rest: also before its gaps, which
        are told again."""
        found = {_stream(one): one for one in self._feed.positions(rest)}
        gaps = {(one.kind, one.code, one.interval) for one in rest if isinstance(one, Gap)}
        before = {_stream(one): one for one in self._kept}
        for stream in gaps & found.keys() & before.keys():
            found[stream] = before[stream]
        for event in taken:
            if isinstance(event, (Trade, Book, Kline)):
                interval = event.interval if isinstance(event, Kline) else ""
                stream = KIND_OF[type(event)], event.code, interval
                if stream in gaps and stream in found:
                    found[stream] = msgspec.structs.replace(
                        found[stream], seq=event.seq, time_ms=event.time_ms
                    )
        return found.values()


def _stream(one: Position) -> Stream:
    return one.kind, one.code, one.interval
