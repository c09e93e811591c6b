"""The order book of a code as a ladder: asks above, bids below, each with a bar of its volume. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.cells import cell_len

from ...model import Level
from ..output import plain
from .line import Line, fitted, right
from .row import Row

MOST_LEVELS = 10
BAR = 12
"""Columns of the longest bar."""
BETWEEN = 4
"""Columns between two ladders."""
ASK, BID, FAINT = "red", "green", "dim"


def ladders(rows: Sequence[Row], width: int, height: int) -> tuple[list[Line], int]:
    """Ladders of as many rows as there is room for, and how many those are: at least one.

    All ladders have equally many lines, and stand side by side as far as the width goes.
    """
    sizes = [sum(_widths(row)) + 4 + BAR for row in rows]
    abreast, used = 0, 0
    while abreast < len(rows) and (not abreast or used + sizes[abreast] <= width):
        used += sizes[abreast] + BETWEEN
        abreast += 1
    levels = max(min((height - 2) // 2, MOST_LEVELS), 1)
    blocks = [ladder(row, size, levels) for row, size in zip(rows[:abreast], sizes, strict=False)]
    lines: list[Line] = []
    for parts in zip(*blocks, strict=True):
        line: Line = []
        for part in parts:
            line += [*part, (" " * BETWEEN, "")]
        lines.append(line)
    return lines, abreast


def ladder(row: Row, width: int, levels: int) -> list[Line]:
    """One ladder: a title, so many asks, the spread, so many bids."""
    asks, bids = (row.book.asks[:levels], row.book.bids[:levels]) if row.book else ((), ())
    title: Line = [(row.code, "bold"), (f"  {plain(row.price) or '-'}", "")]
    most = max((level.volume for level in (*asks, *bids)), default=Decimal(0))
    price, volume = _widths(row)
    above = [_level(level, price, volume, most, ASK) for level in reversed(asks)]
    below = [_level(level, price, volume, most, BID) for level in bids]
    if row.book is None:
        middle = "no book yet"
    elif asks and bids:
        middle = f"spread {asks[0].price - bids[0].price:f}"
    else:
        middle = "nobody sells" if bids else "nobody buys" if asks else "no orders"
    blank: list[Line] = [[]]
    lines = [
        title,
        *blank * (levels - len(above)),
        *above,
        [(right(middle, min(cell_len(middle) + 2, width)), FAINT)],
        *below,
        *blank * (levels - len(below)),
    ]
    return [fitted(line, width) for line in lines]


def _level(level: Level, price: int, volume: int, most: Decimal, style: str) -> Line:
    bar = int(level.volume * BAR / most) if most else 0
    return [
        (right(f"{level.price:f}", price), style),
        (f"  {right(f'{level.volume:,f}', volume)}  ", ""),
        ("█" * bar or "▏", style),
    ]


def _widths(row: Row) -> tuple[int, int]:
    """Of the longest price and volume."""
    found = [*row.book.asks[:MOST_LEVELS], *row.book.bids[:MOST_LEVELS]] if row.book else []
    prices = [len(f"{level.price:f}") for level in found]
    return max([10, *prices]), max([10, *(len(f"{level.volume:,f}") for level in found)])
