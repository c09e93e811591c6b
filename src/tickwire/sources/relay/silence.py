"""Whether a connection is silent although its markets are open. Pure: time is an argument."""

from __future__ import annotations

MOST = 600.0
"""Seconds of patience at the most."""


class Silence:
    """Watches one connection. `patience` is in seconds, 0 for ever; it doubles with every time in vain.

    `now` and `heard`, when the last live event came, are in seconds of a monotonic clock.
    """

    def __init__(self, patience: float, now: float) -> None:
        self.stale = False
        """Whether nothing came for too long, and nothing since."""
        self.patience = patience
        self._first = patience
        self._since = now

    def connected(self, now: float) -> None:
        """A new connection is there: its silence begins."""
        self._since = now

    def look(self, heard: float, now: float, *, is_open: bool) -> bool:
        """Whether the connection is to be begun anew. `is_open` says that something could come."""
        if not is_open or heard >= self._since:
            self._since = heard if is_open else now
            self.stale, self.patience = False, self._first
        if not self._first or not is_open or now - self._since < self.patience:
            return False
        self._since, self.stale = now, True
        self.patience = min(self.patience * 2, max(MOST, self._first))
        return True
