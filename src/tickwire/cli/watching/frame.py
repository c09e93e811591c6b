"""What stands on the screen at a moment: the table, the ladders, what somebody should know. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ...client.state import LinkStatus
from .board import Board
from .ladder import ladders
from .line import Line, Span, fitted
from .row import Row
from .table import Table

LEAST_LADDER = 8
"""Lines of a ladder at the least, if the screen has them."""
STYLES = {
    LinkStatus.CONNECTING: "yellow",
    LinkStatus.UP: "green",
    LinkStatus.STALE: "yellow",
    LinkStatus.DOWN: "bold red",
}
KEYS = "q quit  space pause"


class Moment(NamedTuple):
    """Two clocks: milliseconds since the epoch, and seconds of the clock by which events were taken."""

    wall: int
    monotonic: float


class Frame:
    """Makes the lines of a screen of the board. `server` is its address, `interval` that of the sparkline,
    "" for none, `book` whether there are ladders.

    `first` is the place of the first code that is shown: `scroll` moves it.
    """

    def __init__(self, board: Board, server: str, *, interval: str = "", book: bool = False) -> None:
        self.first = 0
        self._board = board
        self._rows: Sequence[Row] = [*board.rows.values()]
        self._server = server
        self._book = book
        self._table = Table(interval)
        self._width = 0
        self._page = 1

    def scroll(self, codes: int = 0, *, pages: int = 0) -> None:
        """Shows codes further below, or above."""
        self.first = max(min(self.first + codes + pages * self._page, len(self._rows) - self._page), 0)

    def lines(self, width: int, height: int, now: Moment, *, paused: bool = False) -> list[Line]:
        """Exactly so many lines, each of exactly so many columns."""
        if width != self._width:
            self._width = width
            self._table.resized()
        room = max(height - 2, 1)  # two lines at the bottom
        rows = self._rows[self.first :]
        if self._book:
            lower, self._page = ladders(rows, width, max(room - min(len(rows), 3) - 2, LEAST_LADDER))
            lines = [*self._table.lines(rows[: self._page], width, now.wall), [], *lower]
        else:
            self._page = max(room - 1, 1)
            lines = self._table.lines(rows[: self._page], width, now.wall)
        lines = lines[:room]
        lines += [[]] * (room - len(lines))
        bottom = [self._notice(), self._status(now, paused)]
        return [fitted(line, width) for line in (lines + bottom)[-height:]]

    def _notice(self) -> Line:
        """How many codes there is no room for, and what was missed or refused; else the keys."""
        notice: Span = (self._board.notice, "yellow") if self._board.notice else (KEYS, "dim")
        hidden = len(self._rows) - self._page
        if hidden <= 0:
            return [notice]
        last = min(self.first + self._page, len(self._rows))
        return [
            (f"codes {self.first + 1}-{last} of {len(self._rows)}, {hidden} hidden: arrow keys  ", "dim"),
            notice,
        ]

    def _status(self, now: Moment, paused: bool) -> Line:
        board = self._board
        line: Line = [(" PAUSED ", "reverse"), ("  ", "")] if paused else []
        for family, status in board.statuses.items():
            word = f"{family} {status.state}"
            if status.again is not None:
                again = status.time.timestamp() + status.again - now.wall / 1000
                word += f", again in {max(again, 0):.0f} s"
            line += [("● ", STYLES[status.state]), (f"{word}  ", "")]
        line.append((f"{self._server}  ", "dim"))
        if board.heard is None:
            line.append(("no event yet  ", "dim"))
        else:
            ago = max(now.monotonic - board.heard, 0)
            moment = datetime.fromtimestamp(now.wall / 1000 - ago, UTC)
            line.append((f"last event {moment:%H:%M:%S} UTC  {board.rate(now.monotonic):,.0f}/s  ", ""))
        line.append((f"gaps {board.gaps}  reconnects {board.reconnects}  ", "yellow" if board.gaps else ""))
        return line
