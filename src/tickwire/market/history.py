"""What was recorded, for clients that ask for it: a replay of their own, or what the ring has let go of."""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, cast

import structlog

from ..bus import Columns, Hole, Missed
from ..errors import InputError
from ..model import (
    Book,
    Catalogue,
    Correction,
    Entrance,
    Instrument,
    Kind,
    KlineUpdate,
    Position,
    Trade,
    event_fault,
)
from ..store.recordings import Growing, Recorded, Span, Spans, Streamed, Wanted, give_back, held_bytes
from .ring import Ring
from .streams import Streams

if TYPE_CHECKING:  # it needs pyarrow
    import pyarrow as pa

    from ..store.recordings.page import Page

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


PLACE = "seq", "arrival", "time"
MOST_BYTES = 512 * 2**20
"""Those of all that is read: beyond it, who has waited longest lets go of what he was reading."""


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
        self._pages: Iterator[tuple[Page, Mapping[int, int]]] = iter(())
        self._busy = Lock()
        self._taken: dict[int, int] = {}
        """Up to where each reading was given, by its number."""
        self._given: dict[Streamed, int] = {}
        """The last `seq` that was given of each stream, of those that it has had in this epoch."""
        self._forgotten = {one: history.forgotten(*one) for one in self._streams} if history.own else {}
        self._codes = {kind: [code for of, code in self._streams if of is kind] for kind in Kind}
        self._is_unfit = False
        self._begun: set[tuple[int, Streamed]] = set()
        """The streams of which something was given, of each reading."""
        self._lacking: set[Streamed] = set()
        """Streams that have a hole before their next event, whatever its number is."""
        self._holes: set[tuple[Kind, str, int]] = set()
        """Before which events there is one, of those that are still to be given."""
        self._newest: dict[Streamed, int] = {}
        """The last `seq` of each stream that was given, where there are several readings: a source may have
        had a code for another one, whose recording then has what is missing from this one."""

    def lack(self) -> None:
        """Before the next event of each stream there is a hole."""
        self._lacking = set(self._streams)

    async def more(self) -> Columns | None:
        """The next of them; None if this is the end that there is now. Raises InputError."""
        return await self._history.more(self, self._read)

    def rest(self) -> bool:
        """Lets go of what is being read, a segment of each recording: what comes next is read anew. Not while
        a thread reads it: returns whether that could be."""
        if not self._busy.acquire(blocking=False):
            return False
        self._pages = iter(())
        for number, (reading, _) in enumerate(self._readings):
            reading.go_back(self._taken.get(number, 0))
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

    def _read(self) -> Columns | None:
        with self._busy:
            anew = False
            while True:
                if (found := next(self._pages, None)) is not None:
                    page, following = found
                    self._taken |= following
                    if len(page):
                        return _columns(page, self._told(page))
                elif anew:
                    return None
                else:
                    self._pages, anew = self._pass(), True

    def _pass(self) -> Iterator[tuple[Page, Mapping[int, int]]]:
        from ..store.recordings.together import together

        return together([self._wanted(number, *one) for number, one in enumerate(self._readings)])

    def _wanted(self, number: int, reading: Growing, own: bool) -> Iterator[Page]:
        """What clients were sent of what was asked for, and is fit."""
        import pyarrow.compute as pc

        from ..store.recordings.page import Page

        for page in reading.pages():
            tables = {}
            for kind, table in page.tables.items():
                sent = (pc.field("seq") > 0) & pc.field("code").isin(self._codes[kind])
                tables[kind] = self._fit(kind, table.filter(sent))
                if own:
                    self._note(kind, tables[kind])
                self._take_holes(number, reading, kind, tables[kind])
            yield Page(tables, page.following)

    def _take_holes(self, number: int, reading: Growing, kind: Kind, table: pa.Table) -> None:
        """Takes the holes of a reading that are before events of a table: each is before the first event that
        is given behind it."""
        import pyarrow.compute as pc

        for code in table["code"].unique().to_pylist():
            stream, begun = (kind, code), (number, (kind, code)) in self._begun
            self._begun.add((number, stream))
            holes = reading.holes.get(stream, [])
            if not holes and stream not in self._lacking:
                continue
            seqs = sorted(table.filter(pc.field("code") == code)["seq"].to_pylist())
            if stream in self._lacking:
                self._lacking.remove(stream)
                self._holes.add((kind, code, seqs[0]))
            for hole in holes:
                if begun or hole >= seqs[0]:  # else it is before all that is wanted
                    self._holes.update((kind, code, seq) for seq in seqs[bisect_left(seqs, hole) :][:1])
            reading.holes[stream] = [hole for hole in holes if hole > seqs[-1]]

    def _told(self, page: Page) -> list[Hole]:
        """The holes that are before events of a page; they are told once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found: list[Hole] = []
        numbers = pa.array({seq for *_, seq in self._holes}, pa.int64())
        several = len(self._readings) > 1
        for kind, table in page.tables.items() if self._holes or several else ():
            if several:
                self._drop_filled(kind, table, numbers)
            rows = table.filter(pc.is_in(table["seq"], numbers))
            columns = [rows["code"], *(rows[name].cast(pa.int64()) for name in PLACE)]
            for code, seq, *place in zip(*(one.to_pylist() for one in columns), strict=True):
                if (kind, code, seq) in self._holes:
                    self._holes.remove((kind, code, seq))
                    found.append(Hole(kind, code, Position(self._history.epoch_of(seq), seq), *place))
        return found

    def _drop_filled(self, kind: Kind, table: pa.Table, numbers: pa.Array) -> None:
        """What is missing from one recording may have been given from another one."""
        import pyarrow.compute as pc

        if self._holes:
            before = table.filter(pc.is_in(table["seq"], pc.subtract(numbers, 1))).select(["code", "seq"])
            given = {((kind, one["code"]), one["seq"]) for one in before.to_pylist()} | {
                *self._newest.items()
            }
            self._holes -= {one for one in self._holes if (one[:2], one[2] - 1) in given}
        latest = table.group_by("code").aggregate([("seq", "max")])
        codes, seqs = latest["code"].to_pylist(), latest["seq_max"].to_pylist()
        self._newest |= {(kind, code): seq for code, seq in zip(codes, seqs, strict=True)}

    def _fit(self, kind: Kind, table: pa.Table) -> pa.Table:
        """Without what breaks a rule."""
        import pyarrow as pa

        from ..store.recordings.page import events
        from .screen import doubtful

        if not (rows := doubtful(kind, table)):
            return table
        unfit = set()
        for batch in table.take(pa.array(rows, pa.int64())).combine_chunks().to_batches():
            for row, event in zip(rows, events(kind, batch), strict=True):
                if event_fault(event, self._history.catalogue[event.code], Entrance.REPLAY) is not None:
                    unfit.add(row)
                    if not self._is_unfit:
                        self._is_unfit = True
                        log.warning("what breaks a rule is left out of a replay", code=event.code)
        return table.filter(pa.array([row not in unfit for row in range(len(table))])) if unfit else table

    def _note(self, kind: Kind, table: pa.Table) -> None:
        """Notes up to where streams that are live are given with that."""
        latest = table.group_by("code").aggregate([("seq", "max")])
        for code, seq in zip(latest["code"].to_pylist(), latest["seq_max"].to_pylist(), strict=True):
            if seq >= self._history.streams.epoch:
                self._given[kind, code] = seq


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
            try:
                found = await self.read(lambda: self._next(key, below))
            except InputError as error:
                log.error("what clients missed cannot be read", reason=str(error))
                found = []
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
            (Growing(folder, wanted, finds_holes=after is None), own)
            for folder in self._spans.folders
            if (own := folder.path in self.own) or after is None
        ]

    async def more(self, playback: Playback, call: Callable[[], Columns | None]) -> Columns | None:
        """Reads on for a replay. What others hold who have waited longest is let go of where all hold too
        much."""
        if (found := await self.read(call)) is not None:
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

    def epoch_of(self, seq: int) -> int:
        """The epoch of an event that was recorded; 0 if that is not this run's."""
        return self.streams.epoch if self.own and seq >= self.streams.epoch else 0

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
            while len(self._missing) > (MOST_READINGS if held_bytes() <= MOST_BYTES else 1):
                self._missing.popitem(last=False)
        return found


def _columns(page: Page, holes: Sequence[Hole]) -> Columns:
    """A page as it is passed on."""
    from ..store.recordings.page import numbered

    tables = dict(page.tables)
    changed = tables.pop(Kind.CORRECTION, None)
    some = () if changed is None else numbered(Kind.CORRECTION, changed)
    corrections = [(at, cast("Correction", one.event), one.seq, one.received) for at, one in some]
    return Columns(tables, corrections, holes)
