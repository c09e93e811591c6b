"""Which events of a stream have come already. Pure."""

from __future__ import annotations

from collections import deque

REMEMBERED = 32
"""Numbers of the last events that are remembered."""
MOST_STALE = 16
"""So many events in a row, all older than what is remembered, say that the server counts anew."""


class Stream:
    """A stream that is wanted: how many levels of it (0 for all), and which of its events have come.

    `seq` grows strictly per code and kind (section 2, "Push"), yet an event may come twice, as the first
    one after a reconnect often does, or behind a younger one.
    """

    __slots__ = ("_before", "_last", "_recent", "_stale", "_stale_since", "depth")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._recent: deque[int] = deque(maxlen=REMEMBERED)
        self._last = self._before = self._stale_since = -1
        self._stale = 0

    def opened(self) -> None:
        """A new connection begins."""
        self._before = self._last

    def passes(self, seq: int) -> bool:
        """Whether the event of that number has not come before; 0 is no number."""
        if seq > self._last:
            self._last = seq
            self._recent.append(seq)
            return True
        return not seq or self._passes_late(seq)

    def _passes_late(self, seq: int) -> bool:
        recent = self._recent
        if seq in recent:
            return False
        if seq > recent[0]:
            self._recent = deque(sorted([*recent, seq]), REMEMBERED)
            return True
        if self._stale_since != self._last:
            self._stale_since, self._stale = self._last, 0
        self._stale += 1
        if self._last != self._before and self._stale < MOST_STALE:
            return False
        recent.clear()  # the first of a connection, or one of many: the server counts anew
        recent.append(seq)
        self._last, self._before = seq, -1
        return True
