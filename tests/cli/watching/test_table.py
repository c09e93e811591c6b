"""The table of codes: its columns, and what stands in them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickwire.cli.watching.board import Board
from tickwire.cli.watching.row import Row
from tickwire.cli.watching.table import Table, age, sparkline
from tickwire.model import Kind
from tickwire.wire import MarketState, Refusal

from .events import NOW, SOME, bar, book, texts, trade


def test_columns_go_where_there_is_no_room_for_them() -> None:
    board = Board(SOME)
    for code in SOME:
        board.rows[code].take_trade(trade(code))
        board.rows[code].take_book(book(code))
        board.rows[code].take_bar(bar("1", NOW, code=code))
    rows = [*board.rows.values()]
    heads = {width: texts(Table("1m").lines(rows, width, NOW))[0].split() for width in range(8, 140)}
    assert heads[139] == ["CODE", "LAST", "CHANGE", "24H", "BID", "ASK", "VOLUME", "AGE", "TREND", "1m"]
    assert heads[8] == ["CODE", "LAST"]
    for width in range(9, 140):
        assert set(heads[width - 1]) <= set(heads[width]) | {"TREND", "1m"}, width
        cells = texts(Table("1m").lines(rows, width, NOW))
        assert max(map(len, cells)) <= max(width, len("BTCUSDT  4415.32"))


def test_columns_do_not_jump() -> None:
    row = Row("GOLD")
    table = Table()
    row.take_trade(trade(price="100000.00"))
    wide = texts(table.lines([row], 100, NOW))
    row.take_trade(trade(price="9.00", at=NOW + 1))
    assert texts(table.lines([row], 100, NOW))[0] == wide[0]
    table.resized()
    assert texts(table.lines([row], 100, NOW))[0] != wide[0]


def test_what_is_refused_says_so() -> None:
    board = Board(["NOPE"])
    board.take([Refusal(Kind.TRADE, ("NOPE",), 600, "code invalid", None)], 1.0)
    assert texts(Table().lines([board.rows["NOPE"]], 80, NOW))[1] == "NOPE  code invalid"
    assert board.notice == "refused: trades of NOPE: code invalid (600)"
    board.take([trade("NOPE")], 2.0)  # it is known now
    assert "invalid" not in texts(Table().lines([board.rows["NOPE"]], 80, NOW))[1]


@pytest.mark.parametrize(
    ("ago", "shown"),
    [(-5, "0s"), (0, "0s"), (59_999, "59s"), (60_000, "1m"), (7_200_000, "2h"), (200_000_000, "2d")],
)
def test_ages(ago: int, shown: str) -> None:
    assert age(NOW - ago, NOW) == shown


def test_an_age_says_what_the_instrument_does_where_it_is_not_open() -> None:
    board, table = Board(["GOLD"]), Table()
    board.take([trade("GOLD", at=NOW - 12_000)], 1.0)
    for state, shown in (("open", "12s"), ("halted", "halted 12s"), ("open", "12s"), ("unknown", "12s")):
        board.take([MarketState("GOLD", state, NOW)], 1.0)
        assert texts(table.lines([board.rows["GOLD"]], 100, NOW))[1].endswith(f" {shown}")
    board.take([MarketState("GOLD", "\x1b[2J", NOW)], 1.0)
    assert "\x1b" not in texts(table.lines([board.rows["GOLD"]], 100, NOW))[1]


def test_ages_of_nothing() -> None:
    assert age(None, NOW) == "-"


@pytest.mark.parametrize(
    ("prices", "shown"),
    [("", ""), ("5", "▄"), ("5 5 5", "▄▄▄"), ("1 2 4.5", "▁▃█"), ("3 1 2", "█▁▄")],
)
def test_sparklines(prices: str, shown: str) -> None:
    assert sparkline([Decimal(one) for one in prices.split()]) == shown
