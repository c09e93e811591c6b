"""Reads recordings: CSV files of trades or quotes.

Trades have the columns code, tick_time_ms, price, volume; quotes code, tick_time_ms, bid, bid_volume,
ask, ask_volume. Times are UTC unless they say otherwise. Other columns are ignored.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

import structlog

from ..errors import InputError
from ..files import CODE, NUMBER, TIME, Times, header_of, in_order, read_table
from ..model import Book, Catalogue, Entrance, Level, Trade, decimals_of, event_fault, is_crossed, side

LOGGED_LINES = 10
"""Bad lines of a file that are logged one by one; all are counted."""

log = structlog.get_logger()


class TradeLine(NamedTuple):
    """A line of a trade file."""

    code: str
    tick_time_ms: int
    price: str
    volume: str

    def event(self) -> Trade:
        """The trade that it is."""
        return Trade(self.code, self.tick_time_ms, Decimal(self.price), Decimal(self.volume))


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
    TradeLine: KEY | {"price": NUMBER, "volume": NUMBER},
    QuoteLine: KEY | dict.fromkeys(QuoteLine._fields[2:], f"(?:{NUMBER})?"),
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


@dataclass(frozen=True, eq=False)
class Recording:
    """One or more files, read as one stream in order of time and never held in memory as a whole.

    With `only`, lines of other codes are passed over. `unsorted` are the files that were found to be out of
    order when they were scanned.
    """

    paths: Collection[Path]
    catalogue: Catalogue
    only: Container[str] | None = None
    unsorted: set[Path] = field(default_factory=set)

    def scan(self, *, strict: bool = False) -> Scan:
        """Reads everything once, and logs the lines that cannot be read, or are unfit.

        Raises InputError if a file cannot be read; with `strict`, if a line cannot.
        """
        scan = Scan()
        for path in self.paths:
            bad, last = 0, 0
            for number, line in self._file(path):
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
            if bad > LOGGED_LINES:
                log.warning("lines skipped", file=str(path), lines=bad)
            scan.bad_lines += bad
        return scan

    def lines(self) -> Iterator[Line]:
        """All lines that are good, by time; those of one time in the order of the files."""
        return heapq.merge(*(self._good(path) for path in self.paths), key=attrgetter("tick_time_ms"))

    def _good(self, path: Path) -> Iterator[Line]:
        good = (line for _, line in self._file(path) if not isinstance(line, str))
        return in_order(good, attrgetter("tick_time_ms")) if path in self.unsorted else good

    def _file(self, path: Path) -> Iterator[tuple[int, Line | str]]:
        """Each line with its number, or what is wrong with it."""
        ours = dict.fromkeys(name for patterns in PATTERNS.values() for name in patterns)
        times = Times(header_of(path, ours).named.get("tick_time_ms", ""))
        for number, line in read_table(path, PATTERNS):
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
