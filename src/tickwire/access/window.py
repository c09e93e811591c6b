"""Counts of what passed in the last seconds, and of what passed today. Pure: time is an argument."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from .plan import Rate

DAY = 86_400


class Standing(NamedTuple):
    """How a limit stands: `left` may still pass, and in `reset` seconds the next one comes free."""

    left: int
    reset: float


class Window:
    """A window that slides: a request passes if fewer than `rate.requests` passed in the last `rate.seconds`.

    `now` is in seconds of a monotonic clock.
    """

    __slots__ = ("_passed", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._passed: deque[float] = deque()

    def change(self, rate: Rate) -> None:
        """Another rate from now on, for which the last requests that passed count."""
        self._rate = rate
        while len(self._passed) > rate.requests:
            self._passed.popleft()

    def wait(self, now: float) -> float:
        """Seconds until the next request may pass; 0 if it may now."""
        passed = self._forget(now)
        return 0.0 if len(passed) < self._rate.requests else passed[0] + self._rate.seconds - now

    def take(self, now: float) -> None:
        """A request has passed."""
        self._passed.append(now)

    def passes(self, now: float) -> bool:
        """Whether a request may pass now; it counts only if it does."""
        if free := not self.wait(now):
            self.take(now)
        return free

    def standing(self, now: float) -> Standing:
        """How many are left, and when the oldest of those that passed is forgotten."""
        passed = self._forget(now)
        return Standing(
            self._rate.requests - len(passed), passed[0] + self._rate.seconds - now if passed else 0.0
        )

    def _forget(self, now: float) -> deque[float]:
        passed = self._passed
        while passed and passed[0] + self._rate.seconds <= now:
            passed.popleft()
        return passed


class DayQuota:
    """So many requests a day. `wall` is in seconds since the Unix epoch; a day begins `reset` seconds after
    midnight UTC."""

    __slots__ = ("_count", "_day", "_passed", "_reset")

    def __init__(self, count: int, reset: int) -> None:
        self._count = count
        self._reset = reset
        self._day = -1
        self._passed = 0

    def change(self, count: int, reset: int) -> None:
        """So many a day from now on, for which those of today count."""
        self._count, self._reset = count, reset

    def wait(self, wall: float) -> float:
        """Seconds until the next request may pass; 0 if it may now."""
        standing = self.standing(wall)
        return 0.0 if standing.left else standing.reset

    def take(self, wall: float) -> None:
        """A request has passed."""
        self._turn(wall)
        self._passed += 1

    def standing(self, wall: float) -> Standing:
        """How many are left today, and how long today lasts."""
        self._turn(wall)
        return Standing(max(self._count - self._passed, 0), (self._day + 1) * DAY + self._reset - wall)

    def _turn(self, wall: float) -> None:
        day = math.floor((wall - self._reset) / DAY)
        if day > self._day:  # a clock that is set back gives nobody a second quota
            self._day, self._passed = day, 0
