"""All that a watcher sees."""

from __future__ import annotations

from tickwire.cli.watching.board import Board
from tickwire.model import Kind
from tickwire.wire import Spared

from .events import SOME, book, trade


def test_events_per_second() -> None:
    board = Board(SOME)
    for second in range(20):
        board.take([trade(), book()], float(second))
    assert board.rate(19.5) == 2.0
    assert board.rate(60.0) == 0.0


def test_what_the_server_spared_us_is_a_notice() -> None:
    board = Board(SOME)
    board.take([Spared(Kind.TRADE, 3, ("GOLD",), 1788529064027)], 1.0)
    assert board.notice.startswith("too slow: the server thinned or left out 3 trades of GOLD since ")
