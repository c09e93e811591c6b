"""A book as a ladder."""

from __future__ import annotations

import pytest

from tickwire.cli.watching.ladder import ladder
from tickwire.cli.watching.row import Row
from tickwire.client import Book

from .events import NOW, book, texts


def test_a_ladder_has_the_best_prices_in_the_middle() -> None:
    row = Row("GOLD")
    row.take_book(book(levels=3))
    lines = [line.split() for line in texts(ladder(row, 40, 2))]
    assert [line[0] for line in lines] == ["GOLD", "100.10", "100.00", "spread", "99.90", "99.80"]
    assert lines[3] == ["spread", "0.10"]
    assert len(lines[1][2]) > len(lines[2][2])  # twice the volume, twice the bar


@pytest.mark.parametrize(
    ("bids", "asks", "told"), [(1, 0, "nobody sells"), (0, 1, "nobody buys"), (0, 0, "no orders")]
)
def test_a_ladder_says_which_side_is_empty(bids: int, asks: int, told: str) -> None:
    row = Row("GOLD")
    assert "no book yet" in "".join(texts(ladder(row, 40, 2)))
    full = book()
    row.take_book(Book("GOLD", NOW, full.bids[:bids], full.asks[:asks]))
    assert told in "".join(texts(ladder(row, 40, 2)))
