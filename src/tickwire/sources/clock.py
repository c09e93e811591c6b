"""The time of a market that is made up: the wall clock until it is moved."""

from __future__ import annotations

import time
from collections.abc import Callable


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class MarketClock:
    """A clock in milliseconds since the epoch that may be set forward, run faster, or stand still."""

    def __init__(self, wall: Callable[[], int] = wall_clock) -> None:
        self._wall = wall
        self._from = self._to = 0  # what the wall clock showed when this one was moved, and to where
        self.speed = 1.0
        """How many milliseconds pass for one of the wall clock; 0 if it stands still."""

    def __call__(self) -> int:
        """What it shows."""
        return self._to + int((self._wall() - self._from) * self.speed)

    def move(self, to: int | None, speed: float | None) -> None:
        """Sets it, or its speed, or both."""
        self._to = self() if to is None else to
        self._from = self._wall()
        if speed is not None:
            self.speed = speed
