"""The bars of one source: trades and time in, bars of all types out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import msgspec
import structlog

from ...errors import StoreError
from ...klines import FOREVER, SECONDS, Closed, Grid, OpenBar, Rules, Series, Tape, filled
from ...model import Catalogue, Correction, Instrument, Kline, KlineType, Trade
from .archive import Archive
from .memory import KEPT, Unjoined, latest

RESTORED = 40
"""Bars of each type that a series is restored from, beside those that a late trade may revise: enough for the
days of a month."""
TAPED = 70
"""Minutes beyond those that a correction may change: an hour, and the rest of the bar that its first belongs
to."""
JOINED_AT_ONCE = 20
"""Codes that are read from the store in one call."""
SET_BACK = 5_000
"""Milliseconds by which the market's clock must go back to count as set back rather than as put right."""
AHEAD = 60_000
"""Milliseconds by which the last trade may lie ahead of the market's clock, and its bars be gone on with."""
RETRY = 1.0
"""Seconds before the store is asked again that could not be read."""

CORRECTED = "corrected"
"""The note that says which minutes are yet to be made anew."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[str, int]]).decode

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
        archive: Archive,
        rules: Rules,
        revised: Callable[[Iterable[Closed]], None],
        *,
        repeats: bool = False,
        flat: bool = False,
        begins_before: Callable[[str], bool] = lambda _: False,
        on_clock: bool = False,
        tape: Tape | None = None,
    ) -> None:
        """`revised` is called with closed bars that are others now, because stored ones were joined to them,
        or a trade was corrected. `tape` is what trades are kept on that may be.

        `repeats` says that the source begins anew at every run, as a replay does: what was counted in an
        earlier run is then not counted again, so that `ready` must be awaited before its first trade. `flat`
        answers bars without volume for open minutes without a trade. `begins_before` says
        whether what a code begins with is of before: then its first trades are not late. `on_clock` says that
        trades have the times of the market's clock: bars ahead of it are of a clock that was wrong, or were
        imported, and what comes now is not late by them.
        """
        self._archive = archive
        self._rules = rules
        self._revised = revised
        self.repeats = repeats
        self._restored = RESTORED + rules.late_window // 60_000  # and the minutes that may be revised
        self._flat = flat
        self._begins_before = begins_before
        self._on_clock = on_clock
        self._ahead: dict[str, int] = {}  # by code, when the next of its minutes opens that lie ahead
        self._gone: dict[str, Instrument] = {}  # those whose series is to be begun anew
        self._late = 0  # of series that were
        self.tape = tape
        self._corrected: dict[tuple[str, int], Instrument] = {}  # minutes that are to be made anew
        self.uncorrected = 0
        """Corrections of trades that are not known any more."""
        self._time = 0  # the market's clock, in milliseconds
        self._series: dict[str, Series] = {}
        self._unjoined: dict[str, Unjoined] = {}
        self._begun = asyncio.Event()  # there is a code whose stored bars are to be read
        self.changed: set[Series] = set()
        """Those whose forming minute is newer than the store's."""
        self.lost = 0
        """Bars that were let go of, because the store could not be read for too long."""
        self.down = (0, 0) if repeats else archive.down
        """When no server ran, from and to, in seconds since the epoch; zeros if that does not matter."""
        self.stored = archive.codes
        """The codes that had bars when the server began."""
        self._again = False  # whether what comes has been counted
        self._holes: dict[str, Hole] = {}
        self._holes_before: dict[str, Hole] = {}  # those before holes that are not over
        self._mended: set[str] = set()  # codes that were, and have had no trade yet

    @property
    def late(self) -> int:
        """Trades that came too late to be counted in any bar."""
        return self._late + sum(series.late for series in self._all_series())

    @property
    def waiting(self) -> int:
        """Bars that the archive does not have yet: those that form, and those of codes not joined."""
        return len(self.changed) + sum(len(one.closed) + 1 for one in self._unjoined.values())

    def unwritten(self) -> list[Kline]:
        """The minutes among them."""
        forming = (series.forming(KlineType.MINUTE) for series in self.changed)
        unjoined = [bar for one in self._unjoined.values() for bar in one.minutes()]
        return [*(bar for bar in forming if bar is not None), *unjoined]

    @property
    def unjoined(self) -> int:
        """Codes of which it is not known yet what is stored."""
        return len(self._unjoined)

    @property
    def whole(self) -> bool:
        """Whether the bars have all that came."""
        return not self._unjoined and not self._corrected

    @property
    def corrected(self) -> str:
        """The minutes that are yet to be made anew, for `go_on` of the next run."""
        return _encode([*self._corrected]).decode()

    def go_on(self, catalogue: Catalogue) -> None:
        """Takes the minutes that an earlier run had yet to make anew. To be called before anything else."""
        for code, begin in _decode(self._archive.noted(CORRECTED) or "[]"):
            if code in catalogue:
                self._corrected[code, begin] = catalogue[code]

    @property
    def newest(self) -> int:
        """The open time of the last minute that began, in seconds; negative if none has."""
        return max((series.newest for series in self._series.values()), default=-1)

    # What comes in.
    def add(self, instrument: Instrument, trade: Trade, turnover: Decimal) -> list[Closed]:
        """Takes a trade; returns the bars that it closed or revised."""
        if self._again:
            return []
        series = self._series.get(instrument.code)
        if series is None:
            return self._add_unjoined(instrument, trade, turnover)
        if self._ahead and 0 < self._ahead.get(instrument.code, 0) * 1000 <= trade.time:
            self._put(formed := self._let_go(series))
            return formed + self._add_unjoined(instrument, trade, turnover)
        self.changed.add(series)
        late = series.late
        closed = series.add(trade, turnover)
        if (tape := self.tape) is not None:
            tape.held = trade if trade.turnover is turnover else _with(trade, turnover)
            tape.counts = series.late == late
        if closed:
            self._put(closed)
        return closed

    def correct(self, instrument: Instrument, correction: Correction) -> int:
        """A trade was another one, or none, whose turnovers are known. Returns the `seq` under which it was
        sent, 0 if it is not known. A minute that forms is another one at once; of a closed one the bars
        that it belongs to are made anew as soon as the store has been read, see `revised`."""
        if self._again:
            return 0
        tape, code = self.tape, instrument.code
        seq = None if tape is None else tape.correct(correction)
        if tape is None or seq is None:
            self.uncorrected += 1
            return 0
        begin, _ = tape.minute_of(code, correction.was.time)
        series = self._series.get(code)
        if series is None or not series.is_forming(begin):
            self._corrected[code, begin] = instrument
            self._begun.set()
            return seq
        self._correct(series, tape.bar(code, begin), begin, {})
        return seq

    async def make_anew(self) -> None:
        """Makes the bars anew of which closed minutes were corrected. Raises StoreError."""
        for code, begin in [*self._corrected]:
            if (instrument := self._corrected.get((code, begin))) is None:
                continue
            await self.ready([instrument])
            while self.tape is not None and self.tape.behind:
                self.tape.read_some()
                await asyncio.sleep(0)
            known = (await self._archive.restore([code], RESTORED + TAPED))[code]
            if (series := self._series.get(code)) is None:
                continue  # it is begun anew: the next time
            if self._corrected.pop((code, begin), None) is None or self.tape is None:
                continue  # somebody else has done it meanwhile
            try:
                minute = self.tape.bar(code, begin)
            except KeyError:
                self.uncorrected += 1
                continue
            self._revised(self._correct(series, minute, begin, known))

    def advance(self, now: int) -> list[Closed]:
        """Closes what has ended by the market's clock, in milliseconds."""
        if self._again:
            return []
        if now < self._time - SET_BACK:
            log.warning(
                "the clock was set back, bars that it closed too early go on",
                source=self._archive.source,
                seconds=(self._time - now) // 1000,
            )
            for series in self._all_series():
                series.set_back(now)
        self._time = self._time if now == FOREVER else now
        closed = [one for series in self._series.values() for one in series.advance(now)]
        if self._on_clock and now != FOREVER:
            closed += self._begin_anew(now)
        self._put(closed)
        for unjoined in self._unjoined.values():
            closed += self._note(unjoined, unjoined.series.advance(now))
        return closed

    def close_all(self) -> list[Closed]:
        """Nothing more comes: closes all that is forming, whatever the market's clock says."""
        return self.advance(FOREVER)

    def begin_again(self) -> list[Closed]:
        """All that comes from now on came before, at the same times: closes all that is forming, and counts
        nothing more."""
        closed = self.close_all()
        self._again = True
        return closed

    def hole(self, instrument: Instrument, begin: int | None, end: int | None) -> list[Closed]:
        """From `begin` (None: from the last minute that is known) up to `end` (None: it is not over), in
        milliseconds, trades of an instrument may be missing: the bars that overlap are incomplete. Returns
        those of them that have closed."""
        span = None if begin is None else begin // 1000, None if end is None else -(-end // 1000)
        code = instrument.code
        before = self._holes.get(code)
        if before is None:
            self._holes_before.pop(code, None)
        elif end is None and before[1] is not None:
            self._holes_before[code] = before
        self._holes[code] = span
        if (series := self._series.get(code)) is not None:
            return self._mark(series, code)
        if (unjoined := self._unjoined.get(code)) is not None:
            return self._note(unjoined, unjoined.series.hole(span[0] or 0, span[1]))
        return []

    def mend(self, instrument: Instrument) -> list[Closed]:
        """What was missed in a hole that is not over comes after all, in order: see `Series.mend`. Returns
        the bars that have closed and lack nothing any more."""
        code = instrument.code
        if (hole := self._holes.get(code)) is not None and hole[1] is None:
            del self._holes[code]
            if (before := self._holes_before.pop(code, None)) is not None:
                self._holes[code] = before
        if (series := self._series.get(code)) is not None:
            self._put(closed := series.mend())
            return closed
        if (unjoined := self._unjoined.get(code)) is not None:
            return self._note(unjoined, unjoined.series.mend())
        self._mended.add(code)
        return []

    def lack(self, instrument: Instrument, types: Iterable[KlineType], at: int) -> None:
        """The bars of these types that are forming at that moment, in seconds, lack what was before: they
        are incomplete, until the series is begun anew."""
        if (series := self._series.get(instrument.code)) is not None:
            series.lack(types, at)

    def precede(self, instrument: Instrument, parts: Iterable[Kline]) -> list[Kline]:
        """Puts parts before the first trades of larger bars. Returns those whose bars have closed so long ago
        that only the store has them."""
        series = self._series[instrument.code]
        forgotten = []
        for part in parts:
            if not series.precede(part):
                if (ended := series.ended(part)) is None:
                    forgotten.append(part)
                else:
                    self._archive.put([ended])
        return forgotten

    # What is read.
    def version(self, instrument: Instrument, kline_type: KlineType) -> int:
        """A number that changes whenever a bar of that type closes, is revised, or is put before others."""
        return self._archive.changes[instrument.code, kline_type]

    def forming(self, instrument: Instrument, kline_type: KlineType) -> Kline | None:
        """The bar of that type that has not closed yet, if there is one and it is known."""
        series = self._series.get(instrument.code)
        if series is None and (unjoined := self._unjoined.get(instrument.code)) is not None:
            series = unjoined.series
        return None if series is None else series.forming(kline_type)

    def previous_close(self, instrument: Instrument, now: int) -> Decimal | None:
        """What an instrument closed at the day before that of a moment, in milliseconds, as far as memory
        knows."""
        today = Grid(instrument).open_time(KlineType.DAY, now // 1000)
        days = self._held(instrument, KlineType.DAY)
        before = [time for time in days if time < today]
        return days[max(before)].close if before else None

    async def read(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> Reading:
        """The latest `count` bars up to and including `end` (in seconds), ascending.

        Where the store cannot be asked, those that memory holds. Raises StoreError if it holds none.
        """
        try:
            return Reading(await self._shown(instrument, kline_type, count, end), partial=False)
        except StoreError:
            held = self._held(instrument, kline_type)
            if not held:
                raise
            return Reading(latest(held, count, end), partial=True)

    async def joined(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        """The bars that there are, from all three places. Raises StoreError."""
        code = instrument.code
        await self.ready([instrument])
        series = self._series.get(code)
        if code in self._ahead and series is not None:  # what lies ahead is answered when its time has come
            forming = series.forming(kline_type)
            bound = series.newest if forming is None else forming.time
            end = bound if end is None else min(end, bound)
        closed = await self._archive.read(code, kline_type, count, end)
        return latest(closed | self._forming(instrument, kline_type), count, end)

    async def ready(self, instruments: Iterable[Instrument]) -> None:
        """Reads what is stored of these, so that they can be counted on from there. Raises StoreError."""
        left = [one for one in instruments if one.code not in self._series]
        for begin in range(0, len(left), JOINED_AT_ONCE):
            some = left[begin : begin + JOINED_AT_ONCE]
            stored = await self._archive.restore([one.code for one in some], self._restored)
            for instrument in some:
                self._join(instrument, await self._up_to_now(instrument.code, stored[instrument.code]))
            await asyncio.sleep(0)

    async def ready_all(self) -> None:
        """Reads what is stored of all codes that have begun to trade. Raises StoreError."""
        await self.ready([one.instrument for one in self._unjoined.values()])
        await self.ready([*self._gone.values()])

    async def reopen(self, instrument: Instrument) -> None:
        """Begins an instrument's series anew, from what there is of it: the hole is closed. Raises
        StoreError."""
        code = instrument.code
        await self.ready([instrument])
        known = await self._up_to_now(code, (await self._archive.restore([code], self._restored))[code])
        for kline_type in KlineType:
            if forming := self._forming(instrument, kline_type):
                found = {bar.time: bar for bar in known.get(kline_type, ())} | forming
                known[kline_type] = latest(found, self._restored)
        hole, before = self._holes.get(code), self._series.get(code)
        if before is None:  # that is done anyhow
            return
        series = self._series[code] = Series(instrument, self._rules)
        series.restore(known, again=self.repeats)
        if hole is not None and hole[1] is None:  # that is not over yet
            self._mark(series, code)
        else:
            self._holes.pop(code, None)
        series.resume(before)
        if before in self.changed:
            self.changed.remove(before)
            self.changed.add(series)

    async def reopen_all(self) -> None:
        """Begins all series anew that go on from the store. Raises StoreError."""
        for code in [*self._series]:
            if (before := self._series.get(code)) is None:
                continue
            hole = self._holes.get(code)
            lacking = [
                one for one in KlineType if (bar := before.forming(one)) is not None and bar.incomplete
            ]
            await self.reopen(before.instrument)
            if hole is not None:
                self._holes.setdefault(code, hole)
            if (series := self._series.get(code)) is not None:
                series.lack(lacking, before.newest)

    async def run(self) -> None:
        """Reads what is stored of the codes that have begun to trade, and joins it. Never ends."""
        while True:
            self._begun.clear()
            try:
                await self.ready_all()
                await self.make_anew()
            except StoreError:
                await asyncio.sleep(RETRY)
            else:
                await self._begun.wait()

    def change_all(self) -> None:
        """The store has none of the forming minutes any more."""
        self.changed.update(self._series.values())

    def _add_unjoined(self, instrument: Instrument, trade: Trade, turnover: Decimal) -> list[Closed]:
        unjoined = self._unjoined.get(instrument.code)
        if unjoined is None:
            series = Series(instrument, self._rules, self.down)
            unjoined = self._unjoined[instrument.code] = Unjoined(instrument, series)
            if (hole := self._holes.get(instrument.code)) is not None:
                series.hole(hole[0] or 0, hole[1])
            # What is late for other codes is late for this one too.
            if not self._begins_before(instrument.code):
                series.advance(self._time)
            if instrument.code in self._mended:
                series.mend()
            self._begun.set()
        late = unjoined.series.late
        closed = unjoined.series.add(trade, turnover)
        if (tape := self.tape) is not None:
            tape.held, tape.counts = _with(trade, turnover), unjoined.series.late == late
        return self._note(unjoined, closed) if closed else closed

    def _begin_anew(self, now: int) -> list[Closed]:
        """Lets go of the series that lie ahead of the market's clock, and of those of which a minute that lay
        ahead has come. Returns what was forming in them."""
        gone = [one for one in self._series.values() if one.latest > now + AHEAD]
        come = [code for code, at in self._ahead.items() if at * 1000 <= now]
        gone += [self._series[code] for code in come if code in self._series]
        return [one for series in gone for one in self._let_go(series)]

    def _let_go(self, series: Series) -> list[Closed]:
        """The series of a code is begun anew from the store, at once. Returns what was forming."""
        code = series.instrument.code
        self._gone[code] = series.instrument
        self._begun.set()
        self._ahead.pop(code, None)
        self._archive.changes.update((code, one) for one in KlineType)  # what is answered
        del self._series[code]
        self.changed.discard(series)
        self._late += series.late
        return series.advance(FOREVER)

    async def _up_to_now(
        self, code: str, stored: dict[KlineType, list[Kline]]
    ) -> dict[KlineType, list[Kline]]:
        """What is stored of a code, without what lies ahead of the market's clock. Raises StoreError."""
        minutes, unjoined = stored.get(KlineType.MINUTE), self._unjoined.get(code)
        now = max(self._time // 1000, -1 if unjoined is None else unjoined.series.newest)
        if not (self._on_clock and self._time and minutes and minutes[-1].last - now * 1000 > AHEAD):
            return stored
        later = [bar.time for bar in minutes if bar.time > now]
        whole = len(later) < self._restored  # else there may be others before them
        self._ahead[code] = later[0] if whole else now // 60 * 60 + 60
        self._archive.changes.update((code, one) for one in KlineType)
        found = {}
        for one in KlineType:
            bars = await self._archive.read(code, one, self._restored, now)
            found[one] = latest(bars, self._restored, now)
        return found

    def _correct(
        self,
        series: Series,
        minute: OpenBar | None,
        begin: int,
        stored: Mapping[KlineType, Sequence[Kline]],
    ) -> list[Closed]:
        """Puts a minute in place of the one that begins then, see `Series.correct`."""
        formed = series.forming(KlineType.MINUTE) if series.is_forming(begin) else None
        closed = series.correct(begin, minute, stored)
        self.changed.add(series)
        self._put(closed)
        if minute is None and formed is not None:  # which the store may have
            self._archive.put([msgspec.structs.replace(formed, removed=True)])
        return closed

    def _join(self, instrument: Instrument, stored: Mapping[KlineType, list[Kline]]) -> None:
        """Goes on from what is stored of an instrument with what was counted since."""
        code = instrument.code
        if code in self._series:
            return
        self._gone.pop(code, None)
        self._archive.remember(bar for bars in stored.values() for bar in bars[-KEPT[KlineType.MINUTE] :])
        series = self._series[code] = Series(instrument, self._rules, self.down)
        series.restore(stored, again=self.repeats)
        self._mark(series, code)
        if code in self._mended:
            self._mended.discard(code)
            series.mend()
        unjoined = self._unjoined.pop(code, None)
        if unjoined is None:
            if not self._begins_before(code):
                closed = series.advance(self._time)
                self._put(closed)
                self._revised(closed)
            return
        closed = [one for minute in unjoined.minutes() for one in series.absorb(minute)]
        closed += series.resume(unjoined.series)
        self._put(closed)
        self.changed.add(series)
        if unjoined.lost:
            self.lost += unjoined.lost
            log.error("bars lost: the store could not be read for too long", code=code, bars=unjoined.lost)
        shown = unjoined.closed
        self._revised(
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
        self._put(closed)
        return closed

    def _put(self, closed: Iterable[Closed]) -> None:
        self._archive.put(one.kline for one in closed)

    def _note(self, unjoined: Unjoined, closed: list[Closed]) -> list[Closed]:
        unjoined.note(closed)
        self._archive.changed(one.kline for one in closed)
        return closed

    def _all_series(self) -> Iterator[Series]:
        yield from self._series.values()
        for unjoined in self._unjoined.values():
            yield unjoined.series

    def _forming(self, instrument: Instrument, kline_type: KlineType) -> dict[int, Kline]:
        bar = self.forming(instrument, kline_type)
        return {} if bar is None else {bar.time: bar}

    def _held(self, instrument: Instrument, kline_type: KlineType) -> dict[int, Kline]:
        """What memory holds of these bars, by time."""
        held = self._archive.recent(instrument.code, kline_type)
        if (unjoined := self._unjoined.get(instrument.code)) is not None:
            held |= unjoined.of(kline_type)
        return held | self._forming(instrument, kline_type)

    async def _shown(
        self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None
    ) -> list[Kline]:
        bars = await self.joined(instrument, kline_type, count=count, end=end)
        if not self._flat or kline_type not in SECONDS:
            return bars
        later = (
            end is not None
            and bool(last := await self.joined(instrument, kline_type, count=1))
            and last[0].time > end
        )
        return filled(instrument, kline_type, bars, end if later else None, count=count)


def _with(trade: Trade, turnover: Decimal) -> Trade:
    return trade if trade.turnover == turnover else msgspec.structs.replace(trade, turnover=turnover)
