"""Bars from trades and time: what closes when, what a late trade changes, what a restart takes up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest

from tickwire.klines import FOREVER, Closed, Rules, Series
from tickwire.klines.bar import OpenBar
from tickwire.klines.series import DEFAULTS
from tickwire.model import EXACT, Kline, KlineType, Trade

from .test_grid import CATALOGUE, at

MINUTE, M5, M15, M30, HOUR, H2, H4, DAY, WEEK, MONTH = KlineType
NOON = at("2026-03-18 12:00")
"""A Wednesday, at the begin of bars up to four hours."""


def series(code: str = "BTCUSDT", rules: Rules = DEFAULTS, down: tuple[int, int] = (0, 0)) -> Series:
    return Series(CATALOGUE[code], rules, down)


def add(
    one: Series, seconds: float, price: str = "100", volume: str = "1", *, seq: int = 0, turnover: str = ""
) -> list[Closed]:
    """A trade so many seconds after noon."""
    trade = Trade("BTCUSDT", round((NOON + seconds) * 1000), Decimal(price), Decimal(volume), source_seq=seq)
    money = Decimal(turnover) if turnover else EXACT.multiply(trade.price, trade.volume)
    return one.add(trade, money)


def advance(one: Series, seconds: float) -> list[Closed]:
    return one.advance(round((NOON + seconds) * 1000))


def shape(closed: Sequence[Closed]) -> list[tuple[int, int, str]]:
    """Type, minutes after noon, and close of each."""
    return [(bar.kline_type, (bar.time - NOON) // 60, str(bar.close)) for bar, _ in closed]


def prices(bar: Kline | None) -> str:
    assert bar is not None
    return f"{bar.open} {bar.high} {bar.low} {bar.close} {bar.volume} {bar.turnover}"


def bar_of(kline_type: KlineType, numbers: str, first: int, last: int) -> Kline:
    """A bar that opens at noon."""
    opened, high, low, close, volume, turnover = map(Decimal, numbers.split())
    return Kline("BTCUSDT", kline_type, NOON, opened, high, low, close, volume, turnover, first, last)


def test_a_bar_holds_the_trades_of_its_minute() -> None:
    one = series()
    for second, price, volume in (
        (0, "100", "1"),
        (20, "103", "0.5"),
        (40, "98", "2"),
        (59.999, "99", "0.1"),
    ):
        assert add(one, second, price, volume) == []
    expected = bar_of(MINUTE, "100 103 98 99 3.6 357.4", NOON * 1000, NOON * 1000 + 59_999)
    assert one.forming(MINUTE) == expected


def test_sums_are_exact_where_a_float_or_the_default_context_is_not() -> None:
    one = series()
    add(one, 0, volume="1000000000000000", turnover="1000000000000000000000000000000")
    for n in range(1, 4):
        add(one, n, volume="0.000000000001", turnover="0.000000000001")
    assert add(one, 60, volume="0.1", turnover="0.1")[0].kline.volume == Decimal(
        "1000000000000000.000000000003"
    )
    bar = one.forming(DAY)
    assert bar is not None
    assert bar.volume == Decimal("1000000000000000.100000000003")
    assert bar.turnover == Decimal("1000000000000000000000000000000.100000000003")


def test_within_a_minute_time_then_number_then_arrival_say_what_is_first_and_last() -> None:
    one = series()
    add(one, 30, "5", seq=7)
    add(one, 30, "7", seq=9)
    add(one, 30, "6", seq=8)
    assert prices(one.forming(MINUTE)) == "5 7 5 7 3 18"
    add(one, 30, "4", seq=6)
    add(one, 30, "8", seq=9)  # a full tie: arrival
    add(one, 30, "3", seq=6)
    assert prices(one.forming(MINUTE)) == "4 8 3 8 6 33"
    add(one, 29, "9", seq=10)
    assert prices(one.forming(MINUTE)) == "9 9 3 8 7 42"


def test_the_next_minutes_trade_closes_the_bar() -> None:
    one = series()
    add(one, 1, "100")
    add(one, 2, "101")
    (closed,) = add(one, 60, "102")
    assert not closed.revised
    assert prices(closed.kline) == "100 101 100 101 2 201"
    assert prices(one.forming(MINUTE)) == "102 102 102 102 1 102"


def test_a_trade_closes_all_larger_bars_that_have_ended_smallest_first() -> None:
    one = series()
    add(one, 0, "1")
    closed = add(one, 4 * 3600, "2")
    assert shape(closed) == [(kind, 0, "1") for kind in (MINUTE, M5, M15, M30, HOUR, H2, H4)]
    assert shape(add(one, 12 * 3600, "3"))[-2:] == [(H4, 240, "2"), (DAY, -720, "2")]
    assert [kind for kind, _, _ in shape(add(one, 13 * 86400, "4"))] == [*range(1, 10)]
    assert [kind for kind, _, _ in shape(add(one, 14 * 86400, "5"))] == [*range(1, 9), 10]  # a Wednesday


def test_a_minute_without_trades_has_no_bar() -> None:
    one = series()
    add(one, 0)
    assert shape(add(one, 180)) == [(MINUTE, 0, "100")]


def test_time_closes_a_bar_the_close_delay_after_its_end_and_not_before() -> None:
    one = series()
    add(one, 59)
    assert advance(one, 60) == advance(one, 61.999) == []
    assert one.forming(MINUTE) is not None
    assert shape(advance(one, 62)) == [(MINUTE, 0, "100")]
    assert one.forming(MINUTE) is None
    assert advance(one, 63) == []


@pytest.mark.parametrize("delay", [0, 500, 10_000])
def test_the_close_delay_is_a_rule(delay: int) -> None:
    one = series(rules=Rules(close_delay=delay))
    add(one, 59)
    end = NOON * 1000 + 60_000 + delay
    assert one.advance(end - 1) == []
    assert shape(one.advance(end)) == [(MINUTE, 0, "100")]


def test_time_closes_larger_bars_at_their_ends_in_order() -> None:
    one = series()
    add(one, 10, "1")
    assert shape(advance(one, 62)) == [(MINUTE, 0, "1")]
    assert advance(one, 301.999) == []
    assert shape(advance(one, 302)) == [(M5, 0, "1")]
    assert shape(advance(one, 1802)) == [(M15, 0, "1"), (M30, 0, "1")]
    assert shape(advance(one, 4 * 3600 + 2)) == [(HOUR, 0, "1"), (H2, 0, "1"), (H4, 0, "1")]
    assert shape(advance(one, 12 * 3600 + 1.999)) == []
    assert shape(advance(one, 12 * 3600 + 2)) == [(DAY, -720, "1")]
    assert [kind for kind, _, _ in shape(advance(one, 30 * 86400))] == [WEEK, MONTH]
    assert [one.forming(kind) for kind in KlineType] == [None] * 10


def test_time_closes_nothing_before_the_stream_begins() -> None:
    one = series()
    assert one.advance(0) == []
    add(one, 0)
    assert one.advance(0) == []


def test_a_larger_bar_that_forms_is_its_closed_part_and_the_open_minute() -> None:
    one = series()
    add(one, 0, "100", "1")
    for kind in KlineType:
        assert prices(one.forming(kind)) == "100 100 100 100 1 100"
    add(one, 60, "90", "2")
    add(one, 61, "95", "3")
    for kind in KlineType:
        expected = "90 95 90 95 5 465" if kind is MINUTE else "100 100 90 95 6 565"
        assert prices(one.forming(kind)) == expected
    add(one, 300, "97", "4")
    assert prices(one.forming(M5)) == "97 97 97 97 4 388"
    assert prices(one.forming(M15)) == "100 100 90 97 10 953"
    advance(one, 362)
    assert one.forming(MINUTE) is None
    assert prices(one.forming(M5)) == "97 97 97 97 4 388"


def test_forming_bars_have_the_open_times_of_their_grid() -> None:
    one = series("GOLD")
    sunday = at("2026-05-31 22:15")
    one.add(Trade("GOLD", sunday * 1000, Decimal(1), Decimal(1)), Decimal(1))
    for _ in range(2):  # while the minute is open, and when it has closed
        times = [bar.time for kind in (M15, H4, DAY, WEEK, MONTH) if (bar := one.forming(kind))]
        assert times == [sunday, at("2026-05-31 20:00"), *[at("2026-06-01")] * 3]
        one.advance((sunday + 62) * 1000)


def test_stocks_have_no_bars_of_two_and_four_hours() -> None:
    one = series("AAPL.US")
    add(one, 0)
    assert [kind for kind in KlineType if one.forming(kind) is None] == [H2, H4]
    assert [kind for kind, _, _ in shape(add(one, 40 * 86400))] == [1, 2, 3, 4, 5, 8, 9, 10]
    assert [kind for kind in KlineType if one.forming(kind) is None] == [H2, H4]


def test_hong_kongs_closing_auction_is_one_minute() -> None:
    one = series("700.HK")
    auction = at("2026-03-18 16:00", "Asia/Hong_Kong") - NOON
    add(one, auction + 1, "1")
    assert advance(one, auction + 62) == []
    assert add(one, auction + 499, "2") == []
    assert prices(one.forming(MINUTE)) == prices(one.forming(M5)) == "1 2 1 2 2 3"
    closed = advance(one, auction + 602)
    assert [(bar.kline_type, bar.time) for bar, _ in closed] == [
        (MINUTE, NOON + auction),
        (M5, NOON + auction),
    ]


# Late trades.
def test_a_late_trade_revises_the_minute_and_every_larger_bar_that_holds_it() -> None:
    one = series()
    add(one, 295, "10", "1")
    add(one, 301, "20", "1")
    closed = add(one, 296, "30", "2")
    assert [one.revised for one in closed] == [True, True]
    assert shape(closed) == [(MINUTE, 4, "30"), (M5, 0, "30")]
    assert [prices(bar) for bar, _ in closed] == ["10 30 10 30 3 70"] * 2
    assert prices(one.forming(MINUTE)) == prices(one.forming(M5)) == "20 20 20 20 1 20"
    for kind in (M15, M30, HOUR, H2, H4, DAY, WEEK, MONTH):
        assert prices(one.forming(kind)) == "10 30 10 20 4 90"
    assert one.late == 0


def test_a_late_trade_may_be_the_first_of_its_bars() -> None:
    one = series()
    add(one, 295, "10", "1")
    add(one, 301, "20", "1")
    assert {prices(bar) for bar, _ in add(one, 290, "5", "1")} == {"5 10 5 10 2 15"}
    assert prices(one.forming(DAY)) == "5 20 5 20 3 35"


def test_a_late_trade_revises_after_time_closed_the_bar_too() -> None:
    one = series()
    add(one, 299, "10", "1")
    assert shape(advance(one, 302)) == [(MINUTE, 4, "10"), (M5, 0, "10")]
    closed = add(one, 299.5, "11", "1")
    assert shape(closed) == [(MINUTE, 4, "11"), (M5, 0, "11")]
    assert all(bar.volume == 2 and revised for bar, revised in closed)


def test_a_late_trade_in_a_minute_without_a_bar_makes_one() -> None:
    one = series()
    add(one, 0, "10", "1")
    add(one, 130, "20", "1")
    (closed,) = add(one, 100, "30", "1")
    assert not closed.revised
    assert shape([closed]) == [(MINUTE, 1, "30")]
    assert prices(one.forming(M5)) == "10 30 10 20 3 60"
    (again,) = add(one, 101, "40", "1")
    assert again.revised
    assert prices(again.kline) == "30 40 30 40 2 70"


def test_a_late_trade_before_the_first_bar_of_all_makes_bars_of_all_its_types() -> None:
    one = series()
    add(one, 5, "20", "1")
    closed = add(one, -5, "10", "1")
    assert shape(closed) == [(kind, -(minutes), "10") for kind, minutes in EARLIER.items()]
    assert prices(one.forming(H4)) == "20 20 20 20 1 20"
    assert prices(one.forming(DAY)) == "10 20 10 20 2 30"


EARLIER = {MINUTE: 1, M5: 5, M15: 15, M30: 30, HOUR: 60, H2: 120, H4: 240}


def test_the_late_window_is_inclusive_and_what_is_later_is_counted_in_no_bar() -> None:
    one = series()
    add(one, 50, "10", "1")
    add(one, 110, "20", "1")
    assert len(add(one, 50, "11", "1")) == 1
    before = [one.forming(kind) for kind in KlineType]
    assert add(one, 49.999, "99", "9") == []
    assert one.late == 1
    assert [one.forming(kind) for kind in KlineType] == before
    assert shape(advance(one, 122)) == [(MINUTE, 1, "20")]


@pytest.mark.parametrize("window", [0, 5_000, 3_600_000])
def test_the_late_window_is_a_rule(window: int) -> None:
    one = series(rules=Rules(late_window=window))
    add(one, 0, "10", "1")
    add(one, 7200, "20", "1")
    late = 7200 - window / 1000 - 0.001
    add(one, late)
    assert one.late == (late < 7200)
    add(one, late + 0.001)
    assert one.late == 1


@pytest.mark.parametrize("window", [0, 5_000, 60_000, 600_000])
def test_without_the_clock_bars_are_the_same_however_often_it_is_looked_at(window: int) -> None:
    dice = Random(window)
    times = [tenth / 10 - dice.choice((0, 0, 3, 20, 70, 400)) for tenth in range(0, 18_000, 7)]

    def bars_of(looks: float) -> tuple[dict[tuple[KlineType, int], Kline], int]:
        one, found, reached = series(rules=Rules(late_window=window, by_clock=False)), {}, 0.0
        for number, second in enumerate(times):
            closed, reached = [*add(one, second, str(1 + number % 50))], max(reached, second)
            if dice.random() < looks:
                closed += advance(one, reached + dice.choice((0, 2, 90)))  # other codes are ahead
            found.update({(bar.kline_type, bar.time): bar for bar, _ in closed})
        found.update({(bar.kline_type, bar.time): bar for bar, _ in one.advance(FOREVER)})
        return found, one.late

    assert bars_of(0) == bars_of(0.02) == bars_of(1)
    assert 0 < bars_of(0)[1] < len(times) or window == 600_000


def test_the_markets_clock_counts_for_the_late_window_too() -> None:
    one = series()
    add(one, 50, "10", "1")
    advance(one, 110)
    assert len(add(one, 50, "11", "1")) == 1
    advance(one, 110.001)
    assert add(one, 50, "12", "1") == []
    assert one.late == 1


def test_a_trade_after_time_closed_its_larger_bar_adds_to_that_bar() -> None:
    """The minute 12:04 has no bar yet when the clock closes the five minutes that hold it."""
    one = series()
    add(one, 200, "10", "1")
    assert shape(advance(one, 302)) == [(MINUTE, 3, "10"), (M5, 0, "10")]
    late = [*add(one, 299, "12", "2"), *advance(one, 303)]
    last = {(bar.kline_type, bar.time): bar for bar, _ in late}
    assert prices(last[MINUTE, NOON + 240]) == "12 12 12 12 2 24"
    assert prices(last[M5, NOON]) == "10 12 10 12 3 34"
    assert one.forming(M5) is None
    assert prices(one.forming(M15)) == "10 12 10 12 3 34"


# What the source was down for, and what comes before.
def incomplete(one: Series) -> list[KlineType]:
    return [kind for kind in KlineType if (bar := one.forming(kind)) is not None and bar.incomplete]


def test_bars_that_overlap_with_the_time_that_the_source_was_down_are_incomplete() -> None:
    one = series(down=(NOON - 600, NOON + 30))
    add(one, 40)
    assert incomplete(one) == list(KlineType)
    assert all(bar.incomplete for bar, _ in add(one, 300))
    assert incomplete(one) == [M15, M30, HOUR, H2, H4, DAY, WEEK, MONTH]


def test_larger_bars_are_incomplete_though_each_of_their_minutes_is_whole() -> None:
    one = series(down=(NOON + 60, NOON + 90))
    add(one, 180)
    assert incomplete(one) == [kind for kind in KlineType if kind is not MINUTE]
    assert [bar.incomplete for bar, _ in add(one, 300)] == [False, True]


def test_a_bar_that_begins_with_a_sunday_is_incomplete_if_the_source_was_down_on_it() -> None:
    sunday = at("2026-05-31 22:00")
    one = series("GOLD", down=(sunday, sunday + 600))
    one.add(Trade("GOLD", (sunday + 86400) * 1000, Decimal(1), Decimal(1)), Decimal(1))
    assert incomplete(one) == [DAY, WEEK, MONTH]


def test_bars_before_and_after_the_time_that_the_source_was_down_are_whole() -> None:
    one = series(down=(NOON - 86400 * 40, NOON - 86400 * 30))
    add(one, 0)
    assert incomplete(one) == []


def stored(one: Series, closed: Sequence[Closed]) -> dict[KlineType, list[Kline]]:
    """What a store would hold: all that closed, and the forming minute."""
    bars = {(bar.kline_type, bar.time): bar for bar, _ in closed}
    if (minute := one.forming(MINUTE)) is not None:
        bars[MINUTE, minute.time] = minute
    return {kind: [bars[key] for key in sorted(bars) if key[0] is kind] for kind in KlineType}


def test_after_a_restart_the_minute_that_was_open_and_those_around_it_are_incomplete() -> None:
    first = series()
    closed = [*add(first, 0), *add(first, 61)]
    second = series(down=(NOON + 70, NOON + 200))
    second.restore(stored(first, closed))
    assert incomplete(second) == list(KlineType)


def test_a_larger_bar_is_incomplete_after_a_restart_in_the_pause_between_its_trades() -> None:
    first = series()
    closed = [*add(first, 0), *advance(first, 62)]
    second = series(down=(NOON + 310, NOON + 320))
    second.restore(stored(first, closed))
    closed = add(second, 400)
    assert [bar.incomplete for bar, _ in closed] == [False, False]  # 12:00, both of one and five minutes
    assert incomplete(second) == [M5, M15, M30, HOUR, H2, H4, DAY, WEEK, MONTH]


def test_without_a_time_that_the_source_was_down_nothing_is_incomplete() -> None:
    first = series()
    closed = [*add(first, 0), *add(first, 61), *add(first, 400)]
    for again in (False, True):
        second = series()
        second.restore(stored(first, closed), again=again)
        assert incomplete(second) == []


PART = bar_of(M5, "7 9 6 8 5 40", NOON * 1000, NOON * 1000 + 1)


def test_what_precedes_a_bar_becomes_its_begin() -> None:
    one = series()
    add(one, 130, "10", "1")
    assert one.precede(PART)
    assert prices(one.forming(M5)) == "7 10 6 10 6 50"
    assert prices(one.forming(M15)) == prices(one.forming(MINUTE)) == "10 10 10 10 1 10"
    add(one, 200, "5", "1")
    assert prices(one.forming(M5)) == "7 10 5 5 7 55"
    assert [prices(bar) for bar, _ in add(one, 300, "1", "1")] == ["5 5 5 5 1 5", "7 10 5 5 7 55"]


def test_what_precedes_a_bar_that_has_minutes_closed_becomes_its_begin() -> None:
    one = series()
    add(one, 130, "10", "1")
    add(one, 200, "5", "1")
    assert one.precede(PART)
    assert prices(one.forming(M5)) == "7 10 5 5 7 55"


@pytest.mark.parametrize("by_time", [True, False])
def test_what_precedes_a_closed_bar_is_for_the_store_and_for_late_trades(by_time: bool) -> None:
    one = series()
    add(one, 250, "10", "1")
    closed = advance(one, 302) if by_time else add(one, 301, "20", "1")
    assert shape(closed)[-1] == (M5, 0, "10")
    assert not one.precede(PART)
    revised = {bar.kline_type: bar for bar, _ in add(one, 251, "11", "1")}
    assert prices(revised[M5]) == "7 11 6 11 7 61"
    assert prices(revised[MINUTE]) == "10 11 10 11 2 21"


def test_a_trade_that_the_clock_has_left_behind_is_counted_though_no_minute_was_later() -> None:
    one = series()
    add(one, 0, "10", "1")
    assert shape(advance(one, 3602))[-1] == (HOUR, 0, "10")
    assert add(one, 1000, "99", "9") == []
    assert one.late == 1
    assert advance(one, 3603) == []


def test_a_correction_after_a_restart_counts_the_last_minute_once() -> None:
    """It is the first of its five minutes, which had closed: it is taken up as if it had not."""
    before = series()
    closed = [*add(before, 0, volume="1"), *add(before, 300, volume="24"), *advance(before, 3600)]
    stored: dict[KlineType, list[Kline]] = {}
    for bar, _ in closed:
        stored.setdefault(bar.kline_type, []).append(bar)
    assert [bar.volume for bar in stored[M5]] == [1, 24]
    one = series()
    one.restore(stored)
    corrected = OpenBar.of(stored[MINUTE][0], NOON, NOON + 60)
    corrected.volume = Decimal(2)
    one.correct(NOON, corrected, stored)
    for kline_type in (M15, M30, HOUR, DAY, WEEK):
        forming = one.forming(kline_type)
        assert forming is not None
        assert forming.volume == 26


# Holes whose trades come after all.
def test_what_was_missed_is_late_for_no_bar_once_a_hole_is_mended() -> None:
    one = series()
    add(one, 10)
    advance(one, 30)
    one.hole(NOON + 20, None)
    closed = advance(one, 302)  # the outage lasts for longer than the late window
    assert {bar.kline_type for bar, _ in closed} == {MINUTE, M5}
    assert all(bar.incomplete for bar, _ in closed)
    add(one, 25)
    assert one.late == 1
    mended = one.mend()
    assert {(bar.kline_type, bar.incomplete, revised) for bar, revised in mended} == {
        (MINUTE, False, True),
        (M5, False, True),
    }
    hour = one.forming(HOUR)
    assert hour is not None
    assert not hour.incomplete
    for second in (25, 59, 100, 170, 250):
        assert all(not bar.incomplete for bar, _ in add(one, second))
    assert one.late == 1
    whole = series()
    for second in (10, 25, 59, 100, 170, 250):
        add(whole, second)
    advance(whole, 302)
    for kline_type in KlineType:
        assert one.forming(kline_type) == whole.forming(kline_type)
    assert (M5, NOON) in whole._ended
    for key, bar in whole._ended.items():
        assert one._ended[key].kline("", *key) == bar.kline("", *key)
    add(one, 303)  # what comes now is on time, and late by the clock from then on
    advance(one, 500)
    add(one, 304)
    assert one.late == 2


def test_what_lacked_something_before_a_hole_does_so_after_it_was_mended() -> None:
    one = series()
    add(one, 10)
    one.hole(NOON + 20, NOON + 30)
    add(one, 40)
    advance(one, 50)
    one.hole(NOON + 65, None)
    one.hole(NOON + 70, None)  # said twice
    assert [bar.kline_type for bar, _ in advance(one, 130)] == [MINUTE]
    assert one.mend() == []  # that minute lacks what it lacked
    add(one, 80)
    advance(one, 190)
    assert not one._ended[MINUTE, NOON + 60].incomplete
    hour = one.forming(HOUR)
    assert hour is not None
    assert hour.incomplete
    assert one.mend() == []  # there is no hole that is not over


def test_a_series_that_is_begun_anew_in_a_hole_is_mended_too() -> None:
    before, one = series(), series()
    add(before, 10)
    before.hole(NOON + 20, None)
    (minute, _) = advance(before, 70)[0]
    one.restore({MINUTE: [minute]})
    one.hole(NOON + 20, None)
    one.resume(before)
    one.mend()
    assert not any(bar.incomplete for bar in one._ended.values())
    forming = one.forming(M5)
    assert forming is not None
    assert not forming.incomplete
