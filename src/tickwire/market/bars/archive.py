"""The closed bars of one source: those in its store, and those that wait to be written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import msgspec
import structlog

from ...errors import ReplacedError, StoreError
from ...model import Kline, KlineType
from ...sources.last_values import LAST, Last, LastValues
from ...sources.publishers import PUBLISHER, Publishers
from ...store import Database, KlineStore, Overlay, SqliteFile, SqliteKlineStore
from .memory import Recent, Waiting, latest
from .tape_notes import PREFIX, TapeNotes

MOST_WAITING = 200_000
"""Bars that may wait for a store that cannot be written, some 200 MB; of more the oldest go."""
ALIVE = "alive"
"""The note that says until when bars were kept, in seconds since the epoch."""
OTHERS = (PREFIX, PUBLISHER, LAST)
"""Begin the names of the notes that others know."""
Note: TypeAlias = str | Last
"""A note, or what it is made of: that may be a long book, and takes its time in the thread of the store."""

_encode = msgspec.json.Encoder().encode

log = structlog.get_logger()


class Archive:
    """Takes closed bars and notes, which wait to be written; reads what waits and what is stored as one.

    Reads raise StoreError where the store cannot be asked.
    """

    def __init__(
        self,
        source: str,
        store: KlineStore,
        database: Database,
        publishers: Publishers | None = None,
        tape: TapeNotes | None = None,
        last: LastValues | None = None,
        *,
        clock: Callable[[], float],
        shared: bool = False,
    ) -> None:
        """`database` runs the calls of `store`. The notes of `publishers`, of a `tape` and of the `last`
        values are kept with the bars as they are right then. `clock` is in seconds since the epoch. Of a
        `shared` store what waits to be brought there is not durable: another machine may go on without it.
        Reads what is noted at once. Raises StoreError.
        """
        self.source = source
        self._store = store
        self._database = database
        self._publishers = publishers
        self._tape = tape
        self._last = last
        self._clock = clock
        self._shared = shared
        self.replaced = False
        """Whether another market goes on with these bars: they are written no more."""
        self._untold: dict[str, str] = {}  # notes of publishers that are not told yet that they are kept
        self._waiting, self._writing = Waiting(), Waiting()
        self._leaving: tuple[list[Kline], dict[str, Note]] | None = None  # the last batch before `detach`
        self._recent = Recent()
        self._reads: list[list[Waiting]] = []  # of each read under way, what was committed meanwhile
        self._notes: dict[str, Note] = {}  # to be written with the bars that they speak of
        noted = store.notes(source, "")
        self._noted = {name: value for name, value in noted.items() if not name.startswith(OTHERS)}
        self._generation = database.generation
        self.changes = self._recent.changes
        """How many bars of a code and type have changed so far."""
        self.detached = False
        """Whether what comes from now on is kept in memory."""
        self.in_memory = False
        """Whether nothing waits for the store any more, since it was detached from."""
        self.lost = 0
        """Bars that were let go of, because too many waited for the store."""
        self.codes = store.codes(source)
        """Those that had bars when the server began."""
        now, alive = clock(), self._noted.get(ALIVE)
        self.down = begin, end = int(alive or now), math.ceil(now)
        """From when to when no server ran, in seconds since the epoch; the moment of the start if none has
        run before."""
        if alive is not None:
            log.info("bars recovered", source=source, kept_until=begin, down_seconds=end - begin)

    @property
    def waiting(self) -> int:
        """Bars that wait to be written into the database."""
        return len(self._waiting) + len(self._writing) + self._store.waiting(self.source)

    def unwritten(self) -> list[Kline]:
        """The bars that wait to be written."""
        return [*self._writing.all(), *self._waiting.all()]

    @property
    def failing(self) -> str:
        """Why nothing can be written now; empty if that is not so."""
        return self._database.writes.reason if self._database.writes.failing else ""

    # What is taken.
    def put(self, bars: Iterable[Kline]) -> None:
        """Takes closed bars, each in place of the one of its time."""
        bars = [*bars]
        self._waiting.put(bars)
        self._recent.put(bars)

    def precede(self, code: str, kline_type: KlineType, bars: Iterable[Kline]) -> None:
        """Takes bars that lie before those that there are."""
        self._waiting.put(bars)
        self.changes[code, kline_type] += 1

    def remember(self, bars: Iterable[Kline]) -> None:
        """Keeps closed bars that are stored, for when the store cannot be read."""
        self._recent.put(bars)

    def changed(self, bars: Iterable[Kline]) -> None:
        """Closed bars are others now, or new."""
        self.changes.update((bar.code, bar.kline_type) for bar in bars)

    def note(self, name: str, value: str) -> None:
        """Keeps a small fact about the source, together with the bars."""
        self._notes[name] = self._noted[name] = value

    def noted(self, name: str) -> str | None:
        """A fact that was noted, in this run or before it; None if none was."""
        return self._noted.get(name)

    # What is read.
    def held(self, code: str, kline_type: KlineType) -> dict[int, Kline]:
        """The bars that are not in the store yet, by time."""
        return self._writing.of(code, kline_type) | self._waiting.of(code, kline_type)

    def recent(self, code: str, kline_type: KlineType) -> dict[int, Kline]:
        """The last bars that memory holds, by time."""
        return _there(self._recent.of(code, kline_type) | self.held(code, kline_type))

    async def read(self, code: str, kline_type: KlineType, count: int, end: int | None) -> dict[int, Kline]:
        """At least the latest `count` bars up to and including `end` (in seconds), by time."""
        with self._committed() as committed:
            stored = await self._database.read(self._read, code, kline_type, count, end)
        return _there({bar.time: bar for bar in stored} | self._newer(code, kline_type, committed))

    async def restore(self, codes: Sequence[str], count: int) -> dict[str, dict[KlineType, list[Kline]]]:
        """The latest `count` bars of each type of these codes, ascending; a type without bars is left out."""
        with self._committed() as committed:
            stored = await self._database.read(self._store.restore, self.source, codes, count)
        for code in codes:
            by_type = stored.setdefault(code, {})
            for one in KlineType:
                if newer := self._newer(code, one, committed):
                    before = {bar.time: bar for bar in by_type.get(one, ())}
                    by_type[one] = latest(_there(before | newer), count)
        return stored

    async def first(self, code: str, kline_type: KlineType) -> int | None:
        """When the first stored bar opens."""
        span = await self._database.read(self._store.span, self.source, code, kline_type)
        return None if span is None else span[0]

    @property
    def spooled(self) -> bool:
        """Whether something waits to be brought to a store that others go on with."""
        return self._shared and bool(self._store.away or self._store.waiting(self.source))

    async def stored_note(self, name: str) -> str | None:
        """A fact as the store has it, where another process may have put it; None if there is none."""
        return await self._database.read(self._store.get, self.source, name)

    # What is written.
    async def write(self, forming: Iterable[Kline], *, whole: bool) -> bool:
        """Writes what waits, and these bars that have not closed; returns whether it could: if not, it waits
        on. Notes speak of all bars: they are written if those are the `whole`. Bars of publishers wait for
        that: without the notes what is sent again after a kill would count in them twice."""
        notes: dict[str, Note] = {}
        if whole:
            self._gather()
            notes = {**self._notes, **self._alive()}
        self._writing.put(self._waiting.take())
        if not whole and self._publishers is not None:
            self._drop_oldest()
            return False
        if not await self._write_batch([*self._writing.all(), *forming], notes):
            return False
        for committed in self._reads:
            committed.append(self._writing)
        self._writing = Waiting()
        self._notes = {name: value for name, value in self._notes.items() if notes.get(name) is not value}
        if not self.detached:
            self._tell_kept(notes)
        return True

    async def write_past(self, bars: Sequence[Kline], name: str, note: str) -> None:
        """Writes bars that lie before those that there are, and a note of that, before all that waits.
        Raises StoreError."""
        await self._database.write(self._store.write, self.source, bars, {name: note})
        self._noted[name] = note
        self.changed(bars)

    def renew(self) -> bool:
        """Whether the database was made anew since the last call: what memory holds is then written once
        more."""
        if self._generation == self._database.generation:
            return False
        self._generation = self._database.generation
        waiting = self._waiting.all()
        self._waiting.put(self._recent.all())
        self._waiting.put(waiting)
        self._notes = {**self._noted, **self._notes}
        for one in (self._publishers, self._last):
            if one is not None:
                one.change_all()
        return True

    def detach(self, forming: Iterable[Kline]) -> None:
        """Writes nothing into the store any more, but for what waits and these bars that have not closed:
        what comes from now on is kept in memory."""
        self.detached = True
        self._gather()
        notes, self._notes = self._notes | self._alive(), {}
        self._leaving = [*self._writing.all(), *self._waiting.all(), *forming], notes

    async def leave(self) -> bool:
        """Writes the last that is to be in the store before `detach`; returns whether it is there."""
        if self._leaving is not None:
            bars, notes = self._leaving
            if not await self._write_batch(bars, notes):
                return False
            self._tell_kept(notes)
            self._leaving = None
            self._store = Overlay(SqliteKlineStore(SqliteFile(None)), self._store)
            self.in_memory = True
        return True

    async def prune(self, kline_type: KlineType, before: int) -> None:
        """Lets go of the bars of a type that open before that, in seconds. Raises StoreError."""
        gone = 0
        while step := await self._database.write(self._store.prune, self.source, kline_type, before):
            gone += step
        if gone:
            log.info("old bars removed", kline_type=int(kline_type), bars=gone)

    def _gather(self) -> None:
        if self._publishers is not None:
            self._notes.update(self._publishers.notes())
        if self._tape is not None:
            self._notes.update(self._tape.notes())
        if self._last is not None:
            self._notes.update(self._last.notes())

    def _tell_kept(self, notes: Mapping[str, Note]) -> None:
        if self._publishers is None:
            return
        self._untold |= {name: note for name, note in notes.items() if isinstance(note, str)}
        if not self.spooled:
            self._publishers.kept(self._untold)
            self._untold = {}

    def _alive(self) -> dict[str, Note]:
        return {ALIVE: str(int(self._clock()))}

    def _write(self, bars: list[Kline], notes: Mapping[str, Note]) -> None:
        texts = {name: one if isinstance(one, str) else _encode(one).decode() for name, one in notes.items()}
        self._store.write(self.source, bars, texts)

    async def _write_batch(self, bars: list[Kline], notes: Mapping[str, Note]) -> bool:
        try:
            await self._database.write(self._write, bars, notes)
        except ReplacedError:
            self.replaced = True
            return False
        except StoreError:  # which has been said
            self._drop_oldest()
            return False
        if reason := self._store.away:  # it is kept, but not where it is to be
            self._database.writes.failed(reason)
        return True

    def _drop_oldest(self) -> None:
        if gone := self._writing.drop_oldest(MOST_WAITING):
            if not self.lost:
                log.error("bars lost: too many wait for the store", source=self.source, most=MOST_WAITING)
            self.lost += gone

    def _read(self, code: str, kline_type: KlineType, count: int, end: int | None) -> list[Kline]:
        return self._store.read(self.source, code, kline_type, count=count, end=end)

    def _newer(self, code: str, kline_type: KlineType, committed: Iterable[Waiting]) -> dict[int, Kline]:
        """What a read that has ended just now may have missed."""
        found: dict[int, Kline] = {}
        for batch in committed:
            found |= batch.of(code, kline_type)
        return found | self.held(code, kline_type)

    @contextmanager
    def _committed(self) -> Iterator[list[Waiting]]:
        """Gathers what is committed while the store is read: the read may miss it, and it waits no more."""
        batches: list[Waiting] = []
        self._reads.append(batches)
        try:
            yield batches
        finally:
            self._reads = [one for one in self._reads if one is not batches]


def _there(bars: dict[int, Kline]) -> dict[int, Kline]:
    """Without those that were removed."""
    return {at: bar for at, bar in bars.items() if not bar.removed}
