"""Hours by the week: the vendor's, in summer and winter."""

from __future__ import annotations

from datetime import date

import pytest

from tickwire.calendars import State, load

from .moments import at, clocks, shown

# The week of each, as the vendor publishes it in summer and moved in winter: what Monday, Tuesday and Friday
# hold. Monday begins on Sunday evening.
SUMMER = {
    "forex": ["21:00-00:00", "00:00-00:00", "00:00-21:00"],
    "metals": ["22:00-21:00 22:00-00:00", "00:00-21:00 22:00-00:00", "00:00-21:00"],
    "base-metals": ["01:00-18:00", "01:00-18:00", "01:00-18:00"],
    "nickel": ["00:00-18:00", "00:00-18:00", "00:00-18:00"],
    "ukoil": ["00:00-21:00", "00:00-21:00", "00:00-20:45"],
    "usoil": ["22:00-21:00 22:00-00:00", "00:00-21:00 22:00-00:00", "00:00-20:45"],
    "ngas": ["22:00-00:00", "00:00-00:00", "00:00-21:00"],
    "us-index": ["22:00-00:00", "00:00-00:00", "00:00-20:45"],
    "cfd-index": ["22:00-00:00", "00:00-00:00", "00:00-20:45"],
    "us500": ["22:00-00:00", "00:00-00:00", "00:00-21:00"],
    "uk100": ["00:00-20:00", "00:00-20:00", "00:00-20:00"],
    "hk50": ["01:15-04:00 05:00-08:30 09:15-19:00"] * 3,
    "ger30": ["22:06-00:00", "00:00-00:00", "00:00-20:58"],
    "cha50": ["01:00-20:45"] * 3,
    "vix": ["07:15-20:15"] * 3,
    "kospi": ["00:00-06:30"] * 3,
    "ixic": ["13:30-20:00"] * 3,
    "usdx": ["22:00-20:59 22:00-00:00", "00:00-20:59 22:00-00:00", "00:00-20:59"],
    "crypto": ["00:00-00:00"] * 3,
}
WINTER = {
    "forex": ["22:00-00:00", "00:00-00:00", "00:00-22:00"],
    "metals": ["23:00-22:00 23:00-00:00", "00:00-22:00 23:00-00:00", "00:00-22:00"],
    "base-metals": ["02:00-19:00"] * 3,
    "nickel": ["01:00-19:00"] * 3,
    "ukoil": ["01:00-22:00", "01:00-22:00", "01:00-21:45"],
    "usoil": ["23:00-22:00 23:00-00:00", "00:00-22:00 23:00-00:00", "00:00-21:45"],
    "ngas": ["23:00-00:00", "00:00-00:00", "00:00-22:00"],
    "us-index": ["23:00-00:00", "00:00-00:00", "00:00-21:45"],
    "cfd-index": ["23:00-00:00", "00:00-00:00", "00:00-21:45"],
    "us500": ["23:00-00:00", "00:00-00:00", "00:00-22:00"],
    "uk100": ["01:00-21:00"] * 3,
    "hk50": SUMMER["hk50"],
    "ger30": ["23:06-00:00", "00:00-00:00", "00:00-21:58"],
    "cha50": SUMMER["cha50"],
    "vix": ["08:15-21:15"] * 3,
    "kospi": SUMMER["kospi"],
    "ixic": ["14:30-21:00"] * 3,
    "usdx": ["23:00-21:59 23:00-00:00", "00:00-21:59 23:00-00:00", "00:00-21:59"],
    "crypto": SUMMER["crypto"],
}


@pytest.mark.parametrize("key", SUMMER)
def test_the_published_week(key: str) -> None:
    calendar = load(key)
    for expected, days in (
        (SUMMER[key], ("2026-07-06", "2026-07-07", "2026-07-10")),
        (WINTER[key], ("2026-01-12", "2026-01-13", "2026-01-16")),
    ):
        assert [" ".join(clocks(calendar, day)) for day in days] == expected
    weekend = [bool(calendar.sessions(date(2026, 7, day))) for day in (11, 12)]
    assert weekend == [key == "crypto"] * 2


# Each row: the last close before a weekend and the first open after it.
@pytest.mark.parametrize(
    ("key", "close", "opened"),
    [
        ("forex", "Fri 2026-07-10 21:00", "Sun 2026-07-12 21:00"),
        ("forex", "Fri 2026-01-16 22:00", "Sun 2026-01-18 22:00"),
        ("forex", "Fri 2026-03-06 22:00", "Sun 2026-03-08 21:00"),  # New York's spring
        ("forex", "Fri 2026-03-27 21:00", "Sun 2026-03-29 21:00"),  # London's spring
        ("forex", "Fri 2026-10-23 21:00", "Sun 2026-10-25 21:00"),  # London's autumn
        ("forex", "Fri 2026-10-30 21:00", "Sun 2026-11-01 22:00"),  # New York's autumn
        ("metals", "Fri 2026-10-30 21:00", "Sun 2026-11-01 23:00"),
        ("usoil", "Fri 2026-03-06 21:45", "Sun 2026-03-08 22:00"),
        ("base-metals", "Fri 2026-03-06 19:00", "Mon 2026-03-09 02:00"),
        ("base-metals", "Fri 2026-03-27 19:00", "Mon 2026-03-30 01:00"),
        ("base-metals", "Fri 2026-10-23 18:00", "Mon 2026-10-26 02:00"),
        ("uk100", "Fri 2026-10-23 20:00", "Mon 2026-10-26 01:00"),
        ("hk50", "Fri 2026-10-30 19:00", "Mon 2026-11-02 01:15"),
        ("ger30", "Fri 2026-07-10 20:58", "Sun 2026-07-12 22:06"),
    ],
)
def test_a_weekend(key: str, close: str, opened: str) -> None:
    calendar = load(key)
    friday, sunday = at(close[4:]), at(opened[4:])
    assert shown(calendar.next_close(friday - 60_000)) == close
    assert shown(calendar.next_open(friday - 60_000)) == opened
    assert shown(calendar.next_open(friday)) == opened
    assert [calendar.is_open(ms) for ms in (friday - 1, friday, sunday - 1, sunday)] == [
        True,
        False,
        False,
        True,
    ]
    assert {calendar.state(ms) for ms in range(friday, sunday, 900_000)} == {State.CLOSED}


@pytest.mark.parametrize(
    ("key", "start", "end", "state"),
    [
        ("metals", "2026-07-07 21:00", "2026-07-07 22:00", "break"),
        ("metals", "2026-01-13 22:00", "2026-01-13 23:00", "break"),
        ("metals", "2026-07-06 21:00", "2026-07-06 22:00", "break"),
        ("metals", "2026-07-09 21:00", "2026-07-09 22:00", "break"),
        ("usdx", "2026-07-07 20:59", "2026-07-07 22:00", "break"),
        ("base-metals", "2026-07-07 18:00", "2026-07-08 01:00", "break"),
        ("base-metals", "2026-01-13 19:00", "2026-01-14 02:00", "break"),
        ("nickel", "2026-07-07 18:00", "2026-07-08 00:00", "break"),
        ("ukoil", "2026-01-13 22:00", "2026-01-14 01:00", "break"),
        ("hk50", "2026-01-13 04:00", "2026-01-13 05:00", "break"),
        ("hk50", "2026-01-13 08:30", "2026-01-13 09:15", "break"),
        ("hk50", "2026-01-13 19:00", "2026-01-14 01:15", "closed"),
        ("uk100", "2026-01-13 21:00", "2026-01-14 01:00", "closed"),
        ("kospi", "2026-01-13 06:30", "2026-01-14 00:00", "closed"),
    ],
)
def test_a_daily_gap(key: str, start: str, end: str, state: str) -> None:
    calendar = load(key)
    begin, stop = at(start), at(end)
    assert {calendar.state(ms) for ms in range(begin, stop, 60_000)} == {State(state)}
    assert [calendar.is_open(ms) for ms in (begin - 1, stop - 1, stop)] == [True, False, True]
    assert calendar.next_close(begin - 1) == begin
    assert calendar.next_open(begin - 1) == stop


def test_midnight_neither_closes_nor_opens() -> None:
    forex = load("forex")
    assert shown(forex.next_close(at("2026-07-12 21:00"))) == "Fri 2026-07-17 21:00"
    assert shown(forex.next_open(at("2026-07-12 21:00"))) == "Sun 2026-07-19 21:00"


def test_crypto_never_closes() -> None:
    crypto = load("crypto")
    now = at("2026-07-11 12:00")
    assert crypto.is_open(now)
    assert (crypto.next_open(now), crypto.next_close(now)) == (None, None)


@pytest.mark.parametrize("key", SUMMER)
def test_no_holidays_are_published(key: str) -> None:
    calendar = load(key)
    assert calendar.zone.key == "UTC"
    assert calendar.holidays(date.min, date.max) == ()
    assert calendar.known(date(2100, 1, 1))
    assert calendar.horizon == date.max
