"""Bars in a SQLite file, or in memory."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from ..model import Kline, KlineType
from .bar_rows import SEAL, VALUES, bars_of, is_sound_bar, seed_of, values_of
from .kline_store import NO_NOTES
from .rows import NOTE, Altered, encode, fetch
from .sqlite_file import SqliteFile

INSERT = "INSERT OR REPLACE INTO kline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT = NOTE.insert("INSERT OR REPLACE")
REMOVE = "DELETE FROM kline WHERE series = ? AND type = ? AND time = ?"
FORGET = "DELETE FROM note WHERE source = ? AND name = ?"
READ = """
    SELECT time, open, high, low, close, volume, turnover, first, last, incomplete, checksum FROM kline
    WHERE series = (SELECT id FROM series WHERE source = ? AND code = ?) AND type = ? AND time <= ?
    ORDER BY time DESC LIMIT ?
"""
ENDS = [READ.replace("DESC", order) for order in ("", "DESC")]
ONE_NOTE = f"SELECT {NOTE.all} FROM note WHERE source = ? AND name = ?"  # noqa: S608
NOTES = f"""
    SELECT {NOTE.all} FROM note WHERE source = ?1 AND name >= ?2 AND substr(name, 1, length(?2)) = ?2
"""  # noqa: S608
CODES = """
    SELECT code FROM series WHERE source = ? AND EXISTS (SELECT 1 FROM kline WHERE series = id) ORDER BY code
"""
PRUNABLE = """
    SELECT id FROM series
    WHERE source = ? AND EXISTS (SELECT 1 FROM kline WHERE series = id AND type = ? AND time < ?)
"""
# Up to the bar after those of one step, or all if there are not so many.
PRUNE = """
    DELETE FROM kline WHERE series = ?1 AND type = ?2 AND time < min(?3, coalesce(
        (SELECT time FROM kline WHERE series = ?1 AND type = ?2 ORDER BY time LIMIT 1 OFFSET ?4), ?3
    ))
"""
KEY = itemgetter(0, 1, 2)
"""The primary key of a row."""
PRUNE_STEP = 5_000
"""Bars removed in one transaction."""
PAUSE = 0.001
"""Seconds between two of them, in which others get the lock."""
LATEST, EARLIEST = 2**63 - 1, -(2**63)


class SqliteKlineStore:
    """A KlineStore in a SQLite file, which it shares with other stores."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._generation = file.generation
        self._ids: dict[tuple[str, str], int] = {}
        """The numbers of the series of this generation of the file."""
        self._altered = Altered(file.name)

    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None:
        kept: list[tuple[str, int, tuple[Any, ...]]] = []
        gone: set[tuple[str, int, int]] = set()
        for bar in bars:
            kept.append((bar.code, int(bar.kline_type), values_of(bar)))
            (gone.add if bar.removed else gone.discard)((bar.code, int(bar.kline_type), bar.time))
        seeds = {key: seed_of(source, *key) for key in {(code, kline_type) for code, kline_type, _ in kept}}
        seals = [zlib.crc32(encode(values), seeds[code, kline_type]) for code, kline_type, values in kept]
        codes = {code for code, _ in seeds}
        with self._file.writing() as connection:
            if self._generation != self._file.generation:
                self._ids, self._generation = {}, self._file.generation
            known = self._ids
            ids = {code: known.get((source, code)) or _series(connection, source, code) for code in codes}
            rows = [
                (ids[code], kline_type, *values, seal)
                for (code, kline_type, values), seal in zip(kept, seals, strict=True)
            ]
            # In the order of the key each page is touched once; of equal keys the later stays the later.
            ordered = sorted(rows, key=KEY)
            connection.executemany(INSERT, ordered)
            connection.executemany(REMOVE, [(ids[code], kline_type, time) for code, kline_type, time in gone])
            connection.executemany(PUT, [(source, name, value) for name, value in notes.items() if value])
            connection.executemany(FORGET, [(source, name) for name, value in notes.items() if not value])
        known.update(((source, code), number) for code, number in ids.items())

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        if count < 1:
            return []
        last = LATEST if end is None else _whole(end)
        with self._file.reading() as connection:
            return self._latest(connection, source, code, kline_type, last, count)

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        if count < 1:
            return {code: {} for code in codes}
        found: dict[str, dict[KlineType, list[Kline]]] = {}
        with self._file.reading() as connection:
            for code in codes:
                found[code] = {
                    one: bars
                    for one in KlineType
                    if (bars := self._latest(connection, source, code, one, LATEST, count))
                }
        return found

    def codes(self, source: str) -> list[str]:
        with self._file.reading() as connection:
            return [code for (code,) in connection.execute(CODES, (source,))]

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        with self._file.reading() as connection:
            ends = [self._end(connection, query, source, code, kline_type) for query in ENDS]
        first, last = ends
        return None if first is None or last is None else (first, last)

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        before, gone = _whole(before), 0
        with self._file.reading() as connection:
            found = connection.execute(PRUNABLE, (source, int(kline_type), before)).fetchall()
        for (series,) in found:
            step = PRUNE_STEP
            while step == PRUNE_STEP:
                with self._file.writing() as connection:
                    values = (series, int(kline_type), before, PRUNE_STEP)
                    step = connection.execute(PRUNE, values).rowcount
                gone += step
                time.sleep(PAUSE)
        return gone

    def put(self, source: str, name: str, value: str) -> None:
        with self._file.writing() as connection:
            connection.execute(PUT, (source, name, value))

    def get(self, source: str, name: str) -> str | None:
        with self._file.reading() as connection:
            rows = fetch(connection, ONE_NOTE, (source, name))
        for *_, value in self._altered.sift(NOTE, rows):
            return str(value)
        return None

    def notes(self, source: str, prefix: str) -> dict[str, str]:
        with self._file.reading() as connection:
            rows = fetch(connection, NOTES, (source, prefix))
        return {name: value for _, name, value in self._altered.sift(NOTE, rows)}

    def _latest(
        self,
        connection: sqlite3.Connection,
        source: str,
        code: str,
        kline_type: KlineType,
        last: int,
        count: int,
    ) -> list[Kline]:
        """The latest `count` bars up to and including `last`, ascending."""
        rows = fetch(connection, READ, (source, code, int(kline_type), last, min(count, LATEST)))
        rows.reverse()
        return self._klines(source, code, KlineType(kline_type), rows)

    def _end(
        self, connection: sqlite3.Connection, query: str, source: str, code: str, kline_type: KlineType
    ) -> int | None:
        """The time of the first bar of a query, looking further where bars are altered."""
        count = 1
        while True:
            rows = fetch(connection, query, (source, code, int(kline_type), LATEST, count))
            for row in rows[count // 2 :]:
                for bar in self._klines(source, code, KlineType(kline_type), [row]):
                    return bar.time
            if len(rows) < count:
                return None
            count *= 2

    def _klines(
        self, source: str, code: str, kline_type: KlineType, rows: list[tuple[Any, ...]]
    ) -> list[Kline]:
        """The bars of these rows; those that were altered are left out."""
        seed, seals = seed_of(source, code, int(kline_type)), [*map(SEAL, rows)]
        try:
            if seals == [*map(zlib.crc32, map(encode, map(VALUES, rows)), repeat(seed))]:
                return bars_of(code, kline_type, rows)
        except (ValueError, TypeError, ArithmeticError):  # told below, row by row
            pass
        found = []
        for row in rows:
            if is_sound_bar(source, code, kline_type, row):
                found += bars_of(code, kline_type, [row])
            else:
                self._altered.add("bar", source=source, code=code, kline_type=int(kline_type), time=row[0])
        return found


def _series(connection: sqlite3.Connection, source: str, code: str) -> int:
    """The number of a code of a source."""
    connection.execute("INSERT OR IGNORE INTO series (source, code) VALUES (?, ?)", (source, code))
    (number,) = connection.execute(
        "SELECT id FROM series WHERE source = ? AND code = ?", (source, code)
    ).fetchone()
    return int(number)


def _whole(seconds: int) -> int:
    """A time as SQLite can hold it."""
    return max(EARLIEST, min(LATEST, seconds))
