"""Sorting what may be larger than memory."""

from __future__ import annotations

from random import Random

import pytest

from tickwire.files import in_order


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1000])
def test_rows_come_in_order_and_equal_ones_as_they_came(count: int) -> None:
    dice = Random(count)
    rows = [(dice.randrange(50), place) for place in range(count)]
    assert [*in_order(rows, lambda row: row[0], most=100)] == sorted(rows, key=lambda row: row[0])
