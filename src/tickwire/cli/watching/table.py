"""The table of codes: which columns there is room for, and what stands in them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from ..output import plain, visible
from .line import Line, Span, right
from .row import Row

UP, FALLEN, FAINT, BESIDE = "green", "red", "dim", "yellow"
SPACE = 2
"""Columns between two columns of the table."""
LEAST_TREND = 8
MOST_BARS = 60
"""Bars that a sparkline shows at the most."""
HEIGHTS = "▁▂▃▄▅▆▇█"
NOTHING = "-"


class Column(NamedTuple):
    """A column. `rank` is how soon it goes where there is no room: the highest first."""

    title: str
    rank: int
    cell: Callable[[Row, int], Span]


class Table:
    """The rows as lines; `interval` is that of the sparkline, "" for none.

    Columns never become narrower, so that nothing jumps; call `resized` when the screen's width changes.
    """

    def __init__(self, interval: str = "") -> None:
        self._columns = [
            Column("CODE", 0, lambda row, _: (row.code, "bold")),
            Column("LAST", 1, _last),
            Column("CHANGE", 2, lambda row, _: _percent(row.change)),
            Column("24H", 6, lambda row, _: _percent(row.change_24h)),
            Column("BID", 4, lambda row, _: (_best(row, bid=True), "")),
            Column("ASK", 4, lambda row, _: (_best(row, bid=False), "")),
            Column("VOLUME", 7, lambda row, _: (NOTHING if row.volume is None else f"{row.volume:,f}", "")),
            Column("AGE", 5, _age),
        ]
        self._interval = interval
        self.resized()

    def resized(self) -> None:
        """Columns may become narrower once."""
        self._widths = [len(column.title) for column in self._columns]

    def lines(self, rows: Sequence[Row], width: int, now: int) -> list[Line]:
        """The head and a line for each row, for so many columns; `now` in milliseconds since the epoch."""
        cells = [[column.cell(row, now) for column in self._columns] for row in rows]
        for place, known in enumerate(self._widths):
            self._widths[place] = max([known, *(cell_len(line[place][0]) for line in cells)])
        shown, room = self._shown(width)
        trend = min(room - SPACE, MOST_BARS) if self._interval else 0
        head = [(column.title, FAINT) for column in self._columns]
        lines = [self._line(head, shown)] + [self._line(line, shown) for line in cells]
        if trend >= LEAST_TREND:
            lines[0].append((" " * SPACE + f"TREND {self._interval}", FAINT))
            for line, row in zip(lines[1:], rows, strict=True):
                closes = row.closes(trend)
                style = UP if closes and closes[-1] >= closes[0] else FALLEN
                line.append((" " * SPACE + sparkline(closes), style))
        for line, row in zip(lines[1:], rows, strict=True):
            if row.note:
                line[1:] = [(" " * SPACE + row.note, FAINT)]
        return lines

    def _shown(self, width: int) -> tuple[list[int], int]:
        """The places of the columns for which there is room, and what room is left."""
        shown = list(range(len(self._columns)))
        need = LEAST_TREND + SPACE if self._interval else 0
        while True:
            room = width - sum(self._widths[place] for place in shown) - SPACE * (len(shown) - 1)
            highest = max(self._columns[place].rank for place in shown)
            if room >= need or highest <= 1:
                return shown, room
            if highest <= 3:  # rather the change than the trend
                need = 0
            shown = [place for place in shown if self._columns[place].rank < highest]

    def _line(self, cells: Sequence[Span], shown: Sequence[int]) -> Line:
        found: Line = []
        for place in shown:
            (text, style), size = cells[place], self._widths[place]
            text = " " * SPACE + right(text, size) if place else set_cell_size(text, size)
            found.append((text, style))
        return found


def age(time: int | None, now: int) -> str:
    """How long ago that was, in one unit; "-" where it never was."""
    if time is None:
        return NOTHING
    seconds = max(now - time, 0) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _age(row: Row, now: int) -> Span:
    """With what the instrument does, where that is the reason why nothing comes."""
    ago = age(row.time, now)
    return (f"{visible(row.state)} {ago}", BESIDE) if row.state not in ("", "open") else (ago, FAINT)


def _last(row: Row, _: int) -> Span:
    style = "" if row.rose is None else UP if row.rose else FALLEN
    return plain(row.price) or NOTHING, style


def _best(row: Row, *, bid: bool) -> str:
    level = None if row.book is None else row.book.best_bid if bid else row.book.best_ask
    return NOTHING if level is None else f"{level.price:f}"


def _percent(change: Decimal | None) -> Span:
    if change is None:
        return NOTHING, FAINT
    return f"{change:+.2f}%", UP if change > 0 else FALLEN if change < 0 else ""


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
