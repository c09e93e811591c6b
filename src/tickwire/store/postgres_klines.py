"""Bars in PostgreSQL: by month, each with the number of its revision."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

from ..model import Kline, KlineType
from .bar_rows import COLUMNS, seed_of, values_of
from .file import Connection
from .kline_store import NO_NOTES
from .postgres_file import PostgresFile, Session
from .rows import encode, fetch, sealed
from .sql_klines import EARLIEST, LATEST, READ, SqlKlineStore

# The row of the source is locked from here to the end: its writers wait for one another.
COUNT = """
    INSERT INTO source (name, revision) VALUES (?1, 1)
    ON CONFLICT (name) DO UPDATE SET revision = source.revision + 1 RETURNING revision
"""
LOCK = """
    INSERT INTO source (name, revision) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET revision = greatest(source.revision, ?2)
"""
REVISIONS = "SELECT name, revision FROM source"
ADD_SERIES = """
    INSERT INTO series (source, code) SELECT ?1, unnest(CAST(?2 AS text[])) ON CONFLICT DO NOTHING
"""
SERIES = "SELECT code, id FROM series WHERE source = ?1 AND code = ANY(CAST(?2 AS text[]))"
BAR = ("series", "type", *COLUMNS, "checksum", "revision")
NUMBERS = {"series", "type", "time", "first", "last", "incomplete", "checksum", "revision"}
ARRAYS = ", ".join(
    f"CAST(?{at} AS {'bigint' if name in NUMBERS else 'text'}[])" for at, name in enumerate(BAR[:-1], 1)
)
PUT = f"""
    INSERT INTO {{table}} ({", ".join(BAR)}) SELECT *, CAST(?{len(BAR)} AS bigint) FROM unnest({ARRAYS})
    ON CONFLICT (series, type, time) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in BAR[3:])
} WHERE {{table}}.revision <= excluded.revision
"""  # noqa: S608
REMOVE = """
    DELETE FROM {table} USING
        unnest(CAST(?1 AS bigint[]), CAST(?2 AS bigint[]), CAST(?3 AS bigint[])) AS gone (series, type, time)
    WHERE {table}.series = gone.series AND {table}.type = gone.type AND {table}.time = gone.time
        AND revision <= ?4
"""
PUT_NOTES = """
    INSERT INTO note (source, name, value, checksum, revision)
    SELECT ?1, *, CAST(?5 AS bigint)
    FROM unnest(CAST(?2 AS text[]), CAST(?3 AS text[]), CAST(?4 AS bigint[]))
    ON CONFLICT (source, name) DO UPDATE
    SET value = excluded.value, checksum = excluded.checksum, revision = excluded.revision
    WHERE note.revision <= excluded.revision
"""
FORGET = "DELETE FROM note WHERE source = ?1 AND name = ANY(CAST(?2 AS text[])) AND revision <= ?3"
BETWEEN = READ.format(table="{table}", order="DESC").replace("time <= ?4", "time <= ?4 AND time >= ?6")
RESTORE = f"""
    SELECT code, bar.* FROM series, unnest(CAST(?3 AS bigint[])) AS one (type), LATERAL (
        SELECT kline.type, {", ".join(COLUMNS)}, checksum FROM {{table}} AS kline
        WHERE kline.series = series.id AND kline.type = one.type ORDER BY time DESC LIMIT ?4
    ) AS bar
    WHERE source = ?1 AND code = ANY(CAST(?2 AS text[]))
"""  # noqa: S608
THERE = "SELECT to_regclass(?1) IS NOT NULL"
# A lock of the table, not one of our own: with it comes what others have made until then.
ALONE = "LOCK TABLE kline IN SHARE UPDATE EXCLUSIVE MODE"
MAKE = """
    CREATE TABLE {name} (LIKE kline INCLUDING INDEXES);
    ALTER TABLE kline ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})
"""
TABLES = ("kline", "kline_days")
"""Bars below a day, which are many, and the others, of which a read may span decades."""
FIRST, AFTER = 0, 7_258_118_400
"""From when to when bars stand in partitions by month, in seconds: to the year 2200."""
WEEK = 7 * 86_400
SLACK = 1.5
PART = 5_000
"""Bars of one statement."""


class PostgresKlineStore(SqlKlineStore):
    """A KlineStore in PostgreSQL, which several servers may share.

    Each write has a number, higher than those of the source before it. A bar of a higher number is never
    replaced by one of a lower, nor removed: that is what a write brings that had to wait elsewhere.
    """

    def __init__(self, file: PostgresFile) -> None:
        super().__init__(file)
        self._file: PostgresFile = file
        self._generation = file.generation
        self._ids: dict[tuple[str, str], int] = {}
        self._months: set[str] = set()
        self._reach: dict[tuple[str, str, int], tuple[int, float]] = {}
        """Of a code and type the newest bar that was read, and how many seconds they were apart."""
        with file.reading() as session:
            self._revisions: dict[str, int] = dict(session.execute(REVISIONS).fetchall())

    def table(self, kline_type: KlineType) -> str:
        return TABLES[kline_type >= KlineType.DAY]

    @property
    def with_bars(self) -> str:
        found = (f"EXISTS (SELECT 1 FROM {table} WHERE series = id)" for table in TABLES)  # noqa: S608
        return f"({' OR '.join(found)})"

    def revision(self, source: str) -> int:
        """The highest number that a write of ours may have had."""
        return self._revisions.get(source, 0)

    def write(
        self,
        source: str,
        bars: Iterable[Kline],
        notes: Mapping[str, str] = NO_NOTES,
        revision: int | None = None,
    ) -> None:
        """`revision` is the number of a write that had to wait; without one it gets the next."""
        last = {(self.table(bar.kline_type), int(bar.kline_type), bar.code, bar.time): bar for bar in bars}
        with self._file.writing(alone=False) as session:
            if revision is None:
                ((revision,),) = session.execute(COUNT, (source,)).fetchall()
                self._revisions[source] = revision
            else:
                session.execute(LOCK, (source, revision))
            ids = self._series(session, source, {code for _, _, code, _ in last})
            months = self._make_months(session, {at for table, *_, at in last if table == "kline"})
            rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
            gone: dict[str, list[tuple[int, int, int]]] = {table: [] for table in TABLES}
            for (table, kline_type, code, time), bar in last.items():
                if bar.removed:
                    gone[table].append((ids[code], kline_type, time))
                    continue
                values = values_of(bar)
                seal = zlib.crc32(encode(values), seed_of(source, code, kline_type))
                rows[table].append((ids[code], kline_type, *values, seal))
            for table in TABLES:
                ordered = sorted(rows[table])
                for at in range(0, len(ordered), PART):
                    columns = [[*column] for column in zip(*ordered[at : at + PART], strict=True)]
                    session.execute(PUT.format(table=table), (*columns, revision))
                if gone[table]:
                    columns = [[*column] for column in zip(*gone[table], strict=True)]
                    session.execute(REMOVE.format(table=table), (*columns, revision))
            self._write_notes(session, source, notes, revision)
        self._ids.update(((source, code), number) for code, number in ids.items())
        self._months |= months

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        found: dict[str, dict[KlineType, list[Kline]]] = {code: {} for code in codes}
        if count < 1:
            return found
        rows: dict[tuple[str, KlineType], list[tuple[Any, ...]]] = {}
        with self._file.reading() as session:
            for table in TABLES:
                types = [int(one) for one in KlineType if self.table(one) == table]
                asked = (source, [*codes], types, count)
                for code, kline_type, *row in session.execute(RESTORE.format(table=table), asked).fetchall():
                    rows.setdefault((code, KlineType(kline_type)), []).append(tuple(row))
        for code, kline_type in product(codes, KlineType):
            ascending = sorted(rows.get((code, kline_type), ()))
            if bars := self._klines(source, code, kline_type, ascending):
                found[code][kline_type] = bars
        return found

    def _latest(
        self, connection: Connection, source: str, code: str, kline_type: KlineType, last: int, count: int
    ) -> list[Kline]:
        """As it says; of a month that holds none of them a statement would have to be made ready too, so it
        first looks back only as far as they reached last time."""
        key = source, code, int(kline_type)
        newest, apart = self._reach.get(key, (0, 0))
        after = min(last, newest) - int(count * apart * SLACK) - WEEK if apart else EARLIEST
        values = (*key, last, min(count, LATEST), max(after, EARLIEST))
        query = BETWEEN.format(table=self.table(kline_type))
        rows = fetch(connection, query, values)
        if len(rows) < count and after > EARLIEST:
            rows = fetch(connection, query, (*values[:-1], EARLIEST))
        if len(rows) > 1:
            first, final = rows[-1][0], rows[0][0]
            self._reach[key] = max(newest, final), (final - first) / (len(rows) - 1)
        rows.reverse()
        return self._klines(source, code, KlineType(kline_type), rows)

    def _series(self, session: Session, source: str, codes: set[str]) -> dict[str, int]:
        """The numbers of the codes of a source."""
        if self._generation != self._file.generation:
            self._ids, self._months, self._generation = {}, set(), self._file.generation
        known = {code: number for code in codes if (number := self._ids.get((source, code))) is not None}
        if new := sorted(codes - known.keys()):
            session.execute(ADD_SERIES, (source, new))
            known |= session.execute(SERIES, (source, new)).fetchall()
        return known

    def _make_months(self, session: Session, times: Iterable[int]) -> set[str]:
        """Makes the partitions of these times that are not there; returns their names."""
        months = {month_of(at) for at in times if FIRST <= at < AFTER}
        names = {f"kline_{year}_{month:02}": (year, month) for year, month in months}
        new = sorted(names.keys() - self._months)
        if missing := [one for one in new if not session.execute(THERE, (one,)).fetchall()[0][0]]:
            session.execute(ALONE)
            for name in missing:
                if session.execute(THERE, (name,)).fetchall()[0][0]:  # another process was faster
                    continue
                year, month = names[name]
                begin, end = _opens(year, month), _opens(year + month // 12, month % 12 + 1)
                for statement in MAKE.format(name=name, begin=begin, end=end).split(";"):
                    session.execute(statement)
        return {*new}

    def _write_notes(self, session: Session, source: str, notes: Mapping[str, str], revision: int) -> None:
        kept = sorted(
            (name, value, sealed((source, name, value))[-1]) for name, value in notes.items() if value
        )
        if kept:
            session.execute(PUT_NOTES, (source, *([*column] for column in zip(*kept, strict=True)), revision))
        if gone := [name for name, value in notes.items() if not value]:
            session.execute(FORGET, (source, gone, revision))


def month_of(at: int) -> tuple[int, int]:
    """The month of a time in seconds, of which bars stand together."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.year, moment.month


def _opens(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())
