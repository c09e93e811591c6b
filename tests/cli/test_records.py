"""Events as commands print them for people."""

from __future__ import annotations

from decimal import Decimal

from tickwire.cli.records import Lines
from tickwire.client import Book, Trade
from tickwire.model import Direction, Level

from .commands import AT, WHEN


def test_lines_grow_into_columns_and_colour_what_was_bought_and_sold() -> None:
    lines = Lines(colours=True)
    bought = Trade("GOLD", AT, Decimal("4415.32"), Decimal("8.00"), direction=Direction.BUY)
    sold = Trade("BTCUSDT", AT, Decimal("79317.70"), Decimal("0.50000"), direction=Direction.SELL)
    assert [lines.line(one) for one in (bought, sold, bought)] == [
        f"{WHEN}  GOLD  trade  4415.32  8.00  \x1b[32mbuy\x1b[0m\n",
        f"{WHEN}  BTCUSDT  trade  79317.70  0.50000  \x1b[31msell\x1b[0m\n",
        f"{WHEN}  GOLD     trade   4415.32     8.00  \x1b[32mbuy\x1b[0m\n",
    ]


def test_a_side_that_is_empty_and_numbers_without_exponents() -> None:
    limit_up = Book("X", AT, bids=(Level(Decimal("0.0000001"), Decimal(3)),), asks=())
    assert Lines(colours=False).line(limit_up) == f"{WHEN}  X  book   bid 0.0000001x3  ask none\n"
