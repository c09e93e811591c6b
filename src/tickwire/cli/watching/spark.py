"""A course of prices in one line of text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

MOST_BARS = 60
"""Bars that a sparkline shows at the most."""
HEIGHTS = "▁▂▃▄▅▆▇█"


def sparkline(prices: Sequence[Decimal]) -> str:
    """A block for each price, from the lowest to the highest of them; blocks of half height where all are
    the same.

    >>> sparkline([Decimal(1), Decimal(2), Decimal("4.5")])
    '▁▃█'
    """
    if not prices:
        return ""
    low, span = min(prices), max(prices) - min(prices)
    if not span:
        return HEIGHTS[3] * len(prices)
    steps = len(HEIGHTS) - 1
    return "".join(HEIGHTS[int((price - low) * steps / span)] for price in prices)
