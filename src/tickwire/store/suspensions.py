"""Suspensions: rows of the SQLite file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from ..model import Suspension
from .rows import SUSPENSION, Altered, fetch
from .sqlite_file import SqliteFile

OF_KEY = ("source", "exchange", "symbol", "publish_date")
COLUMNS = SUSPENSION.columns[1:]  # all but the number
INSERT = f"""
    INSERT INTO suspension ({", ".join(COLUMNS)}) VALUES (:{", :".join(COLUMNS)}) ON CONFLICT DO NOTHING
"""  # noqa: S608
KEY = " AND ".join(f"{name} = :{name}" for name in OF_KEY)
CHANGED = ", ".join(f"{name} = :{name}" for name in COLUMNS if name not in OF_KEY)
UPDATE = f"UPDATE suspension SET {CHANGED} WHERE {KEY}"  # noqa: S608
SEAL = f"UPDATE suspension SET checksum = {SUSPENSION.seal} WHERE {{which}}"  # noqa: S608
COUNT = "SELECT count(*) FROM suspension WHERE exchange = ? AND source IN ({marks})"
PAGE = f"""
    SELECT {SUSPENSION.all} FROM suspension WHERE exchange = ? AND source IN ({{marks}})
    ORDER BY publish_date DESC, id DESC LIMIT ? OFFSET ?
"""  # noqa: S608
OPEN = f"""
    SELECT id FROM suspension
    WHERE source = ? AND exchange = ? AND symbol = ? AND coalesce(resume_date, '') IN ('', '-')
        AND {SUSPENSION.intact}
    ORDER BY publish_date DESC, id DESC LIMIT 1
"""  # noqa: S608
RESUME = "UPDATE suspension SET resume_date = ?, resume_time = ? WHERE id = ?"
MOST = 2**63 - 1
NAMES = [*zip(Suspension.__struct_fields__, Suspension.__struct_encode_fields__, strict=True)]


class SuspensionStore:
    """Keeps suspensions by source, exchange (one of SuspensionList), symbol and announcement.

    The source "" stands for what a person entered; what a simulator announces has the source's name, so
    that the two never mix. Methods may be called from any thread; other processes may have the same file
    open, and each call sees what they have written. They raise StoreError if the file cannot be used now or
    was closed; what a write that failed has touched is then as before.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._altered = Altered(file.name)

    def add(self, source: str, suspensions: Iterable[Suspension]) -> int:
        """Keeps these, which were checked, each in place of the one of its key; how many are new.

        Of two with the same key the later stays.
        """
        rows = [_row(source, one) for one in suspensions]
        with self._file.writing() as connection:
            new = connection.executemany(INSERT, rows).rowcount if rows else 0
            connection.executemany(UPDATE, rows)
            connection.executemany(SEAL.format(which=KEY), rows)
        return new

    def page(
        self,
        exchange: str,
        sources: Collection[str],
        *,
        offset: int = 0,
        limit: int | None = None,
    ) -> tuple[int, list[Suspension]]:
        """How many an exchange has from these sources, and `limit` of them from `offset` on, or all.

        The newest announcement is first; of those at the same time the one that was added last.
        """
        marks = ", ".join("?" * len(sources))
        of = (str(exchange), *sources)
        count = MOST if limit is None else max(0, min(limit, MOST))
        with self._file.reading() as connection:
            (total,) = connection.execute(COUNT.format(marks=marks), of).fetchone()
            rows = fetch(connection, PAGE.format(marks=marks), (*of, count, min(offset, MOST)))
        found = self._altered.read(SUSPENSION, rows, _suspension)
        return int(total) - (len(rows) - len(found)), found

    def resume(self, source: str, exchange: str, symbol: str, date: str, time: str) -> bool:
        """Writes when trading resumes into a symbol's newest entry that lacks it; whether there is one."""
        with self._file.writing() as connection:
            found = connection.execute(OPEN, (source, str(exchange), symbol)).fetchone()
            if found is not None:
                connection.execute(RESUME, (date, time, *found))
                connection.execute(SEAL.format(which="id = ?"), found)
        return found is not None

    def clear(self, source: str) -> None:
        """Lets go of all that a source has announced."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM suspension WHERE source = ?", (source,))


def _row(source: str, suspension: Suspension) -> dict[str, str | None]:
    reasons = msgspec.json.encode(suspension.halt_reason).decode()
    of = {"source": source, "exchange": str(suspension.exchange)}
    return msgspec.structs.asdict(suspension) | of | {"halt_reason": reasons}


def _suspension(row: Sequence[Any]) -> Suspension:
    fields = dict(zip(SUSPENSION.columns, row, strict=True))
    fields["halt_reason"] = msgspec.json.decode(fields["halt_reason"])
    return msgspec.convert({shown: fields[name] for name, shown in NAMES}, Suspension)
