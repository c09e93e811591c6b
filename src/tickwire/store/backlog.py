"""Writes that nobody waits for: each is tried until it can be done."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import structlog

from ..errors import StoreError
from .database import Database

RETRY = 1.0
"""Seconds before a write that failed is tried again."""
SETTLING = 0.5
"""Seconds that a reader waits for what is yet to be written."""
MOST = 10_000
"""Writes that may wait; of more the oldest go."""

log = structlog.get_logger()


class Backlog:
    """Writes in their order. One that fails stays first, and those behind it wait.

    `lost` counts those that were given up because too many waited.
    """

    def __init__(self, database: Database, what: str, *, most: int = MOST) -> None:
        """`what` names the writes for the log, such as "gaps"."""
        self._database = database
        self.what = what
        self._most = most
        self._waiting: deque[Callable[[], object]] = deque()
        self._wake, self._empty = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self.lost = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def put(self, write: Callable[[], object]) -> None:
        """Takes one more. It is called in the thread that writes, and may raise StoreError."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            if not self.lost:
                log.error(f"{self.what} are lost: too many wait to be written", most=self._most)
            self.lost += 1
        self._waiting.append(write)
        self._empty.clear()
        self._wake.set()

    async def settled(self) -> bool:
        """Waits until all is written, for `SETTLING` seconds at most; returns whether it is, and is read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLING):
                await self._empty.wait()
        return self._empty.is_set()

    async def run(self) -> None:
        """Writes them as they come. Never ends."""
        while True:
            self._wake.clear()
            try:
                await self.drain()
            except StoreError:
                await asyncio.sleep(RETRY)
            else:
                await self._wake.wait()

    async def drain(self) -> None:
        """Writes all that wait. Raises StoreError if one cannot be written: it stays."""
        while self._waiting:
            write = self._waiting[0]
            try:
                await self._database.write(write)
            except StoreError:
                raise
            except Exception:
                log.exception(f"one of the {self.what} cannot be written and is left out")
            with contextlib.suppress(IndexError):  # it was given up meanwhile
                if self._waiting[0] is write:
                    self._waiting.popleft()
        self._empty.set()
