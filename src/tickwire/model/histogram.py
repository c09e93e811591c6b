"""How often what was measured lay within which bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Histogram:
    """Counts measured values by upper bounds, which ascend; what one costs is a search among them."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all that was measured."""

    def add(self, value: float) -> None:
        """It was measured once more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    @property
    def buckets(self) -> list[tuple[str, int]]:
        """How many values were no larger than each bound, as a histogram of Prometheus has it."""
        return [*zip([*map(str, self._bounds), "+Inf"], accumulate(self._counts), strict=True)]
