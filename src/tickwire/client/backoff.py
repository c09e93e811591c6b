"""How long to wait before the next try. Pure but for its dice."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Backoff(NamedTuple):
    """Exponential backoff with full jitter: the n-th try waits from 0 to `first` × 2^(n-1) seconds, `most` at
    the most. A connection that lasted `lasting` seconds makes the next try a first one.

    Full jitter spreads the clients of a server that comes back; see "Exponential Backoff And Jitter" in the
    AWS Architecture Blog.
    """

    first: float = 0.5
    most: float = 30.0
    lasting: float = 30.0


class Tries:
    """Counts tries in a row."""

    def __init__(self, backoff: Backoff, random: Random) -> None:
        self._backoff = backoff
        self._random = random
        self._failed = 0

    def lasted(self, seconds: float) -> None:
        """A connection was there for so long."""
        if seconds >= self._backoff.lasting:
            self._failed = 0

    def delay(self) -> float:
        """Seconds until the next try."""
        ceiling = min(self._backoff.first * 2.0 ** min(self._failed, 32), self._backoff.most)
        self._failed += 1
        return self._random.uniform(0, ceiling)
