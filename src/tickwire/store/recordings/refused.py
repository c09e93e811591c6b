"""Events that could not be taken."""

from __future__ import annotations

import threading


class Refused:
    """Events that could not be taken: in all, and since when there are such without a pause."""

    def __init__(self) -> None:
        self.total = 0
        self.listed = True
        """Whether those that come now are to be listed."""
        self._begin = self._end = self._count = self._seen = 0
        self._changing = threading.Lock()

    def add(self, received: int) -> None:
        """One more."""
        with self._changing:
            self.total += 1
            if not self.listed:
                return
            if not self._count:
                self._begin = received
            self._count += 1
            self._end = received

    def over(self, *, ending: bool) -> tuple[int, int, int] | None:
        """When those that followed one another came, and how many: once there were none since the last time
        that this was asked, or at the end."""
        with self._changing:
            if not self._count or (self._count != self._seen and not ending):
                self._seen = self._count
                return None
            stretch = self._begin, self._end, self._count
            self._count = self._seen = 0
            return stretch
