"""Reads recordings: CSV files of trades or quotes.

Trades have the columns code, tick_time_ms, price, volume; quotes code, tick_time_ms, bid, bid_volume,
ask, ask_volume. Times are UTC unless they say otherwise. Other columns are ignored.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Container, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

import structlog

from ..errors import InputError
from ..files import CODE, NUMBER, PRICE, TIME, Times, Version, header_of, in_order, read_table, version_of
from ..model import Book, Catalogue, Entrance, Level, Trade, decimals_of, event_fault, is_crossed, side

LOGGED_LINES = 10
"""Bad lines of a file that are logged one by one; all are counted."""
TOLD, LOGGED = 10_000, 500_000
"""Lines between two times that a scan tells how far it is, and between two lines of the log about it."""

log = structlog.get_logger()


class TradeLine(NamedTuple):
    """A line of a trade file; a volume that is not known is empty."""

    code: str
    tick_time_ms: int
    price: str
    volume: str

    def event(self) -> Trade:
        """The trade that it is."""
        return Trade(self.code, self.tick_time_ms, Decimal(self.price), Decimal(self.volume or 0))


class QuoteLine(NamedTuple):
    """A line of a quote file; what is not known is empty."""

    code: str
    tick_time_ms: int
    bid: str
    bid_volume: str
    ask: str
    ask_volume: str

    def event(self) -> Book:
        """The book of one level that it is."""
        bids, asks = _side(self.bid, self.bid_volume), _side(self.ask, self.ask_volume)
        return Book(self.code, self.tick_time_ms, bids, asks)


def _side(price: str, volume: str) -> tuple[Level, ...]:
    return side((Level(Decimal(price), Decimal(volume or 0)),)) if price else ()


Line: TypeAlias = TradeLine | QuoteLine
KEY = {"code": CODE, "tick_time_ms": TIME}
PATTERNS: dict[type[Line], dict[str, str]] = {
    TradeLine: KEY | {"price": PRICE, "volume": f"(?:{NUMBER})?"},
    QuoteLine: KEY
    | {name: f"(?:{NUMBER if name.endswith('volume') else PRICE})?" for name in QuoteLine._fields[2:]},
}


@dataclass
class Scan:
    """What a first pass over a recording found."""

    decimals: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The most (price, volume) decimals of each code."""
    traded: set[str] = field(default_factory=set)
    """Codes that have trades of their own, not only quotes."""
    first_time: int = 0
    """The earliest time, in milliseconds since the epoch; 0 if there is no line."""
    lines: int = 0
    bad_lines: int = 0
    crossed: int = 0
    """Quotes whose bid lies above their ask."""


class Seen(NamedTuple):
    """How a file was when it was scanned, the number of its last line, and how many were good."""

    version: Version
    last: int
    good: int


@dataclass(frozen=True, eq=False)
class Recording:
    """One or more files, read as one stream in order of time and never held in memory as a whole.

    With `only`, lines of other codes are passed over. A scan finds the files that are out of order,
    `unsorted`, and how each is, `seen`: what is added to one later is not read, a change ends the reading.
    """

    paths: Collection[Path]
    catalogue: Catalogue
    only: Container[str] | None = None
    unsorted: set[Path] = field(default_factory=set)
    seen: dict[Path, Seen] = field(default_factory=dict)

    def look(self) -> None:
        """Raises InputError if one of the files cannot be read at all, or is none of trades or quotes."""
        for path in self.paths:
            next(self._file(path), None)

    def scan(self, *, strict: bool = False, tell: Callable[[int], None] = lambda _: None) -> Scan:
        """Reads everything once, and logs the lines that cannot be read, or are unfit.

        `tell` is called now and then with how many lines have been read. Raises InputError if a file cannot
        be read; with `strict`, if a line cannot.
        """
        scan, read = Scan(), 0
        for path in self.paths:
            bad, last, number = 0, 0, 0
            version, before = version_of(path), scan.lines
            for number, line in self._file(path):
                read += 1
                if read % TOLD == 0:
                    tell(read)
                    if read % LOGGED == 0:
                        log.info("reading", file=str(path), lines=read)
                if isinstance(line, str):
                    bad += 1
                    if strict:
                        raise InputError(
                            f"{path}, line {number}: {line}. Mend it, or leave out --strict-input."
                        )
                    if bad <= LOGGED_LINES:
                        log.warning("line skipped", file=str(path), line=number, reason=line)
                    continue
                scan.lines += 1
                if line.tick_time_ms < last and path not in self.unsorted:
                    self.unsorted.add(path)
                    if strict:
                        raise InputError(
                            f"{path}, line {number}: it is of an earlier time than the line above it. Sort "
                            "the file, or leave out --strict-input."
                        )
                    log.warning(
                        "lines are not in order of time: they are sorted", file=str(path), line=number
                    )
                last = line.tick_time_ms
                scan.crossed += isinstance(line, QuoteLine) and is_crossed(line.event())
                prices, volumes = line[2::2], line[3::2]
                if isinstance(line, TradeLine):
                    scan.traded.add(line.code)
                price, volume = scan.decimals.get(line.code, (0, 0))
                scan.decimals[line.code] = (
                    max(price, *map(decimals_of, prices)),
                    max(volume, *map(decimals_of, volumes)),
                )
                scan.first_time = min(scan.first_time or line.tick_time_ms, line.tick_time_ms)
            self.seen[path] = Seen(version, number, scan.lines - before)
            if bad > LOGGED_LINES:
                log.warning("lines skipped", file=str(path), lines=bad)
            scan.bad_lines += bad
        return scan

    def lines(self) -> Iterator[Line]:
        """All lines that are good, by time; those of one time in the order of the files."""
        return heapq.merge(*(self._good(path) for path in self.paths), key=attrgetter("tick_time_ms"))

    def _good(self, path: Path) -> Iterator[Line]:
        good = self._seen(path)
        return in_order(good, attrgetter("tick_time_ms")) if path in self.unsorted else good

    def _seen(self, path: Path) -> Iterator[Line]:
        """The good lines that a scan has seen, or all if there was none."""
        seen, good, number = self.seen.get(path), 0, 0
        for number, line in self._file(path, seen and seen.version):
            if seen is not None and number > seen.last:
                log.warning("lines that were added since are not read", file=str(path), line=number)
                break
            if not isinstance(line, str):
                good += 1
                yield line
        if seen is not None and good != seen.good:
            raise InputError(f"Cannot read {path} after line {number}: it was changed meanwhile.")

    def _file(self, path: Path, version: Version | None = None) -> Iterator[tuple[int, Line | str]]:
        """Each line with its number, or what is wrong with it."""
        ours = dict.fromkeys(name for patterns in PATTERNS.values() for name in patterns)
        times = Times(header_of(path, ours).named.get("tick_time_ms", ""))
        for number, line in read_table(path, PATTERNS, version=version):
            if isinstance(line, str):
                yield number, line
                continue
            kind, (code, at, *rest) = line
            if self.only is not None and code not in self.only:
                continue
            if code not in self.catalogue:
                yield number, f"unknown code {code!r} (add it with --instruments)"
                continue
            try:
                made = kind(code, times.read(at).ms, *rest)
            except ValueError as error:
                yield number, str(error)
                continue
            fault = event_fault(made.event(), self.catalogue[code], Entrance.REPLAY)
            yield number, made if fault is None else fault.text
