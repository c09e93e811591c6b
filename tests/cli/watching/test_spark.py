"""A course of prices in a line of text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickwire.cli.watching.spark import sparkline


@pytest.mark.parametrize(
    ("prices", "shown"),
    [("", ""), ("5", "▄"), ("5 5 5", "▄▄▄"), ("1 2 4.5", "▁▃█"), ("3 1 2", "█▁▄")],
)
def test_sparklines(prices: str, shown: str) -> None:
    assert sparkline([Decimal(one) for one in prices.split()]) == shown
