"""Fills the bars of a source from its own history: what was before, and the holes in between."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import structlog

from ...errors import SourceError, StoreError
from ...klines import Closed, Grid
from ...model import Instrument, Kline, KlineType
from ...sources import Source
from ..bars import Bars
from .depths import Depths
from .filling import ASKED, Filling, asked_for
from .ledger import Ledger

SETTLED = 3
"""Seconds after the end of a minute in which a source has its bar ready."""
PATIENCE = 30.0
"""Seconds that a request waits for its turn and its bars; what comes later is there for the next one."""
RETRY = 15.0
"""Seconds before a code is tried again that failed."""
MOST_TASKS = 500
"""Questions that are looked into at a time."""
MOST_PAGES = 4
"""Requests that go further back because of one question."""
BEAT = 1.0
"""Seconds between looks at what is due."""

log = structlog.get_logger()


class Hole(NamedTuple):
    """Where trades of an instrument are missing, in seconds; `begin` is None if nothing is known before."""

    instrument: Instrument
    begin: int | None
    end: int


class Asked(NamedTuple):
    """Bars that somebody asks for: the latest `number` up to `end`, in seconds."""

    code: str
    kline_type: KlineType
    number: int
    end: int | None


class Backfill:
    """Completes the bars of one source. What was fetched is kept, so that nothing is asked for twice.

    What somebody waits for comes first, and larger types when nobody waits.
    """

    def __init__(
        self,
        source: Source,
        bars: Bars,
        depths: Depths,
        filling: Filling,
        ledger: Ledger,
        revised: Callable[[Iterable[Closed]], None],
    ) -> None:
        """`revised` is called with closed bars that are others now."""
        self._source = source
        self._bars = bars
        self._depths = depths
        self._filling = filling
        self._ledger = ledger
        self._revised = revised
        self._holes: dict[str, Hole] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._failed: dict[str, float] = {}
        self._tasks: dict[Asked, asyncio.Task[bool]] = {}
        self._behind: dict[str, Instrument] = {}  # those whose larger types are yet to be fetched
        self._revising: set[str] = set()  # those of them that clients have seen larger bars of
        self._owed: set[str] = set()  # those without holes that are whole once all types are there
        self.partial = 0
        """Answers that lacked bars which the source could have."""
        self._said = False  # of those that wait now

    def hole(self, instrument: Instrument, begin: int | None, end: int) -> None:
        """Trades are missing from `begin` (None: it is not known) up to `end`, in milliseconds."""
        before = self._holes.get(instrument.code)
        since = None if begin is None else begin // 1000
        if before is not None and before.begin is not None:
            since = before.begin
        self._holes[instrument.code] = Hole(instrument, since, end // 1000)

    def knows(self, instrument: Instrument) -> bool:
        """Whether the bars of an instrument were complete up to the last one that there is."""
        return bool(self._depths.of(instrument))

    async def run(self) -> None:
        """Fills holes behind what was known, when the source can know them, and fetches larger types while
        nobody waits for others. Never ends."""
        while True:
            await asyncio.sleep(BEAT)
            for hole in [*self._holes.values()]:
                known = hole.begin is not None or self._depths.of(hole.instrument)
                if known and self._settled(hole) and not self._tasks:
                    await self._complete(hole.instrument, KlineType.MINUTE)
            for instrument in [*self._behind.values()]:
                if not self._tasks:
                    await self._complete(instrument, ASKED[-1])

    async def reach(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> bool:
        """Fetches what is missing of the latest `count` bars up to `end`, in seconds, or waits no longer;
        returns whether they are there, as far as the source has them. Raises StoreError.
        """
        if kline_type not in Grid(instrument).types or await self._has(instrument, kline_type, count, end):
            return True
        asked = Asked(instrument.code, kline_type, count, end)
        task = self._tasks.get(asked)
        if task is None and len(self._tasks) < MOST_TASKS:
            task = asyncio.create_task(self._reach(instrument, kline_type, count, end))
            self._tasks[asked] = task
            task.add_done_callback(functools.partial(self._reached, asked))
        if task is not None:
            await asyncio.wait([task], timeout=PATIENCE)
        # What was whole when it came, is so for this answer, though a minute may have ended since.
        came = task is not None and _came(task)
        whole = came or await self._has(instrument, kline_type, count, end)
        if not whole:
            self._tell_partial(instrument)
        return whole

    def _tell_partial(self, instrument: Instrument) -> None:
        self.partial += 1
        if not self._said:
            self._said = True
            log.warning(
                "bars are answered in part",
                source=self._source.name,
                code=instrument.code,
                reason="the source has not given the others yet",
                questions=len(self._tasks),
            )

    async def end(self) -> None:
        """Fetches nothing more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _reached(self, asked: Asked, task: asyncio.Task[bool]) -> None:
        del self._tasks[asked]
        self._said = self._said and bool(self._tasks)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bars cannot be fetched", source=self._source.name, code=asked.code, exc_info=error)

    async def _reach(
        self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None
    ) -> bool:
        """Returns whether they are there; False may be out of date."""
        for _ in range(MOST_PAGES):
            if self._waits(instrument):
                return False
            with self._failing(instrument):
                if await self._has(instrument, kline_type, count, end):
                    return True
            if self._lacks(instrument, kline_type):
                await self._complete(instrument, kline_type)
                continue
            async with self._lock(instrument):
                depth = self._depths.of(instrument).get(kline_type)
                if depth != 0:
                    with self._failing(instrument):
                        await self._filling.page(
                            instrument, kline_type, self._now() if depth is None else depth - 1
                        )
        return False

    def _lacks(self, instrument: Instrument, upto: KlineType) -> bool:
        """Whether the bars of an instrument have a hole that can be filled now, or no past yet, of types up
        to that one."""
        hole = self._holes.get(instrument.code)
        missing = self._missing(instrument)
        return (missing is not None and missing <= upto) or (hole is not None and self._settled(hole))

    def _missing(self, instrument: Instrument) -> KlineType | None:
        """The smallest type of which no past was fetched yet."""
        depth = self._depths.of(instrument)
        return next((one for one in ASKED if one not in depth), None)

    def _lacks_larger(self, instrument: Instrument) -> bool:
        """Whether the past of larger types is yet to be fetched: somebody asked for smaller ones."""
        return self._missing(instrument) not in (None, KlineType.MINUTE)

    async def _has(self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None) -> bool:
        """Whether nothing is missing of these bars, as far as can be known now."""
        depth, missing = self._depths.of(instrument).get(kline_type), self._missing(instrument)
        if depth is None or (missing is not None and missing <= kline_type):
            return False
        hole = self._holes.get(instrument.code)
        found = await self._bars.joined(instrument, kline_type, count=count, end=end)
        is_deep = len(found) >= count and found[0].time >= depth
        if hole is not None and self._settled(hole):
            return is_deep and Grid(instrument).begin(kline_type, found[0].time) > hole.end
        return depth == 0 or is_deep

    async def _complete(self, instrument: Instrument, upto: KlineType) -> None:
        """Closes the hole of an instrument, and makes the past of types up to that one, where there is
        none."""
        async with self._lock(instrument):
            if not self._lacks(instrument, upto) or self._waits(instrument):
                return
            hole, depth = self._holes.get(instrument.code), self._depths.of(instrument)
            before, done, is_closed = dict(depth), False, False
            try:
                with self._failing(instrument):
                    is_closed = await self._fill(instrument, hole, upto)
                    done = True
            finally:
                if not done:  # what was fetched may not have been taken
                    depth.clear()
                    depth.update(before)
            if not done:
                return
            if self._lacks_larger(instrument):
                self._behind[instrument.code] = instrument
            else:
                self._behind.pop(instrument.code, None)
            if is_closed and self._holes.get(instrument.code) == hole:
                del self._holes[instrument.code]
                self._owed.add(instrument.code)
            if instrument.code in self._owed and instrument.code not in self._behind:
                self._owed.discard(instrument.code)
                self._ledger.filled(instrument.code)

    async def _fill(self, instrument: Instrument, hole: Hole | None, upto: KlineType) -> bool:
        """Returns whether the hole is closed: by the moment at which its minutes came, since a request may
        wait for its turn over the end of one."""
        depth, grid, now = self._depths.of(instrument), Grid(instrument), self._now()
        begin = hole.begin if hole is not None else None
        if hole is not None and begin is None and depth:
            last = await self._bars.joined(instrument, KlineType.MINUTE, count=1, end=hole.end - 60)
            begin = last[0].time if last else None
        given: dict[KlineType, Sequence[Kline]] = {}
        base = asked_for(upto)
        minutes = self._filling.most if begin is None or now < begin else (now - begin) // 60 + 2
        is_small, is_closed = minutes < self._filling.most, False
        if hole is not None and begin is not None and is_small:
            if self._settled(hole):
                found, _ = await self._filling.fetch(instrument, KlineType.MINUTE, minutes, None)
                since, until = (grid.open_time(KlineType.MINUTE, at) for at in (begin, hole.end))
                given[KlineType.MINUTE] = [bar for bar in found if since <= bar.time <= until]
                is_closed = True
        elif hole is not None:  # larger bars lack something too: they are fetched anew, when it is their turn
            for kline_type in [one for one in depth if base < asked_for(one)]:
                del depth[kline_type]
                self._revising.add(instrument.code)
        for kline_type in sorted((one for one in ASKED if one <= base), key=lambda one: one is not base):
            if kline_type not in given and (kline_type not in depth or (hole is not None and not is_small)):
                given[kline_type] = await self._filling.page(instrument, kline_type, None, begin)
                if kline_type is KlineType.MINUTE:
                    is_closed = hole is not None and self._settled(hole)
        changed = await self._filling.take(instrument, given)
        await self._bars.reopen(instrument)
        missing = self._missing(instrument)
        if missing is not None and self._lacks_larger(instrument):
            self._bars.lack(instrument, [one for one in grid.types if one >= missing], now)
        if begin is not None or instrument.code in self._revising:
            self._revised(changed)
        if missing is None:
            self._revising.discard(instrument.code)
        if hole is not None and not is_closed:  # its last minute has not closed yet
            opened = grid.open_time(KlineType.MINUTE, hole.end)
            left = opened if begin is None or KlineType.MINUTE in given else begin
            self._bars.hole(instrument, left * 1000, hole.end * 1000)
            if self._holes.get(instrument.code) == hole:
                self._holes[instrument.code] = hole._replace(begin=left)
        return is_closed

    def _settled(self, hole: Hole) -> bool:
        """Whether the source has all bars that a hole touches."""
        grid = Grid(hole.instrument)
        minute = grid.open_time(KlineType.MINUTE, hole.end)
        return self._now() >= grid.end(KlineType.MINUTE, minute) + SETTLED

    def _now(self) -> int:
        return self._source.market_time() // 1000

    def _lock(self, instrument: Instrument) -> asyncio.Lock:
        return self._locks.setdefault(instrument.code, asyncio.Lock())

    def _waits(self, instrument: Instrument) -> bool:
        """Whether the last try failed a moment ago."""
        return asyncio.get_running_loop().time() - self._failed.get(instrument.code, -RETRY) < RETRY

    @contextmanager
    def _failing(self, instrument: Instrument) -> Iterator[None]:
        """What goes wrong is said, and tried again later."""
        try:
            yield
        except (SourceError, StoreError) as error:
            self._failed[instrument.code] = asyncio.get_running_loop().time()
            log.warning(
                "bars cannot be fetched", source=self._source.name, code=instrument.code, reason=str(error)
            )


def _came(task: asyncio.Task[bool]) -> bool:
    """Whether it has ended well, and found all."""
    return task.done() and not task.cancelled() and task.exception() is None and task.result()
