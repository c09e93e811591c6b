"""Bars in a SQLite file, or in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

from ..model import Kline, KlineType
from .kline_store import NO_NOTES
from .sqlite import BUSY_TIMEOUT, open_database, told, transaction

INSERT = "INSERT OR REPLACE INTO kline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT = "INSERT OR REPLACE INTO note VALUES (?, ?, ?)"
READ = """
    SELECT time, open, high, low, close, volume, turnover, first, last, incomplete FROM kline
    WHERE series = (SELECT id FROM series WHERE source = ? AND code = ?) AND type = ? AND time <= ?
    ORDER BY time DESC LIMIT ?
"""
SINCE = """
    SELECT time, open, high, low, close, volume, turnover, first, last, incomplete FROM kline
    WHERE series = ? AND type = ? AND time >= ? ORDER BY time
"""
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
    """A KlineStore in a SQLite file; without a path in memory, for as long as it is open.

    One connection writes and another reads, each by one thread at a time: a read never waits for a batch,
    since readers of a write-ahead log see the state before it. In memory there is one for both, and a read
    does wait. Other processes may have the same file open.
    """

    def __init__(self, path: Path | None, *, timeout: float = BUSY_TIMEOUT) -> None:
        """`timeout` is how many seconds to wait while another process writes.

        Raises StartError if the file cannot be used.
        """
        self._name = ":memory:" if path is None else str(path)
        self._ids: dict[tuple[str, str], int] = {}
        self._writing = self._reading = threading.Lock()
        self._writer = self._reader = open_database(path, timeout=timeout)
        if path is not None:
            self._reading = threading.Lock()
            try:
                self._reader = open_database(path, timeout=timeout)
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self.close()
                raise

    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None:
        rows = [(bar.code, *_row(bar)) for bar in bars]
        codes = {row[0] for row in rows}
        with self._writing, told(self._name):
            with transaction(self._writer):
                ids = {code: self._ids.get((source, code)) or self._series(source, code) for code in codes}
                # In the order of the key each page is touched once; of equal keys the later stays the later.
                ordered = sorted(((ids[code], *row) for code, *row in rows), key=KEY)
                self._writer.executemany(INSERT, ordered)
                self._writer.executemany(PUT, [(source, name, value) for name, value in notes.items()])
            self._ids.update(((source, code), number) for code, number in ids.items())

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        if count < 1:
            return []
        last = LATEST if end is None else _whole(end)
        with self._reading, told(self._name):
            rows = self._reader.execute(
                READ, (source, code, int(kline_type), last, min(count, LATEST))
            ).fetchall()
        rows.reverse()
        return _klines(code, KlineType(kline_type), rows)

    def bars_since(self, source: str, kline_type: KlineType, since: int) -> Iterator[Kline]:
        with self._reading, told(self._name):
            found = self._reader.execute(
                "SELECT id, code FROM series WHERE source = ? ORDER BY code", (source,)
            ).fetchall()
        for series, code in found:
            with self._reading, told(self._name):
                rows = self._reader.execute(SINCE, (series, int(kline_type), _whole(since))).fetchall()
            yield from _klines(code, KlineType(kline_type), rows)

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        with self._reading, told(self._name):
            row = self._reader.execute(SPAN, (int(kline_type), source, code)).fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        before, gone = _whole(before), 0
        with self._reading, told(self._name):
            found = self._reader.execute(PRUNABLE, (source, int(kline_type), before)).fetchall()
        for (series,) in found:
            step = PRUNE_STEP
            while step == PRUNE_STEP:
                with self._writing, told(self._name):
                    step = self._writer.execute(PRUNE, (series, int(kline_type), before, PRUNE_STEP)).rowcount
                gone += step
                time.sleep(PAUSE)
        return gone

    def put(self, source: str, name: str, value: str) -> None:
        with self._writing, told(self._name):
            self._writer.execute(PUT, (source, name, value))

    def get(self, source: str, name: str) -> str | None:
        with self._reading, told(self._name):
            row = self._reader.execute(
                "SELECT value FROM note WHERE source = ? AND name = ?", (source, name)
            ).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        if self._reader is not self._writer:
            with self._reading, told(self._name):
                self._reader.close()
        with self._writing, told(self._name):  # the last one to close empties the log into the file
            self._writer.close()

    def _series(self, source: str, code: str) -> int:
        """The number of a code of a source."""
        self._writer.execute("INSERT OR IGNORE INTO series (source, code) VALUES (?, ?)", (source, code))
        (number,) = self._writer.execute(
            "SELECT id FROM series WHERE source = ? AND code = ?", (source, code)
        ).fetchone()
        return int(number)


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
