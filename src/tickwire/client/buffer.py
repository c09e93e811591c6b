"""What links tell and their owner has not taken yet, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum

from ..wire import Bad, Pushed
from .state import Missed, Told


class Overflow(StrEnum):
    """What happens when the owner is slower than the market.

    DROP_OLDEST: the oldest events go, and Missed stands in their place. WAIT: nothing is read from the
    server, which then decides by its own rules.
    """

    DROP_OLDEST = "drop-oldest"
    WAIT = "wait"


class Buffer:
    """A queue between any number of links and one owner, who iterates it.

    It holds about `limit` events: the one frame that fills it is taken whole. Iteration ends when the
    buffer is closed and empty, and raises what a link failed of after what came before it. An owner of
    several buffers has `arrived` called when there is something in one, and takes. `dropped` is called with
    each event that goes before the owner has seen it.
    """

    def __init__(
        self,
        limit: int = 10_000,
        overflow: Overflow = Overflow.DROP_OLDEST,
        *,
        arrived: Callable[[], None] | None = None,
        dropped: Callable[[Told], None] | None = None,
    ) -> None:
        self.limit = limit
        self.overflow = overflow
        self.missed = 0
        self._events: deque[Told] = deque()
        self._missed_now = 0
        self._failure: BaseException | None = None
        self._closed = False
        self._arrived = arrived
        self._dropped = dropped
        self._arrival: asyncio.Future[None] | None = None
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    # What links call.
    def put(self, events: Iterable[Told]) -> None:
        """Takes these; never waits."""
        self._events.extend(events)
        if len(self._events) > self.limit and self.overflow is Overflow.DROP_OLDEST:
            self._drop(len(self._events) - self.limit)
        self._wake()

    def put_bad(self, bad: Bad) -> None:
        """Takes what could not be read; a flood of it is one event."""
        if self._events and isinstance(last := self._events[-1], Bad):
            self._events[-1] = Bad(last.reason, last.text, last.lines + bad.lines)
        else:
            self.put((bad,))

    @property
    def full(self) -> bool:
        """Whether a link must wait before it reads on."""
        return len(self._events) >= self.limit and self.overflow is Overflow.WAIT

    async def room(self) -> None:
        """Waits until the owner has taken half."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    def fail(self, failure: BaseException) -> None:
        """A link has ended for good, for that reason."""
        self._failure = self._failure or failure
        self._wake()

    def close(self) -> None:
        """Nothing comes any more."""
        self._closed = True
        self._wake()

    # What the owner calls.
    def __aiter__(self) -> Buffer:
        return self

    async def __anext__(self) -> Told:
        while not (self._missed_now or self._events):
            await self._wait()
        if self._missed_now:
            return self._take_missed()
        event = self._events.popleft()
        if len(self._events) * 2 < self.limit:
            self._room.set()
        return event

    async def batch(self) -> list[Told]:
        """All that is there, at least one; an empty list when the buffer is closed. Cheapest per event."""
        try:
            events = [await anext(self)]
        except StopAsyncIteration:
            return []
        events += self._events
        self._events.clear()
        self._room.set()
        return events

    def take(self) -> list[Told]:
        """All that is there, which may be nothing; never waits.

        Raises what a link failed of, once, after what came before it: the link may be started again.
        """
        events: list[Told] = [self._take_missed()] if self._missed_now else []
        events += self._events
        self._events.clear()
        self._room.set()
        if not events and self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return events

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StopAsyncIteration
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        if self._arrived is not None:
            self._arrived()

    def _drop(self, count: int) -> None:
        """Drops the oldest events of the market; what tells of links goes only if there is nothing else."""
        kept: list[Told] = []
        dropped = 0
        while dropped < count and self._events:
            event = self._events.popleft()
            if isinstance(event, Pushed):
                dropped += 1
                if self._dropped is not None:
                    self._dropped(event)
            else:
                kept.append(event)
        spare = count - dropped
        if self._dropped is not None:
            for event in kept[:spare]:
                self._dropped(event)
        self._events.extendleft(reversed(kept[spare:]))
        self._missed_now += dropped
        self.missed += dropped

    def _take_missed(self) -> Missed:
        events, self._missed_now = self._missed_now, 0
        return Missed(events)
