"""Carries what can be read of a damaged database over into a new one, around what cannot be read."""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from ..errors import StartError
from ..model import KlineType
from .bar_rows import COLUMNS, is_sound_bar
from .rows import GAP, INSTRUMENT, NOTE, SUSPENSION, TOKEN, UNSEALED, Table, checksum, is_sound
from .sqlite import text_of, transaction

Row: TypeAlias = tuple[Any, ...]

BATCH = 5_000
"""Rows that are written at once."""
TRIES, FEW_TRIES = 2_000, 50
"""Reads that may fail in one run of keys before what is left of it counts as lost; and if neither end of it
can be read."""
NOTHING_READ = (0, 0)
"""In place of the spans of a run of which nothing could be read."""
MOST_TRIES = 200_000
"""Those in all, so that a file of which nothing is left is given up in time."""
NAMED = 20
"""Losses that are named one by one."""
MINUTE = 60
"""Seconds by which two bars of a code and type differ at least."""
BEYOND = 86_400
"""Seconds after now in which bars may still open."""
LOWEST, FARTHEST = -(2**63), 2**63 - 1
ABSENT = {"publish": "0"}
"""What columns are in a database of before there were these, if not NULL."""
SERIES = [
    f"SELECT id, source, code FROM series {order}"  # noqa: S608
    for order in (
        "ORDER BY id",
        "ORDER BY id DESC",
        "INDEXED BY sqlite_autoindex_series_1 ORDER BY source, code",
        "INDEXED BY sqlite_autoindex_series_1 ORDER BY source DESC, code DESC",
    )
]
INDEXES_OF_TOKENS = ("sqlite_autoindex_token_2", "sqlite_autoindex_token_3")
UNREADABLE = (sqlite3.Error, OverflowError, MemoryError)
"""What reading damaged pages raises."""


class Carried(NamedTuple):
    """How many rows of each table were carried over, and what is known to be missing."""

    counts: dict[str, int]
    lost: list[str]


class Carrying:
    """Copies all rows that can be read and are as they were written."""

    def __init__(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        self._old = old
        self._new = new
        self._tries = MOST_TRIES
        self._counts: dict[str, int] = {}
        self._lost: list[str] = []
        self._altered: dict[str, set[Row]] = {}
        """The keys of the rows that are not as they were written, by table."""

    def all(self, *, guarded: bool) -> Carried:
        """`guarded` says that there were tokens: if theirs cannot all be read, one that is revoked stands for
        the rest, so that a server that had tokens does not open to everybody.

        Raises StartError if the new database cannot be written.
        """
        series = self._series()
        self._klines(series)
        self._texts(NOTE)
        self._texts(INSTRUMENT)
        for table in (GAP, SUSPENSION):
            self._numbered(table)
        whole = self._texts(TOKEN)
        if guarded and not whole:
            self._guard()
        self._lost += [f"{table}: {len(keys)} altered rows" for table, keys in self._altered.items()]
        named, more = self._lost[:NAMED], len(self._lost) - NAMED
        return Carried(self._counts, named + ([f"and {more} more"] if more > 0 else []))

    def _guard(self) -> None:
        """A token that opens nothing, in place of those that were lost."""
        now = int(time.time() * 1000)
        name, digest = f"lost-{now}", secrets.token_bytes(32)
        row = (name, digest, name, "free", "[]", "[]", 0, 0, now, None, now)
        self._put(_insert(TOKEN), TOKEN.name, [(*row, checksum(*row))])

    # The tables.
    def _series(self) -> dict[int, tuple[str, str]]:
        """The names of the series by number, from the table and from its index."""
        found: dict[int, tuple[str, str]] = {}
        whole = False
        for query in SERIES:
            with contextlib.suppress(*UNREADABLE):
                for number, source, code in self._old.execute(query):
                    if isinstance(source, str) and isinstance(code, str) and _is_text(source + code):
                        found.setdefault(number, (source, code))
                whole = True
        if not whole:
            self._lost.append("series: some codes may be missing")
        rows = [(number, *names) for number, names in found.items()]
        self._put("INSERT OR IGNORE INTO series VALUES (?, ?, ?)", "series", rows)
        return found

    def _klines(self, series: dict[int, tuple[str, str]]) -> None:
        columns = ", ".join(["series", "type", *COLUMNS, *self._named(["checksum"], "kline", str(UNSEALED))])
        query = f"SELECT {columns} FROM kline WHERE series = ? AND type = ? AND time BETWEEN"  # noqa: S608
        insert = f"INSERT OR IGNORE INTO kline VALUES ({', '.join('?' * (len(COLUMNS) + 3))})"  # noqa: S608
        latest, unread = int(time.time()) + BEYOND, 0
        for (number, (source, code)), kline_type in itertools.product(series.items(), KlineType):
            sound = functools.partial(_is_bar, source, code, kline_type)
            run = Run(
                "kline", insert, f"{query} ? AND ? ORDER BY time", (number, kline_type), 2, MINUTE, sound
            )
            lost = self._run(run, latest)
            if NOTHING_READ in lost:
                unread += 1
            else:
                spans = (f"{_moment(low)} to {_moment(high)}" for low, high in lost)
                self._lost += [f"bars of {code!r}, type {int(kline_type)}, {span}" for span in spans]
        if unread:
            self._lost.append(f"bars: {unread} pairs of a code and a type, of which none could be read")

    def _numbered(self, table: Table) -> None:
        """A table whose rows have numbers."""
        query = f"{self._select(table)} WHERE id BETWEEN ? AND ? ORDER BY id"
        highest = BATCH
        with contextlib.suppress(*UNREADABLE):
            by_time = f"SELECT id FROM {table.name} INDEXED BY {table.name}_by_time"  # noqa: S608
            for (number,) in self._old.execute(by_time):
                highest = max(highest, number)
        for span in self._run(Run(table.name, _insert(table), query, (), 0, 1, _is_sound), highest):
            what = "no row could be read" if span == NOTHING_READ else f"numbers {span[0]} to {span[1]}"
            self._lost.append(f"{table.name}: {what}")

    def _texts(self, table: Table) -> bool:
        """A table whose key is text, from both ends and by the keys that its indexes hold; whether all of it
        could be read."""
        query, keys = self._select(table), table.columns[: 2 if table is NOTE else 1]
        run = Run(table.name, _insert(table), "", (), 0, 1, _is_sound)
        broken = 0
        for order in ("", " DESC"):
            rows = self._rows(f"{query} ORDER BY {', '.join(key + order for key in keys)}")
            if self._scan(run, rows) is None:
                break
            broken += 1
        if broken and table is TOKEN:
            ids: set[Any] = set()
            for index in INDEXES_OF_TOKENS:
                with contextlib.suppress(*UNREADABLE):
                    for (number,) in self._old.execute(f"SELECT id FROM token INDEXED BY {index}"):  # noqa: S608
                        ids.add(number)
            for number in ids:
                self._scan(run, self._rows(f"{query} WHERE id = ?", number))
        if broken == 2:
            self._lost.append(f"{table.name}: some rows may be missing")
        return broken == 0 and table.name not in self._altered

    def _select(self, table: Table) -> str:
        columns = self._named(table.columns, table.name, "NULL")
        names = [*columns, *self._named(["checksum"], table.name, f"checksum({', '.join(columns)})")]
        return f"SELECT {', '.join(names)} FROM {table.name}"  # noqa: S608

    def _named(self, columns: Iterable[str], table: str, absent: str) -> list[str]:
        """Columns of a query to the damaged file, which may be of an earlier version that lacks some."""
        with contextlib.suppress(*UNREADABLE):
            have = {row[1] for row in self._old.execute(f"PRAGMA table_info({table})")}
            return [name if name in have else ABSENT.get(name, absent) for name in columns]
        return [*columns]

    # How it is read.
    def _run(self, run: Run, highest: int) -> list[tuple[int, int]]:
        """Copies rows whose key is a number; returns the spans in which there are pages that cannot be read.

        Up to the first of these it reads forwards, from the last one on backwards, and halves what is between
        until it knows them. `highest` is where to begin if the very last page cannot be read.
        """
        before = self._counts.get(run.table, 0)
        last = self._scan(run, self._between(run, LOWEST, FARTHEST))
        if last is None:
            return []
        first = self._scan(run, self._between(run, LOWEST, FARTHEST, " DESC"))
        low = last + 1 if isinstance(last, int) else 0
        high = first - 1 if isinstance(first, int) and first > low else max(low, highest)
        todo, lost, tries = [(low - high, low, high)], [], min(TRIES, self._tries)
        if last is NOTHING and first is NOTHING:  # there may have been none
            tries = min(tries, FEW_TRIES)
        while todo:
            _, low, high = heapq.heappop(todo)
            last = self._scan(run, self._between(run, low, high))
            if last is None:
                continue
            tries -= 1
            self._tries -= 1
            if high - low < run.grain or tries <= 0:
                lost.append((low, high))
                continue
            if isinstance(last, int) and low <= last < high:
                low = last + 1
            middle = (low + high) // 2
            for begin, end in ((low, middle), (middle + 1, high)):
                if begin <= end:
                    heapq.heappush(todo, (begin - end, begin, end))  # the widest first
        return _joined(lost) if self._counts.get(run.table, 0) > before else [NOTHING_READ]

    def _between(self, run: Run, low: int, high: int, order: str = "") -> Callable[[], Iterator[Row]]:
        # Where there can be one row only, no further: beyond it may lie a page that cannot be read.
        query = f"{run.query}{order} LIMIT {1 if high - low < run.grain else -1}"
        return self._rows(query, *run.whose, low, high)

    def _rows(self, query: str, *values: object) -> Callable[[], Iterator[Row]]:
        return lambda: self._old.execute(query, values)

    def _scan(self, run: Run, read: Callable[[], Iterator[Row]]) -> object:
        """Copies the sound rows; None if all could be read, else the key of the last one that could (or
        something that is no key)."""
        rows: list[Row] = []
        last: object = NOTHING
        whole = False
        with contextlib.suppress(*UNREADABLE):
            for row in read():
                last = row[run.key]
                if run.sound(row):
                    rows.append(row)
                else:
                    self._altered.setdefault(run.table, set()).add(row[:3])
                if len(rows) >= BATCH:
                    self._put(run.insert, run.table, rows)
                    rows = []
            whole = True
        self._put(run.insert, run.table, rows)
        return None if whole else last

    def _put(self, insert: str, table: str, rows: Sequence[Row]) -> None:
        self._counts.setdefault(table, 0)
        if not rows:
            return
        try:
            with transaction(self._new):
                for row in rows:
                    # One of before there were checksums may be anything.
                    with contextlib.suppress(sqlite3.IntegrityError, OverflowError, UnicodeEncodeError):
                        self._counts[table] += max(self._new.execute(insert, row).rowcount, 0)
        except sqlite3.Error as error:  # which is no page that cannot be read
            raise StartError(text_of("that is made in place of the damaged one", error)) from error


class Run(NamedTuple):
    """Rows of a table in the order of one number, and where they go to.

    `query` ends in the columns that order them and lacks two values, from where and up to where; `whose`
    are those before. `key` is the column of the number, of which two differ by `grain` at least; `sound`
    says whether a row is as it was written.
    """

    table: str
    insert: str
    query: str
    whose: tuple[int, ...]
    key: int
    grain: int
    sound: Callable[[Row], bool]


NOTHING = object()


def _insert(table: Table) -> str:
    marks = ", ".join("?" * (len(table.columns) + 1))
    return f"INSERT OR IGNORE INTO {table.name} ({table.all}) VALUES ({marks})"  # noqa: S608


def _is_bar(source: str, code: str, kline_type: KlineType, row: Row) -> bool:
    return is_sound_bar(source, code, kline_type, row[2:])


def _is_sound(row: Row) -> bool:
    return is_sound(row[:-1], row[-1])


def _is_text(text: str) -> bool:
    return text.isascii() or text.encode("utf-8", "replace").decode() == text


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that follow one another as one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _moment(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%MZ}"
    except (ValueError, OverflowError, OSError):
        return str(seconds)
