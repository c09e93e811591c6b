"""Bars in a SQLite file, or in memory."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from ..model import Kline
from .bar_rows import seed_of, values_of
from .kline_store import NO_NOTES
from .rows import NOTE, encode, sealed
from .sql_klines import SqlKlineStore
from .sqlite_file import SqliteFile

INSERT = "INSERT OR REPLACE INTO kline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
REMOVE = "DELETE FROM kline WHERE series = ? AND type = ? AND time = ?"
FORGET = "DELETE FROM note WHERE source = ? AND name = ?"
KEY = itemgetter(0, 1, 2)
"""The primary key of a row."""


class SqliteKlineStore(SqlKlineStore):
    """A KlineStore in a SQLite file, which it shares with other stores."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        self._file: SqliteFile = file
        self._generation = file.generation
        self._ids: dict[tuple[str, str], int] = {}
        """The numbers of the series of this generation of the file."""

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
            connection.executemany(
                NOTE.put, [sealed((source, name, value)) for name, value in notes.items() if value]
            )
            connection.executemany(FORGET, [(source, name) for name, value in notes.items() if not value])
        known.update(((source, code), number) for code, number in ids.items())


def _series(connection: sqlite3.Connection, source: str, code: str) -> int:
    """The number of a code of a source."""
    connection.execute("INSERT OR IGNORE INTO series (source, code) VALUES (?, ?)", (source, code))
    (number,) = connection.execute(
        "SELECT id FROM series WHERE source = ? AND code = ?", (source, code)
    ).fetchone()
    return int(number)
