"""The clocks of simulated markets: one that never goes back, and one that may be moved."""

from __future__ import annotations

from collections.abc import Callable

STEP = 5_000
"""Milliseconds by which the wall clock must jump for that to count as a step rather than as a late look."""


class SteadyClock:
    """A clock of milliseconds that never goes back, over a wall clock that may.

    A step back is left out: from then on it runs ahead of the wall clock by so much, until that is set
    forward again. A small one lets it stand still. A step forward is followed. `stepped` is called with each
    step, in milliseconds.
    """

    def __init__(self, wall: Callable[[], int], stepped: Callable[[int], None]) -> None:
        self._wall = wall
        self._stepped = stepped
        self._ahead = 0
        self._shown: int | None = None

    def __call__(self) -> int:
        """What it shows."""
        wall = self._wall()
        before = wall if self._shown is None else self._shown
        step = wall + self._ahead - before
        if step < -STEP:
            self._ahead -= step
        elif step > STEP:
            self._ahead = max(0, self._ahead - step)
        self._shown = max(before, wall + self._ahead)
        if abs(step) > STEP:
            self._stepped(step)
        return self._shown


class MarketClock:
    """A clock in milliseconds since the epoch that may be set forward, run faster, or stand still."""

    def __init__(self, wall: Callable[[], int]) -> None:
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
