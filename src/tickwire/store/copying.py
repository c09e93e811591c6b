"""Copies all of a database into another one, be they SQLite's or PostgreSQL's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import InputError
from ..model import KlineType
from .file import Dialect, File
from .opening import klines_of
from .rows import GAP, INSTRUMENT, NOTE, SUSPENSION, TOKEN, Table, fetch, sealed
from .sql_klines import SqlKlineStore

TABLES = (INSTRUMENT, TOKEN, SUSPENSION, GAP, NOTE)
MARK = "copy"
"""The note of a target, of no source, that says what is being copied into it."""
MARKED = "SELECT value FROM note WHERE source = '' AND name = ?1"
UNMARK = "DELETE FROM note WHERE source = '' AND name = ?1"
PART = 5_000
"""Bars that are copied in one transaction."""
FEW = 500
"""Other rows."""
NUMBERED = (GAP, SUSPENSION)
GO_ON = "SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1, false) FROM {table}"


class Copied(NamedTuple):
    """Rows that were copied."""

    what: str
    rows: int
    damaged: int = 0
    """Bars that were left out."""


def copy(source: File, target: File, tell: Callable[[Copied], None]) -> None:
    """Copies all, and counts it. Interrupted and called again, it goes on. `tell` is told of each table and
    of the bars of each source.

    Nobody may write into either meanwhile. Raises InputError if there is something else in the target, or if
    it then has other rows than the source; and StoreError.
    """
    _begin(source, target)
    for table in TABLES:
        tell(Copied(f"{table.name}s", _rows(table, source, target)))
    old, new = klines_of(source), klines_of(target)
    for name in old.sources():
        rows = damaged = 0
        for code in old.codes(name):
            for kline_type in KlineType:
                copied = _bars(old, new, name, code, kline_type)
                rows += copied
                damaged += old.count(name, code, kline_type) - copied
        tell(Copied(f"bars of {name}", rows, damaged))
    with target.writing() as connection:
        connection.execute(UNMARK, (MARK,))
    for table in TABLES:
        counts = [_count(table.name, one) for one in (source, target)]
        _check(f"{table.name}s", *counts)


def _begin(source: File, target: File) -> None:
    """Marks the target. Raises InputError if there is something else in it."""
    if source.name == target.name:
        raise InputError(f"{source.name} cannot be copied into itself.")
    with source.reading() as connection:
        if marked := fetch(connection, MARKED, (MARK,)):
            raise InputError(f"{source.name} has only a part of {marked[0][0]}: that copy was not ended.")
    with target.writing() as connection:
        marked = fetch(connection, MARKED, (MARK,))
        if not marked:
            for name in ("series", *(table.name for table in TABLES)):
                if fetch(connection, f"SELECT 1 FROM {name} LIMIT 1"):  # noqa: S608
                    raise InputError(f"{target.name} is not empty, it has a {name}: copy into a new one.")
            connection.execute(NOTE.put, sealed(("", MARK, source.name)))
        elif marked != [(source.name,)]:
            raise InputError(f"{target.name} has only a part of {marked[0][0]}: copy into a new one.")


def _rows(table: Table, source: File, target: File) -> int:
    """Copies a table as it is; returns how many rows."""
    key = table.primary
    marks = ", ".join(f"?{number}" for number, _ in enumerate(key, 2))
    order = ", ".join(key)
    query = f"SELECT {table.all} FROM {table.name} {{after}} ORDER BY {order} LIMIT ?1"  # noqa: S608
    after, last, copied = "", (), 0
    while True:
        with source.reading() as connection:
            rows = fetch(connection, query.format(after=after), (FEW, *last))
        with target.writing() as connection:
            for row in rows:
                connection.execute(table.put, row)
            if not rows and table in NUMBERED and target.dialect is Dialect.POSTGRESQL:
                connection.execute(GO_ON.format(table=table.name))
        if not rows:
            return copied
        copied += len(rows)
        after, last = f"WHERE ({order}) > ({marks})", rows[-1][: len(key)]


def _bars(old: SqlKlineStore, new: SqlKlineStore, source: str, code: str, kline_type: KlineType) -> int:
    """Copies the bars of a code and type; returns how many. Raises InputError if there are others then."""
    end, copied = None, 0
    while bars := old.read(source, code, kline_type, count=PART, end=end):
        new.write(source, bars)
        copied += len(bars)
        end = bars[0].time - 1
    if copied:
        _check(f"bars of {source}, {code}", copied, new.count(source, code, kline_type))
    return copied


def _count(table: str, file: File) -> int:
    with file.reading() as connection:
        ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608
    return int(count)


def _check(what: str, expected: int, found: int) -> None:
    if expected != found:
        raise InputError(
            f"{what}: {expected} were copied, and there are {found} now: somebody wrote meanwhile, or "
            "between two runs of this. Stop what writes there, and copy into a new database."
        )
