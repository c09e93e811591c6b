"""All bars of one source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from typing import NamedTuple, TypeAlias

import structlog

from ...errors import StoreError
from ...klines import SECONDS, Closed, Grid, Past, Reach, Rules, Series, filled, roll_up
from ...model import Instrument, Kline, KlineType, Trade
from ...store import Database, KlineStore, Overlay, SqliteFile, SqliteKlineStore, past_note
from .memory import KEPT, Recent, Unjoined, Waiting
from .past import Made, MadePast

WRITE_EVERY = 0.5
"""Seconds between batches to the store; with the time that a batch takes, less than a second is at risk."""
RESTORED = 40
"""Bars of each type that a series is restored from, beside those that a late trade may revise: enough for the
days of a month."""
JOINED_AT_ONCE = 20
"""Codes that are read from the store in one call."""
RETRY = 1.0
"""Seconds before the store is asked again that could not be read."""
FINAL_WAIT = 5.0
"""Seconds in which the last batch must be written when the server ends."""
MOST_WAITING = 200_000
"""Bars that may wait for a store that cannot be written, some 200 MB; of more the oldest go."""
PAST_WAIT = 2.0
"""Seconds that a request waits for a past to be written."""
KEPT_IN_MEMORY = 5_000
"""Bars of each type that are kept of each code once they are kept in memory only."""
MEMORY_UPKEEP = 60.0
"""Seconds between two times that older ones are let go of."""
ALIVE = "alive"
"""The note that says until when bars were kept, in seconds since the epoch."""

PastOf: TypeAlias = Callable[[Instrument, str | None], Past | None]
"""The past of an instrument, by its key; see `Source.past`."""
Hole: TypeAlias = tuple[int | None, int | None]
"""From when to when trades are missing, in seconds; see `Bars.hole`."""

log = structlog.get_logger()


class Reading(NamedTuple):
    """Bars, ascending, and whether the store could not be asked for more of them."""

    bars: list[Kline]
    partial: bool


class Bars:
    """All bars of one source.

    A bar is forming in its series, waits to be written, or stands in the store. A read asks all three, the
    newest last, so that the join has neither hole nor double.

    A code is counted from its first trade on. What the store has of it is read meanwhile, however long that
    takes, and then joined: until then nothing of the code is written, since that would hide what is stored.
    """

    def __init__(
        self,
        source: str,
        store: KlineStore,
        database: Database,
        rules: Rules,
        *,
        maker: Executor | None = None,
        repeats: bool = False,
        flat: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`database` runs the calls of `store`, `maker` those that make a past.

        `repeats` says that the source begins anew at every run, as a replay does: what was counted in an
        earlier run is then not counted again, so that `ready` must be awaited before its first trade. `flat`
        answers bars without volume for open minutes without a trade.

        Reads what is noted at once. Raises StoreError.
        """
        self._source = source
        self._store = store
        self._database = database
        self._maker = maker
        self._rules = rules
        self.repeats = repeats
        self._restored = RESTORED + rules.late_window // 60_000  # and the minutes that may be revised
        self._flat = flat
        self._clock = clock
        self._series: dict[str, Series] = {}
        self._unjoined: dict[str, Unjoined] = {}
        self._begun = asyncio.Event()  # there is a code whose stored bars are to be read
        self._pasts: dict[str, MadePast | None] = {}  # None: there is nothing to be made
        self._making: dict[str, asyncio.Task[bool]] = {}
        self._late_pasts: set[str] = set()  # those whose write was not waited for
        self._changed: set[Series] = set()  # those whose forming minute is newer than the store's
        self._waiting, self._writing = Waiting(), Waiting()
        self._leaving: tuple[list[Kline], dict[str, str]] | None = None  # the last batch before `detach`
        self._recent = Recent()
        self._reads: list[list[Waiting]] = []  # of each read under way, what was committed meanwhile
        self._notes: dict[str, str] = {}  # to be written with the bars that they speak of
        self._noted = store.notes(source, "")
        self.gather: Callable[[], Mapping[str, str]] = dict
        """Called for notes that are to be kept with the bars as they are right then."""
        self.kept: Callable[[Mapping[str, str]], None] = lambda _: None
        """Called with the notes of a batch once it is in the store."""
        self.revised: Callable[[Iterable[Closed]], None] = lambda _: None
        """Called with closed bars that are others now, because stored ones were joined to them."""
        self._write_lock = asyncio.Lock()
        self._detached = False
        self._generation = database.generation
        self._pruned = time.monotonic()
        self.lost = 0
        """Bars that were let go of, because too many waited for the store."""
        alive, now = self._noted.get(ALIVE), int(clock())
        self.down = (int(alive), now) if alive and not repeats else (0, 0)
        """When no server ran, from and to, in seconds since the epoch; zeros if that does not matter."""
        self._holes: dict[str, Hole] = {}
        if alive:
            log.info("bars recovered", source=source, kept_until=int(alive), down_seconds=now - int(alive))

    @property
    def late(self) -> int:
        """Trades that came too late to be counted in any bar."""
        return sum(series.late for series in self._all_series())

    @property
    def waiting(self) -> int:
        """Bars that wait to be written, those that form included."""
        unjoined = sum(len(one.closed) + 1 for one in self._unjoined.values())
        return len(self._waiting) + len(self._writing) + len(self._changed) + unjoined

    # What comes in.
    def add(self, instrument: Instrument, trade: Trade, turnover: Decimal) -> list[Closed]:
        """Takes a trade; returns the bars that it closed or revised."""
        series = self._series.get(instrument.code)
        if series is None:
            return self._add_unjoined(instrument, trade, turnover)
        self._changed.add(series)
        closed = series.add(trade, turnover)
        if closed:
            self._put_closed(closed)
        return closed

    def advance(self, now: int) -> list[Closed]:
        """Closes what has ended by the market's clock, in milliseconds."""
        closed = [one for series in self._series.values() for one in series.advance(now)]
        self._put_closed(closed)
        for unjoined in self._unjoined.values():
            ended = unjoined.series.advance(now)
            unjoined.note(ended)
            self._recent.put(one.kline for one in ended)
            closed += ended
        return closed

    def hole(self, instrument: Instrument, begin: int | None, end: int | None) -> list[Closed]:
        """From `begin` (None: from the last minute that is known) up to `end` (None: it is not over), in
        milliseconds, trades of an instrument may be missing: the bars that overlap are incomplete. Returns
        those of them that have closed."""
        span = None if begin is None else begin // 1000, None if end is None else -(-end // 1000)
        code = instrument.code
        self._holes[code] = span
        if (series := self._series.get(code)) is not None:
            return self._mark(series, code)
        if (unjoined := self._unjoined.get(code)) is not None:
            closed = unjoined.series.hole(span[0] or 0, span[1])
            unjoined.note(closed)
            return closed
        return []

    def lack(self, instrument: Instrument, types: Iterable[KlineType], at: int) -> None:
        """The bars of these types that are forming at that moment, in seconds, lack what was before: they
        are incomplete, until the series is begun anew."""
        if (series := self._series.get(instrument.code)) is not None:
            series.lack(types, at)

    def put(self, bars: Iterable[Kline]) -> None:
        """Takes closed bars that come from elsewhere, each in place of the one of its time."""
        bars = [*bars]
        self._waiting.put(bars)
        self._recent.put(bars)

    def note(self, name: str, value: str) -> None:
        """Keeps a small fact about the source, together with the bars."""
        self._notes[name] = self._noted[name] = value

    def noted(self, name: str) -> str | None:
        """A fact that was noted, in this run or before it; None if none was."""
        return self._noted.get(name)

    # What is read.
    def version(self, instrument: Instrument, kline_type: KlineType) -> int:
        """A number that changes whenever a bar of that type closes, is revised, or is put before others."""
        return self._recent.changes[instrument.code, kline_type]

    def forming(self, instrument: Instrument, kline_type: KlineType) -> Kline | None:
        """The bar of that type that has not closed yet, if there is one and it is known."""
        series = self._series.get(instrument.code)
        if series is None and (unjoined := self._unjoined.get(instrument.code)) is not None:
            series = unjoined.series
        return None if series is None else series.forming(kline_type)

    async def read(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> Reading:
        """The latest `count` bars up to and including `end` (in seconds), ascending.

        Where the store cannot be asked, those that memory holds. Raises StoreError if it holds none.
        """
        try:
            return Reading(await self._shown(instrument, kline_type, count, end), partial=False)
        except StoreError:
            held = self._recent.of(instrument.code, kline_type) | self._held(instrument, kline_type)
            if not held:
                raise
            return Reading(_last(held, count, end), partial=True)

    async def joined(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        """The bars that there are, from all three places. Raises StoreError."""
        await self.ready([instrument])
        code = instrument.code
        with self._committed() as committed:
            held = self._held(instrument, kline_type)
            stored = await self._database.read(self._read, code, kline_type, count, end)
        found = {bar.time: bar for bar in stored} | held
        for batch in committed:
            found |= batch.of(code, kline_type)
        return _last(found | self._held(instrument, kline_type), count, end)

    async def ready(self, instruments: Iterable[Instrument]) -> None:
        """Reads what is stored of these, so that they can be counted on from there. Raises StoreError."""
        left = [one for one in instruments if one.code not in self._series]
        for begin in range(0, len(left), JOINED_AT_ONCE):
            some = left[begin : begin + JOINED_AT_ONCE]
            codes = [one.code for one in some]
            stored = await self._database.read(self._store.restore, self._source, codes, self._restored)
            for instrument in some:
                self._join(instrument, stored.get(instrument.code, {}))
            await asyncio.sleep(0)

    async def reopen(self, instrument: Instrument) -> None:
        """Begins an instrument's series anew, from what there is of it: the hole is closed. Raises
        StoreError."""
        code = instrument.code
        await self.ready([instrument])
        with self._committed() as committed:
            held = {kline_type: self._held(instrument, kline_type) for kline_type in KlineType}
            stored = await self._database.read(self._store.restore, self._source, [code], self._restored)
        known = {}
        for kline_type in KlineType:
            found = {bar.time: bar for bar in stored.get(code, {}).get(kline_type, ())} | held[kline_type]
            for batch in committed:
                found |= batch.of(code, kline_type)
            if found := found | self._held(instrument, kline_type):
                known[kline_type] = _last(found, self._restored, None)
        hole, before = self._holes.get(code), self._series[code]
        series = self._series[code] = Series(instrument, self._rules)
        series.restore(known, again=self.repeats)
        if hole is not None and hole[1] is None:  # that is not over yet
            self._mark(series, code)
        else:
            self._holes.pop(code, None)
        series.resume(before)
        if before in self._changed:
            self._changed.remove(before)
            self._changed.add(series)

    async def make_past(
        self, instrument: Instrument, past: PastOf, kline_type: KlineType, *, count: int, end: int | None
    ) -> None:
        """Puts those of the latest `count` bars up to `end` (in seconds) that lie before the first one there,
        as `past` makes them, unless they are there. Raises StoreError."""
        code = instrument.code
        while self._lacks(code, kline_type, count, end):
            making = self._making.get(code)
            if making is None:
                making = asyncio.create_task(self._make_past(instrument, past, kline_type, count, end))
                self._making[code] = making
            if not await asyncio.shield(making):
                return

    # What is kept.
    async def join(self) -> None:
        """Reads what is stored of the codes that have begun to trade, and joins it. Never ends."""
        while True:
            self._begun.clear()
            try:
                await self.ready([one.instrument for one in self._unjoined.values()])
            except StoreError:
                await asyncio.sleep(RETRY)
            else:
                await self._begun.wait()

    async def keep(self) -> None:
        """Writes what has changed, again and again. Never ends."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self.write()

    async def write(self) -> bool:
        """Writes what has changed since the last time, and returns whether it could: if not, it is kept in
        memory and tried again."""
        async with self._write_lock:
            with suppress(StoreError):  # which has been said; until then they are not written
                await self.ready([one.instrument for one in self._unjoined.values()])
            if self._leaving is not None:
                bars, notes = self._leaving
                if not await self._write_batch(bars, notes):
                    return False
                self.kept(notes)
                self._leaving = None
                self._store = Overlay(SqliteKlineStore(SqliteFile(None)), self._store)
            return await self._write_changes() and not self._unjoined

    async def end(self) -> None:
        """Writes what is left, and lets go of what is under way."""
        making = [*self._making.values()]
        for one in making:
            one.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        try:
            async with asyncio.timeout(FINAL_WAIT):
                while not await self.write():  # noqa: ASYNC110 (the store tells nobody)
                    await asyncio.sleep(WRITE_EVERY)
        except TimeoutError:
            log.error(
                "the last bars cannot be written: lost",
                source=self._source,
                bars=self.waiting,
                reason=self._database.writes.reason or "the store does not answer",
            )

    def detach(self) -> None:
        """Writes nothing more into the store: what comes from now on is not of the time that it says, and
        is kept in memory for this run."""
        if self._detached:
            return
        self._detached = True
        log.info("bars of this run are kept in memory from now on", source=self._source)
        if self._unjoined:  # what is stored of them would be overwritten
            log.error("bars lost: the store could not be read", codes=len(self._unjoined))
        self._notes.update(self.gather())
        notes, self._notes = self._notes | self._alive(), {}
        self._leaving = [*self._writing.all(), *self._waiting.all(), *self._forming_minutes()], notes

    async def prune(self, retention: Mapping[int, int]) -> None:
        """Lets go of bars that are older than so many days, by type. Raises StoreError."""
        for kline_type, days in retention.items():
            await self._prune(KlineType(kline_type), int(self._clock()) - days * 86400)

    def _add_unjoined(self, instrument: Instrument, trade: Trade, turnover: Decimal) -> list[Closed]:
        unjoined = self._unjoined.get(instrument.code)
        if unjoined is None:
            series = Series(instrument, self._rules, self.down)
            unjoined = self._unjoined[instrument.code] = Unjoined(instrument, series)
            if (hole := self._holes.get(instrument.code)) is not None:
                series.hole(hole[0] or 0, hole[1])
            self._begun.set()
        closed = unjoined.series.add(trade, turnover)
        if closed:
            unjoined.note(closed)
            self._recent.put(one.kline for one in closed)
        return closed

    def _join(self, instrument: Instrument, stored: Mapping[KlineType, list[Kline]]) -> None:
        """Goes on from what is stored of an instrument with what was counted since."""
        code = instrument.code
        if code in self._series:
            return
        self._recent.put(bar for bars in stored.values() for bar in bars[-KEPT[KlineType.MINUTE] :])
        series = self._series[code] = Series(instrument, self._rules, self.down)
        series.restore(stored, again=self.repeats)
        self._mark(series, code)
        unjoined = self._unjoined.pop(code, None)
        if unjoined is None:
            return
        closed = [one for minute in unjoined.minutes() for one in series.absorb(minute)]
        closed += series.resume(unjoined.series)
        self._put_closed(closed)
        self._changed.add(series)
        if unjoined.lost:
            self.lost += unjoined.lost
            log.error("bars lost: the store could not be read for too long", code=code, bars=unjoined.lost)
        shown = unjoined.closed
        self.revised(
            Closed(bar, revised=True)
            for bar, _ in closed
            if (before := shown.get((bar.kline_type, bar.time))) is not None and before != bar
        )

    def _mark(self, series: Series, code: str) -> list[Closed]:
        """Marks the hole of a code, if it has one, in its bars."""
        if (hole := self._holes.get(code)) is None:
            return []
        begin, end = hole
        if begin is None:
            begin = max(series.newest, 0)
            self._holes[code] = begin, end
        closed = series.hole(begin, end)
        self._put_closed(closed)
        return closed

    def _put_closed(self, closed: Iterable[Closed]) -> None:
        self.put(one.kline for one in closed)

    def _all_series(self) -> Iterator[Series]:
        yield from self._series.values()
        for unjoined in self._unjoined.values():
            yield unjoined.series

    def _held(self, instrument: Instrument, kline_type: KlineType) -> dict[int, Kline]:
        """The bars of a code and type that are not in the store, by time."""
        code = instrument.code
        found = self._writing.of(code, kline_type) | self._waiting.of(code, kline_type)
        if (unjoined := self._unjoined.get(code)) is not None:
            found |= unjoined.of(kline_type)
        if (forming := self.forming(instrument, kline_type)) is not None:
            found[forming.time] = forming
        return found

    @contextmanager
    def _committed(self) -> Iterator[list[Waiting]]:
        """Gathers what is committed while the store is read: the read may miss it, and it waits no more."""
        batches: list[Waiting] = []
        self._reads.append(batches)
        try:
            yield batches
        finally:
            self._reads = [one for one in self._reads if one is not batches]

    def _read(self, code: str, kline_type: KlineType, count: int, end: int | None) -> list[Kline]:
        return self._store.read(self._source, code, kline_type, count=count, end=end)

    async def _shown(
        self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None
    ) -> list[Kline]:
        bars = await self.joined(instrument, kline_type, count=count, end=end)
        if not self._flat or kline_type not in SECONDS:
            return bars
        later = (
            end is not None
            and bool(latest := await self.joined(instrument, kline_type, count=1))
            and latest[0].time > end
        )
        return filled(instrument, kline_type, bars, end if later else None, count=count)

    def _lacks(self, code: str, kline_type: KlineType, count: int, end: int | None) -> bool:
        """Whether something is to be made for these bars, or it is not known."""
        if code not in self._pasts:
            return True
        past = self._pasts[code]
        return past is not None and bool(past.missing(kline_type, count, end))

    async def _make_past(
        self, instrument: Instrument, past: PastOf, kline_type: KlineType, count: int, end: int | None
    ) -> bool:
        """Returns False where there is no first bar yet, which a past could lead up to."""
        code = instrument.code
        try:
            if code not in self._pasts and not await self._begin_past(instrument, past):
                return False
            if (made := self._pasts[code]) is not None:
                await self._deepen(instrument, made, kline_type, count, end)
            return True
        finally:
            del self._making[code]

    async def _deepen(
        self, instrument: Instrument, past: MadePast, kline_type: KlineType, count: int, end: int | None
    ) -> None:
        """What is made waits for the store as all bars do: made again, it would be the same."""
        for gap in past.missing(kline_type, count, end):
            self._check_writes()
            make = await self._maker_of(instrument, past, gap)
            made = await asyncio.get_running_loop().run_in_executor(self._maker, make)
            self._waiting.put(made)
            self._recent.changes[instrument.code, gap.kline_type] += 1
            past.made.add(gap)
            self.note(past_note(instrument), past.made.note())

    async def _maker_of(
        self, instrument: Instrument, past: MadePast, gap: Reach
    ) -> Callable[[], list[Kline]]:
        """What makes the bars of a gap. Raises StoreError."""
        first = past.made.first
        if gap.made_of is None:
            assert past.made.price is not None  # noqa: S101 (else no days are missing)
            return partial(past.past.days, gap.begin, gap.end, first, past.made.price)
        grid = Grid(instrument)
        most = (gap.end - gap.begin) // SECONDS.get(gap.made_of, 86_400) + 2
        found = await self.joined(instrument, gap.made_of, count=most, end=gap.end - 1)
        bars = [
            bar
            for bar in found
            if gap.begin <= grid.begin(gap.made_of, bar.time) and grid.end(gap.made_of, bar.time) <= first
        ]
        return partial(past.past.make, gap.kline_type, bars, first)

    def _check_writes(self) -> None:
        """Raises StoreError where nothing can be written: nobody is to wait for that, nor to fill memory."""
        if self._database.writes.failing:
            raise StoreError(self._database.writes.reason)

    async def _begin_past(self, instrument: Instrument, past: PastOf) -> bool:
        """Returns False where there is no first bar yet."""
        code, note = instrument.code, past_note(instrument)
        if (noted := await self._database.read(self._store.get, self._source, note)) is not None:
            if code in self._late_pasts:  # it was written after all
                await self.reopen(instrument)
            made = Made.read(noted)
            going_on = None if made is None else past(instrument, made.key)
            self._pasts[code] = None if made is None or going_on is None else MadePast(going_on, made)
            return True
        if (begun := past(instrument, None)) is None:
            self._pasts[code] = None
            return True
        if (first := await self._first_minute(instrument)) is None:
            return False
        self._check_writes()
        await self.ready([instrument])
        bars_by_type = await asyncio.get_running_loop().run_in_executor(self._maker, begun.begin, first)
        contains = self._series[code].contains
        whole: list[Kline] = []
        parts: list[Kline] = []
        for kline_type, bars in bars_by_type.items():
            goes_on = kline_type is not KlineType.MINUTE and contains(bars[-1], first.time)
            whole += bars[:-1] if goes_on else bars
            parts += bars[-1:] if goes_on else ()
        grid = Grid(instrument)
        spans = {one: [(grid.begin(one, bars[0].time), first.time)] for one, bars in bars_by_type.items()}
        made = Made(first.time, begun.key, spans, first.open)
        try:
            async with asyncio.timeout(PAST_WAIT):
                await self._database.write(self._store.write, self._source, whole, {note: made.note()})
        except TimeoutError:
            self._late_pasts.add(code)
            raise StoreError(f"A past could not be written in {PAST_WAIT:.0f} s.") from None
        self._noted[note] = made.note()
        self._recent.changes.update((code, kline_type) for kline_type in bars_by_type)
        series = self._series[code]
        forgotten = [part for part in parts if not series.precede(part)]
        ended = ((part, series.ended(part)) for part in forgotten)
        self.put(bar for _, bar in ended if bar is not None)
        for part in forgotten:
            if series.ended(part) is None:
                rest = await self.joined(instrument, part.kline_type, count=1, end=part.time)
                self.put(roll_up(instrument, part.kline_type, [part, *rest]))
        self._pasts[code] = MadePast(begun, made)
        await self.write()  # the first bar, so that no kill leaves a hole behind the past
        return True

    async def _first_minute(self, instrument: Instrument) -> Kline | None:
        minute = KlineType.MINUTE
        span = await self._database.read(self._store.span, self._source, instrument.code, minute)
        count, end = (1_000_000, None) if span is None else (1, span[0])
        found = await self.joined(instrument, minute, count=count, end=end)
        return found[0] if found else None

    async def _write_changes(self) -> bool:
        if self._generation != self._database.generation:
            self._generation = self._database.generation
            self._write_again()
        # Notes speak of all bars: they wait while those of some codes cannot be written.
        whole = not self._unjoined
        if whole:
            self._notes.update(self.gather())
        forming = self._forming_minutes()
        changed, self._changed = self._changed, set()
        self._writing.put(self._waiting.take())
        notes = self._notes | self._alive() if whole else {}
        written = False
        try:
            written = await self._write_batch([*self._writing.all(), *forming], notes)
        finally:
            if not written:  # whatever ended it
                self._changed |= changed
        if not written:
            return False
        for committed in self._reads:
            committed.append(self._writing)
        self._writing = Waiting()
        self._notes = {name: value for name, value in self._notes.items() if notes.get(name) != value}
        if self._detached:
            await self._prune_memory()
        else:
            self.kept(notes)
        return True

    def _write_again(self) -> None:
        """The database was made anew: what memory holds is to be written once more."""
        held = {(bar.code, bar.kline_type, bar.time): bar for bar in self._recent.all()}
        held |= {(bar.code, bar.kline_type, bar.time): bar for bar in self._waiting.all()}
        self._waiting.put(bar for bar in held.values() if bar.code in self._series)
        self._changed.update(self._series.values())
        self._notes = self._noted | self._notes

    async def _write_batch(self, bars: list[Kline], notes: Mapping[str, str]) -> bool:
        try:
            await self._database.write(self._store.write, self._source, bars, notes)
        except StoreError:  # which has been said
            if gone := self._writing.drop_oldest(MOST_WAITING):
                if not self.lost:
                    log.error(
                        "bars lost: too many wait for the store", source=self._source, most=MOST_WAITING
                    )
                self.lost += gone
            return False
        return True

    async def _prune_memory(self) -> None:
        if time.monotonic() - self._pruned < MEMORY_UPKEEP:
            return
        self._pruned = time.monotonic()
        newest = max((series.newest for series in self._series.values()), default=0)
        for kline_type in KlineType:
            before = newest - KEPT_IN_MEMORY * SECONDS.get(kline_type, 86_400)
            await self._prune(kline_type, before)
            for past in self._pasts.values():
                if past is not None:
                    past.forget(kline_type, before)

    async def _prune(self, kline_type: KlineType, before: int) -> None:
        gone = 0
        while step := await self._database.write(self._store.prune, self._source, kline_type, before):
            gone += step
        if gone:
            log.info("old bars removed", kline_type=int(kline_type), bars=gone)

    def _forming_minutes(self) -> list[Kline]:
        """The forming minutes that are newer than the store's."""
        found = (series.forming(KlineType.MINUTE) for series in self._changed)
        return [bar for bar in found if bar is not None]

    def _alive(self) -> dict[str, str]:
        return {ALIVE: str(int(self._clock()))}


def _last(bars: Mapping[int, Kline], count: int, end: int | None) -> list[Kline]:
    """The latest of these up to and including `end`, ascending."""
    times = sorted(at for at in bars if end is None or at <= end)
    return [bars[at] for at in times[-count:]]
