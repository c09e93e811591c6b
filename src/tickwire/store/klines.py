"""Bars at rest: the contract of a store, and SQLite as the one that needs nothing."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from ..errors import StoreError
from ..model import Instrument, Kline, KlineType
from .database import open_database

INSERT = "INSERT OR REPLACE INTO kline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SELECT = """
    SELECT type, time, open, high, low, close, volume, turnover, first, last, incomplete FROM kline
    WHERE series = (SELECT id FROM series WHERE source = ? AND code = ?) AND type = ? AND time <= ?
    ORDER BY time DESC LIMIT ?
"""


def past_note(instrument: Instrument) -> str:
    """The note that says that the past of an instrument is there, made or imported."""
    return f"past:{instrument.code}"


class KlineStore(Protocol):
    """Keeps bars by source, code, type and time. Bars of different sources never mix.

    Times are in seconds since the epoch. Methods may be called from any thread, and raise StoreError.
    """

    def write(self, source: str, bars: Iterable[Kline]) -> None:
        """Keeps these, in place of older ones of their times: all of them or none."""
        ...

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        """The latest `count` bars up to and including `end`, ascending."""
        ...

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        """The times of the first and the last bar; None if there is none."""
        ...

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        """Lets go of bars older than that; returns how many."""
        ...

    def put(self, source: str, name: str, value: str) -> None:
        """Keeps a note about a source."""
        ...

    def get(self, source: str, name: str) -> str | None:
        """A note about a source."""
        ...

    def close(self) -> None:
        """Ends all use."""
        ...


class SqliteKlineStore:
    """Bars in a SQLite file, or in memory.

    One connection reads and another writes, so that a read never waits for a batch. In memory there is
    one for both.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises StartError if the file cannot be used."""
        self._writer = open_database(path)
        self._reader = self._writer if path is None else open_database(path)
        self._writing, self._reading = threading.Lock(), threading.Lock()
        if path is None:
            self._reading = self._writing
        self._ids: dict[tuple[str, str], int] = {}

    def write(self, source: str, bars: Iterable[Kline]) -> None:
        with self._writing, _told():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                rows = [(self._series(source, bar.code), *_row(bar)) for bar in bars]
                self._writer.executemany(INSERT, rows)
                self._writer.execute("COMMIT")
            except sqlite3.Error:
                self._ids.clear()  # some may be of this transaction
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        with self._reading, _told():
            latest = 2**62 if end is None else end
            rows = self._reader.execute(SELECT, (source, code, int(kline_type), latest, count)).fetchall()
        return [_kline(code, row) for row in reversed(rows)]

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        with self._reading, _told():
            first, last = self._reader.execute(
                "SELECT min(time), max(time) FROM kline "
                "WHERE series = (SELECT id FROM series WHERE source = ? AND code = ?) AND type = ?",
                (source, code, int(kline_type)),
            ).fetchone()
        return None if first is None else (first, last)

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        with self._writing, _told():
            return self._writer.execute(
                "DELETE FROM kline "
                "WHERE series IN (SELECT id FROM series WHERE source = ?) AND type = ? AND time < ?",
                (source, int(kline_type), before),
            ).rowcount

    def put(self, source: str, name: str, value: str) -> None:
        with self._writing, _told():
            self._writer.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (source, name, value))

    def get(self, source: str, name: str) -> str | None:
        with self._reading, _told():
            row = self._reader.execute(
                "SELECT value FROM note WHERE source = ? AND name = ?", (source, name)
            ).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        with self._writing, _told():
            self._reader.close()
            self._writer.close()

    def _series(self, source: str, code: str) -> int:
        """The number of a code of a source."""
        key = (source, code)
        found = self._ids.get(key)
        if found is None:
            self._writer.execute("INSERT OR IGNORE INTO series (source, code) VALUES (?, ?)", key)
            row = self._writer.execute("SELECT id FROM series WHERE source = ? AND code = ?", key).fetchone()
            found = self._ids[key] = int(row[0])
        return found


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tells of SQLite's errors as of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"The database cannot be used: {error}.") from error


def _row(bar: Kline) -> tuple[int | str, ...]:
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


def _kline(code: str, row: tuple[Any, ...]) -> Kline:
    kline_type, time, open_, high, low, close, volume, turnover, first, last, incomplete = row
    return Kline(
        code,
        KlineType(kline_type),
        time,
        Decimal(open_),
        Decimal(high),
        Decimal(low),
        Decimal(close),
        Decimal(volume),
        Decimal(turnover),
        first,
        last,
        bool(incomplete),
    )
