"""What `tickwire watch` makes of events: rows, the table, ladders, sparklines, the lines at the bottom."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tickwire.cli.watching.board import Board
from tickwire.cli.watching.frame import Frame, Moment
from tickwire.cli.watching.keys import named
from tickwire.cli.watching.ladder import ladder
from tickwire.cli.watching.line import Line, fitted
from tickwire.cli.watching.row import HOURS_24, Row
from tickwire.cli.watching.spark import sparkline
from tickwire.cli.watching.table import Table, age
from tickwire.client import Book, Gap, Kline, LinkStatus, Status, Trade
from tickwire.model import Family, Kind, Level
from tickwire.wire import Refusal

NOW = 1_788_530_573_000
MINUTE = 60_000
SOME = "BTCUSDT", "GOLD", "AAPL.US"


def trade(code: str = "GOLD", price: str = "4415.32", at: int = NOW, volume: str = "8.00") -> Trade:
    return Trade(code, at, Decimal(price), Decimal(volume))


def book(code: str = "GOLD", levels: int = 3, at: int = NOW) -> Book:
    bids = tuple(Level(Decimal(f"99.{9 - n}0"), Decimal(n + 1)) for n in range(levels))
    asks = tuple(Level(Decimal(f"100.{n}0"), Decimal(n + 1)) for n in range(levels))
    return Book(code, at, bids, asks)


def bar(close: str, at: int, interval: str = "1m", volume: str = "5", code: str = "GOLD") -> Kline:
    price = Decimal(close)
    return Kline(code, interval, at, price, price, price, price, Decimal(volume), Decimal(0))


def status(state: LinkStatus, family: Family = Family.OTHER, **more: object) -> Status:
    return Status(state, family, datetime.fromtimestamp(NOW / 1000, UTC), **more)  # type: ignore[arg-type]


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_a_row_compares_with_the_day_s_open_and_with_24_hours_ago() -> None:
    row = Row("GOLD")
    row.take_trade(trade(price="110.00"))
    assert (row.change, row.change_24h) == (None, None)
    row.take_day(bar("100.00", NOW - 3 * 3_600_000, "1d"))
    day_ago = NOW - HOURS_24
    row.take_past([bar("55.00", day_ago - 5 * MINUTE, "5m"), bar("88.00", day_ago, "5m")])
    assert row.change == Decimal("10.00")
    assert row.change_24h == Decimal("100.00")  # the bar that had ended by then
    row.take_past([bar("88.00", day_ago, "5m")])
    assert row.change_24h is None


def test_a_late_trade_counts_as_volume_only() -> None:
    row = Row("GOLD")
    row.take_day(bar("100", NOW, "1d", volume="50"))
    row.take_trade(trade(price="101", volume="2"))
    row.take_trade(trade(price="102", volume="3", at=NOW + 1))
    row.take_trade(trade(price="99", volume="4", at=NOW - 1))
    assert (row.price, row.volume, row.rose) == (Decimal(102), Decimal(59), True)


def test_the_day_s_bar_sets_the_volume_right_and_an_older_one_does_not() -> None:
    row = Row("GOLD")
    row.take_day(bar("100", NOW, "1d", volume="50"))
    row.take_day(bar("90", NOW - HOURS_24, "1d", volume="70"))
    assert (row.open, row.volume) == (Decimal(100), Decimal(50))
    row.take_day(bar("100", NOW, "1d", volume="80"))
    assert row.volume == Decimal(80)


def test_the_last_trade_is_the_close_of_the_bar_that_forms() -> None:
    row = Row("GOLD")
    for number in range(3):
        row.take_bar(bar(str(number + 1), NOW + number * MINUTE))
    assert row.closes(2) == [Decimal(2), Decimal(3)]
    row.take_trade(trade(price="7"))
    assert row.closes(9) == [Decimal(1), Decimal(2), Decimal(7)]


def test_a_record_has_texts_for_numbers() -> None:
    row = Row("GOLD")
    row.take_book(book())
    row.take_trade(trade(price="0.00000010"))
    assert row.record() == {
        "event": "quote",
        "code": "GOLD",
        "time": "2026-09-04T14:02:53.000Z",
        "last": "0.00000010",
        "change": None,
        "change_24h": None,
        "bid": "99.90",
        "bid_volume": "1",
        "ask": "100.00",
        "ask_volume": "1",
        "volume": None,
        "note": None,
    }


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


def test_ages_of_nothing() -> None:
    assert age(None, NOW) == "-"


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


@pytest.mark.parametrize(
    ("prices", "shown"),
    [("", ""), ("5", "▄"), ("5 5 5", "▄▄▄"), ("1 2 4.5", "▁▃█"), ("3 1 2", "█▁▄")],
)
def test_sparklines(prices: str, shown: str) -> None:
    assert sparkline([Decimal(one) for one in prices.split()]) == shown


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ("q", ["quit"]),
        ("x \x1b[Bj\x1b[6~Q", ["pause", "down", "down", "page down", "quit"]),
        ("\x1b[1;5A\x1bOPk", ["up"]),  # Ctrl-up and F1 mean nothing
        ("\x1b", []),
        ("", []),
    ],
)
def test_keys(sent: str, names: list[str]) -> None:
    assert named(sent) == names


@pytest.mark.parametrize("width", [1, 3, 4, 5, 30])
def test_a_line_is_as_wide_as_it_must_be(width: int) -> None:
    line = fitted([("ab", "bold"), ("中文", "")], width)
    assert sum(len(text.encode("gb18030")) for text, _ in line) == width  # two bytes for two columns


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


def test_events_per_second() -> None:
    board = Board(SOME)
    for second in range(20):
        board.take([trade(), book()], float(second))
    assert board.rate(19.5) == 2.0
    assert board.rate(60.0) == 0.0
