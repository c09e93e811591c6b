"""Where the clock goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.errors import InputError
from tickwire.sandbox import clock_target


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("to", "now", "target"),
    [
        ("2026-11-28T12:00:00Z", "2026-11-01", "2026-11-28T12:00"),
        ("2026-11-28T12:00Z", "2026-12-01", "2026-11-28T12:00"),
        ("2028-02-29T23:59:59Z", "2026-12-01", "2028-02-29T23:59:59"),
        ("saturday 12:00", "2026-11-25T09:00", "2026-11-28T12:00"),
        ("Saturday 12:00", "2026-11-28T11:59:59", "2026-11-28T12:00"),
        ("saturday 12:00", "2026-11-28T12:00", "2026-12-05T12:00"),
        ("saturday 12:00", "2026-11-28T12:00:00.001", "2026-12-05T12:00"),
        ("monday 00:00", "2026-11-29T23:59", "2026-11-30T00:00"),
        ("sunday 23:59", "2026-11-30", "2026-12-06T23:59"),
    ],
)
def test_the_clock_goes_to_that_moment(to: str, now: str, target: str) -> None:
    assert clock_target(to, ms(now)) == ms(target)


@given(
    now=st.integers(0, ms("2199-12-31")),
    weekday=st.integers(0, 6),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_weekday_is_the_next_one(now: int, weekday: int, hour: int, minute: int) -> None:
    name = "monday tuesday wednesday thursday friday saturday sunday".split()[weekday]
    target = clock_target(f"{name} {hour:02}:{minute:02}", now)
    assert 0 < target - now <= 7 * 86_400_000
    moment = datetime.fromtimestamp(target // 1000, UTC)
    assert (moment.weekday(), moment.hour, moment.minute, target % 60_000) == (weekday, hour, minute, 0)


@given(to=st.text())
@pytest.mark.parametrize(
    "prefix",
    ["", "saturday ", "saturday 12:00", "2026-13-01T00:00Z", "1969-01-01T00:00Z", "2200-01-01T00:00Z"],
)
def test_no_other_text_is_a_moment(prefix: str, to: str) -> None:
    if prefix + to == "saturday 12:00":
        return
    with pytest.raises(InputError):
        clock_target(prefix + to, 0)
