"""Imports bars from files: of whatever type they are, from which the larger types are rolled up."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import structlog

from ..errors import InputError
from ..files import CODE, OURS, TIME, Dress, Times, header_of, in_order, read_table
from ..klines import SECONDS, Grid, roll_up, smaller
from ..model import QUANTA, Catalogue, Entrance, Family, Instrument, Kline, KlineType, bar_fault, decimals_of
from ..store import IMPORTED, KlineStore, past_note
from .parquet_bars import parquet_rows

LONG = r"\d{1,15}(?:\.\d{1,60})?"
"""A plain decimal that may have more decimals than we keep."""
SIGNED = rf"-?{LONG}"
NOTED = {"volume": f"(?:{LONG})?", "turnover": f"(?:{SIGNED})?"}
KEYS = {"code": CODE, "timestamp": TIME} | dict.fromkeys(("open", "high", "low", "close"), SIGNED)
SHAPES = {count: KEYS | dict([*NOTED.items()][:count]) for count in (2, 1, 0)}
LOGGED_LINES = 10
SUNDAY = 6
BATCH = 5_000
"""Bars that are written at a time."""
MOST_WAITING = 100_000
"""Bars of all codes that wait to be."""
PROGRESS = 500_000
"""Lines of a file between two lines of the log."""
WINDOW = 31 * 86_400
"""Seconds of bars that are rolled up at a time."""
HOUR, HALF_DAY, DAY = 3_600, 43_200, 86_400
IN_A_ROW = {KlineType.HOUR: 24, KlineType.DAY: 6}
"""How many times in a row bars lie exactly as far apart as those of a larger type below this one do, without
being of it."""
AT_LEAST = 4
"""Beyond those of types of a day or more; and a part of all that is one in so many is no chance either."""
FAR = 12
"""How many times as long as the type of the others that type is then."""

log = structlog.get_logger()


@dataclass
class Report:
    """What an import did."""

    bars: int = 0
    """Bars that were in the files."""
    rolled_up: int = 0
    """Bars of larger types made of them."""
    lines: int = 0
    """Lines that were bars."""
    bad_lines: int = 0
    repeated: int = 0
    """Lines in place of earlier ones of the same code and time."""
    rounded: int = 0
    """Numbers that had more decimals than their instrument has."""
    types: dict[str, KlineType] = field(default_factory=dict)
    """Of which type the bars of a code were."""


class Reading(NamedTuple):
    """How files are read: what is otherwise than in ours, the zone of times that have none, the form of
    times, the type of all bars (None: it is measured), whether a bad line ends it, and whether numbers are
    rounded that have more decimals than their instrument."""

    dress: Dress = OURS
    zone: tzinfo = UTC
    form: str = ""
    kline_type: KlineType | None = None
    strict: bool = False
    rounds: bool = False


class Row(NamedTuple):
    """A line of a file: its number, the code, when the bar opens in milliseconds since the epoch, and open,
    high, low, close, volume and turnover."""

    number: int
    code: str
    at: int
    values: tuple[Decimal, ...]

    def bar(self, kline_type: KlineType, opened: int, end: int = 0) -> Kline:
        """The bar that it is, of that type, from and to those times in seconds."""
        open_, high, low, close, volume, turnover = self.values
        last = end * 1000 - 1
        return Kline(
            self.code, kline_type, opened, open_, high, low, close, volume, turnover, opened * 1000, last
        )


def import_bars(
    paths: Iterable[Path],
    source: str,
    store: KlineStore,
    catalogue: Catalogue,
    *,
    now: int,
    reading: Reading = Reading(),  # noqa: B008  # it never changes
) -> Report:
    """Puts the bars of these files into the store as those of a source, in place of those of their times.

    Importing again changes nothing. `now` is the wall clock in milliseconds. Raises InputError if a file
    cannot be read, or if it is not clear which bars are in it; if it is to be strict, at a bad line.
    """
    report = Report()
    for path in paths:
        file = BarFile(path, catalogue, now, reading, report)
        found = file.measure()
        for code, bars in found.items():
            kept = report.types.setdefault(code, bars.kline_type)
            report.types[code] = min(kept, bars.kline_type)
        _write(file, found, source, store, report)
        for bars in found.values():
            report.rolled_up += _roll_up(bars, source, store)
    if report.bars:
        store.put(source, IMPORTED, str(int(store.get(source, IMPORTED) or 0) + 1))
    return report


class Measured:
    """The bars of one code in a file: when they open, of which type they are, and on which grid."""

    def __init__(self, path: Path, instrument: Instrument, reading: Reading) -> None:
        self.instrument = instrument
        self.grid = Grid(instrument)
        self.times = array("q")
        self.ascending = True
        self.kline_type = KlineType.MINUTE
        self._path = path
        self._zone = reading.zone
        self._dated = True  # all open at midnight of the file's zone

    def add(self, at: int) -> None:
        """A bar that opens then, in milliseconds."""
        self.ascending = self.ascending and (not self.times or at >= self.times[-1])
        self.times.append(at)

    def measure(self, kline_type: KlineType | None) -> None:
        """Finds out what they are, unless it is said. Raises InputError."""
        seconds = [at // 1000 for at in sorted({*self.times})]
        self._dated = all(datetime.fromtimestamp(at, self._zone).time() == time() for at in seconds)
        self.kline_type = kline_type or self._type_of(seconds)
        code = self.instrument.code
        if kline_type is None and (other := self._other_type(seconds)) is not None:
            raise InputError(
                f"{self._path}: the bars of {code} are of several types, {self.kline_type.name} and "
                f"{other.name}. Import one type a file, or name it with --interval if they are all of one."
            )
        if self.kline_type not in self.grid.types:
            raise InputError(f"{self._path}: {code} has no bars of {self.kline_type.name}, as no stock has.")
        odd = next((at for at in seconds if not self._fits(at)), None)
        if odd is not None:
            opens = datetime.fromtimestamp(odd, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            raise InputError(
                f"{self._path}: the bars of {code} are of type {self.kline_type.name}, but one opens at "
                f"{opens}, where none of these does. Import one type a file, and of bars on another grid the "
                "smaller ones that they are made of."
            )
        self._check_dates(seconds)

    def open_time(self, at: int) -> int:
        """When the bar opens that a line with that time is, in seconds: dates are those of the market."""
        if self.kline_type in SECONDS:
            return at // 1000
        noon = datetime.combine(self._date(at // 1000), time(12), self.grid.zone)
        return self.grid.open_time(self.kline_type, int(noon.timestamp()))

    def _date(self, at: int) -> date:
        """The date of a bar of a day or more that opens then, in seconds."""
        if self._dated:
            return datetime.fromtimestamp(at, self._zone).date()
        if self.grid.zone is UTC:  # such as those of forex, which open at 17:00 in New York on the day before
            at += HALF_DAY
        return datetime.fromtimestamp(at, self.grid.zone).date()

    def _check_dates(self, seconds: list[int]) -> None:
        """Raises InputError if two bars of a day or more are the same one, but for a Sunday and Monday."""
        if self.kline_type in SECONDS:
            return
        for at, later in pairwise(seconds):
            sunday = self.kline_type is KlineType.DAY and self._date(at).weekday() == SUNDAY
            opened = self.open_time(later * 1000)
            if opened == self.open_time(at * 1000) and not (sunday and self._date(at) < self._date(later)):
                raise InputError(
                    f"{self._path}: {self.instrument.code} has two bars of type {self.kline_type.name} of "
                    f"{self._date(later)}. Import one type a file, each bar once."
                )

    def _other_type(self, seconds: list[int]) -> KlineType | None:
        """A larger type than the one that was measured, if some of the bars seem to be of that: so many in a
        row lie as far apart as no chance puts them. `seconds` are their times, ascending."""
        if (other := self._in_a_row(seconds)) is not None or self.ascending:
            return other
        as_written = [at // 1000 for at in self.times]  # one type behind the other, of the same times
        if all(later <= at for at, later in pairwise(as_written)):
            return None
        return self._in_a_row(as_written, blocks=True)

    def _in_a_row(self, times: list[int], *, blocks: bool = False) -> KlineType | None:
        base, last, run = self._span(self.kline_type), None, 0
        for at, later in pairwise(times):
            found = self._apart(at, later)
            run, last = (run + 1 if found is last else 1) if found else 0, found
            if found is None or found <= self.kline_type:
                continue
            enough = next((most for below, most in IN_A_ROW.items() if found < below), AT_LEAST)
            clear = self._span(found) >= FAR * base and run >= 2
            if run >= enough or (clear and (blocks or run * AT_LEAST >= len(times) - 1)):
                return found
        return None

    def _apart(self, at: int, later: int) -> KlineType | None:
        """The type whose bars may open at these times, one after the other."""
        gap = later - at
        if gap < 23 * HOUR:
            return next((one for one, span in SECONDS.items() if span == gap and at % span == 0), None)
        if not (self._opens_day(at) and self._opens_day(later)):
            return None
        if gap <= 5 * DAY + HOUR:  # over a weekend, and holidays
            return KlineType.DAY
        if 7 * DAY - HOUR <= gap <= 7 * DAY + HOUR:
            return KlineType.WEEK
        return KlineType.MONTH if 27 * DAY < gap < 32 * DAY else None

    def _opens_day(self, at: int) -> bool:
        return datetime.fromtimestamp(at, self._zone).time() == time() or self._is_midnight(at)

    @staticmethod
    def _span(kline_type: KlineType) -> int:
        """About how long its bars are, in seconds."""
        days = {KlineType.DAY: DAY, KlineType.WEEK: 7 * DAY, KlineType.MONTH: 30 * DAY}
        return SECONDS.get(kline_type) or days[kline_type]

    def _fits(self, at: int) -> bool:
        if self.kline_type is KlineType.MINUTE or self.kline_type not in SECONDS:
            return at % 60 == 0
        return self.grid.open_time(self.kline_type, at) == at

    def _type_of(self, seconds: list[int]) -> KlineType:
        least = min((later - at for at, later in pairwise(seconds)), default=None)
        if least is None:
            return KlineType.DAY if self._dated or self._is_midnight(seconds[0]) else KlineType.MINUTE
        if least < 22 * HOUR:
            for kline_type, span in SECONDS.items():
                if span == least:
                    return kline_type
            raise InputError(
                f"{self._path}: the bars of {self.instrument.code} lie {least} seconds apart at the least, "
                f"which no type does. Name theirs with --interval, such as 1m."
            )
        if 27 * DAY < least < 32 * DAY:
            return KlineType.MONTH
        return KlineType.WEEK if 7 * DAY - 2 * HOUR <= least <= 7 * DAY + 2 * HOUR else KlineType.DAY

    def _is_midnight(self, at: int) -> bool:
        """Whether a day begins then, be it a Sunday that belongs to Monday's."""
        opened = self.grid.open_time(KlineType.DAY, at)
        return at in (opened, self.grid.begin(KlineType.DAY, opened))


class BarFile:
    """A file of bars, read twice: to see what is in it, and to take it."""

    def __init__(self, path: Path, catalogue: Catalogue, now: int, reading: Reading, report: Report) -> None:
        self.path = path
        self._catalogue = catalogue
        self._now = now
        self._reading = reading
        self._report = report
        self._told = False
        self._differing = 0

    def measure(self) -> dict[str, Measured]:
        """What is in it, by code. Tells of the lines that are no bars. Raises InputError."""
        found: dict[str, Measured] = {}
        bad = 0
        for row in self._rows():
            if isinstance(row, str):
                if self._reading.strict:
                    raise InputError(f"{self.path}, {row}. Mend it, or leave out --strict-input.")
                bad += 1
                if bad <= LOGGED_LINES:
                    log.warning("line skipped", file=str(self.path), reason=row)
                continue
            if (bars := found.get(row.code)) is None:
                instrument = self._catalogue[row.code]
                bars = found[row.code] = Measured(self.path, instrument, self._reading)
            again = bool(bars.times) and bars.times[-1] == row.at
            bars.add(row.at)
            self._report.lines += 1
            if self._reading.strict and (again or not bars.ascending):
                raise InputError(
                    f"{self.path}, line {row.number}: the bar opens {'with' if again else 'before'} the one "
                    f"of {row.code} above it. Sort the file, with each bar once, or leave out --strict-input."
                )
            if row.number % PROGRESS == 0:
                log.info("reading", file=str(self.path), lines=row.number)
        if bad > LOGGED_LINES:
            log.warning("lines skipped", file=str(self.path), lines=bad)
        self._report.bad_lines += bad
        self._told = True
        for bars in found.values():
            bars.measure(self._reading.kline_type)
        return found

    def tell_repeated(self, row: Row, before: Row) -> None:
        """Tells that a bar stands there twice, of which the later line is taken."""
        self._report.repeated += 1
        if row.values == before.values:
            return
        self._differing += 1
        if self._differing <= LOGGED_LINES:
            reason = f"line {row.number}: {row.code} has another bar of that time in line {before.number}"
            log.warning("line taken in place of an earlier one", file=str(self.path), reason=reason)

    def rows(self, *, ascending: bool) -> Iterator[Row]:
        """The lines that are bars, each code's in order of time."""
        rows = (row for row in self._rows() if isinstance(row, Row))
        return rows if ascending else in_order(rows, key=lambda row: row.at)

    def _rows(self) -> Iterator[Row | str]:
        """Each line, or what is wrong with it and in which line."""
        if self.path.suffix == ".parquet":
            lines, name = parquet_rows(self.path, self._reading.dress)
        else:
            named = header_of(self.path, SHAPES[2], self._reading.dress).named
            name = named.get("timestamp", "timestamp")
            lines = (
                (number, row if isinstance(row, str) else row[1])
                for number, row in read_table(self.path, SHAPES, self._reading.dress)
            )
        times = Times(name, self._reading.zone, self._reading.form)
        for number, fields in lines:
            row = fields if isinstance(fields, str) else self._row(number, fields, times)
            yield f"line {number}: {row}" if isinstance(row, str) else row

    def _row(self, number: int, fields: list[str], times: Times) -> Row | str:
        code, at, *numbers = fields
        if code not in self._catalogue:
            return self._unknown(code)
        try:
            stamp = times.read(at)
        except ValueError as error:
            return str(error)
        if stamp.ms % 60_000:
            return f"{at} is not the first second of a minute"
        instrument = self._catalogue[code]
        values: list[Decimal] = []
        for name, text in zip((*KEYS, *NOTED)[2:], numbers, strict=False):
            value = self._number(name, text, instrument)
            if isinstance(value, str):
                return value
            values.append(value)
        values += [Decimal(0)] * (6 - len(values))
        row = Row(number, code, stamp.ms, tuple(values))
        bar = row.bar(KlineType.MINUTE, stamp.ms // 1000)
        fault = bar_fault(bar, instrument, Entrance.IMPORT, self._now)
        return row if fault is None else fault.text

    def _number(self, name: str, text: str, instrument: Instrument) -> Decimal | str:
        """A number, or what is wrong with it. One that is empty is not known, which is written as 0."""
        decimals = {"volume": instrument.volume_decimals, "turnover": instrument.turnover_decimals}.get(
            name, instrument.price_decimals
        )
        value = Decimal(text or 0)
        if decimals_of(text) <= decimals:
            return value
        if not self._reading.rounds and name != "turnover":
            return (
                f"{name} is {text}, which has more than the {decimals} decimals of {instrument.code} "
                "(--round rounds it)"
            )
        self._report.rounded += not self._told
        return value.quantize(QUANTA[decimals], ROUND_HALF_UP)

    def _unknown(self, code: str) -> str:
        if any(self._catalogue.find(family, code) is not None for family in Family):
            known = next(one for family in Family if (one := self._catalogue.find(family, code)) is not None)
            return f"{code} is another name of {known.code}: write that"
        return f"unknown code {code!r} (add it with --instruments, or name it with --code)"


def _write(
    file: BarFile, found: Mapping[str, Measured], source: str, store: KlineStore, report: Report
) -> None:
    """Writes the bars of a file, some at a time, each code's ascending: what belongs to one bar of the grid,
    such as a Sunday and a Monday, becomes one."""
    waiting: defaultdict[str, list[Kline]] = defaultdict(list)
    latest: dict[str, Row] = {}

    def flush(code: str, *, last: bool) -> None:
        bars, measured = waiting[code], found[code]
        kept: list[Kline] = []
        if not last:  # what comes next may belong to the last one
            opened = bars[-1].time
            kept = [bar for bar in bars if bar.time == opened]
        rolled = list(roll_up(measured.instrument, measured.kline_type, bars[: len(bars) - len(kept)]))
        store.write(source, rolled, {past_note(measured.instrument): "imported"})
        report.bars += len(rolled)
        waiting[code] = kept

    rows = file.rows(ascending=all(one.ascending for one in found.values()))
    for count, row in enumerate(rows, 1):
        if count % PROGRESS == 0:
            log.info("writing", file=str(file.path), bars=count)
        bars = waiting[row.code]
        before = latest.get(row.code)
        if before is not None and before.at == row.at:  # the last one counts, as when importing again
            bars.pop()
            file.tell_repeated(row, before)
        latest[row.code] = row
        bars.append(_kline(row, found[row.code]))
        if len(bars) >= BATCH:
            flush(row.code, last=False)
        elif count % MOST_WAITING == 0:
            for code in [code for code, some in waiting.items() if some]:
                flush(code, last=False)
    for code in [code for code, some in waiting.items() if some]:
        flush(code, last=True)


def _kline(row: Row, measured: Measured) -> Kline:
    opened = measured.open_time(row.at)
    return row.bar(measured.kline_type, opened, measured.grid.end(measured.kline_type, opened))


def _roll_up(measured: Measured, source: str, store: KlineStore) -> int:
    """Makes the larger types around the bars of a code; returns how many bars that are."""
    grid, base, count = measured.grid, measured.kline_type, 0
    first, last = (measured.open_time(at) for at in (min(measured.times), max(measured.times)))
    for kline_type in [one for one in grid.types if one > base]:
        part = max(base, smaller(kline_type, grid.types))
        if part is KlineType.WEEK:  # a week may lie in two months
            continue
        begin = grid.begin(kline_type, grid.open_time(kline_type, first))
        end = grid.end(kline_type, grid.open_time(kline_type, last))
        whole = kline_type > KlineType.DAY  # there are few days
        while begin < end:
            day = grid.open_time(KlineType.DAY, begin + WINDOW)
            until = end if whole else min(end, grid.end(KlineType.DAY, day))
            most = (until - begin) // SECONDS.get(part, DAY) + 2
            parts = store.read(source, measured.instrument.code, part, count=most, end=until - 1)
            rolled = list(
                roll_up(measured.instrument, kline_type, (bar for bar in parts if bar.time >= begin))
            )
            store.write(source, rolled)
            count += len(rolled)
            begin = until
    return count
