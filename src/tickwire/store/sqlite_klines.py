"""Bars in a SQLite file, or in memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any

from ..model import Kline, KlineType
from .kline_store import NO_NOTES
from .sqlite_file import SqliteFile

INSERT = "INSERT OR REPLACE INTO kline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT = "INSERT OR REPLACE INTO note VALUES (?, ?, ?)"
READ = """
    SELECT time, open, high, low, close, volume, turnover, first, last, incomplete FROM kline
    WHERE series = (SELECT id FROM series WHERE source = ? AND code = ?) AND type = ? AND time <= ?
    ORDER BY time DESC LIMIT ?
"""
NOTES = "SELECT name, value FROM note WHERE source = ?1 AND name >= ?2 AND substr(name, 1, length(?2)) = ?2"
# Two selects: min() and max() in one would walk through all bars.
SPAN = """
    SELECT (SELECT min(time) FROM kline WHERE series = id AND type = ?1),
           (SELECT max(time) FROM kline WHERE series = id AND type = ?1)
    FROM series WHERE source = ?2 AND code = ?3
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

    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None:
        rows = [(bar.code, *_row(bar)) for bar in bars]
        codes = {row[0] for row in rows}
        with self._file.writing() as connection:
            if self._generation != self._file.generation:
                self._ids, self._generation = {}, self._file.generation
            known = self._ids
            ids = {code: known.get((source, code)) or _series(connection, source, code) for code in codes}
            # In the order of the key each page is touched once; of equal keys the later stays the later.
            ordered = sorted(((ids[code], *row) for code, *row in rows), key=KEY)
            connection.executemany(INSERT, ordered)
            connection.executemany(PUT, [(source, name, value) for name, value in notes.items()])
        known.update(((source, code), number) for code, number in ids.items())

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        if count < 1:
            return []
        last = LATEST if end is None else _whole(end)
        with self._file.reading() as connection:
            return _latest(connection, source, code, kline_type, last, count)

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        if count < 1:
            return {code: {} for code in codes}
        found = {}
        with self._file.reading() as connection:
            for code in codes:
                of_code = ((one, _latest(connection, source, code, one, LATEST, count)) for one in KlineType)
                found[code] = {kline_type: bars for kline_type, bars in of_code if bars}
        return found

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        with self._file.reading() as connection:
            row = connection.execute(SPAN, (int(kline_type), source, code)).fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

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
            row = connection.execute(
                "SELECT value FROM note WHERE source = ? AND name = ?", (source, name)
            ).fetchone()
        return None if row is None else str(row[0])

    def notes(self, source: str, prefix: str) -> dict[str, str]:
        with self._file.reading() as connection:
            rows = connection.execute(NOTES, (source, prefix)).fetchall()
        return dict(rows)


def _series(connection: sqlite3.Connection, source: str, code: str) -> int:
    """The number of a code of a source."""
    connection.execute("INSERT OR IGNORE INTO series (source, code) VALUES (?, ?)", (source, code))
    (number,) = connection.execute(
        "SELECT id FROM series WHERE source = ? AND code = ?", (source, code)
    ).fetchone()
    return int(number)


def _latest(
    connection: sqlite3.Connection, source: str, code: str, kline_type: KlineType, last: int, count: int
) -> list[Kline]:
    """The latest `count` bars up to and including `last`, ascending."""
    rows = connection.execute(READ, (source, code, int(kline_type), last, min(count, LATEST))).fetchall()
    rows.reverse()
    return _klines(code, KlineType(kline_type), rows)


def _whole(seconds: int) -> int:
    """A time as SQLite can hold it."""
    return max(EARLIEST, min(LATEST, seconds))


def _row(bar: Kline) -> tuple[int, int, str, str, str, str, str, str, int, int, int]:
    return (
        int(bar.kline_type),
        bar.time,
        str(bar.open),
        str(bar.high),
        str(bar.low),
        str(bar.close),
        str(bar.volume),
        str(bar.turnover),
        bar.first,
        bar.last,
        int(bar.incomplete),
    )


def _klines(code: str, kline_type: KlineType, rows: Iterable[tuple[Any, ...]]) -> list[Kline]:
    number = Decimal
    return [
        Kline(
            code,
            kline_type,
            time,
            number(open_),
            number(high),
            number(low),
            number(close),
            number(volume),
            number(turnover),
            first,
            last,
            bool(incomplete),
        )
        for time, open_, high, low, close, volume, turnover, first, last, incomplete in rows
    ]
