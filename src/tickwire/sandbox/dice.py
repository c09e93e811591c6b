"""Chance that can be repeated: what befalls a client depends on the seed and on what it did, not on when."""

from __future__ import annotations

from collections import Counter
from random import Random

from .steps import Span


class Dice:
    """The dice of one step.

    Each client has a count of its own, and the n-th throw is the same for every client: so a program that
    does the same things meets the same faults, whatever others do meanwhile.
    """

    def __init__(self, seed: int, place: int) -> None:
        """`place` is that of the step in its scenario."""
        self._key = f"{seed}:{place}"
        self._throws: Counter[str] = Counter()

    def throw(self, who: str) -> Random:
        """The next throw of a client."""
        self._throws[who] += 1
        return Random(f"{self._key}:{self._throws[who]}")


def within(span: Span, dice: Random) -> float:
    """Seconds of a span."""
    return dice.uniform(*span) if isinstance(span, tuple) else span
