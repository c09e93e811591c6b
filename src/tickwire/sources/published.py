"""Prices that others publish, as a source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing
from typing import NamedTuple, Protocol

import structlog

from ..errors import SourceError
from ..model import Book, Catalogue, Event, Instrument, Kind, Kline, KlineType
from ..wire import InstrumentLine, Standing, Tally, Unfit, read_published
from .clock import wall_clock
from .health import Health, Status
from .published_lines import PublishedLines
from .replay import QuoteTrades
from .source import Resent

LIMIT = 20_000
"""Trades and levels of books that may wait until they are served."""
BATCH = 500
"""Lines, or trades and levels, between two turns of the event loop."""
MOST_PUBLISHERS = 10_000
"""Names of publishers that are remembered."""


PUBLISHER = "publisher:"
"""Begins the name of a note that says how far a publisher is."""

log = structlog.get_logger()


class RecordedLines(Protocol):
    """A recording that keeps how far publishers are in it."""

    @property
    def id(self) -> str:
        """Which one it is; empty while it misses what is published."""
        ...

    def reach(self, publisher: str, seq: int) -> None:
        """What was recorded since the last call is a line of that publisher and `seq` (0: none)."""
        ...

    def reached(self, publisher: str) -> int:
        """The `seq` up to which a kill loses nothing of a publisher's."""
        ...


class Publisher:
    """Who publishes.

    `taken` is the `seq` of the last line that was taken, `applied` that of the last one whose events have
    been yielded, `kept` that up to which they are in bars on the disk; 0 if there is none. `recording` is the
    one that got them too. What is not above `counted` was in the bars when the server began, what is not
    above `recorded` in the recording.
    """

    def __init__(self, name: str, counted: int, recorded: int, recording: str) -> None:
        self.name = name
        self.counted, self.recorded = counted, recorded
        self.parted = max(counted, recorded)
        self.taken = min(counted, recorded)
        self.applied = self.kept = counted
        self.recording = recording


class Batch(NamedTuple):
    """Events that wait. With each comes the `seq` that is reached with it: 0 for none, and None before the
    last event of a line. A line without events comes as None."""

    publisher: Publisher
    events: deque[tuple[Event | Resent | None, int | None]]
    weight: int


class New(NamedTuple):
    """An instrument that is not known yet, and the `seq` of its line."""

    instrument: Instrument
    seq: int


async def _forget(_: Instrument) -> None:
    """Keeps nothing."""


class Published:
    """What is published, in the order in which it was taken.

    Lines are read by `take`; their events wait in a queue until `events` yields them. A `seq` counts as
    applied in the same turn of the event loop in which its event is yielded, so that what `notes` says and
    the bars that were made of the events are of the same moment.

    After a kill a publisher sends again what is above the lower one of two positions: where it is in the
    bars, and where it is in the recording. What lies between the two is yielded as Resent.
    """

    name = "publish"
    simulated = False
    patient = False
    round_the_clock = False
    history = None

    def __init__(
        self,
        catalogue: Catalogue,
        codes: Collection[str],
        *,
        keep: Callable[[Instrument], Awaitable[None]] = _forget,
        quote_trades: QuoteTrades = QuoteTrades.BID,
        limit: int = LIMIT,
        wall: Callable[[], int] = wall_clock,
    ) -> None:
        """`keep` is given each new instrument before it is used; it may raise StoreError.
        `wall` is in milliseconds since the epoch."""
        self.codes = codes
        self.health = Health(wall=wall)
        self.limit = limit
        self._catalogue = catalogue
        self._keep = keep
        self._wall = wall
        self._lines = PublishedLines(catalogue, quote_trades)
        self._recording: RecordedLines | None = None
        self._noted = ""  # the recording that the last notes named
        self._publishers: dict[str, Publisher] = {}
        self._restored = 0
        self._applied: set[Publisher] = set()  # since the last notes
        self._queue: deque[Batch] = deque()
        self.queued = 0
        """Trades and levels of books that wait."""
        self._in_line = self._ended = False
        self._defining: asyncio.Task[None] | None = None
        self._filled, self._freed = asyncio.Event(), asyncio.Event()

    # What the contract of a source asks for.
    def market_time(self) -> int:
        """The wall clock."""
        return self._wall()

    def past(self, instrument: Instrument, first: Kline) -> dict[KlineType, list[Kline]]:
        """None."""
        return {}

    def serves(self, instrument: Instrument) -> bool:
        """All of the catalogue."""
        return instrument.code in self._catalogue

    def room(self, kind: Kind, codes: Collection[str]) -> Collection[str]:
        """All."""
        return codes

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """Nothing comes because it is asked for."""
        return ()

    async def events(self) -> AsyncIterator[Event | Resent]:
        """The stream. It never ends."""
        self.health.tell(Status.UP, "nothing published yet")
        turn = 0
        while True:
            with closing(self._waiting()) as waiting:
                for event in waiting:
                    yield event
                    turn += _weight(event)
                    if turn >= BATCH:
                        turn = 0
                        await asyncio.sleep(0)
            self._filled.clear()
            await self._filled.wait()

    def end(self) -> Iterator[Event | Resent]:
        """Takes no more lines, and yields what waits still. `events` is to be closed before."""
        self._ended = True
        self._freed.set()
        return self._waiting()

    def _waiting(self) -> Generator[Event | Resent]:
        """What waits. What was yielded counts as taken when the next is asked for, or at the end."""
        while self._queue:
            publisher, events, weight = self._queue[0]
            while events:
                event, seq = events.popleft()
                if seq is not None and seq > publisher.applied:
                    publisher.applied = seq
                    self._applied.add(publisher)
                self._in_line = True
                try:
                    if event is not None:
                        yield event
                finally:
                    if seq is not None:
                        self._in_line = False
                        if self._recording is not None:
                            self._recording.reach(publisher.name, seq)
            self._queue.popleft()
            self.queued -= weight
            self._freed.set()

    # What is kept with the bars.
    def restore(
        self, notes: Mapping[str, str], recording: RecordedLines | None = None, recording_id: str = ""
    ) -> None:
        """Publishers go on where they were, as what `notes` returned says, and as `recording` does, if that
        is what they were recorded into. To be called before anything else."""
        self._recording = recording
        for name, value in notes.items():
            kept, _, recorded_into = value.partition(" ")
            publisher, seq = name.removeprefix(PUBLISHER), int(kept)
            if recording is not None and recorded_into == recording_id:
                found = Publisher(publisher, seq, recording.reached(publisher), recorded_into)
            else:  # what came until now is not expected there
                found = Publisher(publisher, seq, seq, "")
                if recording is not None:
                    recording.reach(publisher, seq)
            self._publishers[publisher] = found
        self._restored = len(self._publishers)

    def notes(self) -> dict[str, str]:
        """The `seq` up to which events have been yielded, of the publishers of whom some were since the last
        call, and the recording that got them. To be kept together with the bars as they are right now."""
        recording = ""
        if self._recording is not None:
            if not self._in_line:  # what was recorded outside of any line is whole
                self._recording.reach("", 0)
            recording = self._recording.id
        if recording != self._noted:
            self._noted = recording
            self._applied.update(self._publishers.values())
        applied, self._applied = self._applied, set()
        return {PUBLISHER + one.name: f"{one.applied} {recording}".rstrip() for one in applied if one.applied}

    def kept(self, notes: Mapping[str, str]) -> None:
        """These notes, among others, are on the disk, with the bars that they speak of."""
        for name, value in notes.items():
            if name.startswith(PUBLISHER):
                publisher = self._publishers[name.removeprefix(PUBLISHER)]
                kept, _, publisher.recording = value.partition(" ")
                publisher.kept = int(kept)

    # What publishers do.
    def publisher(self, name: str) -> Publisher:
        """The publisher of that name. Raises SourceError if there are too many."""
        found = self._publishers.get(name)
        if found is None:
            if len(self._publishers) - self._restored >= MOST_PUBLISHERS:
                raise SourceError(f"There are {MOST_PUBLISHERS} publishers already.")
            recorded = 0 if self._recording is None else self._recording.reached(name)
            found = self._publishers[name] = Publisher(name, 0, recorded, "")
        return found

    def durable(self, publisher: Publisher) -> int:
        """The `seq` up to which nothing of a publisher's is lost when the process is killed. Where the
        recording has stopped the bars alone count: what it missed is listed as a gap."""
        if self._recording is None or not publisher.recording:
            return publisher.kept
        return min(publisher.kept, self._recording.reached(publisher.name))

    def standing(self, publisher: Publisher) -> Standing:
        """How a publisher stands."""
        return Standing(publisher.name, publisher.taken, self.durable(publisher), self.queued, self.limit)

    def tally(self, publisher: Publisher) -> Tally:
        """A tally for lines to come."""
        tally = Tally(limit=self.limit)
        self._tell(publisher, tally)
        return tally

    def _tell(self, publisher: Publisher, tally: Tally) -> None:
        tally.seq, tally.durable = publisher.taken, self.durable(publisher)
        tally.queued = self.queued

    async def take(
        self,
        publisher: Publisher,
        lines: Sequence[bytes],
        tally: Tally,
        *,
        allows: Callable[[Instrument], bool] | None = None,
        patience: float | None = None,
    ) -> None:
        """Takes lines, as fast as there is room for them, and counts them in the tally.

        `allows` says what the publisher may publish (None: everything). Raises TimeoutError if no room came
        for `patience` seconds, StoreError if a new instrument cannot be kept, SourceError if the server
        stops: what is counted was taken.
        """
        place = 0
        try:
            while place < len(lines):
                if self.queued >= self.limit or self._defining is not None:
                    await self._wait_for_room(patience)
                if self._ended:
                    raise SourceError("The server stops.")
                place, new = self._read(publisher, lines, place, tally, allows)
                if new is not None:
                    await self._define(publisher, new)
                    tally.accepted += 1
                if place < len(lines) or self.queued >= BATCH:
                    await asyncio.sleep(0)
        finally:
            self._tell(publisher, tally)

    def _put(
        self, publisher: Publisher, events: Sequence[tuple[Event | Resent | None, int | None]], weight: int
    ) -> None:
        self._queue.append(Batch(publisher, deque(events), weight))
        self.queued += weight
        self._filled.set()

    def _read(
        self,
        publisher: Publisher,
        lines: Sequence[bytes],
        place: int,
        tally: Tally,
        allows: Callable[[Instrument], bool] | None,
    ) -> tuple[int, New | None]:
        """Takes lines from a place on: a batch at most, up to a new instrument. Returns where it ended, and
        that instrument."""
        now = self._wall()
        batch: list[tuple[Event | Resent | None, int | None]] = []
        last: Event | None = None
        weight, new, end = 0, None, min(len(lines), place + BATCH)
        while place < end and weight < BATCH and new is None:
            data = lines[place]
            place += 1
            tally.lines += 1
            if not data:
                continue
            try:
                line = read_published(data)
                seq = line.seq
                if seq and seq <= publisher.taken:
                    tally.duplicates += 1
                    continue
                if isinstance(line, InstrumentLine):
                    instrument = self._lines.definition(line, allows)
                    if instrument is not None:
                        new = New(instrument, seq)
                        continue
                    events: tuple[Event, ...] = ()
                else:
                    events = self._lines.events(line, now, allows)
            except Unfit as unfit:
                if not data.isspace():
                    tally.refuse(str(unfit))
                    self.health.bad += 1
                continue
            if seq:
                publisher.taken = seq
            tally.accepted += 1
            for event in events:
                last = event
                weight += _weight(event)
                again = seq and seq <= publisher.parted
                put = Resent(event, seq <= publisher.counted, seq <= publisher.recorded) if again else event
                batch.append((put, None))
            if events:
                batch[-1] = (batch[-1][0], seq)  # reached when all of the line has been yielded
            elif seq:
                batch.append((None, seq))
                weight += 1
        if batch:
            self._put(publisher, batch, weight)
        if last is not None:
            self.health.lag = now - last.time
            self.health.reason = ""
        return place, new

    async def _wait_for_room(self, patience: float | None) -> None:
        async with asyncio.timeout(patience):
            while not self._ended and (self.queued >= self.limit or self._defining is not None):
                self._freed.clear()
                await self._freed.wait()

    async def _define(self, publisher: Publisher, new: New) -> None:
        """Keeps a new instrument, then knows it: events of it must not outlive it. Nothing else is taken
        meanwhile, so that all stays in order. It goes on when who asked for it is cancelled."""
        self._defining = asyncio.create_task(self._keep_and_know(publisher, new))
        ended = asyncio.shield(self._defining)  # whose waiter goes on before those that wait for room
        self._defining.add_done_callback(self._defined)
        await ended

    async def _keep_and_know(self, publisher: Publisher, new: New) -> None:
        await self._keep(new.instrument)
        self._catalogue.add(new.instrument)
        if new.seq:
            publisher.taken = new.seq
            self._put(publisher, [(None, new.seq)], 1)

    def _defined(self, defining: asyncio.Task[None]) -> None:
        self._defining = None
        self._freed.set()
        if not defining.cancelled() and (error := defining.exception()) is not None:
            log.error("a new instrument cannot be kept", reason=str(error))


def _weight(event: Event | Resent) -> int:
    return 1 + len(event.bids) + len(event.asks) if isinstance(event, Book) else 1
