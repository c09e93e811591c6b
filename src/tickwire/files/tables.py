"""Reads tables from the text files that people have: whatever separates their fields, in whatever encoding,
plain or packed. Every line is hostile until it is parsed, every bad one is named."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, NamedTuple, TypeVar, cast

from ..errors import InputError
from .reading import Version, check_regular

DIGITS = r"\d{1,15}"
"""What a number begins with."""
NUMBER = rf"{DIGITS}(?:\.\d{{1,12}})?"
"""A plain decimal; bounded, so that no line can make a number that takes gigabytes to write."""
PRICE = rf"-?{NUMBER}"
"""The same, with a sign: which instruments have prices below zero is known to who reads it."""
SCIENTIFIC = re.compile(r"-?\d{1,15}(?:\.\d{1,20})?[eE][+-]?\d{1,2}")
"""A number as pandas and spreadsheets write a small or a large one."""
CODE = r"[!-+\--~]{1,32}"
TIME = r"[0-9A-Za-z:/. +-]{1,40}"
"""A time in any of the forms that `times.Times` reads."""
QUOTED_TIME = r"[0-9A-Za-z:/., +-]{1,40}"
"""Where it stands in quotes, such as "Sep 14, 2026"."""
UNKNOWN = frozenset({"", "nan", "null", "none", "n/a", "na", "-"})
"""What stands where a value is not known, in small letters."""
LINE_LIMIT = 4096
"""Characters of the longest line."""
DELIMITERS = ",;\t|"
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
CHECKED = 1000
"""Lines between two times that a file is checked for changes."""
BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeError, NotImplementedError, RuntimeError)
"""What reading a packed file raises where it is damaged, or packed in a way that is not known."""
WORKBOOK = b"\xd0\xcf\x11\xe0"
"""What an old workbook of a spreadsheet begins with; a newer one is a zip that holds one of WORKBOOKS."""
WORKBOOKS = frozenset({"[Content_Types].xml", "mimetype"})
SEPARATOR = re.compile(r'"?sep=(.)"?')
"""The line in which Excel says what separates the fields of a file, before its header."""
GROUPED = re.compile(r"-?\d[\d.,' ]*,[\d.,' ]*\d")
"""A number with a comma before its decimals, or between thousands."""
UNNAMED = ("index", "unnamed:_0", "_index_level_0_", "")
"""What pandas calls the first column of a table whose index has no name."""
USUAL = {
    "code": ("symbol", "ticker", "instrument"),
    "timestamp": (
        "timestamp_s",
        "timestamp_ms",
        "timestamp_us",
        "timestamp_ns",
        "time",
        "date",
        "datetime",
        "date_time",
        "open_time",
        "unix",
        *UNNAMED,
    ),
    "tick_time_ms": (
        "timestamp_ms",
        "timestamp_us",
        "timestamp_ns",
        "timestamp_s",
        "timestamp",
        "time",
        "date",
        "datetime",
        "date_time",
        "tick_time",
        "ts",
        "unix",
        *UNNAMED,
    ),
    "open": ("open_price", "o"),
    "high": ("high_price", "h"),
    "low": ("low_price", "l"),
    "close": ("close_price", "c", "last"),
    "price": ("last", "last_price", "trade_price"),
    "volume": ("vol", "v", "qty", "quantity", "size", "amount"),
    "turnover": ("quote_volume", "quote_asset_volume", "value"),
    "bid": ("bid_price",),
    "bid_volume": ("bid_size", "bid_qty"),
    "ask": ("ask_price",),
    "ask_volume": ("ask_size", "ask_qty"),
}
"""The names that others give our columns, see `plain_name`; the first that a file has is taken."""

Shape = TypeVar("Shape")


class Dress(NamedTuple):
    """How a file is otherwise than ours: the columns that ours are called there, the names of its columns if
    it has no header, and the values of columns that it lacks."""

    columns: Mapping[str, str] = {}
    header: Sequence[str] = ()
    values: Mapping[str, str] = {}


OURS = Dress()


class Header(NamedTuple):
    """The columns of a file. `places` says where those of ours stand that it has: a date and a time of day
    may be two; `named` what they are called there. `line` is the last one that belongs to it."""

    names: list[str]
    places: dict[str, tuple[int, ...]]
    named: dict[str, str]
    delimiter: str
    line: int


def read_table(
    path: Path,
    shapes: Mapping[Shape, Mapping[str, str]],
    dress: Dress = OURS,
    version: Version | None = None,
) -> Iterator[tuple[int, tuple[Shape, list[str]] | str]]:
    """Each line of a file with its number: the shape of the file and the fields, or what is wrong with it.

    A shape is told by its columns, whose order and case are free; others are ignored. `shapes` gives for each
    the pattern of every column; one that matches nothing may stand for what is not known. Raises InputError
    if the file cannot be read or has no known columns; with `version`, if it was changed since it was that.
    """
    ours = dict.fromkeys(name for patterns in shapes.values() for name in patterns)
    number = 0
    try:
        with _open(path) as (file, descriptor):

            def check(*, ends: bool) -> None:
                if version is None:
                    return
                now = Version.of(os.fstat(descriptor))
                if version.is_rewritten(now) or (ends and version.is_cut(now)):
                    raise InputError(f"Cannot read {path} after line {number}: it was changed meanwhile.")

            header, first = _header(path, file, dress, ours)
            shape = _shape(path, header, shapes, dress)
            reader = Reader(header, shapes[shape], dress)
            for number, line in enumerate(itertools.chain(first, _lines(file)), header.line + 1):
                ends = line is not None and not line.endswith("\n")
                if ends or number % CHECKED == 0:
                    check(ends=ends)
                if line is None:
                    yield number, f"longer than {LINE_LIMIT} characters"
                elif (found := reader.read(line)) is not None:
                    yield number, found if isinstance(found, str) else (shape, found)
            check(ends=True)
    except BROKEN as error:
        raise _unreadable(path, number, error) from error


def header_of(path: Path, ours: Collection[str], dress: Dress = OURS) -> Header:
    """The columns of a file, and where ours are among them. Raises InputError."""
    try:
        with _open(path) as (file, _):
            return _header(path, file, dress, ours)[0]
    except BROKEN as error:
        raise _unreadable(path, 0, error) from error


def plain_name(name: str) -> str:
    """The name of a column as it is compared: `<Adj Close>` is `adj_close`."""
    return re.sub(r"[\s_-]+", "_", name.strip().strip("<>").lower())


class Reader:
    """Reads the lines of one file: nearly all of them with one pattern, what is not plain field by field."""

    def __init__(self, header: Header, patterns: Mapping[str, str], dress: Dress) -> None:
        self._header = header
        self._patterns = {
            name: re.compile(QUOTED_TIME if pattern == TIME else pattern, re.ASCII)
            for name, pattern in patterns.items()
        }
        self._values = dress.values
        self._plain: re.Pattern[str] | None = None
        self._order: list[int] = []
        places = [header.places.get(name, ()) for name in patterns]
        if all(len(one) == 1 for one in places):
            by_place = {place: pattern for (place,), pattern in zip(places, patterns.values(), strict=True)}
            other = f'[^{re.escape(header.delimiter)}"]*'
            groups = (f"({by_place[n]})" if n in by_place else other for n in range(len(header.names)))
            self._plain = re.compile(re.escape(header.delimiter).join(groups) + r"\s*", re.ASCII)
            ordered = sorted(by_place)
            self._order = [ordered.index(place) + 1 for (place,) in places]

    def read(self, line: str) -> list[str] | str | None:
        """The fields, or what is wrong with the line; None for an empty one."""
        if self._plain and '"' not in line and (found := self._plain.fullmatch(line)) is not None:
            return [found[place] for place in self._order]
        if not line.strip():
            return None
        names, places = self._header.names, self._header.places
        row = _split(line, self._header.delimiter)
        if len(row) != len(names):
            return f"{len(row)} fields in place of {len(names)}"
        fields = []
        for name, pattern in self._patterns.items():
            text = self._values.get(name, "")
            if name in places:
                text = " ".join(row[place] for place in places[name]).strip()
            if text.lower() in UNKNOWN and pattern.fullmatch(""):
                text = ""
            elif SCIENTIFIC.fullmatch(text) and DIGITS in pattern.pattern:
                text = f"{Decimal(text):f}"
            if pattern.fullmatch(text) is None:
                comma = GROUPED.fullmatch(text) and DIGITS in pattern.pattern
                hint = " (a point before the decimals, no comma)" if comma else ""
                named = self._header.named.get(name, name)
                return f"{named} is {text[:40]!a}, expected {_expected(pattern)}{hint}"
            fields.append(text)
        return fields


# The file.
def _unreadable(path: Path, number: int, error: Exception) -> InputError:
    system = getattr(error, "strerror", None)
    where = "" if system and not number else f" after line {number}"
    return InputError(f"Cannot read {path}{where}: {system or error}.")


def _workbook(path: Path) -> InputError:
    return InputError(f"{path} is a workbook of a spreadsheet: save its sheet as CSV.")


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[str], int]]:
    """A file as text, whatever it is packed and encoded with, and its descriptor."""
    check_regular(path)
    with ExitStack() as opened:
        raw: IO[bytes] = opened.enter_context(path.open("rb"))
        descriptor = raw.fileno()
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            raw = cast("IO[bytes]", opened.enter_context(gzip.open(raw)))
        elif magic == b"PK\x03\x04":
            packed = opened.enter_context(zipfile.ZipFile(raw))
            members = [
                one for one in packed.infolist() if not one.is_dir() and "__MACOSX" not in one.filename
            ]
            if WORKBOOKS.intersection(one.filename for one in members):
                raise _workbook(path)
            if len(members) != 1:
                raise InputError(f"{path} holds {len(members)} files: unpack it, and name those to read.")
            raw = opened.enter_context(packed.open(members[0]))
        elif magic == WORKBOOK:
            raise _workbook(path)
        buffered = io.BufferedReader(cast("io.RawIOBase", raw), 2**16)
        encoding = _encoding(buffered.peek(LINE_LIMIT)[:LINE_LIMIT])
        yield opened.enter_context(io.TextIOWrapper(buffered, encoding, errors="replace")), descriptor


def _encoding(start: bytes) -> str:
    for bom, encoding in BOMS.items():
        if start.startswith(bom):
            return encoding
    if start[1::2].count(0) > len(start) // 4:
        return "utf-16-le"
    return "utf-16-be" if start[::2].count(0) > len(start) // 4 else "utf-8"


def _lines(file: IO[str]) -> Iterator[str | None]:
    """The lines of a file; None in place of one that is too long."""
    while line := file.readline(LINE_LIMIT):
        if len(line) < LINE_LIMIT or line.endswith("\n"):
            yield line
            continue
        while line and not line.endswith("\n"):
            line = file.readline(LINE_LIMIT)
        yield None


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return [one.strip() for one in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])]
    except csv.Error:
        return []


# The header.
def _header(
    path: Path, file: IO[str], dress: Dress, ours: Collection[str]
) -> tuple[Header, list[str | None]]:
    """The columns of a file, and the lines that were read and belong to its rows."""
    lines, first, number = _lines(file), "\n", 0
    while first and not first.strip():
        first, number = next(lines, "") or "", number + 1
    if (said := SEPARATOR.fullmatch(first.rstrip("\r\n"))) is not None:
        first, number = next(lines, "") or "", number + 1
    delimiter = max(DELIMITERS, key=first.count) if said is None else said[1]
    names = _split(first, delimiter)
    if dress.header and not any(re.search(r"[A-Za-z]{2}", name) for name in names):
        return _placed(path, [*dress.header], delimiter, number - 1, dress, ours), [first]
    if plain_name(names[0] if names else "") == "price" and len(names) > 1:  # pandas, of yfinance's tables
        tickers = _split(next(lines, "") or "", delimiter)
        index = _split(next(lines, "") or "", delimiter)
        if len({*tickers[1:]}) > 1:
            raise InputError(f"{path} holds {len({*tickers[1:]})} tickers side by side: write one file each.")
        names[0], number = index[0] if index else "", number + 2
    return _placed(path, names, delimiter, number, dress, ours), []


def _placed(
    path: Path, names: list[str], delimiter: str, line: int, dress: Dress, columns: Collection[str]
) -> Header:
    plain = [plain_name(name) for name in names]
    places: dict[str, tuple[int, ...]] = {}
    named: dict[str, str] = {}
    for ours in columns:
        wanted = [ours, *(name for name in USUAL.get(ours, ()) if name not in columns)]
        if ours in dress.columns:
            wanted = [plain_name(dress.columns[ours])]
        found = next((name for name in wanted if name in plain and (name or not plain[0])), None)
        if found is None:
            if ours in dress.columns:
                raise InputError(f"{path}, line {line}: there is no column {dress.columns[ours]!r}.")
            continue
        if plain.count(found) > 1:
            raise InputError(f"{path}, line {line}: the column {found} is there twice. Remove one of them.")
        places[ours], named[ours] = (plain.index(found),), names[plain.index(found)] or "the first column"
        if found in ("date", "time") and {"date", "time"} <= {*plain} and ours not in dress.columns:
            places[ours], named[ours] = (plain.index("date"), plain.index("time")), "date and time"
    return Header(names, places, named, delimiter, line)


def _shape(path: Path, header: Header, shapes: Mapping[Shape, Mapping[str, str]], dress: Dress) -> Shape:
    for shape, patterns in shapes.items():
        if all(name in header.places or name in dress.values for name in patterns):
            return shape
    expected = " or ".join(",".join(patterns) for patterns in shapes.values())
    raise InputError(
        f"{path}, line {max(1, header.line)}: the columns are {','.join(header.names)[:100]!r}, expected "
        f"{expected}."
    )


def _expected(pattern: re.Pattern[str]) -> str:
    if DIGITS in pattern.pattern:
        most = " with at most 12 decimals" if NUMBER in pattern.pattern else ""
        below = ", or below 0 where prices may be" if "-?" in pattern.pattern else ""
        return f"a number from 0 to below 10^15{most}{below}"
    if digits := re.fullmatch(r"\\d\{1,(\d+)\}", pattern.pattern):
        return f"a whole number of at most {digits[1]} digits"
    return "a time" if pattern.pattern == QUOTED_TIME else "visible ASCII characters without a comma"
