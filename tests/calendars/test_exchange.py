"""Sessions, holidays and half days of the stock exchanges."""

from __future__ import annotations

import hashlib
import re
import tomllib
from datetime import date, timedelta
from importlib.resources import files

import pytest

from tickwire.calendars import EXCHANGES, SessionKind, State, load

from .moments import at, clocks, shown

HONG_KONG, SHANGHAI, NEW_YORK = load("XHKG"), load("XSHG"), load("XNYS")
NY = "America/New_York"
HK = "Asia/Hong_Kong"
TABLES = files("tickwire.calendars").joinpath("exchanges.toml").read_bytes()


@pytest.mark.parametrize(
    ("key", "day", "expected"),
    [
        ("XHKG", "2026-11-20", ["09:30-12:00", "13:00-16:10"]),
        ("XHKG", "2016-07-22", ["09:30-12:00", "13:00-16:00"]),
        ("XHKG", "2016-07-25", ["09:30-12:00", "13:00-16:10"]),
        ("XHKG", "2012-03-02", ["09:30-12:00", "13:30-16:00"]),
        ("XHKG", "2011-03-04", ["10:00-12:30", "14:30-16:00"]),
        ("XHKG", "2026-12-24", ["09:30-12:10"]),
        ("XHKG", "2025-12-31", ["09:30-12:10"]),
        ("XHKG", "2026-02-16", ["09:30-12:10"]),
        ("XHKG", "2010-12-24", ["10:00-12:30"]),
        ("XSHG", "2026-11-20", ["09:30-11:30", "13:00-15:00"]),
        ("XNYS", "2026-11-20", ["04:00-09:30", "09:30-16:00", "16:00-20:00"]),
        ("XNYS", "2026-11-27", ["04:00-09:30", "09:30-13:00", "13:00-17:00"]),
        ("XNYS", "2025-07-03", ["04:00-09:30", "09:30-13:00", "13:00-17:00"]),
    ],
)
def test_the_hours_of_a_day(key: str, day: str, expected: list[str]) -> None:
    assert clocks(load(key), day) == expected


@pytest.mark.parametrize(
    ("key", "days"),
    [
        ("XHKG", "2026-02-17 2026-02-18 2026-02-19 2026-04-03 2026-07-01 2026-12-25 2023-09-01 2023-09-08"),
        ("XSHG", "2026-02-16 2026-02-23 2025-10-01 2025-10-08 2020-01-31 2012-10-05"),
        ("XNYS", "2026-04-03 2025-04-18 2026-11-26 2012-10-29 2012-10-30 2018-12-05 2025-01-09 2022-06-20"),
    ],
)
def test_holidays_and_days_on_which_all_was_closed(key: str, days: str) -> None:
    calendar = load(key)
    for day in map(date.fromisoformat, days.split()):
        assert calendar.holidays(day, day) == (day,)
        assert calendar.sessions(day) == ()


def half_days(key: str, year: int) -> list[date]:
    """The days of a year on which the regular session ends earlier than on others."""
    calendar, ends = load(key).regular, "16:00" if key == "XNYS" else "16:10"
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    hours = {day: clocks(calendar, str(day)) for day in days if day.year == year}
    return [day for day, found in hours.items() if found and not found[-1].endswith(ends)]


@pytest.mark.parametrize("year", range(2012, 2036))
def test_new_yorks_half_days_are_those_of_the_exchanges_rule(year: int) -> None:
    """The day after Thanksgiving, and the eves of Independence Day and Christmas that are no holidays."""
    fourth_thursday = next(day for n in range(22, 29) if (day := date(year, 11, n)).weekday() == 3)
    eves = [day for day in (date(year, 7, 3), date(year, 12, 24)) if day.weekday() < 4]
    expected = sorted([fourth_thursday + timedelta(days=1), *eves])
    assert half_days("XNYS", year) == expected
    for day in expected:
        assert clocks(NEW_YORK, str(day)) == ["04:00-09:30", "09:30-13:00", "13:00-17:00"]


LUNAR_EVES = (
    "2017-01-27 2018-02-15 2019-02-04 2020-01-24 2021-02-11 2022-01-31 2024-02-09 2025-01-28 2026-02-16 "
    "2027-02-05 2028-01-25 2029-02-12 2031-01-22 2032-02-10 2035-02-07"
).split()
"""Those that are weekdays."""


@pytest.mark.parametrize("year", range(2017, 2036))
def test_hong_kongs_half_days_are_three_eves(year: int) -> None:
    """Those of Lunar New Year, Christmas and New Year: no afternoon, and a closing auction to 12:10."""
    eves = [date(year, 12, 24), date(year, 12, 31), *map(date.fromisoformat, LUNAR_EVES)]
    expected = sorted(day for day in eves if day.year == year and day.weekday() < 5)
    assert half_days("XHKG", year) == expected
    for day in expected:
        assert clocks(HONG_KONG, str(day)) == ["09:30-12:10"]


def test_what_is_no_holiday() -> None:
    saturday, friday = date(2026, 11, 28), date(2021, 6, 18)
    assert NEW_YORK.holidays(saturday, saturday) == ()
    assert NEW_YORK.holidays(friday, friday) == ()  # before there was Juneteenth at the exchange
    assert NEW_YORK.sessions(date(2021, 12, 31))  # a New Year on Saturday is not kept on Friday


def test_the_holidays_of_a_while() -> None:
    found = SHANGHAI.holidays(date(2025, 10, 1), date(2025, 10, 8))
    assert [day.day for day in found] == [1, 2, 3, 6, 7, 8]
    assert SHANGHAI.holidays(date(2025, 10, 9), date(2025, 12, 31)) == ()
    assert SHANGHAI.holidays(date(2025, 10, 8), date(2025, 10, 1)) == ()


def test_over_chinese_new_year() -> None:
    close = at("2026-02-13 15:00", HK)
    assert shown(SHANGHAI.next_open(close), HK) == "Tue 2026-02-24 09:30"
    assert shown(HONG_KONG.next_open(at("2026-02-16 12:10", HK)), HK) == "Fri 2026-02-20 09:30"


def test_over_national_day_when_it_meets_the_autumn_festival() -> None:
    assert shown(SHANGHAI.next_open(at("2025-09-30 15:00", HK)), HK) == "Thu 2025-10-09 09:30"


def test_over_thanksgiving() -> None:
    regular = NEW_YORK.regular
    assert shown(regular.next_open(at("2026-11-25 16:00", NY)), NY) == "Fri 2026-11-27 09:30"
    assert shown(regular.next_close(at("2026-11-25 16:00", NY)), NY) == "Fri 2026-11-27 13:00"
    assert shown(NEW_YORK.next_close(at("2026-11-27 12:00", NY)), NY) == "Fri 2026-11-27 17:00"
    assert shown(NEW_YORK.next_open(at("2026-11-27 12:00", NY)), NY) == "Mon 2026-11-30 04:00"


# Daylight saving in New York: the clocks change on Sunday, the exchange's hours in UTC on Monday.
@pytest.mark.parametrize(
    ("friday", "before", "monday", "after"),
    [
        ("2026-03-06", "14:30-21:00", "2026-03-09", "13:30-20:00"),
        ("2026-10-30", "13:30-20:00", "2026-11-02", "14:30-21:00"),
        ("2012-03-09", "14:30-21:00", "2012-03-12", "13:30-20:00"),
    ],
)
def test_new_york_over_a_change_of_clocks(friday: str, before: str, monday: str, after: str) -> None:
    assert clocks(NEW_YORK.regular, friday, "UTC") == [before]
    assert clocks(NEW_YORK.regular, monday, "UTC") == [after]
    for day, hours in ((friday, before), (monday, after)):
        opened, closed = (at(f"{day} {clock}") for clock in hours.split("-"))
        assert [NEW_YORK.regular.is_open(ms) for ms in (opened - 1, opened, closed - 1, closed)] == [
            False,
            True,
            True,
            False,
        ]
        assert NEW_YORK.regular.next_open(opened - 1) == opened
        assert NEW_YORK.regular.next_close(opened) == closed


def test_the_evening_in_winter_reaches_the_next_day_of_utc() -> None:
    assert NEW_YORK.is_open(at("2026-01-06 00:59"))
    assert not NEW_YORK.is_open(at("2026-01-06 01:00"))


@pytest.mark.parametrize(
    ("key", "states"),
    [
        (
            "XHKG",
            "08:59 closed, 09:00 pre-open, 09:29 pre-open, 09:30 open, 11:59 open, 12:00 break, 12:59 break, "
            "13:00 open, 16:09 open, 16:10 closed, 00:00 closed",
        ),
        (
            "XSHG",
            "09:14 closed, 09:15 pre-open, 09:30 open, 11:30 break, 13:00 open, 14:59 open, 15:00 closed",
        ),
        ("XNYS", "03:59 closed, 04:00 open, 09:30 open, 16:00 open, 19:59 open, 20:00 closed"),
    ],
)
def test_the_states_of_a_day(key: str, states: str) -> None:
    calendar = load(key)
    for text in states.split(", "):
        clock, _, expected = text.partition(" ")
        assert calendar.state(at(f"2026-11-20 {clock}", calendar.zone.key)) == expected, text


def test_without_its_margins_new_york_is_pre_open_in_the_morning_and_closed_in_the_evening() -> None:
    states = {"03:59": "closed", "04:00": "pre-open", "09:30": "open", "16:00": "closed", "19:00": "closed"}
    for clock, expected in states.items():
        assert NEW_YORK.regular.state(at(f"2026-11-20 {clock}", NY)) == expected
    assert NEW_YORK.regular.state(at("2026-11-26 05:00", NY)) is State.CLOSED
    assert HONG_KONG.regular.sessions(date(2026, 11, 20)) == HONG_KONG.sessions(date(2026, 11, 20))


def test_a_half_day_ends_without_a_break() -> None:
    assert HONG_KONG.state(at("2026-12-24 12:10", HK)) is State.CLOSED
    assert HONG_KONG.state(at("2026-12-24 14:00", HK)) is State.CLOSED


def test_the_session_of_a_moment() -> None:
    kinds = {"03:59": None, "04:00": "pre-market", "09:30": "regular", "16:00": "post-market", "20:00": None}
    for clock, expected in kinds.items():
        found = NEW_YORK.session(at(f"2026-01-05 {clock}", NY))
        assert (found and found.kind) == expected
    auction = HONG_KONG.session(at("2026-11-20 16:08", HK))
    assert auction is not None
    assert auction.kind is SessionKind.REGULAR


# The end of what is known.
@pytest.mark.parametrize("key", ["XHKG", "XSHG", "XNYS"])
def test_beyond_the_horizon_weekdays_count_as_open_but_for_expected_holidays(key: str) -> None:
    calendar = load(key)
    assert calendar.horizon >= date(2026, 12, 31)
    assert calendar.known(calendar.horizon)
    beyond = [calendar.horizon + timedelta(days=number) for number in range(1, 366)]
    expected = calendar.expected(beyond[0], beyond[-1])
    assert not any(map(calendar.known, beyond))
    assert [bool(calendar.sessions(day)) for day in beyond] == [
        day.weekday() < 5 and day not in expected for day in beyond
    ]
    assert calendar.holidays(beyond[0], beyond[-1]) == ()
    assert not calendar.known(date(2009, 12, 31))
    assert calendar.sessions(date(2009, 12, 31))


@pytest.mark.parametrize("day", ["2027-01-01", "2027-02-08", "2028-01-26", "2035-10-01"])
def test_shanghai_is_expected_to_be_closed_on_statutory_and_lunar_holidays(day: str) -> None:
    assert not SHANGHAI.is_open(at(f"{day} 10:00", HK))
    assert SHANGHAI.expected(date.fromisoformat(day), date.fromisoformat(day))


def test_the_tables_do_not_end_within_four_months() -> None:
    """If this fails, run scripts/make_calendars.py with the newest packages."""
    for key in EXCHANGES:
        assert load(key).expected_horizon - date.today() > timedelta(days=120)  # noqa: DTZ011


# The file.
def test_the_tables_are_as_they_were_generated() -> None:
    head, found, body = TABLES.partition(b"sha256 of all below this line: ")
    assert found
    assert re.search(rb"Generated by scripts/make_calendars\.py from exchange_calendars \d+\.\d+", head)
    digest, _, body = body.partition(b"\n")
    assert hashlib.sha256(body).hexdigest() == digest.decode(), (
        "edited by hand? Run scripts/make_calendars.py"
    )
    assert len(TABLES) < 100_000


@pytest.mark.parametrize("key", ["XHKG", "XSHG", "XNYS"])
def test_the_tables_are_in_order(key: str) -> None:
    table = tomllib.loads(TABLES.decode())[key]
    calendar = load(key)
    assert [row["since"] for row in table["regular"]] == sorted({row["since"] for row in table["regular"]})
    assert table["regular"][0]["since"] == table["first"] == date(2010, 1, 1)
    known = calendar.holidays(date.min, date.max)
    assert list(known) == sorted(set(known))
    assert all(day.weekday() < 5 and calendar.known(day) for day in known)
    special = [
        date.fromisoformat(f"{line[:4]}-{day}")
        for row in table.get("special", ())
        for line in row["days"]
        for day in line.split()[1:]
    ]
    assert len(special) == len(set(special))
    assert all(day.weekday() < 5 and calendar.known(day) for day in special)
    assert not set(special) & set(known)
    for year in range(2010, calendar.horizon.year + 1):
        assert 8 <= len(calendar.holidays(date(year, 1, 1), date(year, 12, 31))) <= 24
