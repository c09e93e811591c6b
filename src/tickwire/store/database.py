"""The database of a running server: its calls run in two threads, never on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import structlog

from ..errors import StoreError

READ_WAIT = 2.0
"""Seconds that a read may take, its wait for others included."""
WRITE_WAIT = 30.0
"""Seconds that a write may take, its wait for others included."""
MOST_READS = 200
"""Reads that may wait at a time."""
SETTLED = 5.0
"""Seconds without a failure after which a store that failed counts as mended."""

T = TypeVar("T")
log = structlog.get_logger()


class File(Protocol):
    """What the calls use."""

    @property
    def generation(self) -> int:
        """Grows whenever another file stands behind it than before, so that what memory holds is to be
        written again."""

    def close(self) -> None:
        """Ends all use. May be called again."""


class Access:
    """How one kind of call goes: a line of the log when it begins to fail, and one when it works again.

    `since` is in seconds since the epoch, None while all is well; `failures` counts the calls that failed.
    """

    def __init__(self, name: str, wall: Callable[[], float] = time.time) -> None:
        """`name` is what cannot be done to the store while it fails, such as "written"."""
        self.name = name
        self.since: float | None = None
        self.reason = ""
        self.failures = 0
        self._last = 0.0
        self._wall = wall

    def failed(self, reason: str) -> None:
        """A call failed."""
        self.failures += 1
        self._last = time.monotonic()
        if self.since is None:
            self.since = self._wall()
            log.error(f"the store cannot be {self.name}", reason=reason)
        self.reason = reason

    def worked(self) -> None:
        """A call worked. Where some work and others do not, the store still counts as failing."""
        if self.since is not None and time.monotonic() - self._last >= SETTLED:
            log.info(f"the store can be {self.name} again", seconds=round(self._wall() - self.since, 1))
            self.since, self.reason = None, ""


class Database:
    """Runs the calls of a server to its stores: those that write in one thread, in the order in which they
    came, those that read in another one.

    A call that is cancelled before its turn is not made; one that has begun goes on to its end.
    """

    def __init__(self, file: File) -> None:
        """`file` is what all these calls use; it is closed with this."""
        self.writes, self.reads = Access("written"), Access("read")
        self._file = file
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._reader = ThreadPoolExecutor(1, "store-read")
        self._reading = 0

    @property
    def generation(self) -> int:
        """That of the file."""
        return self._file.generation

    async def write(self, call: Callable[..., T], *arguments: object) -> T:
        """What a call that writes returns. Raises StoreError, also if it takes too long: one that has begun
        may then come to its end later."""
        try:
            async with asyncio.timeout(WRITE_WAIT):
                return await self._run(self._writer, self.writes, call, arguments)
        except TimeoutError:
            reason = f"A write to the store took longer than {WRITE_WAIT:.0f} s."
            self.writes.failed(reason)
            raise StoreError(reason) from None

    async def read(self, call: Callable[..., T], *arguments: object) -> T:
        """What a call that reads returns. Raises StoreError, also if it takes too long or too many wait."""
        if self._reading >= MOST_READS:
            raise self._refused(f"{self._reading} reads of the store wait already.")
        self._reading += 1
        try:
            async with asyncio.timeout(READ_WAIT):
                return await self._run(self._reader, self.reads, call, arguments)
        except TimeoutError:
            raise self._refused(f"A read of the store took longer than {READ_WAIT:.0f} s.") from None
        finally:
            self._reading -= 1

    def close(self) -> None:
        """Lets calls that have begun come to their end, and closes the file. May be called again."""
        for thread in (self._reader, self._writer):
            thread.shutdown(cancel_futures=True)
        self._file.close()

    def _refused(self, reason: str) -> StoreError:
        self.reads.failed(reason)
        return StoreError(reason)

    async def _run(
        self,
        thread: ThreadPoolExecutor,
        access: Access,
        call: Callable[..., T],
        arguments: tuple[object, ...],
    ) -> T:
        try:
            calling = asyncio.get_running_loop().run_in_executor(thread, call, *arguments)
        except RuntimeError as error:  # the threads have ended
            raise StoreError("The store is closed.") from error
        try:
            found = await calling
        except StoreError as error:
            access.failed(str(error))
            raise
        access.worked()
        return found
