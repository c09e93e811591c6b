"""What stands on the screen: it fills it, scrolls, and tells of the connections."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tickwire.cli.watching.board import Board
from tickwire.cli.watching.frame import Frame, Moment
from tickwire.client import Gap, LinkStatus, Status
from tickwire.model import Family, Kind

from .events import NOW, SOME, bar, book, texts, trade


def status(state: LinkStatus, family: Family = Family.OTHER, **more: object) -> Status:
    return Status(state, family, datetime.fromtimestamp(NOW / 1000, UTC), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(120, 30), (60, 12), (30, 5), (10, 3), (2, 2), (1, 1)])
@pytest.mark.parametrize("ladders", [False, True])
def test_a_frame_fills_the_screen_whatever_its_size(size: tuple[int, int], ladders: bool) -> None:
    board = Board([f"CODE{number}" for number in range(50)])
    for code in board.rows:
        board.take([trade(code), book(code), bar("1", NOW, code=code)], 1.0)
    board.take([status(LinkStatus.UP)], 1.0)
    frame = Frame(board, "127.0.0.1:8600", interval="1m", book=ladders)
    lines = texts(frame.lines(*size, Moment(NOW, 1.0)))
    assert [len(line) for line in lines] == [size[0]] * size[1]


def test_scrolling_stops_at_both_ends() -> None:
    board = Board([f"CODE{number}" for number in range(50)])
    frame = Frame(board, "127.0.0.1:8600")

    def shown() -> list[str]:
        lines = texts(frame.lines(80, 13, Moment(NOW, 1.0)))
        return [line.split()[0] for line in lines if line.startswith("CODE")][1:]

    assert shown() == [f"CODE{number}" for number in range(10)]
    frame.scroll(-1)
    assert shown()[0] == "CODE0"
    frame.scroll(pages=1)
    assert shown()[0] == "CODE10"
    frame.scroll(pages=9)
    assert shown()[-1] == "CODE49"
    assert len(shown()) == 10
    assert "codes 41-50 of 50, 40 hidden" in texts(frame.lines(80, 13, Moment(NOW, 1.0)))[-2]


def test_the_bottom_line_tells_of_the_connections() -> None:
    board = Board(SOME)
    frame = Frame(board, "127.0.0.1:8600")

    def bottom(wall: int = NOW, **more: bool) -> str:
        return texts(frame.lines(150, 10, Moment(wall, 100.0), **more))[-1]

    assert "no event yet" in bottom()
    board.take([status(LinkStatus.CONNECTING), status(LinkStatus.UP), trade()], 98.0)
    assert bottom().startswith("● other up  127.0.0.1:8600  last event 14:02:51 UTC")
    assert "gaps 0  reconnects 0" in bottom()
    assert bottom(paused=True).startswith(" PAUSED ")
    board.take([status(LinkStatus.STALE, reason="no answer in 5 s"), status(LinkStatus.UP)], 99.0)
    assert "reconnects 0" in bottom()  # it was never lost
    board.take([status(LinkStatus.DOWN, reason="connection lost", again=9.0)], 99.0)
    assert "other down, again in 7 s" in bottom(NOW + 2000)
    assert board.notice == "other down: connection lost"
    board.take([status(LinkStatus.CONNECTING), status(LinkStatus.UP)], 99.0)
    board.take([Gap("GOLD", Kind.TRADE, MOMENT, MOMENT, "connection lost")], 99.0)
    assert "gaps 1  reconnects 1" in bottom()
    notice = texts(frame.lines(150, 10, Moment(NOW, 100.0)))[-2]
    assert notice.startswith("gap:  GOLD  trades  14:02:53 to 14:02:53  connection lost")


MOMENT = datetime.fromtimestamp(NOW / 1000, UTC)
