"""All bars of one instrument: trades and time in, bars out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, cast

import msgspec

from ..model import EXACT, Instrument, Kline, KlineType, Trade
from .bar import OpenBar
from .grid import Grid

MINUTE = KlineType.MINUTE


class Closed(NamedTuple):
    """A bar that has ended. `revised` says that it had ended before, and a late trade changed it."""

    kline: Kline
    revised: bool = False


class Rules(NamedTuple):
    """Named decisions; times in milliseconds.

    A bar closes when a trade of a later minute comes, or `close_delay` after its end by the market's
    clock. A trade that is late by up to `late_window` revises closed bars; a later one is only counted.
    With `by_clock` it is late by the market's clock too, else by the trades of its code alone: then bars are
    the same however fast that clock goes.
    """

    close_delay: int = 2_000
    late_window: int = 60_000
    by_clock: bool = True


DEFAULTS = Rules()
NOTHING: list[Closed] = []
NEVER = 2**63 - 1
FOREVER = 4_102_444_800_000
"""The year 2100, in milliseconds: every bar has ended."""
_FIRST, _LAST, _HIGH, _LOW, _VOLUME, _TURNOVER, _INCOMPLETE = map(
    attrgetter, ("first", "last", "high", "low", "volume", "turnover", "incomplete")
)


class Series:
    """The bars of one instrument.

    A trade touches the minute that is open, nothing else. When a minute closes it is merged into the
    larger bars; a larger bar as seen now is its closed minutes and the open one. Not for two threads.
    """

    def __init__(
        self, instrument: Instrument, rules: Rules = DEFAULTS, down: tuple[int, int] = (0, 0)
    ) -> None:
        """`down` is when the source was down, from and to, in seconds: bars that overlap are incomplete."""
        self.instrument = instrument
        self._code = instrument.code
        self._grid = Grid(instrument)
        self._rules = rules
        self._down = self._down_before = down
        self._lacked: set[tuple[KlineType, int]] = set()  # bars that lacked something before the hole
        self._behind = False  # whether trades come late that were missed
        self._lacking: dict[KlineType, int] = {}  # larger bars whose beginning is not known, by open time
        self._minute: OpenBar | None = None
        self.newest = -1
        """The open time of the last minute that began, in seconds; negative if none has."""
        self._larger: dict[KlineType, OpenBar] = {}
        self._larger_end = 0  # the earliest end of them
        self._ended: dict[tuple[KlineType, int], OpenBar] = {}  # what a late trade may still revise
        self._closed_until = 0  # what ended by then, in seconds, the clock has closed
        self._latest = 0  # the time of the latest trade in a closed minute, in milliseconds
        self._now = 0  # the market's clock, in milliseconds, if trades are late by it
        self._passed_over = 0  # trades before it were counted in an earlier run
        self.late = 0
        """Trades that came too late to be counted in any bar."""

    def add(self, trade: Trade, turnover: Decimal) -> list[Closed]:
        """Takes a trade; returns the bars that it closed or revised."""
        minute = self._minute
        if minute is not None and minute.time <= trade.time // 1000 < minute.end:
            minute.add(trade, turnover)
            return NOTHING
        if trade.time < self._passed_over:
            return NOTHING
        opened = self._grid.open_time(MINUTE, trade.time // 1000)
        begun = OpenBar.begun(opened, self._grid.end(MINUTE, opened), trade, turnover)
        begun.incomplete = self._was_down(MINUTE, begun)
        return self._take(begun)

    def absorb(self, minute: Kline) -> list[Closed]:
        """Takes a minute, or a part of one, that was counted elsewhere: what its trades would have made."""
        return self._take(self._reopened(minute, MINUTE))

    def advance(self, now: int) -> list[Closed]:
        """Closes what has ended by the market's clock, in milliseconds."""
        self._now = max(self._now, now) if self._rules.by_clock else 0
        out: list[Closed] = []
        seconds = (now - self._rules.close_delay) // 1000
        self._closed_until = max(self._closed_until, seconds)
        if self._minute is not None and self._minute.end <= seconds:
            self._close_minute(self._minute, out)
        if self._minute is None:
            self._close_larger(seconds, out)
        return out

    def set_back(self, now: int) -> None:
        """The market's clock, in milliseconds, shows less than it did. Minutes that it closed too early stay
        closed, and are revised by what comes of them; larger bars go on."""
        self._now = now if self._rules.by_clock else 0
        self._closed_until = (now - self._rules.close_delay) // 1000
        self.newest = max([self.newest, *(opened for one, opened in self._ended if one is MINUTE)])
        for kline_type in self._grid.types[1:]:
            key = kline_type, self._grid.open_time(kline_type, self.newest)
            bar = self._ended.get(key)
            if bar is not None and bar.end > self._closed_until and kline_type not in self._larger:
                del self._ended[key]
                self._put_larger(kline_type, bar)

    def hole(self, begin: int, end: int | None) -> list[Closed]:
        """From `begin` up to `end`, in seconds (None: it is not over), trades may be missing: the bars that
        overlap are incomplete. Returns those of them that have closed."""
        if end is None and self._down[1] != NEVER:
            self._down_before, self._lacked = self._down, {*self._incomplete()}
        self._down = begin, NEVER if end is None else end
        for kline_type, bar in self._forming_bars():
            bar.incomplete = bar.incomplete or self._was_down(kline_type, bar)
        out: list[Closed] = []
        for (kline_type, opened), bar in self._ended.items():
            if not bar.incomplete and self._was_down(kline_type, bar):
                bar.incomplete = True
                out.append(Closed(bar.kline(self._code, kline_type, opened), revised=True))
        return out

    def mend(self) -> list[Closed]:
        """What was missed in the hole that is not over comes after all, in order, and is late for no bar: the
        bars are complete, but for those that had lacked something before. Returns those that have closed."""
        self._behind = True
        if self._down[1] != NEVER:
            return []
        kept = {*self._lacked, *self._lacking.items()}
        for kline_type, bar in self._forming_bars():
            bar.incomplete = (kline_type, bar.time) in kept
        out: list[Closed] = []
        for (kline_type, opened), bar in self._ended.items():
            if bar.incomplete and (kline_type, opened) not in kept:
                bar.incomplete = False
                out.append(Closed(bar.kline(self._code, kline_type, opened), revised=True))
        self._down = self._down_before
        return out

    def _incomplete(self) -> Iterator[tuple[KlineType, int]]:
        """The bars that lack something, and those that will since they begin with a minute that does."""
        for (kline_type, opened), bar in self._ended.items():
            if bar.incomplete:
                yield kline_type, opened
        for kline_type, bar in self._forming_bars():
            if bar.incomplete:
                yield kline_type, bar.time
        if self._minute is not None and self._minute.incomplete:
            for kline_type in self._grid.types:
                yield kline_type, self._grid.open_time(kline_type, self._minute.time)

    def _forming_bars(self) -> list[tuple[KlineType, OpenBar]]:
        """Those that have not closed."""
        minute = [] if self._minute is None else [(MINUTE, self._minute)]
        return [*minute, *self._larger.items()]

    def lack(self, types: Iterable[KlineType], at: int) -> None:
        """The larger bars of these types that a moment, in seconds, belongs to are incomplete: what was
        before is not known."""
        self._lacking = {one: self._grid.open_time(one, at) for one in types}
        for kline_type, bar in self._larger.items():
            bar.incomplete = bar.incomplete or self._lacking.get(kline_type) == bar.time

    def forming(self, kline_type: KlineType) -> Kline | None:
        """The bar of that type that has not closed yet, if there is one."""
        minute, larger = self._minute, self._larger.get(kline_type)
        if larger is not None and minute is not None:
            larger = larger.copy(larger.time, larger.end)
            larger.merge(minute)
        bar = larger or minute
        if bar is None or (kline_type is not MINUTE and kline_type not in self._grid.types):
            return None
        if larger is None and kline_type is not MINUTE:
            bar = self._begun(kline_type, bar)
        return bar.kline(self._code, kline_type, bar.time)

    def restore(self, stored: Mapping[KlineType, Sequence[Kline]], *, again: bool = False) -> None:
        """Goes on from the last bars of an earlier run, by type and ascending.

        The last minute is taken up as if it had not closed; the larger bars around it are rolled up from
        the closed smaller ones. With `again` the stream begins from its start once more: what lies before
        what no late trade can change any more is passed over, and the minutes after it are made anew.
        """
        if not (minutes := stored.get(MINUTE)):
            return
        self.newest = minutes[-1].time
        if again:  # a trade that comes later than the last one that was stored may be a late one
            latest = (minutes[-1].last - self._rules.late_window) // 1000
            self.newest = min(self.newest, self._grid.open_time(MINUTE, latest))
            self._passed_over = self.newest * 1000
        else:
            self._minute = self._reopened(minutes[-1], MINUTE)
            self._latest = minutes[-1].last
        for kline_type in self._grid.types[1:]:
            opened = self._grid.open_time(kline_type, self.newest)
            smaller_type = smaller(kline_type, self._grid.types)
            parts = [
                self._reopened(bar, smaller_type)
                for bar in stored.get(smaller_type, ())
                if bar.time < self._grid.open_time(smaller_type, self.newest)
                and self._grid.open_time(kline_type, bar.time) == opened
            ]
            if (open_part := self._larger.get(smaller_type)) is not None:
                parts.append(open_part)
            if parts:
                whole = self._begun(kline_type, parts[0])
                for part in parts[1:]:
                    whole.merge(part)
                self._put_larger(kline_type, whole)
        for kline_type, bars in stored.items():
            before = self._grid.open_time(kline_type, self.newest)
            ended = (self._reopened(bar, kline_type) for bar in bars if bar.time < before)
            self._ended |= {(kline_type, bar.time): bar for bar in ended}
        if again:
            self.newest -= 1
        self._forget()

    def resume(self, before: Series) -> list[Closed]:
        """Stands where another series of the instrument stood: what had closed there has closed. Returns
        that."""
        self.late += before.late
        self._behind = before._behind
        if self._down[1] == NEVER == before._down[1]:  # some that are stored lack it by this hole alone
            self._lacked &= before._lacked
        return self.advance(before._closed_until * 1000 + self._rules.close_delay)

    def is_forming(self, opened: int) -> bool:
        """Whether the minute of that open time has not closed."""
        return self._minute is not None and self._minute.time == opened

    def correct(
        self, opened: int, minute: OpenBar | None, stored: Mapping[KlineType, Sequence[Kline]]
    ) -> list[Closed]:
        """Puts a minute in place of the one of that open time, None: there is no trade left in it. Returns
        the closed bars that are others now.

        `stored` are the closed bars of an instrument by type, ascending: those of at least the larger bars
        that the minute belongs to, of which they are rolled up anew. A minute that forms needs none.
        """
        before = self._minute
        if before is not None and before.time == opened:
            if minute is None:
                self._minute, self.newest = None, opened - 1
            else:
                minute.incomplete = minute.incomplete or before.incomplete
                self._minute = minute
            return NOTHING
        known = {
            one: {bar.time: bar for bar in stored.get(one, ())} for one in (MINUTE, *self._grid.types[1:])
        }
        out: list[Closed] = []
        self._put_corrected(MINUTE, opened, minute, known, out)
        for kline_type in self._grid.types[1:]:
            at = self._grid.open_time(kline_type, opened)
            of = smaller(kline_type, self._grid.types)
            larger, part = self._larger.get(kline_type), self._larger.get(of)
            # Of what holds the forming minute the store may have an earlier state, or one before a restart.
            open_time = None if before is None else self._grid.open_time(of, before.time)
            parts = [
                self._ended.get((of, time)) or self._reopened(bar, of)
                for time, bar in sorted(known[of].items())
                if self._grid.open_time(kline_type, time) == at
                and time != open_time
                and (part is None or time != part.time)
            ]
            if part is not None and self._grid.open_time(kline_type, part.time) == at:
                parts.append(part)
            whole = self._begun(kline_type, parts[0]) if parts else None
            for one in parts[1:]:
                cast("OpenBar", whole).merge(one)
            if larger is None or larger.time != at:
                self._put_corrected(kline_type, at, whole, known, out)
            elif whole is None:
                del self._larger[kline_type]
            else:
                whole.incomplete = whole.incomplete or larger.incomplete
                self._larger[kline_type] = whole
        self._larger_end = min((bar.end for bar in self._larger.values()), default=0)
        return out

    def _put_corrected(
        self,
        kline_type: KlineType,
        opened: int,
        bar: OpenBar | None,
        known: dict[KlineType, dict[int, Kline]],
        out: list[Closed],
    ) -> None:
        """A closed bar is another one now, or there is none any more."""
        before = known[kline_type].pop(opened, None)
        if bar is None:
            self._ended.pop((kline_type, opened), None)
            if before is not None:
                out.append(Closed(msgspec.structs.replace(before, removed=True), revised=True))
            return
        bar.incomplete = bar.incomplete or (before is not None and before.incomplete)
        if (kline_type, opened) in self._ended:
            self._ended[kline_type, opened] = bar
        known[kline_type][opened] = made = bar.kline(self._code, kline_type, opened)
        out.append(Closed(made, revised=before is not None))

    def ended(self, bar: Kline) -> Kline | None:
        """The bar of that type and time as it is now, if it has closed and a late trade may still revise
        it."""
        found = self._ended.get((bar.kline_type, bar.time))
        return None if found is None else found.kline(self._code, bar.kline_type, bar.time)

    def precede(self, part: Kline) -> bool:
        """Puts a part before the first trade of a larger bar. Returns whether that bar has not closed yet;
        if it has, the bar in the store lacks the part."""
        key = part.kline_type, part.time
        before = OpenBar.of(part, part.time, self._grid.end(*key))
        if (ended := self._ended.get(key)) is not None:
            ended.merge(before)
        if before.end <= self.newest or ended is not None:
            return False
        if (larger := self._larger.get(part.kline_type)) is not None:
            before.merge(larger)
        self._put_larger(part.kline_type, before)
        return True

    def _take(self, part: OpenBar) -> list[Closed]:
        """Takes a minute, or a part of one."""
        minute = self._minute
        if minute is not None and minute.time == part.time:
            minute.merge(part)
            return NOTHING
        if part.time <= self.newest or part.end <= self._closed_until:
            return self._revise(part)
        if self._now and self._now - part.last[0] <= self._rules.late_window // 2:
            self._behind = False  # what comes is of now again
        out: list[Closed] = []
        if minute is not None:
            self._close_minute(minute, out)
        self._close_larger(part.time, out)
        self._minute = part
        self.newest = part.time
        return out

    @property
    def latest(self) -> int:
        """The time of the latest trade, in milliseconds."""
        return max(self._latest, self._minute.last[0] if self._minute else 0)

    def _revise(self, part: OpenBar) -> list[Closed]:
        """Takes a part of a minute that has closed, or that none was opened for."""
        latest = self.latest if self._behind else max(self._now, self.latest)
        forms = not self._rules.by_clock and part.time == self.newest  # but for the clock, which closed it
        if latest - part.last[0] > self._rules.late_window and not forms:
            self.late += 1
            return NOTHING
        # Of a minute that the clock had closed before it began this is all that begins it.
        self.newest, self._latest = max(self.newest, part.time), max(self._latest, part.last[0])
        out: list[Closed] = []
        for kline_type in self._grid.types:
            opened = self._grid.open_time(kline_type, part.time)
            larger = self._larger.get(kline_type)
            ended = self._ended.get((kline_type, opened))
            if larger is not None and larger.time == opened:
                larger.merge(part)
            elif ended is not None:
                ended.merge(part)
                out.append(Closed(ended.kline(self._code, kline_type, opened), revised=True))
            else:
                bar = self._begun(kline_type, part)
                if kline_type is not MINUTE and bar.end > max(self.newest, self._closed_until):
                    self._put_larger(kline_type, bar)
                else:
                    self._ended[kline_type, opened] = bar
                    out.append(Closed(bar.kline(self._code, kline_type, opened)))
        return out

    def _close_minute(self, minute: OpenBar, out: list[Closed]) -> None:
        self._minute = None
        self._end(MINUTE, minute, out)
        self._latest = max(self._latest, minute.last[0])
        for kline_type in self._grid.types[1:]:
            larger = self._larger.get(kline_type)
            if larger is not None:
                larger.merge(minute)
            else:
                self._put_larger(kline_type, self._begun(kline_type, minute))
        self._forget()

    def _close_larger(self, seconds: int, out: list[Closed]) -> None:
        """Closes the larger bars that end by then."""
        if seconds < self._larger_end or not self._larger:
            return
        for kline_type in self._grid.types[1:]:
            larger = self._larger.get(kline_type)
            if larger is not None and larger.end <= seconds:
                del self._larger[kline_type]
                self._end(kline_type, larger, out)
        self._larger_end = min((bar.end for bar in self._larger.values()), default=0)

    def _end(self, kline_type: KlineType, bar: OpenBar, out: list[Closed]) -> None:
        self._ended[kline_type, bar.time] = bar
        out.append(Closed(bar.kline(self._code, kline_type, bar.time)))

    def _put_larger(self, kline_type: KlineType, bar: OpenBar) -> None:
        self._larger[kline_type] = bar
        self._larger_end = min(self._larger_end or bar.end, bar.end)

    def _forget(self) -> None:
        """Lets go of bars that no trade can revise any more, though the clock be set back."""
        bound = self._latest - self._rules.late_window
        gone = [key for key, bar in self._ended.items() if bar.end * 1000 <= bound]
        for key in gone:
            del self._ended[key]

    def _begun(self, kline_type: KlineType, part: OpenBar) -> OpenBar:
        """A larger bar that begins with a smaller one."""
        opened = self._grid.open_time(kline_type, part.time)
        bar = part.copy(opened, self._grid.end(kline_type, opened))
        bar.incomplete = (
            bar.incomplete or self._was_down(kline_type, bar) or self._lacking.get(kline_type) == opened
        )
        return bar

    def _was_down(self, kline_type: KlineType, bar: OpenBar) -> bool:
        """Whether the source was down during a part of the bar."""
        return self._grid.begin(kline_type, bar.time) < self._down[1] and bar.end > self._down[0]

    def _reopened(self, kline: Kline, kline_type: KlineType) -> OpenBar:
        bar = OpenBar.of(kline, kline.time, self._grid.end(kline_type, kline.time))
        bar.incomplete = bar.incomplete or self._was_down(kline_type, bar)
        return bar


def smaller(kline_type: KlineType, types: Sequence[KlineType]) -> KlineType:
    """The type among these whose bars make up a larger one."""
    return max(one for one in types if one < min(kline_type, KlineType.WEEK))  # months are not of weeks


def roll_up(instrument: Instrument, kline_type: KlineType, bars: Iterable[Kline]) -> Iterator[Kline]:
    """Bars of a larger type from ascending bars of a smaller one, whose periods it contains."""
    grid = Grid(instrument)
    for opened, group in groupby(bars, lambda bar: grid.open_time(kline_type, bar.time)):
        parts = [*group]
        first, last = min(parts, key=_FIRST), max(reversed(parts), key=_LAST)
        yield Kline(
            instrument.code,
            kline_type,
            opened,
            first.open,
            max(map(_HIGH, parts)),
            min(map(_LOW, parts)),
            last.close,
            reduce(EXACT.add, map(_VOLUME, parts)),
            reduce(EXACT.add, map(_TURNOVER, parts)),
            first.first,
            last.last,
            any(map(_INCOMPLETE, parts)),
        )
