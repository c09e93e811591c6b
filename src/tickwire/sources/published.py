"""Prices that others publish, as a source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import structlog

from ..errors import SourceError, StoreError
from ..klines import Tape
from ..model import Book, Catalogue, Correction, Event, Instrument, Reach, Trade
from ..wire import CancelLine, CorrectLine, InstrumentLine, Standing, Tally, TradeLine, Unfit, read_published
from .correctable import Correctable
from .health import Health, Status
from .last_values import LastValues
from .presence import Presence
from .published_lines import PublishedLines
from .publishers import Publisher, Publishers
from .replay import QuoteTrades
from .source import Began, Broke, Resent, Source

LIMIT = 20_000
"""Trades and levels of books that may wait until they are served."""
BATCH = 500
"""Lines, or trades and levels, between two turns of the event loop."""
LOOK = 1.0
"""Seconds between looks whether publishers are there."""
MINUTE = 60_000
LATE = 20
"""Trades that one counts as whose minute is over: it may change a closed bar of each type."""
CORRECTION = 50
"""Trades that a correction counts as: for it a minute is made anew."""
TOGETHER = 64
"""Lines that a recording gets as one: a kill leaves all of them or none."""

log = structlog.get_logger()


Put: TypeAlias = tuple[Event | Correction | Resent | None, int | None]
"""An event that waits, and what is reached with it."""


class Batch(NamedTuple):
    """Events that wait. With each comes the `seq` that is reached with it: 0 for none, and None before the
    last event of a line. A line without events comes as None. `cost` is what they cost the turn of the event
    loop in which they are served, in trades and levels."""

    publisher: Publisher
    events: deque[Put]
    weight: int
    cost: int


class New(NamedTuple):
    """An instrument that is not known yet, and the `seq` of its line."""

    instrument: Instrument
    seq: int


async def _forget(_: Instrument) -> None:
    """Keeps nothing."""


@dataclass(eq=False, repr=False)
class Published(Source):
    """What is published, in the order in which it was taken.

    Lines are read by `take`; their events wait in a queue until `events` yields them. A `seq` counts as
    yielded in the same turn of the event loop as its last event, so that the notes of `publishers` and the
    bars that were made of the events are of the same moment. `keep` is given each new instrument before it is
    used; it may raise StoreError. `wall` is in milliseconds since the epoch.
    """

    name = "publish"

    catalogue: Catalogue
    codes: Collection[str]
    _: KW_ONLY
    keep: Callable[[Instrument], Awaitable[None]] = _forget
    quote_trades: QuoteTrades = QuoteTrades.BID
    limit: int = LIMIT
    silence: float = 60.0
    wall: Callable[[], int]

    def __post_init__(self) -> None:
        self.health = Health(wall=self.wall)
        self.publishers = Publishers()
        self.last = LastValues()
        self.tape = Tape(self.catalogue, clock=lambda: self.wall() / 1000)
        self._correctable = Correctable(self.tape, self._find_waiting)
        self._lines = PublishedLines(self.catalogue, self.quote_trades, self._correctable)
        self.presence = Presence(self.catalogue, self.silence)
        self._heard: set[Publisher] = set()  # since the last look
        self._told: deque[Began | Broke] = deque()
        self._queue: deque[Batch] = deque()
        self.queued = 0
        """Trades and levels of books that wait."""
        self._turn = 0  # what was yielded since the event loop had its turn, by what it costs
        self._ended = False
        self._defining: asyncio.Task[None] | None = None
        self._filled, self._freed = asyncio.Event(), asyncio.Event()

    # What the contract of a source asks for.
    def market_time(self) -> int:
        """The wall clock."""
        return self.wall()

    def serves(self, instrument: Instrument) -> bool:
        """All of the catalogue, but for what another source has learned."""
        return instrument.code in self.catalogue and not instrument.learned

    def restore_last(self, notes: Mapping[str, str]) -> None:
        """Takes what was published last in an earlier run."""
        self._lines.restore_books(self.last.restore(notes, self.catalogue, self.publishers))

    def restore_correction(self, publisher: str, correction: Correction) -> None:
        """Takes what was corrected in an earlier run."""
        self._correctable.correct(publisher, correction)

    async def events(self) -> AsyncIterator[Event | Correction | Resent | Began | Broke]:
        """The stream. It never ends."""
        self.health.tell(Status.UP, "nothing published yet" if self.health.lag is None else "")
        watching = asyncio.create_task(self._watch())
        watching.add_done_callback(lambda _: self._filled.set())
        try:
            while True:
                while self._told:
                    yield self._told.popleft()
                while self._queue:
                    for event in self._first():
                        yield event
                    if self._turn >= BATCH:
                        self._turn = 0
                        await asyncio.sleep(0)
                self._filled.clear()
                await self._filled.wait()
                if watching.done():
                    watching.result()
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        """Looks whether publishers are there. Never ends."""
        while True:
            await asyncio.sleep(LOOK)
            self._hear()
            self._told += self.presence.look(asyncio.get_running_loop().time(), self.wall())
            if self.presence.gone:
                others = f", and {more} more" if (more := len(self.presence.gone) - 1) else ""
                self.health.tell(Status.STALE, f"{self.presence.gone[0]}{others}")
            elif self.health.status is Status.STALE:
                self.health.tell(Status.UP)
            if self._told:
                self._filled.set()

    def end(self) -> Iterator[Event | Correction | Resent]:
        """Takes no more lines, and yields what waits still. `events` is to be closed before."""
        self._ended = True
        self._freed.set()
        return self._waiting()

    def _waiting(self) -> Iterator[Event | Correction | Resent]:
        """All that waits."""
        while self._queue:
            yield from self._first()

    def _first(self) -> Iterator[Event | Correction | Resent]:
        """The batch that waits longest. Closed in between, it goes on in the next call."""
        publishers, changed = self.publishers, self.publishers.changed
        trades, put = self.last.trades, self.last.put
        publisher, events, weight, cost = self._queue[0]
        lines = 0
        publishers.between_lines = False
        self.tape.publisher = publisher.name
        while events:
            event, seq = events.popleft()
            if seq:
                publisher.yielded = seq
                changed.add(publisher)
            if type(event) is Trade:  # as most are
                trades[event.code] = publisher.name, event.source_seq, event
            elif event is not None:
                put(publisher, event, seq)
            if event is not None:
                yield event
            if seq is not None and (lines := lines + 1) == TOGETHER:
                publishers.reach(publisher)
                publishers.between_lines = False
                lines = 0
        publishers.reach(publisher)
        self._queue.popleft()
        self.queued -= weight
        self._turn += cost
        self._freed.set()

    # What publishers do.
    def standing(self, publisher: Publisher) -> Standing:
        """How a publisher stands."""
        durable = self.publishers.durable(publisher)
        place = publisher.name, publisher.taken, durable
        return Standing(*place, self.queued, self.limit, publisher.streams(durable))

    def tally(self, publisher: Publisher) -> Tally:
        """A tally for lines to come."""
        durable = self.publishers.durable(publisher)
        return Tally(seq=publisher.taken, durable=durable, queued=self.queued, limit=self.limit)

    async def take(
        self,
        publisher: Publisher,
        lines: Sequence[bytes],
        tally: Tally,
        *,
        reach: Reach | None = None,
        patience: float | None = None,
    ) -> None:
        """Takes lines, as fast as there is room for them, and counts them in the tally.

        `reach` is what the publisher may publish (None: all). Raises TimeoutError if it could not
        go on for `patience` seconds, StoreError if a new instrument cannot be kept or a line before these is
        missing since one could not be kept, SourceError if the server stops: what is counted was taken.
        """
        place = 0
        self._heard.add(publisher)
        try:
            while place < len(lines):
                if self.queued >= self.limit or publisher.defining:
                    await self._until(lambda: self.queued < self.limit and not publisher.defining, patience)
                if self._ended:
                    raise SourceError("The server stops.")
                place, new, waits = self._read(publisher, lines, place, tally, reach)
                if new is not None:
                    await self._define(publisher, new)
                    tally.accepted += 1
                elif waits and self.tape.behind:
                    self.tape.read_some()
                    await asyncio.sleep(0)
                elif waits:
                    await self._wait_to_define(publisher, patience)
                # After either it is this connection's turn: its lines come before those that waited for it.
                elif place < len(lines) or self.queued >= BATCH:
                    await asyncio.sleep(0)
        finally:
            tally.seq, tally.durable = publisher.taken, self.publishers.durable(publisher)
            tally.queued, tally.limit = self.queued, self.limit

    def _hear(self) -> None:
        """Tells who was heard since the last time, and with prices of which codes."""
        now, wall = asyncio.get_running_loop().time(), self.wall()
        for one in self._heard:
            if (back := self.presence.heard(one.name, one.codes, now, wall)) is not None:
                self._told.append(back)
            one.codes.clear()
        self._heard.clear()

    def _put(self, publisher: Publisher, events: deque[Put], weight: int, late: int = 0) -> None:
        self._queue.append(Batch(publisher, events, weight, weight + late))
        self.queued += weight
        self._filled.set()

    def _read(
        self,
        publisher: Publisher,
        lines: Sequence[bytes],
        place: int,
        tally: Tally,
        reach: Reach | None,
    ) -> tuple[int, New | None, bool]:
        """Takes lines from a place on: a batch at most, up to a new instrument. Returns where it ended, that
        instrument, and whether a line comes next that is to wait: of an instrument that another one must
        precede, or a correction while the tape is behind. Raises StoreError at a line that may not be taken
        before the one that is missing."""
        now = self.wall()
        batch: deque[Put] = deque()
        last: Event | Correction | None = None
        weight, new, end = 0, None, min(len(lines), place + BATCH)
        late, minute = 0, now // MINUTE * MINUTE  # what those cost beside their weight that are of before it
        looked = 0  # what it cost to look for trades that are to be corrected, whatever came of it
        waits = early = False
        before, accepted = tally.lines - place, 0
        parted, codes = publisher.parted, publisher.codes
        while place < end and weight + late + looked < BATCH and new is None:
            data = lines[place]
            place += 1
            if not data:
                continue
            seq = 0
            try:
                line = read_published(data)
                seq = line.seq
                if seq:
                    if seq <= publisher.taken:
                        tally.duplicates += 1
                        continue
                    if publisher.missing and seq > publisher.missing:
                        early = True
                        break
                if isinstance(line, TradeLine):  # as most are
                    events: tuple[Event | Correction, ...] = self._lines.events(line, now, reach)
                elif isinstance(line, InstrumentLine):
                    if self._defining is not None:
                        place, waits = place - 1, True
                        break
                    instrument = self._lines.definition(line, reach)
                    if instrument is not None:
                        new = New(instrument, seq)
                        continue
                    events = ()
                elif isinstance(line, (CorrectLine, CancelLine)):
                    if self.tape.behind:
                        place, waits = place - 1, True
                        break
                    if batch:  # the trade may be in it
                        self._put(publisher, batch, weight, late)
                        batch, weight, late = deque(), 0, 0
                    looked += CORRECTION
                    events = (self._lines.correction(line, publisher, now, self._keeps, reach),)
                else:
                    events = self._lines.events(line, now, reach)
            except Unfit as unfit:
                if not data.isspace():
                    tally.lines = before + place
                    tally.refuse(str(unfit))
                    self.health.bad += 1
                if seq and seq == publisher.missing:  # it is bad by now: nothing comes of it any more
                    publisher.missing = 0
                continue
            if seq:
                publisher.taken, publisher.missing = seq, 0
            accepted += 1
            left = len(events)
            for event in events:
                left -= 1
                last = event
                codes.add(event.code)
                if type(event) is Trade:
                    weight += 1
                    if seq:
                        publisher.trades[event.code] = seq
                    if event.time < minute:
                        late += LATE - 1
                else:
                    weight += _weight(event)
                    if seq and type(event) is Book:
                        publisher.books[event.code] = seq
                put: Event | Correction | Resent = event
                if 0 < seq <= parted:
                    put = Resent(event, seq <= publisher.counted, seq <= publisher.recorded)
                batch.append((put, None if left else seq))  # reached when all of the line has been yielded
            if seq and not events:
                batch.append((None, seq))
                weight += 1
        tally.lines = before + place
        tally.accepted += accepted
        if batch:
            if self.presence.gone:
                self._hear()
            self._put(publisher, batch, weight, late)
        if last is not None:
            self.health.stamped(now - last.time)
            self.health.reason = ""
        if early:
            raise StoreError(f"The line of seq {publisher.missing} is missing.")
        return place, new, waits

    def _find_waiting(self, publisher: str, seq: int) -> Trade | None:
        """The trade of that number, if it waits."""
        for batch in reversed(self._queue):
            if batch.publisher.name == publisher:
                for put, _ in reversed(batch.events):
                    event = put.event if isinstance(put, Resent) else put
                    if isinstance(event, Trade) and event.source_seq:
                        if event.source_seq == seq:
                            return event
                        if event.source_seq < seq:
                            return None
        return None

    def _keeps(self, trade: Trade) -> bool:
        """Whether the minute of a trade can be made anew."""
        begin, _ = self.tape.minute_of(trade.code, trade.time)
        return self.tape.keeps(trade.code, begin)

    async def _until(self, ready: Callable[[], bool], patience: float | None) -> None:
        """Returns once that is so, or when no more lines are taken. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while not self._ended and not ready():
                self._freed.clear()
                await self._freed.wait()

    async def _wait_to_define(self, publisher: Publisher, patience: float | None) -> None:
        """Waits for another publisher's definition. No line of this publisher is taken meanwhile, on whatever
        connection, so that its own stay in order."""
        publisher.defining = True
        try:
            await self._until(lambda: self._defining is None, patience)
        finally:
            publisher.defining = False
            self._freed.set()

    async def _define(self, publisher: Publisher, new: New) -> None:
        """Keeps a new instrument, then knows it: events of it must not outlive it. Nothing else is taken
        of the publisher meanwhile, so that its lines stay in order; others go on. Definitions follow one
        another. It goes on when who asked for it is cancelled."""
        publisher.defining = True
        self._defining = asyncio.create_task(self._keep_and_know(publisher, new))
        ended = asyncio.shield(self._defining)  # whose waiter goes on before those that wait for it
        self._defining.add_done_callback(partial(self._defined, publisher))
        await ended

    async def _keep_and_know(self, publisher: Publisher, new: New) -> None:
        try:
            await self.keep(new.instrument)
            self.catalogue.add(new.instrument)
        except BaseException:
            publisher.missing = new.seq or publisher.missing
            raise
        if new.seq:
            publisher.taken, publisher.missing = new.seq, 0
            self._put(publisher, deque([(None, new.seq)]), 1)

    def _defined(self, publisher: Publisher, defining: asyncio.Task[None]) -> None:
        publisher.defining, self._defining = False, None
        self._freed.set()
        if not defining.cancelled() and (error := defining.exception()) is not None:
            log.error("a new instrument cannot be kept", reason=str(error))


def _weight(event: Event | Correction) -> int:
    if isinstance(event, Correction):
        return CORRECTION
    return 1 + len(event.bids) + len(event.asks) if isinstance(event, Book) else 1
