"""Whether a thread gets on, or waits for a disk that does not answer."""

from __future__ import annotations

import time


class Pulse:
    """Beats as long as a thread gets on. Times are in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._silent = self._noticed = 0.0
        self._whole = self._last

    def beat(self) -> None:
        """It gets on."""
        self._last = time.monotonic()

    @property
    def lag(self) -> float:
        """Seconds since the moment up to which all that had come is written."""
        return time.monotonic() - self._whole

    def caught_up(self, began: float) -> None:
        """All is written that had come when it `began` to."""
        self._whole = began

    def silent(self, limit: float, patience: float) -> bool:
        """Whether it has not got on for longer than `limit`, and not since that was noticed, `patience` ago
        either: if the whole process stood still, the thread gets on soon."""
        now = time.monotonic()
        if now - self._last <= limit:
            return False
        if self._silent != self._last:
            self._silent, self._noticed = self._last, now
        return now - self._noticed > patience
