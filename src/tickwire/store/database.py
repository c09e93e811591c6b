"""The database of a running server: its calls run in two threads, never on the event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import structlog

from ..errors import StoreError
from .file import File

READ_WAIT = 2.0
"""Seconds that a read may take, its wait for others included."""
WRITE_WAIT = 30.0
"""Seconds that a write may take, its wait for others included."""
MOST_READS = 200
"""Reads that may wait at a time."""
CLOSE_WAIT = 30.0
"""Seconds that the end waits for calls that are under way."""
UNANSWERED = "The store did not answer in time: another program has it locked, or its disk is slow."
SETTLED = 5.0
"""Seconds without a failure after which a store that failed counts as mended."""
HELD_UP = 1.0
"""Seconds by which a timer comes late when the process was held up."""

T = TypeVar("T")
log = structlog.get_logger()


class Access:
    """How one kind of call goes: a line of the log when it begins to fail, and one when it works again.

    `since` is in seconds since the epoch, None while all is well; `failures` counts the calls that failed.
    All is well again `SETTLED` after the last failure.
    """

    def __init__(self, name: str, wall: Callable[[], float]) -> None:
        """`name` is what cannot be done to the store while it fails, such as "written"; `wall` is in seconds
        since the epoch."""
        self.name = name
        self.reason = ""
        self.failures = 0
        self.failing = False
        """Whether the last call failed."""
        self._since: float | None = None
        self._last = 0.0
        self._wall = wall

    @property
    def since(self) -> float | None:
        """Since when calls fail. Where some work and others do not, it stays."""
        if (
            self._since is not None
            and not self.failing
            and asyncio.get_running_loop().time() - self._last >= SETTLED
        ):
            log.info(f"the store can be {self.name} again", seconds=round(self._wall() - self._since, 1))
            self._since, self.reason = None, ""
        return self._since

    def failed(self, reason: str) -> None:
        """A call failed."""
        self.failures += 1
        self.failing = True
        self._last = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = self._wall()
            log.error(f"the store cannot be {self.name}", reason=reason)
        self.reason = reason

    def refused(self, reason: str) -> StoreError:
        """A call was given up: what to raise."""
        self.failed(reason)
        return StoreError(reason)

    def worked(self) -> None:
        """A call worked."""
        self.failing = False
        _ = self.since  # which says when all is well again


class Worker:
    """A thread that makes calls one after the other.

    Neither a call that hangs nor the end of Python's own pools of threads keeps a process from ending: what
    is called at exit is made too.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._starting = threading.Lock()

    def call(self, call: Callable[..., T], *arguments: object) -> Future[T]:
        """Makes a call when its turn comes, unless it is cancelled before. Raises StoreError at the end."""
        if self._closed:
            raise StoreError("The store is closed.")
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()
        future: Future[T] = Future()
        self._calls.put((future, partial(call, *arguments)))
        return future

    @property
    def waiting(self) -> int:
        """Calls that have not begun."""
        return self._calls.qsize()

    def close(self) -> None:
        """Makes what was asked for, and ends; what takes longer than `CLOSE_WAIT` is left behind."""
        self._closed = True
        self._calls.put(None)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_WAIT)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)


class Database:
    """Runs the calls of a server to its stores: those that write in one thread, in the order in which they
    came, those that read in another one.

    A call that is cancelled before its turn is not made; one that has begun goes on to its end.
    """

    def __init__(self, file: File, wall: Callable[[], float]) -> None:
        """`file` is what all these calls use; it is closed with this. `wall` is in seconds since the
        epoch."""
        self.writes, self.reads = Access("written", wall), Access("read", wall)
        self._file = file
        self._writer, self._reader = Worker("store-write"), Worker("store-read")
        self._reading = 0

    @property
    def generation(self) -> int:
        """That of the file."""
        return self._file.generation

    @property
    def waiting_writes(self) -> int:
        """Calls that have not begun."""
        return self._writer.waiting

    @property
    def waiting_reads(self) -> int:
        """Calls that have not begun."""
        return self._reader.waiting

    async def write(self, call: Callable[..., T], *arguments: object) -> T:
        """What a call that writes returns. Raises StoreError, also if it takes too long: one that has begun
        may then come to its end later."""
        try:
            return await self._run(self._writer, self.writes, WRITE_WAIT, call, arguments)
        except TimeoutError:
            raise self.writes.refused(f"A write to the store took longer than {WRITE_WAIT:.0f} s.") from None

    async def read(self, call: Callable[..., T], *arguments: object) -> T:
        """What a call that reads returns. Raises StoreError, also if it takes too long or too many wait."""
        if self._reading >= MOST_READS:
            raise self.reads.refused(f"{self._reading} reads of the store wait already.")
        self._reading += 1
        try:
            return await self._run(self._reader, self.reads, READ_WAIT, call, arguments)
        except TimeoutError:
            raise self.reads.refused(f"A read of the store took longer than {READ_WAIT:.0f} s.") from None
        finally:
            self._reading -= 1

    def close(self) -> None:
        """Lets calls that have begun come to their end, and closes the file. May be called again."""
        for worker in (self._reader, self._writer):
            worker.close()
        self._file.close()

    async def _run(
        self,
        worker: Worker,
        access: Access,
        wait: float,
        call: Callable[..., T],
        arguments: tuple[object, ...],
    ) -> T:
        try:
            found = await _within(wait, asyncio.wrap_future(worker.call(call, *arguments)))
        except StoreError as error:
            access.failed(str(error))
            raise
        access.worked()
        return found


async def _within(wait: float, answer: asyncio.Future[T]) -> T:
    """An answer that comes in so many seconds. Raises TimeoutError. What the loop, or the whole process, was
    held up does not count: so was the store."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            due = loop.time() + wait
            if (await asyncio.wait({answer}, timeout=wait))[0]:
                return answer.result()
            if loop.time() - due < HELD_UP:
                raise TimeoutError
    finally:
        answer.cancel()
