"""Suspensions: rows of the SQLite file."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from ..model import Suspension, SuspensionList
from .sqlite_file import SqliteFile

INSERT = """
    INSERT INTO suspension (
        source, exchange, symbol, publish_date, symbol_name, halt_reason, halt_date, halt_time, halt_period,
        resume_date, resume_time, source_exchange, pause_threshold_price
    ) VALUES (
        :source, :exchange, :symbol, :publish_date, :symbol_name, :halt_reason, :halt_date, :halt_time,
        :halt_period, :resume_date, :resume_time, :source_exchange, :pause_threshold_price
    ) ON CONFLICT DO NOTHING
"""
UPDATE = """
    UPDATE suspension SET
        symbol_name = :symbol_name, halt_reason = :halt_reason, halt_date = :halt_date,
        halt_time = :halt_time, halt_period = :halt_period, resume_date = :resume_date,
        resume_time = :resume_time, source_exchange = :source_exchange,
        pause_threshold_price = :pause_threshold_price
    WHERE source = :source AND exchange = :exchange AND symbol = :symbol AND publish_date = :publish_date
"""
COUNT = "SELECT count(*) FROM suspension WHERE exchange = ? AND source IN ({marks})"
PAGE = """
    SELECT symbol, publish_date, symbol_name, halt_reason, halt_date, halt_time, halt_period, resume_date,
        resume_time, source_exchange, pause_threshold_price
    FROM suspension WHERE exchange = ? AND source IN ({marks})
    ORDER BY publish_date DESC, id DESC LIMIT ? OFFSET ?
"""
RESUME = """
    UPDATE suspension SET resume_date = ?, resume_time = ? WHERE id = (
        SELECT id FROM suspension
        WHERE source = ? AND exchange = ? AND symbol = ? AND coalesce(resume_date, '') IN ('', '-')
        ORDER BY publish_date DESC, id DESC LIMIT 1
    )
"""
MOST = 2**63 - 1


class SuspensionStore:
    """Keeps suspensions by source, exchange (one of SuspensionList), symbol and announcement.

    The source "" stands for what a person entered; what a simulator announces has the source's name, so
    that the two never mix. Methods may be called from any thread; other processes may have the same file
    open, and each call sees what they have written. They raise StoreError if the file cannot be used now or
    was closed; what a write that failed has touched is then as before.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, source: str, suspensions: Iterable[Suspension]) -> int:
        """Keeps these, which were checked, each in place of the one of its key; how many are new.

        Of two with the same key the later stays.
        """
        rows = [_row(source, one) for one in suspensions]
        with self._file.writing() as connection:
            new = connection.executemany(INSERT, rows).rowcount if rows else 0
            connection.executemany(UPDATE, rows)
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
            rows = connection.execute(PAGE.format(marks=marks), (*of, count, min(offset, MOST))).fetchall()
        return int(total), [_suspension(SuspensionList(exchange), row) for row in rows]

    def resume(self, source: str, exchange: str, symbol: str, date: str, time: str) -> bool:
        """Writes when trading resumes into a symbol's newest entry that lacks it; whether there is one."""
        with self._file.writing() as connection:
            found = connection.execute(RESUME, (date, time, source, str(exchange), symbol))
        return found.rowcount > 0

    def clear(self, source: str) -> None:
        """Lets go of all that a source has announced."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM suspension WHERE source = ?", (source,))


def _row(source: str, suspension: Suspension) -> dict[str, str | None]:
    reasons = msgspec.json.encode(suspension.halt_reason).decode()
    return msgspec.structs.asdict(suspension) | {
        "source": source,
        "exchange": str(suspension.exchange),
        "halt_reason": reasons,
    }


def _suspension(exchange: SuspensionList, row: tuple[Any, ...]) -> Suspension:
    symbol, published, name, reasons, halt_date, halt_time, period, resume_date, resume_time, where, price = (
        row
    )
    return Suspension(
        exchange=exchange,
        symbol=symbol,
        publish_date=published,
        symbol_name=name,
        halt_reason=msgspec.json.decode(reasons, type=tuple[str, ...]),
        halt_date=halt_date,
        halt_time=halt_time,
        halt_period=period,
        resume_date=resume_date,
        resume_time=resume_time,
        source_exchange=where,
        pause_threshold_price=price,
    )
