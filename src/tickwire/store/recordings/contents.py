"""What a recording holds, from the footers of its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

from ...model import Kind, Market
from .folder import Folder
from .footer import Footer, read_footer
from .gaps import Gap, read_gaps


class CodeContents(msgspec.Struct):
    """What is recorded of a code; the decimals are the most that its prices and volumes have."""

    market: Market
    trades: int = 0
    books: int = 0
    price_decimals: int = 0
    volume_decimals: int = 0


class DayContents(msgspec.Struct):
    """What is recorded of a date of a market."""

    date: date
    market: Market
    trades: int = 0
    books: int = 0
    codes: int = 0
    files: int = 0
    bytes: int = 0


class Contents(msgspec.Struct):
    """What a recording holds. Times are the source's, in milliseconds since the epoch, 0 if there is none."""

    folders: list[str]
    sources: list[str]
    trades: int
    books: int
    files: int
    bytes: int
    first_time: int
    last_time: int
    days: list[DayContents]
    codes: dict[str, CodeContents]
    gaps: list[Gap]
    unreadable_gaps: int
    """Lines of the list of gaps that cannot be read."""
    unsealed_bytes: int
    """Bytes of journals: of a recorder that runs, or of one that was killed, which the next start seals."""
    damaged_bytes: int
    """Bytes of journals and of the list of gaps that could not be read, kept in `damaged/`."""
    corrections: int = 0


def contents(folders: Iterable[Folder]) -> Contents:
    """What these recordings hold together that is sealed. Raises InputError that names a bad file, and
    OSError."""
    found = Contents([], [], 0, 0, 0, 0, 0, 0, [], {}, [], 0, 0, 0)
    days: dict[tuple[date, Market], DayContents] = {}
    codes_of: defaultdict[tuple[date, Market], set[str]] = defaultdict(set)
    footers: list[Footer] = []
    for folder in folders:
        found.folders.append(str(folder.path))
        for file in folder.complete_files():
            footer = read_footer(file.path)
            footers.append(footer)
            kind, market, at = file.partition
            day = days.setdefault((at, market), DayContents(at, market))
            day.files += 1
            day.bytes += file.path.stat().st_size
            codes_of[at, market] |= footer.codes.keys()
            for code, note in footer.codes.items():
                one = found.codes.setdefault(code, CodeContents(market))
                one.price_decimals = max(one.price_decimals, note.price_decimals)
                one.volume_decimals = max(one.volume_decimals, note.volume_decimals)
                if kind is Kind.TRADE:
                    one.trades += note.events
                    day.trades += note.events
                elif kind is Kind.CORRECTION:
                    found.corrections += note.events
                else:
                    one.books += note.events
                    day.books += note.events
        gaps, unreadable = read_gaps(folder.gaps)
        found.gaps += gaps
        found.unreadable_gaps += unreadable
        found.unsealed_bytes += _bytes([path for _, path in folder.journals()])
        found.damaged_bytes += _bytes([*folder.damaged.iterdir()] if folder.damaged.is_dir() else [])
    for key in sorted(days):
        day = days[key]
        day.codes = len(codes_of[key])
        found.days.append(day)
        found.trades += day.trades
        found.books += day.books
        found.bytes += day.bytes
    found.sources = sorted({footer.source for footer in footers})
    found.files = len(footers)
    found.first_time = min((footer.first_time for footer in footers), default=0)
    found.last_time = max((footer.last_time for footer in footers), default=0)
    found.codes = dict(sorted(found.codes.items()))
    return found


def _bytes(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
