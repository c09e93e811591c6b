"""Events that could not be taken."""

from __future__ import annotations

import threading

from .gaps import Stretch


class Refused:
    """Events that could not be taken: in all, and since when there are such without a pause."""

    def __init__(self) -> None:
        self.total = 0
        self._begin = self._end = self._count = self._seen = 0
        self._changing = threading.Lock()

    def add(self, received: int, *, listed: bool = True) -> None:
        """One more, in a gap if it is `listed`. One that had waited may come after newer ones."""
        with self._changing:
            self.total += 1
            if not listed:
                return
            self._begin = min(self._begin, received) if self._count else received
            self._end = max(self._end, received) if self._count else received
            self._count += 1

    def lose(self, events: int) -> None:
        """So many more, in a gap that is listed elsewhere."""
        with self._changing:
            self.total += events

    def over(self, *, ending: bool) -> Stretch | None:
        """Those that followed one another: once there were none since the last time that this was asked, or
        at the end. The same again until `list` was called with it."""
        with self._changing:
            if not self._count or (self._count != self._seen and not ending):
                self._seen = self._count
                return None
            return Stretch(self._begin, self._end, self._count)

    def list(self, stretch: Stretch) -> None:
        """These are listed now."""
        with self._changing:
            self._count -= stretch.events
            self._begin = self._seen = 0
            if self._count:  # some came meanwhile
                self._begin = stretch.end
