"""What is known of a code: its last trade, its day and the day before."""

from __future__ import annotations

from decimal import Decimal

from tickwire.cli.watching.row import HOURS_24, Row

from .events import NOW, bar, book, trade

MINUTE = 60_000


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


def test_what_the_instrument_does_is_part_of_the_record() -> None:
    row = Row("GOLD")
    assert row.record()["state"] is None
    for state, told in (("halted", "halted"), ("unknown", None)):
        row.touched = False
        row.take_state(state)
        assert (row.touched, row.record()["state"]) == (True, told)


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
        "state": None,
        "note": None,
    }
