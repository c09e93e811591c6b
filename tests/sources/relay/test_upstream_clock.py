"""The clock of a market that is only heard, on times that are handed in."""

from __future__ import annotations

import pytest

from tickwire.sources.relay.upstream_clock import AGREEING, AHEAD, QUIET, SPAN, UpstreamClock

WALL = 1_795_000_000_000
HOUR, DAY = 3_600_000, 86_400_000


def test_it_shows_nothing_before_anything_is_known() -> None:
    clock = UpstreamClock()
    assert clock.read(5.0) == 0
    assert not clock.sure


def test_it_follows_events_and_goes_on_between_them() -> None:
    clock = UpstreamClock()
    assert clock.happened(WALL - 300, 10.0, WALL)
    assert clock.read(10.0) == WALL - 300
    assert clock.read(12.5) == WALL + 2200
    assert clock.happened(WALL + 3000, 12.5, WALL + 2500)
    assert clock.read(12.5) == WALL + 3000


def test_late_and_old_events_do_not_move_it_back() -> None:
    clock = UpstreamClock()
    clock.happened(WALL, 10.0, WALL)
    for at in (WALL - 5000, WALL - DAY, WALL + 1):
        clock.happened(at, 10.1, WALL + 100)
        assert clock.read(10.1) == WALL + 100


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
def test_a_recording_keeps_its_own_time_at_any_speed(speed: float) -> None:
    clock, begin, shown = UpstreamClock(), WALL - 900 * DAY, 0
    for second in range(600):
        at = begin + int(second * 1000 * speed)
        assert clock.happened(at, float(second), WALL + second * 1000)
        now = clock.read(float(second))
        assert now >= shown
        assert -1 <= now - at <= 2 * SPAN * 1000
        shown = now


def test_a_recording_that_starts_again_lets_it_stand_until_it_is_overtaken() -> None:
    clock, begin = UpstreamClock(), WALL - 900 * DAY
    for second in range(100):
        clock.happened(begin + second * 1000, float(second), WALL)
    for second in range(100, 300):
        clock.happened(begin + (second - 100) * 1000, float(second), WALL)
    assert clock.read(300.0) == begin + 200_000 or clock.read(300.0) >= begin + 199_000
    assert clock.read(300.0) <= begin + 201_000


def test_one_event_of_the_far_future_is_not_believed() -> None:
    clock = UpstreamClock()
    clock.happened(WALL, 10.0, WALL)
    assert not clock.happened(WALL + AHEAD + 200, 10.1, WALL + 100)
    assert not clock.stood(WALL + 3 * DAY, 10.1, WALL + 100, closed=False)
    assert clock.read(10.1) == WALL + 100
    assert clock.happened(WALL + 200, 10.2, WALL + 200)


def test_many_that_agree_are_believed_and_others_between_begin_the_count_anew() -> None:
    clock, future = UpstreamClock(), WALL + 30 * DAY
    clock.happened(WALL - DAY, 0.0, WALL)
    for number in range(AGREEING - 1):
        assert not clock.happened(future + number * 10, 1.0, WALL + 1000)
    assert clock.happened(WALL - DAY + 1000, 1.0, WALL + 1000)
    for number in range(AGREEING - 1):
        assert not clock.happened(future + number * 10, 1.0, WALL + 1000)
    assert clock.happened(future, 1.0, WALL + 1000)
    assert clock.happened(future + 50_000, 2.0, WALL + 2000)
    assert clock.read(2.0) == WALL - DAY + 2000


def test_who_showed_our_time_once_is_not_believed_when_he_jumps() -> None:
    clock = UpstreamClock()
    clock.happened(WALL, 0.0, WALL)
    for number in range(10 * AGREEING):
        assert not clock.happened(WALL + 8 * HOUR + number * 10, 1.0, WALL + 1000)
        assert not clock.stood(WALL + 8 * HOUR, 1.0, WALL + 1000, closed=False)
    assert clock.read(1.0) == WALL + 1000
    for minute in range(1, 60):  # nor when he goes there by steps
        clock.happened(WALL + minute * (AHEAD - 1000), 1.0, WALL + 1000)
    assert clock.read(1.0) <= WALL + 1000 + AHEAD


def test_our_own_clock_may_be_set_back() -> None:
    clock = UpstreamClock()
    clock.happened(WALL, 0.0, WALL)
    for second in range(1, 120):
        assert clock.happened(WALL + second * 1000, float(second), WALL - HOUR)
    assert clock.read(119.0) == WALL + 119_000


def test_what_is_made_up_may_be_of_any_time() -> None:
    clock = UpstreamClock()
    clock.made_up = True
    clock.happened(WALL, 0.0, WALL)
    times = [WALL + 8 * HOUR + number * 10 for number in range(AGREEING)]
    assert [clock.happened(at, 1.0, WALL) for at in times] == [False] * (AGREEING - 1) + [True]


def test_what_is_ahead_moves_no_clock_though_it_is_believed() -> None:
    clock = UpstreamClock()
    times = [WALL + 8 * HOUR + number * 10 for number in range(2 * AGREEING)]
    believed = [clock.happened(at, 0.0, WALL) for at in times]
    assert believed == [False] * (AGREEING - 1) + [True] * (AGREEING + 1)
    told = [clock.runs_ahead]
    assert clock.is_ahead(times[-1], 0.0, WALL)
    clock.settle(1.0, WALL + 1000)
    assert clock.read(1.0) == WALL + 1000
    assert clock.happened(WALL + 1500, 2.0, WALL + 2000)
    assert [*told, clock.runs_ahead] == [True, False]
    assert not any(clock.happened(WALL + 8 * HOUR, 2.0, WALL + 2000) for _ in range(2 * AGREEING))


def test_far_ones_that_disagree_are_never_believed() -> None:
    clock = UpstreamClock()
    clock.happened(WALL, 0.0, WALL)
    assert not any(clock.happened(WALL + number * DAY, 0.0, WALL) for number in range(1, 100))


def test_a_slower_wall_clock_than_upstream_is_no_reason_to_doubt() -> None:
    clock = UpstreamClock()
    for second in range(10):  # upstream runs 50 s ahead of us
        assert clock.happened(WALL + 50_000 + second * 1000, float(second), WALL + second * 1000)
    assert clock.read(9.0) == WALL + 59_000


# States, which are older than the market's time.
def test_a_state_of_now_says_that_upstream_runs_on_the_wall_clock() -> None:
    clock = UpstreamClock()
    assert clock.stood(WALL - 20_000, 10.0, WALL, closed=False)
    assert clock.read(10.0) == WALL


def test_an_old_state_says_little_and_holds_nothing_back() -> None:
    clock = UpstreamClock()
    clock.stood(WALL - DAY, 10.0, WALL, closed=False)
    assert clock.read(10.0) == 0
    clock.happened(WALL - 100, 10.5, WALL + 500)
    assert clock.read(10.5) == WALL - 100
    clock.stood(WALL - 2 * DAY, 11.0, WALL + 1000, closed=False)
    assert clock.read(11.0) == WALL + 400


def test_a_state_that_is_newer_than_the_clock_moves_it() -> None:
    clock = UpstreamClock()
    clock.happened(WALL - DAY, 10.0, WALL)
    clock.stood(WALL - 100, 11.0, WALL + 1000, closed=False)
    assert clock.read(11.0) == WALL - 100


def test_without_any_word_the_wall_clock_is_taken() -> None:
    clock = UpstreamClock()
    clock.settle(10.0, WALL)
    assert clock.read(11.0) == WALL + 1000
    clock.settle(20.0, WALL + DAY)
    assert clock.read(20.0) == WALL + 10_000


def test_a_closed_market_is_quiet_for_a_while() -> None:
    clock = UpstreamClock()
    clock.stood(WALL - 2 * DAY, 10.0, WALL, closed=True)
    clock.settle(11.0, WALL + 1000)
    assert clock.read(11.0) == WALL + 1000


@pytest.mark.parametrize(("age", "closed"), [(2 * DAY, False), (QUIET + 1, True)])
def test_old_states_of_an_open_market_are_those_of_a_recording(age: int, closed: bool) -> None:
    clock = UpstreamClock()
    clock.stood(WALL - age - 1000, 10.0, WALL, closed=closed)
    clock.stood(WALL - age, 10.0, WALL, closed=closed)
    clock.stood(WALL - age - 500, 10.0, WALL, closed=closed)
    clock.settle(11.0, WALL + 1000)
    assert clock.read(11.0) == WALL - age + 1000


def test_what_is_minutes_old_may_be_delayed_or_seldom_traded() -> None:
    for delayed in (False, True):
        clock = UpstreamClock()
        clock.stood(WALL - 900_000, 10.0, WALL, closed=False)
        clock.settle(11.0, WALL + 1000, patient=True)
        assert not clock.sure
        if delayed:
            clock.happened(WALL - 898_500, 11.5, WALL + 1500)
        clock.settle(13.0, WALL + 3000)
        assert clock.read(13.0) == (WALL - 897_000 if delayed else WALL + 3000)


def test_the_time_of_a_recording_is_never_guessed() -> None:
    clock = UpstreamClock()
    clock.replayed = True
    clock.settle(11.0, WALL)
    assert clock.read(11.0) == 0
    clock.stood(WALL - 2 * DAY, 12.0, WALL, closed=True)
    clock.settle(12.0, WALL)
    assert clock.read(12.0) == WALL - 2 * DAY


def test_what_it_showed_before_is_no_later_than_what_it_shows() -> None:
    clock = UpstreamClock()
    clock.happened(WALL, 10.0, WALL)
    assert clock.read(20.0) == WALL + 10_000
    assert clock.read_at(15.0) == WALL + 5000
    assert clock.read_at(25.0) == WALL + 10_000
