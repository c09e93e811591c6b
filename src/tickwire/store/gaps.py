"""The gap ledger: when a source was down, for which codes, and whether the bars have been filled since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from ..model import Market
from .file import Dialect, File
from .rows import GAP, Altered, fetch, sealed

MOST = 100_000
"""Gaps that are kept; the oldest entries beyond them go."""
INSERT = "INSERT INTO gap (source, market, codes, begin, reason) VALUES (?1, ?2, ?3, ?4, ?5)"
RETURNING = f"{INSERT} RETURNING {GAP.all}"
SEAL = GAP.update()
ONE = f"SELECT {GAP.all} FROM gap WHERE id = ?1"  # noqa: S608
# By their order, not by their numbers: a damaged number may be of any size.
PRUNE = "DELETE FROM gap WHERE id <= (SELECT id FROM gap ORDER BY id DESC LIMIT 1 OFFSET ?1)"
OPEN = f'SELECT {GAP.all} FROM gap WHERE source = ?1 AND "end" IS NULL ORDER BY begin, id'  # noqa: S608
PAGE = f"""
    SELECT {GAP.all} FROM gap WHERE begin < ?1 AND ("end" IS NULL OR "end" > ?2) {{among}}
    ORDER BY begin DESC, id DESC LIMIT ?3
"""  # noqa: S608
AMONG = {
    Dialect.SQLITE: """
        AND EXISTS (
            SELECT 1 FROM json_each(iif(json_valid(codes), codes, '[]'))
            WHERE value IN (SELECT value FROM json_each(?4))
        )
    """,
    Dialect.POSTGRESQL: "AND among(codes, CAST(?4 AS TEXT))",
}
"""That one of the codes is among others; both are lists in JSON."""
LAST = 2**63 - 1

_codes = msgspec.json.Decoder(tuple[str, ...]).decode


class Gap(NamedTuple):
    """A time in which trades of a source were missing. Times are in milliseconds of the market's clock.

    `end` is None while it lasts, `filled` (when the bars of all its codes were complete again) while they
    are not.
    """

    number: int
    source: str
    market: Market
    codes: tuple[str, ...]
    begin: int
    end: int | None
    reason: str
    filled: int | None


class GapStore:
    """Keeps the latest `MOST` gaps, of all sources.

    Methods may be called from any thread; other processes may have the same file open, and each call sees
    what they have written. They raise StoreError if the file cannot be used now or was closed; what a write
    that failed has touched is then as before.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._altered = Altered(file.name)

    def open(self, source: str, market: str, codes: Collection[str], begin: int, reason: str) -> int:
        """A gap begins: its number. Of a gap that was pruned, `end` and `fill` know nothing."""
        row = (source, str(market), _text(codes), begin, reason)
        with self._file.writing() as connection:
            (*made, _) = connection.execute(RETURNING, row).fetchall()[0]
            connection.execute(SEAL, (sealed(made)[-1], made[0]))
            connection.execute(PRUNE, (MOST,))
        return int(made[0])

    def end(self, number: int, at: int) -> None:
        """All codes of a gap are back."""
        self._change("end", number, at)

    def fill(self, number: int, at: int) -> None:
        """The bars of a gap are complete again."""
        self._change("filled", number, at)

    def open_gaps(self, source: str) -> list[Gap]:
        """Those of a source that have not ended, the oldest first."""
        with self._file.reading() as connection:
            rows = fetch(connection, OPEN, (source,))
        return self._altered.read(GAP, rows, _gap)

    def page(self, codes: Collection[str] | None, begin: int, end: int | None, limit: int) -> list[Gap]:
        """The latest `limit` gaps that overlap the time from `begin` up to `end` (None: without end), the
        newest first.

        Of each, only those of its codes that are among `codes` (None: all); a gap without one is left out.
        """
        among, asked = ("", ()) if codes is None else (AMONG[self._file.dialect], (_text(codes),))
        times = (LAST if end is None else end, begin)
        with self._file.reading() as connection:
            rows = fetch(connection, PAGE.format(among=among), (*times, max(limit, 0), *asked))
        found = self._altered.read(GAP, rows, _gap)
        if codes is None:
            return found
        wanted = frozenset(codes)
        return [gap._replace(codes=tuple(one for one in gap.codes if one in wanted)) for gap in found]

    def _change(self, column: str, number: int, at: int) -> None:
        with self._file.writing() as connection:
            rows = self._altered.sift(GAP, fetch(connection, ONE, (number,)))
            for row in rows:  # one that was altered does not become valid
                row[GAP.columns.index(column)] = at
                connection.execute(GAP.update(column), (at, sealed(row)[-1], number))


def _text(codes: Collection[str]) -> str:
    return msgspec.json.encode([*codes]).decode()


def _gap(row: Sequence[Any]) -> Gap:
    number, source, market, codes, begin, end, reason, filled = row
    return msgspec.convert((number, source, market, _codes(codes), begin, end, reason, filled), Gap)
