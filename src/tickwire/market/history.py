"""What was recorded, for clients that ask for it: a replay of their own, or what the ring has let go of."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from operator import attrgetter
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

import structlog

from ..bus import Missed
from ..model import (
    Book,
    Catalogue,
    Correction,
    Entrance,
    Event,
    Instrument,
    Kind,
    KlineUpdate,
    Position,
    Trade,
    event_fault,
    kind_of,
)
from ..store.recordings import Growing, Recorded, Span, Spans, Streamed, Wanted, give_back, held_bytes
from .ring import Ring
from .streams import Streams

PAGE = 500
"""Events that are read at a time."""
THREADS = 2
"""Those that read: a disk that does not answer keeps nobody else waiting."""
MOST_READINGS = 256
"""Streams that are read at once for clients that resume; each holds some of a file."""
MOST_PAGES = 100
"""Pages that are kept for others who missed the same."""

Result = TypeVar("Result")
log = structlog.get_logger()


MOST_BYTES = 512 * 2**20
"""Those of all that is read: beyond it, who has waited longest lets go of what he was reading."""


class From(NamedTuple):
    """An event as it was recorded, whether our own server recorded it, and what it was read of: up to where
    with it."""

    one: Recorded
    own: bool
    reading: Growing
    following: int


class Playback:
    """The events of some streams as they were recorded, in order of arrival, see `bus.Playback`."""

    def __init__(
        self, history: History, streams: Collection[Streamed], span: Span, start: int, end: int | None
    ) -> None:
        self.begin, self.end = span.begin, span.end
        self.recorded: Collection[Streamed] = span.streams
        self._decimals = span.decimals
        self._history = history
        self._streams = frozenset(streams)
        self._start = start
        self._readings = history.readings(self._streams, start, end)
        self._events: Iterator[From] = iter(())
        self._busy = Lock()
        self._taken: dict[Growing, int] = {}
        """Up to where each was given."""
        self._given: dict[Streamed, int] = {}
        """The last `seq` that was given of each stream, of those that it has had in this epoch."""
        self._forgotten = {one: history.forgotten(*one) for one in self._streams} if history.own else {}
        self._unfit = 0

    async def more(self) -> Sequence[tuple[Event | Correction, int, int]]:
        """The next of them; none if this is the end that there is now. Raises InputError."""
        return await self._history.more(self, self._read)

    def rest(self) -> bool:
        """Lets go of what is being read, a segment of each recording: what comes next is read anew. Not while
        a thread reads it: returns whether that could be."""
        if not self._busy.acquire(blocking=False):
            return False
        self._events = iter(())
        for reading, _ in self._readings:
            reading.go_back(self._taken.get(reading, 0))
        self._busy.release()
        return True

    def close(self) -> None:
        """Nobody wants more of it."""
        for reading, _ in self._readings:
            reading.is_over = True
        self._history.forget(self)

    def instrument(self, code: str) -> Instrument:
        """What a code is, in as many decimals as are known now, or as it was recorded with if those are
        more."""
        wider = self._history.catalogue.wider({code: self._decimals.get(code, (0, 0))})
        return wider[0] if wider else self._history.catalogue[code]

    def position(self, kind: Kind, code: str) -> Position | None:
        """Up to where a stream was given that goes on here; None if nothing of what is live is recorded."""
        history = self._history
        if not history.own:
            return None
        epoch = history.streams.epoch
        seq = self._given.get((kind, code))
        if seq is None:
            seq = history.last_before(kind, code, self._start, self._forgotten[kind, code])
        return Position(epoch, seq)

    def _read(self) -> list[tuple[Event | Correction, int, int]]:
        with self._busy:
            return self._more()

    def _more(self) -> list[tuple[Event | Correction, int, int]]:
        found: list[tuple[Event | Correction, int, int]] = []
        epoch, anew = self._history.streams.epoch, False
        while not found:
            some = [*islice(self._events, PAGE)]
            if not some:
                if anew:
                    break
                self._events, anew = self._pass(), True
                continue
            for (event, received, seq, _), own, reading, following in some:
                self._taken[reading] = following
                kind = kind_of(event)
                if not seq or (kind, event.code) not in self._streams:
                    continue  # clients were not sent it, or not asked for
                if event_fault(event, self._history.catalogue[event.code], Entrance.REPLAY) is not None:
                    self._say_unfit(event.code)
                    continue
                if own and seq >= epoch:
                    self._given[kind, event.code] = seq
                found.append((event, seq, received))
        return found

    def _pass(self) -> Iterator[From]:
        each = [_events(*one) for one in self._readings]
        return each[0] if len(each) == 1 else heapq.merge(*each, key=lambda one: one.one.received)

    def _say_unfit(self, code: str) -> None:
        if not self._unfit:
            log.warning("what breaks a rule is left out of a replay", code=code)
        self._unfit += 1


class History:
    """The recordings of a server, and others that it is to serve."""

    def __init__(
        self,
        folders: Sequence[Path],
        own: Collection[Path],
        catalogue: Catalogue,
        streams: Streams,
        ring: Ring,
        is_whole: Callable[[], bool],
    ) -> None:
        """`own` are the folders that this server records into, `is_whole` says whether all that came since
        its start stands in them."""
        self.own = own
        self.catalogue = catalogue
        self.streams = streams
        self._ring = ring
        self._is_whole = is_whole
        self._spans = Spans([*own, *folders])
        self._threads = ThreadPoolExecutor(THREADS, "history")
        self._reading: OrderedDict[Playback, None] = OrderedDict()  # who holds something; who read last, last
        self._missing: OrderedDict[tuple[Kind, str, int], Iterator[Recorded]] = OrderedDict()
        self._pages: OrderedDict[tuple[Kind, str, int], Missed] = OrderedDict()

    async def open(self, streams: Collection[Streamed], begin: int, end: int | None) -> Playback:
        """What was recorded of these streams from that time on and before `end`, in milliseconds since the
        epoch. Raises InputError."""
        live = {
            one: stream.last.time
            for one in (streams if self.own else ())
            if (stream := self.streams.known(*one)) is not None
            and isinstance(stream.last, Trade | Book | Correction)
        }
        span = await self.read(lambda: self._spans.of(streams, live))
        return Playback(self, streams, span, begin, end)

    async def missed(self, kind: Kind, code: str, after: int, below: int) -> Missed | None:
        """The next of what a stream of ours has sent after that `seq`, up to `below`; None if it is not
        recorded, or a part of it is not."""
        key = kind, code, after
        if (page := self._pages.get(key)) is None:
            found = await self.read(lambda: self._next(key, below))
            if not found:
                return None
            page = Missed([one.seq for one in found], [one.event for one in found], whole=True)
            self._pages[key] = page
            if len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)
        return page

    def readings(
        self, streams: Collection[Streamed], start: int | None, end: int | None, after: int | None = None
    ) -> list[tuple[Growing, bool]]:
        """A reading of each folder, from its beginning, and whether it is one of ours; with `after` ours
        alone."""
        codes, kinds = {code for _, code in streams}, {kind for kind, _ in streams}
        wanted = Wanted(start, end, codes, kinds, after)
        return [
            (Growing(folder, wanted), own)
            for folder in self._spans.folders
            if (own := folder.path in self.own) or after is None
        ]

    async def more(
        self, playback: Playback, call: Callable[[], Sequence[tuple[Event | Correction, int, int]]]
    ) -> Sequence[tuple[Event | Correction, int, int]]:
        """Reads on for a replay. What others hold who have waited longest is let go of where all hold too
        much."""
        if found := await self.read(call):
            self._reading[playback] = None
            self._reading.move_to_end(playback)
        if held_bytes() > MOST_BYTES:
            for one in [*self._reading][:-1]:
                if one.rest():
                    del self._reading[one]
                if held_bytes() <= MOST_BYTES:
                    break
            self._threads.submit(give_back)
        return found

    def forget(self, playback: Playback) -> None:
        """A replay needs nothing any more."""
        self._reading.pop(playback, None)
        if playback.rest():
            self._threads.submit(give_back)

    async def read(self, call: Callable[[], Result]) -> Result:
        """Calls what waits for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def forgotten(self, kind: Kind, code: str) -> int:
        """The `seq` of the last event of a stream that the ring has let go of, or that before its first."""
        stream = self.streams.known(kind, code)
        return self.streams.epoch - 1 if stream is None else stream.forgotten

    def last_before(self, kind: Kind, code: str, start: int, forgotten: int) -> int:
        """The `seq` of the last event of a stream before that time, if nothing that is recorded of it is of a
        later one: so it is none before `forgotten`, which the ring had let go of when that was looked for.

        Where something is not recorded that may not be so. Then it is the one before that: whoever goes on
        from there is told what is missing."""
        seq = forgotten
        if seq >= self.streams.epoch and not self._is_whole():
            seq -= 1
        if (stream := self.streams.known(kind, code)) is not None and kind is not Kind.DEPTH:
            while (found := self._ring.missed(stream, seq)).seqs:
                for event, at in zip(found.events, found.seqs, strict=True):
                    if isinstance(event, KlineUpdate) or event.time >= start:
                        return seq
                    seq = at
        return seq

    async def end(self) -> None:
        """Reads no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _next(self, key: tuple[Kind, str, int], below: int) -> list[Recorded]:
        """The next of a stream without a hole; none if there is one."""
        kind, code, after = key
        reading = self._missing.pop(key, None)
        if reading is None:
            each = [one.events() for one, _ in self.readings({(kind, code)}, None, None, after=after)]
            reading = heapq.merge(*each, key=attrgetter("seq"))
        found: list[Recorded] = []
        for one in reading:
            if one.seq == after + 1:
                found.append(one)
                after += 1
            elif one.seq > after:
                break
            if len(found) == PAGE or after == below:
                break
        if found and after < below:
            self._missing[kind, code, after] = reading
            if len(self._missing) > MOST_READINGS:
                self._missing.popitem(last=False)
        return found


def _events(reading: Growing, own: bool) -> Iterator[From]:
    return (From(one, own, reading, reading.following) for one in reading.events())
