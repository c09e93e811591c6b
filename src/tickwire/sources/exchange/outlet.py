"""What the streams of an exchange have told and nobody has taken yet, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from ...errors import SourceError
from ...model import Event
from ..health import Health
from ..source import Began, Broke, Snapshot, Yielded

LIMIT = 100_000
"""Events that may wait."""
BATCH = 200
"""Events after which the event loop gets its turn."""
GATHERING = 0.2
"""Seconds in which breaks for the same reason become one: a venue closes its connections one by one."""


class Outlet:
    """A queue between any number of streams and one owner, who takes.

    It keeps the promise that no code begins twice without a break in between, and breaks only after it began.
    """

    def __init__(self, health: Health, limit: int = LIMIT) -> None:
        self.whole: set[str] = set()
        """The codes whose trades are complete."""
        self._health = health
        self._limit = limit
        self._told: deque[Yielded] = deque()
        self._breaks: dict[str, dict[str, int]] = {}  # by reason, the codes and since when
        self._timer: asyncio.TimerHandle | None = None
        self.arrived = asyncio.Event()
        """Set when there is something to take, or the owner is to look."""

    def put(self, events: Iterable[Event]) -> None:
        """Takes events, all of them or none. Raises SourceError if too many wait."""
        events = [*events]
        if len(self._told) + len(events) > self._limit:
            self._health.dropped += len(events)
            raise SourceError("events come faster than they are taken")
        self._told.extend(events)
        self.arrived.set()

    def show(self, snapshot: Snapshot) -> None:
        """Takes how a code stands."""
        self._told.append(snapshot)
        self.arrived.set()

    def began(self, code: str, at: int) -> None:
        """All trades of a code come from now on."""
        if code not in self.whole:
            self.flush()
            self.whole.add(code)
            self._told.append(Began((code,), at))
            self.arrived.set()

    def broke(self, code: str, at: int, reason: str) -> None:
        """They do not any more."""
        if code in self.whole:
            self.whole.discard(code)
            self._breaks.setdefault(reason, {})[code] = at
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(GATHERING, self.flush)

    async def take(self) -> list[Yielded]:
        """Some of what was told, at least one, unless `arrived` was set; gives way to the event loop."""
        if self._told:
            await asyncio.sleep(0)
        else:
            await self.arrived.wait()
        taken = [self._told.popleft() for _ in range(min(BATCH, len(self._told)))]
        if not self._told:
            self.arrived.clear()
        return taken

    def flush(self) -> None:
        """Tells of all breaks now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for reason, codes in self._breaks.items():
            self._told.append(Broke(tuple(codes), min(codes.values()), reason))
            self.arrived.set()
        self._breaks.clear()
