"""What holds for every calendar at any time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.calendars import KEYS, Calendar, Session, State, load
from tickwire.calendars import calendar as calendar_module
from tickwire.errors import InputError
from tickwire.store import load_catalogue

from .moments import at

CALENDARS = [*map(load, KEYS), load("XNYS").regular]
FIRST, LAST = date(1975, 1, 1), date(2060, 1, 1)
DAY_MS = 86_400_000

any_calendar = st.sampled_from(CALENDARS)
days = st.dates(FIRST, LAST)


@st.composite
def moments(draw: st.DrawFn) -> tuple[Calendar, int]:
    """A calendar and a moment, often within two milliseconds of where a session of it begins or ends."""
    calendar, day = draw(any_calendar), draw(days)
    edges = [ms for one in calendar.sessions(day) for ms in one[:2]]
    if draw(st.booleans()) and edges:
        return calendar, draw(st.sampled_from(edges)) + draw(st.integers(-2, 2))
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    return calendar, midnight + draw(st.integers(0, DAY_MS))


def around(calendar: Calendar, ms: int, *, reach: int = 2) -> list[Session]:
    """The sessions of the days around a moment."""
    day = datetime.fromtimestamp(ms / 1000, UTC).date()
    return [
        one for number in range(-reach, reach + 1) for one in calendar.sessions(day + timedelta(days=number))
    ]


@given(moments())
def test_open_is_what_lies_in_a_session(case: tuple[Calendar, int]) -> None:
    calendar, ms = case
    found = [one for one in around(calendar, ms) if one.open <= ms < one.close]
    assert len(found) <= 1
    assert calendar.is_open(ms) is bool(found)
    assert (calendar.state(ms) is State.OPEN) is bool(found)
    assert calendar.session(ms) == (found[0] if found else None)


@given(moments())
def test_the_next_open_is_ahead_and_open(case: tuple[Calendar, int]) -> None:
    calendar, ms = case
    found = calendar.next_open(ms)
    if found is None:
        assert calendar.key == "crypto"
        return
    assert found > ms
    assert calendar.is_open(found)
    assert not calendar.is_open(found - 1)
    if not calendar.is_open(ms):
        assert not [one for one in around(calendar, ms, reach=20) if ms < one.open < found]


@given(moments())
def test_the_next_close_is_ahead_and_not_open(case: tuple[Calendar, int]) -> None:
    calendar, ms = case
    found = calendar.next_close(ms)
    if found is None:
        assert calendar.key == "crypto"
        return
    assert found > ms
    assert not calendar.is_open(found)
    assert calendar.is_open(found - 1)
    if calendar.is_open(ms):
        assert all(
            calendar.is_open(edge) for one in around(calendar, ms) for edge in one[:2] if ms < edge < found
        )


@given(moments(), st.integers(0, 30 * DAY_MS))
def test_between_two_moments_it_is_open_where_it_opens_and_until_it_closes(
    case: tuple[Calendar, int], length: int
) -> None:
    calendar, at = case
    end, expected = at + length, []
    found = [*calendar.open_between(at, end)]
    while at < end:
        opens = at if calendar.is_open(at) else calendar.next_open(at)
        if opens is None or opens >= end:
            break
        at = min(end, calendar.next_close(opens) or end)
        expected.append((opens, at))
    assert found == expected


@given(any_calendar, days)
def test_sessions_follow_one_another_and_never_overlap(calendar: Calendar, day: date) -> None:
    sessions = [one for number in range(8) for one in calendar.sessions(day + timedelta(days=number))]
    assert all(one.open < one.close for one in sessions)
    assert all(one.close <= other.open for one, other in pairwise(sessions))


@given(any_calendar, days)
def test_sessions_keep_to_the_days_around_their_date(calendar: Calendar, day: date) -> None:
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    for one in calendar.sessions(day):
        assert midnight - DAY_MS <= one.open < one.close <= midnight + 2 * DAY_MS


@given(any_calendar, days)
def test_a_holiday_is_a_weekday_without_sessions(calendar: Calendar, day: date) -> None:
    expected = calendar.known(day) and day.weekday() < 5 and not calendar.sessions(day)
    assert calendar.holidays(day, day) == ((day,) if expected else ())


@given(moments())
def test_a_break_lies_between_sessions(case: tuple[Calendar, int]) -> None:
    calendar, ms = case
    if calendar.state(ms) is State.BREAK:
        opened = calendar.next_open(ms)
        assert opened is not None
        assert opened - ms <= DAY_MS
        assert {calendar.state(moment) for moment in range(ms, opened, 60_000)} == {State.BREAK}


@given(st.lists(moments(), max_size=20))
def test_what_is_kept_does_not_depend_on_what_was_asked_before(cases: list[tuple[Calendar, int]]) -> None:
    for calendar, ms in cases:
        fresh = Calendar(calendar.key, calendar._timetable)
        if calendar is load("XNYS").regular:
            fresh = fresh.regular
        assert (fresh.state(ms), fresh.next_open(ms)) == (calendar.state(ms), calendar.next_open(ms))


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_module, "CACHED_DAYS", 50)
    calendar = Calendar("XNYS", load("XNYS")._timetable)
    begin = at("2020-01-01 15:00")
    states = [calendar.state(begin + number * DAY_MS) for number in range(400)]
    assert len(calendar._changes) <= 50
    assert calendar._day.cache_info().currsize <= 50
    assert states == [load("XNYS").state(begin + number * DAY_MS) for number in range(400)]


def test_every_key_that_the_catalogue_uses_loads() -> None:
    used = {instrument.calendar for instrument in load_catalogue()}
    assert used == set(KEYS)
    for key in used:
        assert load(key).key == key


def test_a_calendar_is_loaded_once() -> None:
    assert load("XNYS") is load("XNYS")
    assert load("XNYS").regular is load("XNYS").regular


@pytest.mark.parametrize("key", ["", "xnys", "XLON"])
def test_an_unknown_key_ends_in_a_line_with_the_known_ones(key: str) -> None:
    with pytest.raises(InputError) as caught:
        load(key)
    assert all(name in str(caught.value) for name in (repr(key), *KEYS))
    assert "\n" not in str(caught.value)
