"""Suspensions: rows of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from ..model import Suspension
from .file import File
from .rows import SUSPENSION, Altered, fetch, sealed

OF_KEY = ("source", "exchange", "symbol", "publish_date")
COLUMNS = SUSPENSION.columns[1:]  # all but the number
PUT = f"""
    INSERT INTO suspension ({", ".join(COLUMNS)})
    VALUES ({", ".join(f"?{number}" for number, _ in enumerate(COLUMNS, 1))})
    ON CONFLICT ({", ".join(OF_KEY)}) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in OF_KEY)
}
    RETURNING id
"""  # noqa: S608
SEAL = SUSPENSION.update()
ALL = "SELECT count(*) FROM suspension"
COUNT = f"{ALL} WHERE exchange = ?1 AND source IN ({{marks}})"
PAGE = f"""
    SELECT {SUSPENSION.all} FROM suspension WHERE exchange = ?1 AND source IN ({{marks}})
    ORDER BY publish_date DESC, id DESC LIMIT ?2 OFFSET ?3
"""  # noqa: S608
OPEN = f"""
    SELECT {SUSPENSION.all} FROM suspension
    WHERE source = ?1 AND exchange = ?2 AND symbol = ?3 AND coalesce(resume_date, '') IN ('', '-')
    ORDER BY publish_date DESC, id DESC
"""  # noqa: S608
RESUME = SUSPENSION.update("resume_date", "resume_time")
MOST = 2**63 - 1
NAMES = [*zip(Suspension.__struct_fields__, Suspension.__struct_encode_fields__, strict=True)]


class SuspensionStore:
    """Keeps suspensions by source, exchange (one of SuspensionList), symbol and announcement.

    The source "" stands for what a person entered; what a simulator announces has the source's name, so
    that the two never mix. Methods may be called from any thread; other processes may have the same file
    open, and each call sees what they have written. They raise StoreError if the file cannot be used now or
    was closed; what a write that failed has touched is then as before.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._altered = Altered(file.name)

    def add(self, source: str, suspensions: Iterable[Suspension]) -> int:
        """Keeps these, which were checked, each in place of the one of its key; how many are new.

        Of two with the same key the later stays.
        """
        rows = [_row(source, one) for one in suspensions]
        with self._file.writing() as connection:
            ((before,),) = connection.execute(ALL).fetchall()
            for row in rows:
                ((number,),) = connection.execute(PUT, row).fetchall()
                connection.execute(SEAL, (sealed((number, *row))[-1], number))
            ((after,),) = connection.execute(ALL).fetchall()
        return int(after) - int(before)

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
        if not sources:  # PostgreSQL knows no empty list
            return 0, []
        count = MOST if limit is None else max(0, min(limit, MOST))
        part = (count, min(offset, MOST))
        with self._file.reading() as connection:
            ((total,),) = connection.execute(
                COUNT.format(marks=_marks(sources, 2)), (str(exchange), *sources)
            ).fetchall()
            rows = fetch(connection, PAGE.format(marks=_marks(sources, 4)), (str(exchange), *part, *sources))
        found = self._altered.read(SUSPENSION, rows, _suspension)
        return int(total) - (len(rows) - len(found)), found

    def resume(self, source: str, exchange: str, symbol: str, date: str, time: str) -> bool:
        """Writes when trading resumes into a symbol's newest entry that lacks it; whether there is one."""
        with self._file.writing() as connection:
            found = self._altered.sift(SUSPENSION, fetch(connection, OPEN, (source, str(exchange), symbol)))
            for row in found[:1]:
                named = dict(zip(SUSPENSION.columns, row, strict=True))
                named |= {"resume_date": date, "resume_time": time}
                connection.execute(RESUME, (date, time, sealed(named.values())[-1], named["id"]))
        return bool(found)

    def clear(self, source: str) -> None:
        """Lets go of all that a source has announced."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM suspension WHERE source = ?1", (source,))


def _marks(values: Collection[str], first: int) -> str:
    """The places of so many values in a statement."""
    return ", ".join(f"?{number}" for number, _ in enumerate(values, first))


def _row(source: str, suspension: Suspension) -> tuple[str | None, ...]:
    """All but the number."""
    reasons = msgspec.json.encode(suspension.halt_reason).decode()
    of = {"source": source, "exchange": str(suspension.exchange), "halt_reason": reasons}
    fields = msgspec.structs.asdict(suspension) | of
    return tuple(fields[name] for name in COLUMNS)


def _suspension(row: Sequence[Any]) -> Suspension:
    fields = dict(zip(SUSPENSION.columns, row, strict=True))
    fields["halt_reason"] = msgspec.json.decode(fields["halt_reason"])
    return msgspec.convert({shown: fields[name] for name, shown in NAMES}, Suspension)
