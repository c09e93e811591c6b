"""What clients have not read: how much of it there may be, and who is closed for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol

from .bounds import Tally

LIMITS = "client_buffer", "unread_bytes", "unread_timeout"
"""The settings for which a client is closed."""
ROOM = 4
"""One part in so many is made free where too much is unread, so that it does not fill at once again."""


class Reading(Protocol):
    """A connection whose client has something to read."""

    @property
    def held(self) -> int:
        """Bytes that wait for it here."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether it has begun to close."""
        ...

    def cut_off(self) -> None:
        """Ends it at once, so that what it holds is free."""


class Unread:
    """The bounds of what is unread, and all that is. It is summed up only where it may be too much."""

    def __init__(self, bound: int, together: int, timeout: float) -> None:
        """`bound` is how many bytes may wait for one, `together` for all, `timeout` for how many seconds one
        may read nothing."""
        self.bound = bound
        self.together = together
        self.timeout = timeout
        self.closed: Counter[str] = Counter()
        """How many were closed since they did not read, by the setting that says so."""
        self._of: dict[Reading, None] = {}
        self._at_most = 0
        self._due = False
        self._crowded = Tally("clients are cut off that read too slowly: too much is unread in all")

    def add(self, one: Reading, size: int) -> None:
        """So many bytes more wait for a client."""
        self._of[one] = None
        self._at_most += size
        if self._at_most > self.together and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._look)

    def leave(self, one: Reading) -> None:
        """It is gone."""
        self._of.pop(one, None)

    def held(self) -> list[int]:
        """The bytes that wait for each client for whom some do."""
        return [size for one in self._of if (size := one.held)]

    def _look(self) -> None:
        """Cuts those off for whom most waits, if it is too much; those first that close already."""
        self._due = False
        held = {one: size for one in self._of if (size := one.held)}
        self._of = dict.fromkeys(held)
        total = sum(held.values())
        if total > self.together:
            before = total
            worst = sorted(held, key=lambda one: (one.is_ending, held[one]), reverse=True)
            cut = 0
            while total > self.together - self.together // ROOM:
                one = worst[cut]
                total -= held[one]
                cut += 1
                one.cut_off()
                del self._of[one]
            self.closed["unread_bytes"] += cut
            self._crowded.add(clients=cut, unread_bytes=before, limit=self.together)
        self._at_most = total
