"""How the bars of one source are kept: what has changed goes to its store in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import structlog

from ...errors import StoreError
from ...klines import Series
from ...model import Kline, KlineType
from .archive import Archive
from .bars import Bars

WRITE_EVERY = 0.5
"""Seconds between batches to the store; with the time that a batch takes, less than a second is at risk."""
FINAL_WAIT = 5.0
"""Seconds in which the last batch must be written when the server ends."""

log = structlog.get_logger()


class Batches:
    """Writes the bars of one source, those that form included."""

    def __init__(self, archive: Archive, bars: Bars) -> None:
        self._archive = archive
        self._bars = bars
        self._lock = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Bars that wait to be written, those that form included."""
        return self._archive.waiting + self._bars.waiting

    @property
    def lost(self) -> int:
        """Bars that were let go of, because the store could not be read or written for too long."""
        return self._archive.lost + self._bars.lost

    async def run(self) -> None:
        """Writes what has changed, again and again. Never ends."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self.write()

    async def write(self) -> bool:
        """Writes what has changed since the last time, and returns whether it could: if not, it is kept in
        memory and tried again."""
        async with self._lock:
            with suppress(StoreError):  # which has been said; until then they are not written
                await self._bars.ready_all()
            return await self._archive.leave() and await self._write_changes() and not self._bars.unjoined

    async def end(self) -> None:
        """Writes what is left."""
        try:
            async with asyncio.timeout(FINAL_WAIT):
                while not await self.write():  # noqa: ASYNC110 (the store tells nobody)
                    await asyncio.sleep(WRITE_EVERY)
        except TimeoutError:
            log.error(
                "the last bars cannot be written: lost",
                source=self._archive.source,
                bars=self.waiting,
                reason=self._archive.failing or "the store does not answer",
            )

    def detach(self) -> None:
        """Writes nothing more into the store: what comes from now on is not of the time that it says, and
        is kept in memory for this run."""
        if self._archive.detached:
            return
        log.info("bars of this run are kept in memory from now on", source=self._archive.source)
        if self._bars.unjoined:  # what is stored of them would be overwritten
            log.error("bars lost: the store could not be read", codes=self._bars.unjoined)
        self._archive.detach(_minutes(self._bars.changed))

    async def _write_changes(self) -> bool:
        if self._archive.renew():
            self._bars.change_all()
        changed, self._bars.changed = self._bars.changed, set()
        written = False
        try:
            # Notes speak of all bars: they wait while those of some codes cannot be written.
            written = await self._archive.write(_minutes(changed), whole=not self._bars.unjoined)
        finally:
            if not written:  # whatever ended it
                self._bars.changed |= changed
        return written


def _minutes(changed: Iterable[Series]) -> list[Kline]:
    """The minutes that form there."""
    found = (series.forming(KlineType.MINUTE) for series in changed)
    return [bar for bar in found if bar is not None]
