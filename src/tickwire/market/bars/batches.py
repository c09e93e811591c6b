"""How the bars of one source are kept: what has changed goes to its store in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import structlog

from ...errors import StoreError
from ...klines import Series
from ...model import Kline, KlineType, moment
from ...store import IMPORTED, UNANSWERED
from .archive import Archive
from .bars import CORRECTED, Bars

WRITE_EVERY = 0.5
"""Seconds between batches to the store; with the time that a batch takes, less than a second is at risk."""
FINAL_WAIT = 5.0
"""Seconds in which the last batch must be written when the server ends."""
MOST_NAMED = 5
"""Codes that are named of those whose bars are lost."""

log = structlog.get_logger()


class Batches:
    """Writes the bars of one source, those that form included."""

    def __init__(self, archive: Archive, bars: Bars) -> None:
        self._archive = archive
        self._bars = bars
        self._lock = asyncio.Lock()
        self._under_way: set[Series] = set()  # whose forming minutes are being written

    @property
    def waiting(self) -> int:
        """Bars that wait to be written, those that form included."""
        return self._archive.waiting + self._bars.waiting + len(self._under_way - self._bars.changed)

    @property
    def lost(self) -> int:
        """Bars that were let go of, because the store could not be read or written for too long."""
        return self._archive.lost + self._bars.lost

    async def run(self) -> None:
        """Writes what has changed, again and again, and takes up what was imported meanwhile. Never ends."""
        taken = await self._imported(None)
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self.write()
            if (found := await self._imported(taken)) != taken:
                with suppress(StoreError):  # then once more
                    await self._bars.reopen_all()
                    taken = found

    async def _imported(self, before: str | None) -> str | None:
        """Which import was the last one; as before, where that is not known or makes no difference."""
        if self._archive.detached:
            return before
        try:
            return await self._archive.stored_note(IMPORTED)
        except StoreError:  # which has been said
            return before

    async def write(self) -> bool:
        """Writes what has changed since the last time, and returns whether it could: if not, it is kept in
        memory and tried again."""
        async with self._lock:
            with suppress(StoreError):  # which has been said; until then they are not written
                await self._bars.make_anew()
                while self._bars.unjoined:  # some began meanwhile
                    await self._bars.ready_all()
            return await self._archive.leave() and await self._write_changes() and self._bars.whole

    async def end(self) -> None:
        """Writes what is left. Raises StoreError, which says what could not be written and is lost."""
        try:
            async with asyncio.timeout(FINAL_WAIT):
                while not await self.write() or self._archive.spooled:
                    if self._archive.replaced:  # by who goes on with them
                        return
                    await asyncio.sleep(WRITE_EVERY)
        except TimeoutError:
            if self._archive.spooled:
                raise StoreError(
                    f"Bars of {self._archive.source} wait in the spool of this node, and the next owner of "
                    "the streams lacks them: they are brought when this node owns the streams again."
                ) from None
            raise StoreError(self._lost()) from None

    def _lost(self) -> str:
        bars = [*self._archive.unwritten(), *self._bars.unwritten()]
        codes = sorted({bar.code for bar in bars})
        named = ", ".join(codes[:MOST_NAMED]) + f" and {len(codes) - MOST_NAMED} more" * (
            len(codes) > MOST_NAMED
        )
        since = f", from {moment(min(bar.time for bar in bars) * 1000):%Y-%m-%dT%H:%MZ} on" if bars else ""
        reason = self._archive.failing or UNANSWERED
        return (
            f"The last bars of {self._archive.source} could not be written and are lost ({named or 'none'}"
            f"{since}): {reason}"
        )

    def detach(self) -> None:
        """Writes nothing more into the store: what comes from now on is not of the time that it says, and
        is kept in memory for this run."""
        if self._archive.detached:
            return
        log.info("bars of this run are kept in memory from now on", source=self._archive.source)
        if self._bars.unjoined:  # what is stored of them would be overwritten
            log.error("bars lost: the store could not be read", codes=self._bars.unjoined)
        self._note_corrected()
        self._archive.detach(_minutes(self._bars.changed))

    def _note_corrected(self) -> None:
        if (left := self._bars.corrected) != (self._archive.noted(CORRECTED) or "[]"):
            self._archive.note(CORRECTED, left)

    async def _write_changes(self) -> bool:
        if self._archive.renew():
            self._bars.change_all()
        changed, self._bars.changed = self._bars.changed, set()
        self._under_way = changed
        written = False
        try:
            # Notes speak of all bars: they wait while those of some codes cannot be written. A minute that is
            # yet to be made anew needs no wait: the notes say which it is, and have its trades.
            self._note_corrected()
            written = await self._archive.write(_minutes(changed), whole=not self._bars.unjoined)
        finally:
            self._under_way = set()
            if not written:  # whatever ended it
                self._bars.changed |= changed
        return written


def _minutes(changed: Iterable[Series]) -> list[Kline]:
    """The minutes that form there."""
    found = (series.forming(KlineType.MINUTE) for series in changed)
    return [bar for bar in found if bar is not None]
