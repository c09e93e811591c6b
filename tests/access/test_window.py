"""Sliding windows and the quota of a day: whatever the times, never more than allowed, and no less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.access import Rate
from tickwire.access.window import DayQuota, Window

TICK = 1 / 1024
"""A step that floats add without error, so that edges are exact."""
DAY = 86_400


def times(most: int) -> st.SearchStrategy[list[float]]:
    """Growing times; many of them close together, some on an edge."""
    steps = st.sampled_from([0, 0, 1, 512, 1023, 1024, 1025, 2048]) | st.integers(0, most * 1024)
    return st.tuples(st.integers(0, 2**30), st.lists(steps, max_size=80)).map(_add_up)


def _add_up(found: tuple[int, list[int]]) -> list[float]:
    now, steps = found
    moments = []
    for step in steps:
        now += step
        moments.append(now * TICK)
    return moments


rates = st.builds(Rate, st.integers(1, 6), st.integers(1, 5))


def passing(window: Window, moments: Iterable[float]) -> list[float]:
    """Asks at each moment; those at which a request passed."""
    passed = []
    for now in moments:
        if not window.wait(now):
            window.take(now)
            passed.append(now)
    return passed


# Sliding windows.
@given(rates, times(12))
def test_no_window_of_that_length_holds_more_than_the_rate_says(rate: Rate, moments: list[float]) -> None:
    passed = passing(Window(rate), moments)
    for first, beyond in zip(passed, passed[rate.requests :], strict=False):
        assert beyond - first >= rate.seconds


@given(rates, times(12))
def test_a_request_is_refused_only_if_as_many_passed_in_the_last_window(
    rate: Rate, moments: list[float]
) -> None:
    window, passed = Window(rate), list[float]()
    for now in moments:
        recent = [one for one in passed if now - one < rate.seconds]
        assert bool(window.wait(now)) is (len(recent) >= rate.requests)
        if not window.wait(now):
            window.take(now)
            passed.append(now)


@given(rates, times(12))
def test_the_wait_is_exact(rate: Rate, moments: list[float]) -> None:
    window = Window(rate)
    for now in moments:
        if not (wait := window.wait(now)):
            window.take(now)
            continue
        assert 0 < wait <= rate.seconds
        assert window.wait(now + wait - TICK) == TICK
        assert not Window.wait(_copy(window), now + wait)


def _copy(window: Window) -> Window:
    """One that has seen the same, to look into its future."""
    other = Window(window._rate)
    other._passed.extend(window._passed)
    return other


@given(rates, times(12))
def test_asking_changes_nothing(rate: Rate, moments: list[float]) -> None:
    window, passed = Window(rate), list[float]()
    for now in moments:
        for _ in range(5):
            window.wait(now)
            window.standing(now)
        passed += passing(window, [now])
    assert passed == passing(Window(rate), moments)


def test_what_is_refused_does_not_count() -> None:
    assert passing(Window(Rate(1, 10)), range(35)) == [0, 10, 20, 30]
    assert passing(Window(Rate(2, 10)), range(3, 35)) == [3, 4, 13, 14, 23, 24, 33, 34]


@given(rates, times(12))
def test_the_standing_says_what_passes_now_and_when_the_next_is_free(
    rate: Rate, moments: list[float]
) -> None:
    window, passed = Window(rate), list[float]()
    for now in moments:
        recent = [one for one in passed if now - one < rate.seconds]
        reset = recent[0] + rate.seconds - now if recent else 0.0
        assert window.standing(now) == (rate.requests - len(recent), reset)
        if not window.wait(now):
            window.take(now)
            passed.append(now)


@given(st.lists(st.floats(0, 1e9), max_size=60).map(sorted), rates)
def test_times_that_floats_only_come_near_do_no_more_harm_than_their_error(
    moments: list[float], rate: Rate
) -> None:
    passed = passing(Window(rate), moments)
    for first, beyond in zip(passed, passed[rate.requests :], strict=False):
        assert beyond - first >= rate.seconds - 1e-6


def test_a_window_forgets_what_is_past() -> None:
    window = Window(Rate(1000, 1))
    for n in range(5_000):
        window.take(n / 100)
        window.standing(n / 100)
    assert len(window._passed) == 100


# The quota of a day.
def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def spend(quota: DayQuota, wall: float, count: int) -> None:
    for _ in range(count):
        assert not quota.wait(wall)
        quota.take(wall)


@pytest.mark.parametrize(
    ("reset", "today", "turn"),
    [
        (0, "2026-09-04T10:00:00", "2026-09-05T00:00:00"),
        (0, "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        (0, "2028-02-28T00:00:00", "2028-02-29T00:00:00"),
        (6 * 3600 + 1800, "2026-09-04T06:29:59", "2026-09-04T06:30:00"),
        (6 * 3600 + 1800, "2026-09-04T06:30:00", "2026-09-05T06:30:00"),
        (23 * 3600 + 59 * 60, "2026-09-04T00:00:00", "2026-09-04T23:59:00"),
    ],
)
def test_a_day_turns_at_the_reset_and_not_before(reset: int, today: str, turn: str) -> None:
    quota = DayQuota(3, reset)
    spend(quota, at(today), 3)
    assert quota.wait(at(today)) == at(turn) - at(today)
    assert quota.wait(at(turn) - TICK) == TICK
    assert quota.standing(at(turn) - TICK) == (0, TICK)
    assert quota.standing(at(turn)) == (3, DAY)
    spend(quota, at(turn), 3)
    assert quota.wait(at(turn)) == DAY


def test_what_is_refused_or_asked_does_not_count_for_the_day() -> None:
    quota = DayQuota(2, 0)
    for _ in range(10):
        assert not quota.wait(DAY)
    spend(quota, DAY, 2)
    for _ in range(10):
        assert quota.wait(DAY + 60)
    spend(quota, 2 * DAY, 2)


def test_a_clock_that_is_set_back_gives_no_second_quota() -> None:
    quota = DayQuota(2, 0)
    spend(quota, at("2026-09-04T10:00:00"), 2)
    for earlier in ("2026-09-04T09:00:00", "2026-09-03T23:59:59", "2025-01-01T00:00:00"):
        assert quota.wait(at(earlier)) == at("2026-09-05T00:00:00") - at(earlier)
    assert quota.wait(at("2026-09-04T23:59:59")) == 1
    assert not quota.wait(at("2026-09-05T00:00:00"))


def test_what_was_left_is_left_after_the_clock_is_set_back() -> None:
    quota = DayQuota(3, 0)
    spend(quota, at("2026-09-04T00:00:01"), 1)
    spend(quota, at("2026-09-03T23:59:59"), 2)
    assert quota.wait(at("2026-09-03T23:59:59")) == DAY + 1


@given(
    st.integers(1, 4),
    st.integers(0, DAY - 1),
    st.lists(st.integers(0, 4 * DAY * 1024).map(lambda n: n * TICK), max_size=60),
)
def test_no_day_passes_more_whatever_the_clock_does(count: int, reset: int, walls: list[float]) -> None:
    quota = DayQuota(count, reset)
    passed: Counter[int] = Counter()
    latest = 0.0
    for wall in walls:
        latest = max(latest, wall)
        today = int((latest + DAY - reset) // DAY)
        wait = quota.wait(wall)
        assert bool(wait) is (passed[today] >= count)
        assert quota.standing(wall).left == count - passed[today]
        assert quota.standing(wall).reset == today * DAY + reset - wall
        if not wait:
            quota.take(wall)
            passed[today] += 1
