"""How fast something may be done: so often in so many seconds. Pure: time is an argument."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable
from math import inf


class Pace:
    """A window that slides, of each key its own: at most `times` in `seconds`.

    A limit counts per token, so one Pace is shared by all that use the token. `when` is in seconds of any
    monotonic clock, always the same one.
    """

    __slots__ = ("_held", "_passed", "seconds", "times")

    def __init__(self, seconds: float, times: int = 1) -> None:
        self.seconds = seconds
        self.times = times
        self._passed: defaultdict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=times))
        self._held: dict[Hashable, float] = {}

    def free_at(self, key: Hashable) -> float:
        """From when on the next may pass; minus infinity if nothing stands against it."""
        passed = self._passed.get(key)
        free = passed[0] + self.seconds if passed and len(passed) == self.times else -inf
        return max(free, self._held.get(key, -inf))

    def left(self, key: Hashable, when: float) -> int:
        """How many may pass right then."""
        if self._held.get(key, -inf) > when:
            return 0
        return self.times - sum(one + self.seconds > when for one in self._passed.get(key, ()))

    def take(self, key: Hashable, when: float) -> None:
        """One passes."""
        self._passed[key].append(when)

    def move(self, key: Hashable, before: float, when: float) -> None:
        """What passed then passes only now, which is later than all that have passed."""
        passed = self._passed[key]
        if before in passed:
            passed.remove(before)
            passed.append(when)

    def hold(self, key: Hashable, until: float) -> None:
        """None passes before that, whatever the window says."""
        self._held[key] = max(until, self._held.get(key, -inf))
