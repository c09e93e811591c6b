"""Bars in a database: what is the same in each."""

from __future__ import annotations

import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from ..model import Kline, KlineType
from .bar_rows import SEAL, VALUES, bars_of, is_sound_bar, seed_of
from .file import Connection, Dialect, File
from .kline_store import NO_NOTES
from .rows import NOTE, Altered, encode, fetch, sealed

READ = """
    SELECT time, open, high, low, close, volume, turnover, first, last, incomplete, checksum FROM {table}
    WHERE series = (SELECT id FROM series WHERE source = ?1 AND code = ?2) AND type = ?3 AND time <= ?4
    ORDER BY time {order} LIMIT ?5
"""
COUNT = """
    SELECT count(*) FROM {table}
    WHERE series = (SELECT id FROM series WHERE source = ?1 AND code = ?2) AND type = ?3
"""
ORDERS = ("ASC", "DESC")
ONE_NOTE = f"SELECT {NOTE.all} FROM note WHERE source = ?1 AND name = ?2"  # noqa: S608
NOTES = f"""
    SELECT {NOTE.all} FROM note WHERE source = ?1 AND name >= ?2 AND substr(name, 1, length(?2)) = ?2
"""  # noqa: S608
SOURCES = "SELECT DISTINCT source FROM series ORDER BY source"
PRUNABLE = """
    SELECT id FROM series
    WHERE source = ?1 AND EXISTS (SELECT 1 FROM {table} WHERE series = id AND type = ?2 AND time < ?3)
"""
# Up to the bar after those of one step, or all if there are not so many.
PRUNE = """
    DELETE FROM {table} WHERE series = ?1 AND type = ?2 AND time < {least}(?3, coalesce(
        (SELECT time FROM {table} WHERE series = ?1 AND type = ?2 ORDER BY time LIMIT 1 OFFSET ?4), ?3
    ))
"""
LEAST = {Dialect.SQLITE: "min", Dialect.POSTGRESQL: "least"}
PRUNE_STEP = 5_000
"""Bars removed in one transaction."""
PAUSE = 0.001
"""Seconds between two of them, in which others get the lock."""
LATEST, EARLIEST = 2**63 - 1, -(2**63)


class SqlKlineStore(ABC):
    """A KlineStore in a database that it shares with other stores, but for how it is written."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._altered = Altered(file.name)

    @abstractmethod
    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None: ...

    def table(self, kline_type: KlineType) -> str:
        """Where bars of that type stand."""
        return "kline"

    @property
    def with_bars(self) -> str:
        """The condition that a series has bars."""
        return "EXISTS (SELECT 1 FROM kline WHERE series = id)"

    @property
    def away(self) -> str:
        return ""

    def waiting(self, source: str) -> int:
        return 0

    def sources(self) -> list[str]:
        """Those that have bars, or had."""
        with self._file.reading() as connection:
            return [source for (source,) in connection.execute(SOURCES).fetchall()]

    def count(self, source: str, code: str, kline_type: KlineType) -> int:
        """How many rows there are."""
        query = COUNT.format(table=self.table(kline_type))
        with self._file.reading() as connection:
            ((count,),) = connection.execute(query, (source, code, int(kline_type))).fetchall()
        return int(count)

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        if count < 1:
            return []
        last = LATEST if end is None else whole(end)
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
        query = f"SELECT code FROM series WHERE source = ?1 AND {self.with_bars} ORDER BY code"  # noqa: S608
        with self._file.reading() as connection:
            return [code for (code,) in connection.execute(query, (source,)).fetchall()]

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        with self._file.reading() as connection:
            first, last = (self._end(connection, order, source, code, kline_type) for order in ORDERS)
        return None if first is None or last is None else (first, last)

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        before, gone = whole(before), 0
        words = {"table": self.table(kline_type), "least": LEAST[self._file.dialect]}
        of = (source, int(kline_type), before)
        with self._file.reading() as connection:
            found = connection.execute(PRUNABLE.format(**words), of).fetchall()
        for (series,) in found:
            step = PRUNE_STEP
            while step == PRUNE_STEP:
                with self._file.writing() as connection:
                    values = (series, int(kline_type), before, PRUNE_STEP)
                    step = connection.execute(PRUNE.format(**words), values).rowcount
                gone += step
                time.sleep(PAUSE)
        return gone

    def put(self, source: str, name: str, value: str) -> None:
        with self._file.writing() as connection:
            connection.execute(NOTE.put, sealed((source, name, value)))

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
        connection: Connection,
        source: str,
        code: str,
        kline_type: KlineType,
        last: int,
        count: int,
    ) -> list[Kline]:
        """The latest `count` bars up to and including `last`, ascending."""
        query = READ.format(table=self.table(kline_type), order="DESC")
        rows = fetch(connection, query, (source, code, int(kline_type), last, min(count, LATEST)))
        rows.reverse()
        return self._klines(source, code, KlineType(kline_type), rows)

    def _end(
        self, connection: Connection, order: str, source: str, code: str, kline_type: KlineType
    ) -> int | None:
        """The time of the first bar in that order, looking further where bars are altered."""
        query, count = READ.format(table=self.table(kline_type), order=order), 1
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


def whole(seconds: int) -> int:
    """A time as a database can hold it."""
    return max(EARLIEST, min(LATEST, seconds))
