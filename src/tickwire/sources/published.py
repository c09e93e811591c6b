"""Prices that others publish, as a source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import NamedTuple

from ..errors import SourceError
from ..model import Book, Catalogue, Event, Instrument, Kind, Kline, KlineType
from ..wire import InstrumentLine, Standing, Tally, Unfit, read_published
from .clock import wall_clock
from .health import Health, Status
from .published_lines import PublishedLines
from .replay import QuoteTrades

LIMIT = 20_000
"""Trades and levels of books that may wait until they are served."""
BATCH = 500
"""Lines, or trades and levels, between two turns of the event loop."""
AHEAD = 60_000
"""Milliseconds that a line may be dated ahead of our clock: it would open bars that are yet to come."""
MOST_PUBLISHERS = 10_000
"""Names of publishers that are remembered."""


class Publisher:
    """Who publishes. `taken` is the `seq` of the last line that was taken, `applied` that of the last one
    whose events have been yielded; 0 if there is none."""

    def __init__(self, name: str, seq: int) -> None:
        self.name = name
        self.taken = self.applied = seq


class Batch(NamedTuple):
    """Events that wait, each with the `seq` that is reached with it, 0 for none."""

    publisher: Publisher
    events: list[tuple[Event, int]]
    weight: int


class New(NamedTuple):
    """An instrument that is not known yet, and the `seq` of its line."""

    instrument: Instrument
    seq: int


class Published:
    """What is published, in the order in which it was taken.

    Lines are read by `take`; their events wait in a queue until `events` yields them. A `seq` counts as
    applied in the same turn of the event loop in which its event is yielded, so that what `notes` says and
    the bars that were made of the events are of the same moment.
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
        keep: Callable[[Instrument], None] = lambda _: None,
        quote_trades: QuoteTrades = QuoteTrades.BID,
        limit: int = LIMIT,
        wall: Callable[[], int] = wall_clock,
    ) -> None:
        """`keep` is given each new instrument, in a thread, before it is used; it may raise StoreError.
        `wall` is in milliseconds since the epoch."""
        self.codes = codes
        self.health = Health(wall=wall)
        self.limit = limit
        self._catalogue = catalogue
        self._keep = keep
        self._wall = wall
        self._lines = PublishedLines(catalogue, quote_trades)
        self._get: Callable[[str], str | None] = lambda _: None
        self._publishers: dict[str, Publisher] = {}
        self._applied: set[Publisher] = set()  # since the last notes
        self._queue: deque[Batch] = deque()
        self._queued = 0
        self._defining = False
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

    async def events(self) -> AsyncIterator[Event]:
        """The stream. It never ends."""
        self.health.tell(Status.UP, "nothing published yet")
        turn = 0
        while True:
            while self._queue:
                publisher, events, weight = self._queue.popleft()
                self._applied.add(publisher)
                for event, seq in events:
                    if seq:
                        publisher.applied = seq
                    yield event
                self._queued -= weight
                self._freed.set()
                turn += weight
                if turn >= BATCH:
                    turn = 0
                    await asyncio.sleep(0)
            self._filled.clear()
            await self._filled.wait()

    # What is kept with the bars.
    def restore(self, get: Callable[[str], str | None]) -> None:
        """Publishers go on where they were: `get` gives what `notes` said, by name."""
        self._get = get

    def notes(self) -> dict[str, str]:
        """The `seq` up to which events have been yielded, of the publishers of whom some were since the last
        call. To be kept together with the bars as they are right now."""
        applied, self._applied = self._applied, set()
        return {_note(one.name): str(one.applied) for one in applied if one.applied}

    # What publishers do.
    def publisher(self, name: str) -> Publisher:
        """The publisher of that name. Raises SourceError if there are too many, StoreError if it cannot be
        read how far it was."""
        found = self._publishers.get(name)
        if found is None:
            if len(self._publishers) >= MOST_PUBLISHERS:
                raise SourceError(f"There are {MOST_PUBLISHERS} publishers already.")
            found = self._publishers[name] = Publisher(name, int(self._get(_note(name)) or 0))
        return found

    def standing(self, publisher: Publisher) -> Standing:
        """How a publisher stands."""
        return Standing(publisher.name, publisher.taken, self._queued, self.limit)

    def tally(self, publisher: Publisher) -> Tally:
        """A tally for lines to come."""
        return Tally(seq=publisher.taken, queued=self._queued, limit=self.limit)

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
        for `patience` seconds, StoreError if a new instrument cannot be kept: what is counted was taken.
        """
        place = 0
        try:
            while place < len(lines):
                if self._queued >= self.limit or self._defining:
                    await self._wait_for_room(patience)
                place, new = self._read(publisher, lines, place, tally, allows)
                if new is not None:
                    await self._define(new.instrument)
                    publisher.taken = new.seq or publisher.taken
                    tally.accepted += 1
                if place < len(lines) or self._queued >= BATCH:
                    await asyncio.sleep(0)
        finally:
            tally.seq, tally.queued = publisher.taken, self._queued

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
        batch: list[tuple[Event, int]] = []
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
                    events = self._lines.events(line, now + AHEAD, allows)
            except Unfit as unfit:
                if not data.isspace():
                    tally.refuse(str(unfit))
                    self.health.bad += 1
                continue
            if seq:
                publisher.taken = seq
            tally.accepted += 1
            for event in events:
                batch.append((event, 0))
                weight += _weight(event)
            if events:
                batch[-1] = (events[-1], seq)  # reached when all of the line has been yielded
        if batch:
            self._queue.append(Batch(publisher, batch, weight))
            self._queued += weight
            self._filled.set()
            self.health.lag = now - batch[-1][0].time
            self.health.reason = ""
        return place, new

    async def _wait_for_room(self, patience: float | None) -> None:
        async with asyncio.timeout(patience):
            while self._queued >= self.limit or self._defining:
                self._freed.clear()
                await self._freed.wait()

    async def _define(self, instrument: Instrument) -> None:
        """Keeps a new instrument, then knows it: events of it must not outlive it. Nothing else is taken
        meanwhile, so that all stays in order."""
        self._defining = True
        try:
            await asyncio.to_thread(self._keep, instrument)
            self._catalogue.add(instrument)
        finally:
            self._defining = False
            self._freed.set()


def _note(name: str) -> str:
    return f"publisher:{name}"


def _weight(event: Event) -> int:
    return 1 + len(event.bids) + len(event.asks) if isinstance(event, Book) else 1
