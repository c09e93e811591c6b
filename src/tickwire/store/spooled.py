"""Bars in a database that may be away: what cannot be written goes to a spool until it is back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import structlog

from ..errors import ReplacedError, StoreError
from ..model import Kline, KlineType
from .kline_store import NO_NOTES
from .postgres_klines import PostgresKlineStore
from .spool import Spool
from .sql_klines import LATEST, whole

PART = 2_000
"""Bars that are brought from the spool in one transaction."""
BRINGING = 0.4
"""Seconds that one write may bring for, so that others get their turn."""

log = structlog.get_logger()


class Spooled:
    """A KlineStore whose writes do not fail where the database is away.

    While something waits in the spool, whatever is new goes behind it. Reads ask the database, as it would be
    if all had been brought; so they fail while it is away.
    """

    def __init__(self, store: PostgresKlineStore, spool: Spool) -> None:
        self._store = store
        self._spool = spool
        self._brought = 0
        self._away = ""
        while self._bring():  # else what waits here would count as newer than what others have written since
            pass

    @property
    def away(self) -> str:
        return self._away

    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None:
        bars = [*bars]
        self._bring()
        if self._spool.empty:
            try:
                self._store.write(source, bars, notes)
            except ReplacedError:
                raise
            except StoreError as error:
                self._put(source, bars, notes)
                self._away = str(error)
                file = str(self._spool.path)
                log.error("the database is away: bars go to the spool", file=file, reason=self._away)
        else:
            self._put(source, bars, notes)

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        # The spool first: what is brought meanwhile is then seen twice rather than never.
        front = self._spool.bars(source, code, kline_type, LATEST if end is None else whole(end))
        gone = sum(bar.removed for bar in front.values())
        behind = self._store.read(source, code, kline_type, count=count + gone if count > 0 else 0, end=end)
        return _joined(behind, front, count)

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        if source not in self._spool:
            return self._store.restore(source, codes, count)
        return {
            code: {one: bars for one in KlineType if (bars := self.read(source, code, one, count=count))}
            for code in codes
        }

    def waiting(self, source: str) -> int:
        return self._spool.waiting(source)

    def codes(self, source: str) -> list[str]:
        return sorted({*self._spool.codes(source), *self._store.codes(source)})

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        front = self._spool.bars(source, code, kline_type, LATEST)
        times = [bar.time for bar in front.values() if not bar.removed]
        times += self._store.span(source, code, kline_type) or ()
        return (min(times), max(times)) if times else None

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        return self._store.prune(source, kline_type, before)

    def put(self, source: str, name: str, value: str) -> None:
        self.write(source, (), {name: value})

    def get(self, source: str, name: str) -> str | None:
        found = self._spool.notes(source).get(name)
        return self._store.get(source, name) if found is None else found or None

    def notes(self, source: str, prefix: str) -> dict[str, str]:
        front = {name: value for name, value in self._spool.notes(source).items() if name.startswith(prefix)}
        found = self._store.notes(source, prefix) | front
        return {name: value for name, value in found.items() if value}

    def _put(self, source: str, bars: Sequence[Kline], notes: Mapping[str, str]) -> None:
        self._spool.put(source, bars, notes, self._store.revision(source))

    def _bring(self) -> bool:
        """Brings what waits in the spool, if the database is there, for some time. Returns whether more
        can be brought."""
        until = time.monotonic() + BRINGING
        while (part := self._spool.first(PART)) is not None and time.monotonic() < until:
            try:
                self._store.write(part.source, part.bars, part.notes, part.revision)
            except ReplacedError:
                raise
            except StoreError as error:
                self._away = str(error)
                return False
            self._away = ""
            self._spool.drop(part)
            self._brought += len(part.bars)
            if self._spool.empty:
                log.info("the spool is written", bars=self._brought)
                self._brought = 0
        return not self._spool.empty


def _joined(behind: Iterable[Kline], front: Mapping[int, Kline], count: int) -> list[Kline]:
    found = {bar.time: bar for bar in behind} | {**front}
    kept = [found[at] for at in sorted(found) if not found[at].removed]
    return kept[max(0, len(kept) - count) :]
