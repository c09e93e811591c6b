"""The bars of a source: computed from its trades, kept in a store, read as one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TypeAlias

import structlog

from .errors import StoreError
from .klines import SECONDS, Closed, Rules, Series, filled, roll_up
from .model import Instrument, Kline, KlineType, Trade
from .store import KlineStore, past_note

WRITE_EVERY = 0.5
"""Seconds between batches to the store; with the time that a batch takes, less than a second is at risk."""
RESTORED = 40
"""Bars of each type that a series is restored from, beside those that a late trade may revise: enough for the
days of a month."""
ALIVE = "alive"
"""The note that says until when bars were kept, in seconds since the epoch."""

Past: TypeAlias = Callable[[Instrument, Kline], dict[KlineType, list[Kline]]]
"""Makes the bars before the first minute bar of an instrument; see `Source.past`."""

log = structlog.get_logger()


class Bars:
    """All bars of one source.

    A bar is forming in its series, waits to be written, or stands in the store. A read asks all three, the
    newest last, so that the join has neither hole nor double.
    """

    def __init__(
        self,
        source: str,
        store: KlineStore,
        rules: Rules,
        *,
        repeats: bool = False,
        flat: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`repeats` says that the source begins anew at every run, as a replay does: what was counted in
        an earlier run is then not counted again. `flat` answers bars without volume for open minutes
        without a trade."""
        self._source = source
        self._store = store
        self._rules = rules
        self._repeats = repeats
        self._restored = RESTORED + rules.late_window // 60_000  # and the minutes that may be revised
        self._flat = flat
        self._clock = clock
        self._series: dict[str, Series] = {}
        self._pasts: dict[str, asyncio.Task[None]] = {}
        self._changed: set[Series] = set()  # those whose forming minute is newer than the store's
        self._waiting = Waiting()
        self._writing = Waiting()
        self._notes: dict[str, str] = {}  # to be written with the bars that they speak of
        self.gather: Callable[[], Mapping[str, str]] = dict
        """Called for notes that are to be kept with the bars as they are right then."""
        self._write_lock = asyncio.Lock()
        self._detached = False
        alive, now = store.get(source, ALIVE), int(clock())
        self.down = (int(alive), now) if alive and not repeats else (0, 0)
        """When no server ran, from and to, in seconds since the epoch; zeros if that does not matter."""
        self._holes: dict[str, tuple[int, int | None]] = {}
        if alive:
            log.info("bars recovered", source=source, kept_until=int(alive), down_seconds=now - int(alive))

    @property
    def late(self) -> int:
        """Trades that came too late to be counted in any bar."""
        return sum(series.late for series in self._series.values())

    def detach(self) -> None:
        """Writes nothing more: what comes from now on is not of the time that it says, and is kept in
        memory for this run."""
        if self._detached:
            return
        self._detached = True
        log.info("bars of this run are kept in memory from now on", source=self._source)
        self._notes.update(self.gather())
        try:
            self._store.write(
                self._source, [*self._waiting.all(), *self._forming_minutes()], self._notes | self._alive()
            )
        except StoreError as error:
            log.error("bars cannot be written, they are kept in memory", reason=str(error))

    def add(self, instrument: Instrument, trade: Trade, turnover: Decimal) -> list[Closed]:
        """Takes a trade; returns the bars that it closed or revised."""
        series = self._series.get(instrument.code) or self._open(instrument)
        self._changed.add(series)
        closed = series.add(trade, turnover)
        if closed:
            self._waiting.put(one.kline for one in closed)
        return closed

    def advance(self, now: int) -> list[Closed]:
        """Closes what has ended by the market's clock, in milliseconds."""
        closed = [one for series in self._series.values() for one in series.advance(now)]
        self._waiting.put(one.kline for one in closed)
        return closed

    def hole(self, instrument: Instrument, begin: int, end: int | None) -> list[Closed]:
        """From `begin` up to `end`, in milliseconds (None: it is not over), trades of an instrument may be
        missing: the bars that overlap are incomplete. Returns those of them that have closed."""
        span = begin // 1000, None if end is None else -(-end // 1000)
        self._holes[instrument.code] = span
        if (series := self._series.get(instrument.code)) is None:
            return []
        closed = series.hole(*span)
        self._waiting.put(one.kline for one in closed)
        return closed

    def put(self, bars: Iterable[Kline]) -> None:
        """Takes closed bars that come from elsewhere, each in place of the one of its time."""
        self._waiting.put(bars)

    def reopen(self, instrument: Instrument) -> None:
        """Begins an instrument's series anew, from what there is of it: the hole is closed."""
        stored = {
            kline_type: bars
            for kline_type in KlineType
            if (bars := self.joined(instrument, kline_type, count=self._restored))
        }
        hole = self._holes.get(instrument.code)
        before = self._series.get(instrument.code)
        series = self._series[instrument.code] = Series(instrument, self._rules)
        series.restore(stored, again=self._repeats)
        if hole is not None and hole[1] is None:  # that is not over yet
            self._waiting.put(one.kline for one in series.hole(*hole))
        else:
            self._holes.pop(instrument.code, None)
        if before is not None:
            series.resume(before)
            if before in self._changed:
                self._changed.remove(before)
                self._changed.add(series)

    def note(self, name: str, value: str) -> None:
        """Keeps a small fact about the source, together with the bars."""
        self._notes[name] = value

    def noted(self, name: str) -> str | None:
        """A fact that was noted; None if none was."""
        return self._notes.get(name) or self._store.get(self._source, name)

    def version(self, instrument: Instrument, kline_type: KlineType) -> int:
        """A number that changes whenever a bar of that type closes, is revised, or is put before others."""
        return self._waiting.changes[instrument.code, kline_type]

    def forming(self, instrument: Instrument, kline_type: KlineType) -> Kline | None:
        """The bar of that type that has not closed yet, if there is one."""
        return (self._series.get(instrument.code) or self._open(instrument)).forming(kline_type)

    def read(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        """The latest `count` bars up to and including `end` (in seconds), ascending."""
        bars = self.joined(instrument, kline_type, count=count, end=end)
        if not self._flat or kline_type not in SECONDS:
            return bars
        later = (
            end is not None
            and bool(latest := self.joined(instrument, kline_type, count=1))
            and latest[0].time > end
        )
        return filled(instrument, kline_type, bars, end if later else None)[-count:]

    def joined(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        """The bars that there are, from all three places."""
        code = instrument.code
        stored = self._store.read(self._source, code, kline_type, count=count, end=end)
        found = {bar.time: bar for bar in stored}
        found |= self._writing.of(code, kline_type)
        found |= self._waiting.of(code, kline_type)
        if (forming := self.forming(instrument, kline_type)) is not None:
            found[forming.time] = forming
        if len(found) == len(stored):
            return list(found.values())
        times = sorted(at for at in found if end is None or at <= end)
        return [found[at] for at in times[-count:]]

    async def make_past(self, instrument: Instrument, past: Past) -> None:
        """Puts the bars that `past` makes before the first one, unless that was done before."""
        making = self._pasts.get(instrument.code)
        if making is None:
            if (first := self._first_minute(instrument)) is None:
                return
            making = asyncio.create_task(self._make_past(instrument, past, first))
            self._pasts[instrument.code] = making
        try:
            await asyncio.shield(making)
        except StoreError:
            self._pasts.pop(instrument.code, None)  # so that it is tried again
            raise

    async def _make_past(self, instrument: Instrument, past: Past, first: Kline) -> None:
        note = past_note(instrument)
        if self._store.get(self._source, note):
            return
        made = await asyncio.to_thread(past, instrument, first)
        series = self._series.get(instrument.code) or self._open(instrument)
        for kline_type, bars in made.items():
            last = bars[-1]
            if kline_type is KlineType.MINUTE or not series.contains(last, first.time):
                self._waiting.put(bars)
                continue
            self._waiting.put(bars[:-1])
            if not series.precede(last):
                later = self.joined(instrument, kline_type, count=1, end=last.time)
                self._waiting.put(roll_up(instrument, kline_type, [last, *later]))
        self._notes[note] = "made"
        await self.write()

    def _first_minute(self, instrument: Instrument) -> Kline | None:
        span = self._store.span(self._source, instrument.code, KlineType.MINUTE)
        if span is None:
            found = self.joined(instrument, KlineType.MINUTE, count=1_000_000)
        else:
            found = self._store.read(self._source, instrument.code, KlineType.MINUTE, count=1, end=span[0])
        return found[0] if found else None

    async def keep(self) -> None:
        """Writes what has changed, again and again. Never ends."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self.write()

    async def write(self) -> bool:
        """Writes what has changed since the last time, and returns whether it could: if not, it is kept in
        memory and tried again."""
        if self._detached:
            return True
        async with self._write_lock:
            return await self._write_changes()

    async def _write_changes(self) -> bool:
        self._notes.update(self.gather())
        forming = self._forming_minutes()
        changed, self._changed = self._changed, set()
        self._writing.put(self._waiting.take())
        batch, notes = [*self._writing.all(), *forming], self._notes | self._alive()
        try:
            await asyncio.to_thread(self._store.write, self._source, batch, notes)
        except StoreError as error:
            self._changed |= changed
            log.error("bars cannot be written, they are kept in memory", reason=str(error), bars=len(batch))
            return False
        self._writing = Waiting()
        self._notes = {name: value for name, value in self._notes.items() if notes.get(name) != value}
        return True

    def _forming_minutes(self) -> list[Kline]:
        """The forming minutes that are newer than the store's."""
        found = (series.forming(KlineType.MINUTE) for series in self._changed)
        return [bar for bar in found if bar is not None]

    def _alive(self) -> dict[str, str]:
        return {ALIVE: str(int(self._clock()))}

    def close(self) -> None:
        """Lets go of the store; what is left is to be written before."""
        self._store.close()

    async def prune(self, retention: Mapping[int, int]) -> None:
        """Lets go of bars that are older than so many days, by type."""
        for kline_type, days in retention.items():
            before = int(self._clock()) - days * 86400
            gone = await asyncio.to_thread(self._store.prune, self._source, KlineType(kline_type), before)
            if gone:
                log.info("old bars removed", kline_type=kline_type, bars=gone)

    def _open(self, instrument: Instrument) -> Series:
        """The series of an instrument, restored from the store."""
        series = self._series[instrument.code] = Series(instrument, self._rules, self.down)
        stored = {
            kline_type: bars
            for kline_type in KlineType
            if (bars := self._store.read(self._source, instrument.code, kline_type, count=self._restored))
        }
        series.restore(stored, again=self._repeats)
        if instrument.code in self._holes:
            self._waiting.put(one.kline for one in series.hole(*self._holes[instrument.code]))
        return series


class Waiting:
    """Bars that are not in the store yet."""

    def __init__(self) -> None:
        self._bars: defaultdict[tuple[str, KlineType], dict[int, Kline]] = defaultdict(dict)
        self.changes: Counter[tuple[str, KlineType]] = Counter()
        """How many bars of a code and type have been put so far."""

    def put(self, bars: Iterable[Kline]) -> None:
        """Adds these, each in place of an older one of its time."""
        for bar in bars:
            self._bars[bar.code, bar.kline_type][bar.time] = bar
            self.changes[bar.code, bar.kline_type] += 1

    def of(self, code: str, kline_type: KlineType) -> dict[int, Kline]:
        """Those of a code and type, by time."""
        return self._bars.get((code, kline_type), {})

    def all(self) -> list[Kline]:
        """All of them."""
        return [bar for bars in self._bars.values() for bar in bars.values()]

    def take(self) -> list[Kline]:
        """All of them, which then wait no more."""
        bars = self.all()
        self._bars.clear()
        return bars
