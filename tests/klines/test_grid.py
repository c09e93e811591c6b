"""Which bar a moment belongs to, beside a naive reckoning with calendars and clocks."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.klines import SECONDS, Grid
from tickwire.model import Family, KlineType, Market
from tickwire.store import load_catalogue

from ..calendars.moments import at as at_ms

CATALOGUE = load_catalogue()
CRYPTO, WITH_SUNDAYS = "BTCUSDT", ("EURUSD", "GOLD", "USOIL", "US500")
ZONES = {
    "700.HK": "Asia/Hong_Kong",
    "HSI.HK": "Asia/Hong_Kong",
    "600519.SH": "Asia/Shanghai",
    "000001.SH": "Asia/Shanghai",
    "AAPL.US": "America/New_York",
    ".DJI.US": "America/New_York",
}
CODES = (CRYPTO, *WITH_SUNDAYS, *ZONES)
NEW_YORK, HONG_KONG = "America/New_York", "Asia/Hong_Kong"
MINUTE, M5, M15, M30, HOUR, H2, H4, DAY, WEEK, MONTH = KlineType
OF_DAYS = (DAY, WEEK, MONTH)
EVES = [date(year, 12, day) for year in range(2016, 2036) for day in (24, 31)]
HK_HALF_DAYS = {
    *(day for day in EVES if day.weekday() < 5),
    *map(date.fromisoformat, "2017-01-27 2018-02-15 2019-02-04 2020-01-24 2021-02-11 2022-01-31".split()),
    *map(date.fromisoformat, "2024-02-09 2025-01-28 2026-02-16 2027-02-05 2028-01-25 2029-02-12".split()),
    *map(date.fromisoformat, "2031-01-22 2032-02-10 2035-02-07".split()),
}
"""HKEX's half days since it has a closing auction: eves of Christmas, of New Year and of Lunar New Year."""


def at(text: str, zone: str = "UTC") -> int:
    """Seconds since the epoch of "2026-11-26 09:30" by the zone's clocks."""
    return at_ms(text, zone) // 1000


def text_of(seconds: int, zone: str = "UTC") -> str:
    return f"{datetime.fromtimestamp(seconds, ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def naive_open_time(code: str, kline_type: KlineType, seconds: int) -> int:
    """The open time by calendar and clock alone."""
    zone = ZoneInfo(ZONES.get(code, "UTC"))
    local = datetime.fromtimestamp(seconds, zone)
    closing = (16, 12) if local.date() in HK_HALF_DAYS else (16,)
    if code.endswith(".HK") and local.hour in closing and local.minute < 10:
        local = local.replace(minute=0)
    local = local.replace(second=0)
    match kline_type:
        case KlineType.MINUTE:
            return int(local.timestamp())
        case KlineType.MINUTES_5 | KlineType.MINUTES_15 | KlineType.MINUTES_30 | KlineType.HOUR:
            step = {M5: 5, M15: 15, M30: 30, HOUR: 60}[kline_type]
            return int(local.replace(minute=local.minute // step * step).timestamp())
        case KlineType.HOURS_2 | KlineType.HOURS_4:
            step = {H2: 2, H4: 4}[kline_type]
            return int(local.replace(hour=local.hour // step * step, minute=0).timestamp())
    day = local.date()
    if code in WITH_SUNDAYS and day.isoweekday() == 7:
        day += timedelta(days=1)
    if kline_type is WEEK:
        day = date.fromisocalendar(day.isocalendar().year, day.isocalendar().week, 1)
    elif kline_type is MONTH:
        day = date(day.year, day.month, 1)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def grid(code: str) -> Grid:
    return Grid(CATALOGUE[code])


def opens(code: str, moment: int, *types: KlineType, zone: str = "UTC") -> list[str]:
    return [text_of(grid(code).open_time(one, moment), zone) for one in types]


def test_the_codes_are_of_all_markets() -> None:
    assert {CATALOGUE[code].market for code in CODES} == set(Market)


@pytest.mark.parametrize("code", CODES)
def test_stocks_lack_two_and_four_hours_and_nothing_else(code: str) -> None:
    lacking = {H2, H4} if CATALOGUE[code].family is Family.STOCK else set()
    assert grid(code).types == tuple(one for one in KlineType if one not in lacking)


@pytest.mark.parametrize("code", [CRYPTO, *WITH_SUNDAYS])
def test_all_types_of_the_other_family_lie_on_the_utc_grid(code: str) -> None:
    expected = {
        MINUTE: "2026-03-18 15:47",
        M5: "2026-03-18 15:45",
        M15: "2026-03-18 15:45",
        M30: "2026-03-18 15:30",
        HOUR: "2026-03-18 15:00",
        H2: "2026-03-18 14:00",
        H4: "2026-03-18 12:00",
        DAY: "2026-03-18 00:00",
        WEEK: "2026-03-16 00:00",
        MONTH: "2026-03-01 00:00",
    }
    moment = at("2026-03-18 15:47:31")
    assert opens(code, moment, *KlineType) == list(expected.values())


@pytest.mark.parametrize(("code", "zone"), ZONES.items())
def test_all_types_of_stocks_lie_on_the_clock_of_their_exchange(code: str, zone: str) -> None:
    expected = {
        MINUTE: "2026-03-18 15:47",
        M5: "2026-03-18 15:45",
        M15: "2026-03-18 15:45",
        M30: "2026-03-18 15:30",
        HOUR: "2026-03-18 15:00",
        DAY: "2026-03-18 00:00",
        WEEK: "2026-03-16 00:00",
        MONTH: "2026-03-01 00:00",
    }
    moment = at("2026-03-18 15:47:31", zone)
    assert opens(code, moment, *expected, zone=zone) == list(expected.values())


@pytest.mark.parametrize(("code", "zone"), ZONES.items())
def test_a_stocks_day_changes_at_local_midnight(code: str, zone: str) -> None:
    midnight = at("2026-03-19", zone)
    assert opens(code, midnight - 1, *OF_DAYS, zone=zone)[0] == "2026-03-18 00:00"
    assert grid(code).open_time(DAY, midnight) == midnight
    # A Sunday (were there one) is a day of its own.
    sunday = at("2026-03-22 12:00", zone)
    assert opens(code, sunday, DAY, WEEK, zone=zone) == ["2026-03-22 00:00", "2026-03-16 00:00"]


SUNDAYS = [
    # Sunday evening; its day, week and month for all but crypto; and for crypto
    ("2026-03-22 22:15", "2026-03-23 2026-03-23 2026-03-01", "2026-03-22 2026-03-16 2026-03-01"),
    # a month whose first is a Sunday
    ("2026-03-01 22:15", "2026-03-02 2026-03-02 2026-03-01", "2026-03-01 2026-02-23 2026-03-01"),
    # a month whose first is a Monday: the Sunday before it belongs to it
    ("2026-05-31 22:15", "2026-06-01 2026-06-01 2026-06-01", "2026-05-31 2026-05-25 2026-05-01"),
    # the same over a year's end
    ("2023-12-31 22:15", "2024-01-01 2024-01-01 2024-01-01", "2023-12-31 2023-12-25 2023-12-01"),
]


@pytest.mark.parametrize("code", WITH_SUNDAYS)
@pytest.mark.parametrize(("moment", "expected", "_"), SUNDAYS)
def test_sundays_ticks_belong_to_mondays_bars(code: str, moment: str, expected: str, _: str) -> None:
    assert opens(code, at(moment), *OF_DAYS) == [f"{day} 00:00" for day in expected.split()]
    assert grid(code).open_time(DAY, at(moment)) > at(moment)  # it lies ahead
    # Bars of hours stay where they are.
    assert opens(code, at(moment), HOUR, H4) == [f"{moment[:10]} 22:00", f"{moment[:10]} 20:00"]


@pytest.mark.parametrize(("moment", "_", "expected"), SUNDAYS)
def test_crypto_has_sundays_of_its_own(moment: str, _: str, expected: str) -> None:
    assert opens(CRYPTO, at(moment), *OF_DAYS) == [f"{day} 00:00" for day in expected.split()]


@pytest.mark.parametrize("code", WITH_SUNDAYS)
def test_bars_that_begin_with_a_sunday_begin_before_their_open_time(code: str) -> None:
    june = at("2026-06-01")
    for kline_type in OF_DAYS:
        assert text_of(grid(code).begin(kline_type, june)) == "2026-05-31 00:00"
    assert text_of(grid(code).end(DAY, june)) == "2026-06-02 00:00"
    assert text_of(grid(code).end(WEEK, june)) == "2026-06-07 00:00"
    assert text_of(grid(code).end(MONTH, june)) == "2026-07-01 00:00"
    # and those before them end before it
    assert text_of(grid(code).end(DAY, at("2026-05-30"))) == "2026-05-31 00:00"
    assert text_of(grid(code).end(WEEK, at("2026-05-25"))) == "2026-05-31 00:00"
    assert text_of(grid(code).end(MONTH, at("2026-05-01"))) == "2026-05-31 00:00"
    assert text_of(grid(code).begin(MONTH, at("2026-03-01"))) == "2026-03-01 00:00"  # itself a Sunday


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-03-09", 24)])
def test_new_yorks_days_have_the_hours_that_its_clocks_show(day: str, hours: int) -> None:
    new_york = grid("AAPL.US")
    midnight = at(day, NEW_YORK)
    ends = new_york.end(DAY, midnight)
    assert ends - midnight == hours * 3600
    assert ends == at(f"{date.fromisoformat(day) + timedelta(days=1)}", NEW_YORK)
    inside = [new_york.open_time(HOUR, midnight + n * 1800) for n in range(hours * 2)]
    assert len(set(inside)) == hours
    assert {new_york.open_time(DAY, one) for one in inside} == {midnight}
    assert new_york.open_time(DAY, ends) == ends


def test_weeks_and_months_of_new_york_keep_midnight_over_a_change_of_its_clocks() -> None:
    new_york = grid("AAPL.US")
    summer = at("2026-03-20 10:00", NEW_YORK)
    assert new_york.open_time(MONTH, summer) == at("2026-03-01", "UTC") + 5 * 3600
    assert new_york.end(MONTH, new_york.open_time(MONTH, summer)) == at("2026-04-01", "UTC") + 4 * 3600
    sunday = at("2026-03-08 10:00", NEW_YORK)
    assert new_york.open_time(WEEK, sunday) == at("2026-03-02", "UTC") + 5 * 3600
    assert new_york.end(WEEK, new_york.open_time(WEEK, sunday)) == at("2026-03-09", "UTC") + 4 * 3600


@pytest.mark.parametrize(("code", "zone"), [(CRYPTO, "UTC"), ("GOLD", "UTC"), ("700.HK", "Asia/Hong_Kong")])
def test_a_leap_day_is_a_day_of_february(code: str, zone: str) -> None:
    moment = at("2024-02-29 12:00", zone)
    expected = ["2024-02-29 00:00", "2024-02-26 00:00", "2024-02-01 00:00"]
    assert opens(code, moment, *OF_DAYS, zone=zone) == expected
    day, _, month = (grid(code).open_time(one, moment) for one in OF_DAYS)
    assert grid(code).end(DAY, day) == grid(code).end(MONTH, month) == at("2024-03-01", zone)
    assert grid(code).end(MONTH, at("2023-02-01", zone)) == at("2023-03-01", zone)


AUCTION = (MINUTE, M5, M15, M30, HOUR)


@pytest.mark.parametrize("code", ["700.HK", "HSI.HK"])
@pytest.mark.parametrize("clock", ["16:00:00", "16:00:59", "16:01", "16:05", "16:08:14", "16:09:59"])
def test_hong_kongs_closing_auction_belongs_to_the_minute_16_00(code: str, clock: str) -> None:
    print_ = at(f"2026-03-18 {clock}", ZONES[code])
    assert opens(code, print_, *AUCTION, zone=ZONES[code]) == ["2026-03-18 16:00"] * 5


def test_hong_kongs_bars_of_16_00_end_with_the_auction_or_later() -> None:
    hong_kong, opened = grid("700.HK"), at("2026-03-18 16:00", "Asia/Hong_Kong")
    ends = [text_of(hong_kong.end(one, opened), "Asia/Hong_Kong")[-5:] for one in AUCTION]
    assert ends == ["16:10", "16:10", "16:15", "16:30", "17:00"]
    assert hong_kong.open_time(MINUTE, opened - 1) == opened - 60
    assert hong_kong.end(MINUTE, opened - 60) == opened
    assert hong_kong.open_time(MINUTE, opened + 600) == opened + 600
    assert hong_kong.open_time(M5, opened + 600) == opened + 600


@pytest.mark.parametrize("day", ["2026-12-24", "2026-12-31", "2026-02-16"])
@pytest.mark.parametrize("clock", ["12:00:00", "12:00:59", "12:05", "12:08:14", "12:09:59"])
def test_on_half_days_hong_kongs_closing_auction_belongs_to_the_minute_12_00(day: str, clock: str) -> None:
    print_ = at(f"{day} {clock}", HONG_KONG)
    assert opens("700.HK", print_, *AUCTION, DAY, zone=HONG_KONG) == [*[f"{day} 12:00"] * 5, f"{day} 00:00"]


def test_hong_kongs_bars_of_12_00_end_with_the_auction_of_a_half_day() -> None:
    hong_kong, opened = grid("700.HK"), at("2026-12-24 12:00", HONG_KONG)
    ends = [text_of(hong_kong.end(one, opened), HONG_KONG)[-5:] for one in AUCTION]
    assert ends == ["12:10", "12:10", "12:15", "12:30", "13:00"]
    assert hong_kong.open_time(MINUTE, opened - 1) == opened - 60
    assert hong_kong.open_time(MINUTE, opened + 600) == opened + 600


@pytest.mark.parametrize(
    ("code", "day"),
    [
        ("700.HK", "2026-12-23"),
        ("700.HK", "2015-12-24"),
        ("600519.SH", "2026-12-24"),
        ("AAPL.US", "2026-12-24"),
    ],
)
def test_without_an_auction_each_minute_after_12_00_is_its_own(code: str, day: str) -> None:
    moment = at(f"{day} 12:05:30", ZONES[code])
    assert grid(code).open_time(MINUTE, moment) == moment - 30
    assert grid(code).end(MINUTE, moment - 30) == moment + 30


@pytest.mark.parametrize("code", [CRYPTO, "600519.SH", "AAPL.US"])
def test_elsewhere_each_minute_after_16_00_is_its_own(code: str) -> None:
    moment = at("2026-03-18 16:05:30", ZONES.get(code, "UTC"))
    assert grid(code).open_time(MINUTE, moment) == grid(code).open_time(M5, moment) == moment - 30


MOMENTS = st.integers(at("2010-01-01"), at("2036-01-01") - 1)
NEAR_SUNDAYS_AND_AUCTIONS = st.builds(
    lambda week, hour, second: at("2010-01-02") + week * 604800 + hour * 3600 + second,
    st.integers(0, 26 * 52),
    st.sampled_from([0, 24, 48, 72, 4, 5, 28, 29, 8, 104, 128]),  # midnights, 12:00 and 16:00 in Hong Kong
    st.integers(-900, 900),
)
NEAR_HALF_DAYS_ENDS = st.builds(
    lambda day, second: at(f"{day} 12:00", HONG_KONG) + second,
    st.sampled_from([*sorted(HK_HALF_DAYS), date(2026, 12, 23), date(2015, 12, 24)]),
    st.integers(-900, 900),
)


@pytest.mark.parametrize("code", CODES)
@settings(max_examples=300)
@given(
    moment=MOMENTS | NEAR_SUNDAYS_AND_AUCTIONS | NEAR_HALF_DAYS_ENDS, share=st.floats(0, 1, exclude_max=True)
)
def test_every_moment_lies_in_its_bar_and_all_of_a_bar_is_one(code: str, moment: int, share: float) -> None:
    for kline_type in grid(code).types:
        opened = grid(code).open_time(kline_type, moment)
        begin, end = grid(code).begin(kline_type, opened), grid(code).end(kline_type, opened)
        assert opened == naive_open_time(code, kline_type, moment)
        assert begin <= moment < end
        for inside in (begin, begin + int(share * (end - begin)), end - 1):
            assert grid(code).open_time(kline_type, inside) == opened
        assert grid(code).open_time(kline_type, end) != opened != grid(code).open_time(kline_type, begin - 1)
        if kline_type in SECONDS:
            assert begin == opened


@settings(max_examples=300)
@given(moment=MOMENTS, code=st.sampled_from(CODES))
def test_a_larger_bar_holds_smaller_ones_whole(moment: int, code: str) -> None:
    one = grid(code)
    for small, large in zip(one.types, one.types[1:], strict=False):
        if (small, large) != (WEEK, MONTH):
            opened = one.open_time(small, moment)
            edges = one.begin(small, opened), one.end(small, opened) - 1
            inside = {one.open_time(large, edge) for edge in edges}
            assert inside == {one.open_time(large, moment)}


def test_the_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = int(datetime(2026, 3, 22, 23, 30, tzinfo=UTC).timestamp())
    before = [grid(code).open_time(DAY, moment) for code in CODES]
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert [grid(code).open_time(DAY, moment) for code in CODES] == before
    finally:
        monkeypatch.undo()
        time.tzset()
