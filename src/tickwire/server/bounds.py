"""What bounds requests that are unfinished: the memory that all of them hold together, and their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

LATE = 1.0
"""Seconds by which a look comes late only if the whole process was paused, or its loop was held up."""
TURN = 0.05
"""Seconds in which the loop then reads what waits in the sockets."""
SAY_AGAIN = 60.0
"""Seconds between two lines of the log about one thing that is full."""

log = structlog.get_logger()


class Tally:
    """Counts what strangers can make happen at will. The log says so at once, then once a minute at most."""

    def __init__(self, event: str) -> None:
        self.count = 0
        self._event = event
        self._said = -SAY_AGAIN

    def add(self, **details: object) -> None:
        """It happened once more."""
        self.count += 1
        now = asyncio.get_running_loop().time()
        if now - self._said >= SAY_AGAIN:
            self._said = now
            log.warning(self._event, count=self.count, **details)


class Held:
    """Bytes of unfinished requests, `limit` of them for all connections together."""

    def __init__(self, what: str, limit: int) -> None:
        """`what` names them in the log."""
        self.held = 0
        self.limit = limit
        self._refused = Tally(f"{what} are refused: too much is held")

    def take(self, size: int) -> bool:
        """Whether so many bytes more may be held; then they count until they are given back."""
        if self.held + size <= self.limit:
            self.held += size
            return True
        self._refused.add(held=self.held)
        return False

    def give(self, size: int) -> None:
        """So many bytes are held no more."""
        self.held -= size


class Deadline:
    """Calls `missed` after so many seconds, unless it is cancelled before.

    If the loop comes late to it, because the process was paused, what came in that time waits in the
    sockets: it is read first.
    """

    def __init__(self, seconds: float, missed: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._missed = missed
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._look)

    def cancel(self) -> None:
        """It was met."""
        self._timer.cancel()
        self._missed = _met  # whoever holds this is held by it no more

    def _look(self) -> None:
        if self._loop.time() - self._due > LATE:
            self._timer = self._loop.call_later(TURN, self._missed)
        else:
            self._missed()


def _met() -> None:
    """What a deadline that was met calls."""


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError if what is awaited inside takes longer, by a `Deadline`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        deadline = Deadline(seconds, lambda: limit.reschedule(loop.time()))
        try:
            yield
        finally:
            deadline.cancel()
