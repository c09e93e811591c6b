"""All that a watcher sees."""

from __future__ import annotations

from tickwire.cli.watching.board import Board

from .events import SOME, book, trade


def test_events_per_second() -> None:
    board = Board(SOME)
    for second in range(20):
        board.take([trade(), book()], float(second))
    assert board.rate(19.5) == 2.0
    assert board.rate(60.0) == 0.0
