"""Fills the bars of a source from its own history: what was before, and the holes in between."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
import structlog

from ..errors import SourceError, StoreError
from ..klines import SECONDS, Closed, Grid, roll_up, smaller
from ..model import Instrument, Kline, KlineType
from ..sources import History, Source
from .bars import Bars

ASKED = (KlineType.MINUTE, KlineType.HOUR, KlineType.DAY)
"""The types that a source is asked for; the others are made of them."""
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
PARTS = 40
"""Bars that make up a larger one, at most: the days of a month."""
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

    The depth of a type is the open time from which on all of its bars are there; 0 says that the source has
    none before. A type without a depth was not fetched yet: what somebody waits for comes first, and the
    larger types when nobody waits.
    """

    def __init__(
        self,
        source: Source,
        history: History,
        bars: Bars,
        *,
        revised: Callable[[Iterable[Closed]], None],
        filled: Callable[[str], None],
    ) -> None:
        """`revised` is called with closed bars that are others now, `filled` with a code without holes."""
        self._source = source
        self._history = history
        self._bars = bars
        self._revised = revised
        self._filled = filled
        self._holes: dict[str, Hole] = {}
        self._depths: dict[str, dict[KlineType, int]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._failed: dict[str, float] = {}
        self._tasks: dict[Asked, asyncio.Task[None]] = {}
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
        return bool(self._depth(instrument))

    async def run(self) -> None:
        """Fills holes behind what was known, when the source can know them, and fetches larger types while
        nobody waits for others. Never ends."""
        while True:
            await asyncio.sleep(BEAT)
            for hole in [*self._holes.values()]:
                known = hole.begin is not None or self._depth(hole.instrument)
                if known and self._settled(hole):
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
        whole = await self._has(instrument, kline_type, count, end)
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

    def _reached(self, asked: Asked, task: asyncio.Task[None]) -> None:
        del self._tasks[asked]
        self._said = self._said and bool(self._tasks)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bars cannot be fetched", source=self._source.name, code=asked.code, exc_info=error)

    async def _reach(
        self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None
    ) -> None:
        for _ in range(MOST_PAGES):
            if self._waits(instrument):
                return
            with self._failing(instrument):
                if await self._has(instrument, kline_type, count, end):
                    return
            if self._lacks(instrument, kline_type):
                await self._complete(instrument, kline_type)
                continue
            async with self._lock(instrument):
                depth = self._depth(instrument).get(kline_type)
                if depth != 0:
                    with self._failing(instrument):
                        await self._page(instrument, kline_type, self._now() if depth is None else depth - 1)

    def _lacks(self, instrument: Instrument, upto: KlineType) -> bool:
        """Whether the bars of an instrument have a hole that can be filled now, or no past yet, of types up
        to that one."""
        hole = self._holes.get(instrument.code)
        missing = self._missing(instrument)
        return (missing is not None and missing <= upto) or (hole is not None and self._settled(hole))

    def _missing(self, instrument: Instrument) -> KlineType | None:
        """The smallest type of which no past was fetched yet."""
        depth = self._depth(instrument)
        return next((one for one in ASKED if one not in depth), None)

    def _lacks_larger(self, instrument: Instrument) -> bool:
        """Whether the past of larger types is yet to be fetched: somebody asked for smaller ones."""
        return self._missing(instrument) not in (None, KlineType.MINUTE)

    async def _has(self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None) -> bool:
        """Whether nothing is missing of these bars, as far as can be known now."""
        depth = self._depth(instrument).get(kline_type)
        if depth is None or self._lacks(instrument, kline_type):
            return False
        found = await self._bars.joined(instrument, kline_type, count=count, end=end)
        return depth == 0 or (len(found) >= count and found[0].time >= depth)

    async def _complete(self, instrument: Instrument, upto: KlineType) -> None:
        """Closes the hole of an instrument, and makes the past of types up to that one, where there is
        none."""
        async with self._lock(instrument):
            if not self._lacks(instrument, upto) or self._waits(instrument):
                return
            hole, depth = self._holes.get(instrument.code), self._depth(instrument)
            is_settled = hole is not None and self._settled(hole)
            before, done = dict(depth), False
            try:
                with self._failing(instrument):
                    await self._fill(instrument, hole, upto, is_settled=is_settled)
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
            if is_settled and self._holes.get(instrument.code) == hole:
                del self._holes[instrument.code]
                self._owed.add(instrument.code)
            if instrument.code in self._owed and instrument.code not in self._behind:
                self._owed.discard(instrument.code)
                self._filled(instrument.code)

    async def _fill(
        self, instrument: Instrument, hole: Hole | None, upto: KlineType, *, is_settled: bool
    ) -> None:
        depth, grid, now = self._depth(instrument), Grid(instrument), self._now()
        begin = hole.begin if hole is not None else None
        if hole is not None and begin is None and depth:
            last = await self._bars.joined(instrument, KlineType.MINUTE, count=1, end=hole.end - 60)
            begin = last[0].time if last else None
        given: dict[KlineType, Sequence[Kline]] = {}
        base = _asked_for(upto)
        minutes = self._history.most if begin is None or now < begin else (now - begin) // 60 + 2
        is_small = minutes < self._history.most
        if hole is not None and begin is not None and is_small:
            if is_settled:
                found, _ = await self._fetch(instrument, KlineType.MINUTE, minutes, None)
                since, until = (grid.open_time(KlineType.MINUTE, at) for at in (begin, hole.end))
                given[KlineType.MINUTE] = [bar for bar in found if since <= bar.time <= until]
        elif hole is not None:  # larger bars lack something too: they are fetched anew, when it is their turn
            for kline_type in [one for one in depth if base < _asked_for(one)]:
                del depth[kline_type]
                self._revising.add(instrument.code)
        for kline_type in sorted((one for one in ASKED if one <= base), key=lambda one: one is not base):
            if kline_type not in given and (kline_type not in depth or (hole is not None and not is_small)):
                given[kline_type] = await self._page(instrument, kline_type, None, begin)
        changed = await self._take(instrument, given)
        await self._bars.reopen(instrument)
        missing = self._missing(instrument)
        if missing is not None and self._lacks_larger(instrument):
            self._bars.lack(instrument, [one for one in grid.types if one >= missing], now)
        if begin is not None or instrument.code in self._revising:
            self._revised(changed)
        if missing is None:
            self._revising.discard(instrument.code)
        if hole is not None and not is_settled:  # its last minute has not closed yet
            opened = grid.open_time(KlineType.MINUTE, hole.end)
            left = opened if begin is None or KlineType.MINUTE in given else begin
            self._bars.hole(instrument, left * 1000, hole.end * 1000)
            if self._holes.get(instrument.code) == hole:
                self._holes[instrument.code] = hole._replace(begin=left)

    async def _page(
        self, instrument: Instrument, kline_type: KlineType, end: int | None, begin: int | None = None
    ) -> list[Kline]:
        """Fetches a page of bars up to `end`, and keeps how deep it reaches; `begin` is where a hole begins
        before which all is known."""
        found, is_all = await self._fetch(instrument, kline_type, self._history.most, end)
        depth = self._depth(instrument)
        if is_all or not found:
            depth[kline_type] = 0
        elif kline_type not in depth or end is not None or begin is None or found[0].time > begin:
            depth[kline_type] = found[0].time
        if end is not None:
            self._bars.put(found)
            self._note(instrument)
        return found

    async def _fetch(
        self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None
    ) -> tuple[list[Kline], bool]:
        """Bars of the source that have closed, and whether there are none before them."""
        bars = await self._history.klines(instrument, kline_type, count=count, end=end)
        grid, now = Grid(instrument), self._now()
        found = []
        for bar in bars:
            if (over := grid.end(kline_type, bar.time)) <= now:
                first = grid.begin(kline_type, bar.time) * 1000
                found.append(msgspec.structs.replace(bar, first=first, last=over * 1000 - 1))
        return found, len(bars) < count

    async def _take(self, instrument: Instrument, given: Mapping[KlineType, Sequence[Kline]]) -> list[Closed]:
        """Puts these bars in place of what there was, and makes the larger ones around them anew; returns
        those that differ from what there was."""
        types, depth = Grid(instrument).types, self._depth(instrument)
        taken: dict[KlineType, Sequence[Kline]] = {}
        changed: list[Closed] = []
        for kline_type in types:
            if kline_type < min(given, default=ASKED[0]):
                continue
            if kline_type in ASKED and kline_type not in depth and kline_type not in given:
                break
            bars = given.get(kline_type)
            if bars is None:
                bars = await self._rebuilt(instrument, kline_type, taken[smaller(kline_type, types)])
                base = depth.get(smaller(kline_type, types))
                if kline_type not in depth and base is not None:
                    depth[kline_type] = base and _next_open(Grid(instrument), kline_type, base)
            taken[kline_type] = bars
            if bars:
                count = len(bars) + PARTS
                before = await self._bars.joined(instrument, kline_type, count=count, end=bars[-1].time)
                known = {bar.time: _shown(bar) for bar in before}
                changed += [Closed(bar, revised=True) for bar in bars if known.get(bar.time) != _shown(bar)]
                self._bars.put(bars)
        self._note(instrument)
        return changed

    async def _rebuilt(
        self, instrument: Instrument, kline_type: KlineType, parts: Sequence[Kline]
    ) -> list[Kline]:
        """The closed bars of a type around some of the smaller type, where all of their parts are there."""
        if not parts:
            return []
        grid, part = Grid(instrument), parts[0].kline_type
        opened = {grid.open_time(kline_type, bar.time) for bar in parts}
        first, last = min(opened), max(opened)
        end, depth = grid.end(kline_type, last), self._depth(instrument).get(part)
        count = max(PARTS, (end - first) // SECONDS.get(part, 86_400) + 2)
        around = await self._bars.joined(instrument, part, count=count, end=end - 1)
        found = roll_up(
            instrument, kline_type, (one for one in around if grid.open_time(kline_type, one.time) in opened)
        )
        before = await self._bars.joined(instrument, kline_type, count=count, end=last)
        known = {bar.time: bar for bar in before}
        return [
            bar
            for bar in found
            if grid.end(kline_type, bar.time) <= self._now()
            and (depth == 0 or (depth is not None and grid.begin(kline_type, bar.time) >= depth))
            # What is known is a part at least: a bar with less in it lacks something.
            and (bar.time not in known or known[bar.time].volume <= bar.volume)
        ]

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
        return time.monotonic() - self._failed.get(instrument.code, -RETRY) < RETRY

    @contextmanager
    def _failing(self, instrument: Instrument) -> Iterator[None]:
        """What goes wrong is said, and tried again later."""
        try:
            yield
        except (SourceError, StoreError) as error:
            self._failed[instrument.code] = time.monotonic()
            log.warning(
                "bars cannot be fetched", source=self._source.name, code=instrument.code, reason=str(error)
            )

    def _depth(self, instrument: Instrument) -> dict[KlineType, int]:
        """How deep the bars of each type reach."""
        found = self._depths.get(instrument.code)
        if found is None:
            noted = self._bars.noted(f"depth:{instrument.code}") or ""
            pairs = (pair.split(":") for pair in noted.split())
            found = self._depths[instrument.code] = {KlineType(int(one)): int(at) for one, at in pairs}
        return found

    def _note(self, instrument: Instrument) -> None:
        depth = self._depth(instrument)
        text = " ".join(f"{int(kline_type)}:{at}" for kline_type, at in depth.items())
        self._bars.note(f"depth:{instrument.code}", text)


def _asked_for(kline_type: KlineType) -> KlineType:
    """The type that a source is asked for where bars of that type are wanted."""
    return max(one for one in ASKED if one <= kline_type)


def _shown(bar: Kline) -> tuple[object, ...]:
    """What a client sees of a bar."""
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover, bar.incomplete


def _next_open(grid: Grid, kline_type: KlineType, at: int) -> int:
    """The first open time of a type from a moment on."""
    opened = grid.open_time(kline_type, at)
    return opened if grid.begin(kline_type, opened) >= at else grid.end(kline_type, opened)
