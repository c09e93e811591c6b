"""Which events of a stream have come already."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.stream import MOST_STALE, REMEMBERED, Anew, Stream

NOW = 1_795_000_000_000


def passed(stream: Stream, *seqs: int) -> list[int]:
    """Those of these numbers that pass, all of one time."""
    return [seq for seq in seqs if stream.passes(seq, NOW)]


def test_each_number_passes_once_in_whatever_order() -> None:
    assert passed(Stream(0), 1, 3, 2, 3, 5, 4, 2, 6, 1) == [1, 3, 2, 5, 4, 6]


def test_what_has_no_number_always_passes() -> None:
    assert passed(Stream(0), 0, 0, 7, 0) == [0, 0, 7, 0]


def test_what_is_older_than_all_that_is_remembered_does_not_pass() -> None:
    stream = Stream(0)
    assert len(passed(stream, *range(100, 200))) == 100
    assert passed(stream, 150, 199 - REMEMBERED, 200) == [200]


def test_after_a_reconnect_a_server_may_count_anew() -> None:
    stream = Stream(0)
    passed(stream, *range(100, 200))
    stream.opened()
    assert passed(stream, 5, 6, 6, 5, 7) == [5, 6, 7]


def test_after_a_reconnect_what_is_known_does_not_pass() -> None:
    stream = Stream(0)
    passed(stream, *range(100, 200))
    stream.opened()
    assert passed(stream, 199, 198, 200, 199, 201, 50) == [200, 201]


def test_many_that_are_too_old_are_a_server_that_counts_anew() -> None:
    stream = Stream(0)
    passed(stream, *range(1000, 1100))
    assert passed(stream, *range(1, MOST_STALE + 5)) == [*range(MOST_STALE, MOST_STALE + 5)]

    assert stream.anew == Anew(MOST_STALE - 1, NOW)


def test_a_lower_number_with_a_newer_time_is_a_server_that_counts_anew() -> None:
    stream = Stream(0)
    passed(stream, *range(1000, 1100))
    assert stream.passes(7, NOW + 1)
    assert stream.anew == Anew(0, NOW)
    assert [seq for seq in (8, 9, 8, 11, 10) if stream.passes(seq, NOW + 2)] == [8, 9, 11, 10]
    stream.anew = None
    assert stream.passes(11, NOW + 3), "a number that it has given is no old event if its time is new"
    assert stream.anew == Anew(0, NOW + 2)


def test_what_was_taken_for_old_before_that_was_clear_is_counted() -> None:
    stream = Stream(0)
    passed(stream, *range(1000, 1100))
    assert passed(stream, 1, 2, 3) == []
    assert stream.passes(4, NOW + 1)
    assert stream.anew == Anew(3, NOW)


def test_what_is_dropped_for_its_number_is_told_and_what_came_twice_is_not() -> None:
    stream = Stream(0)
    passed(stream, *range(1000, 1100))
    told = []
    for seq, time in ((1099, NOW), (5, NOW - 700)):
        assert not stream.passes(seq, time)
        told.append(stream.outdated)
    assert told == [False, True]
    assert stream.passes(6, NOW + 1)
    assert stream.anew == Anew(1, NOW - 700)


def test_one_time_of_the_future_makes_no_later_event_old() -> None:
    stream = Stream(0)
    passed(stream, *range(1000, 1100))
    assert stream.passes(10**12, NOW + 7_200_000, ahead=True)
    assert [seq for seq in range(1, 20) if stream.passes(seq, NOW + seq)] == [*range(1, 20)]
    assert stream.anew == Anew(0, NOW)
    assert stream.passes(20, NOW + 20)


def test_what_lies_ahead_is_judged_by_its_like() -> None:
    stream = Stream(0)

    def passes(seq: int, time: int) -> bool:
        return stream.passes(seq, time, ahead=True)

    assert [seq for seq in (7, 8, 7, 8, 10, 9, 8) if passes(seq, NOW)] == [7, 8, 10, 9]
    stream.opened()
    assert [seq for seq in (10, 3, 4) if passes(seq, NOW)] == [3, 4]
    assert passes(2, NOW + 1)
    assert stream.anew == Anew(0, NOW)


def test_late_ones_of_before_are_no_sign_of_it() -> None:
    stream = Stream(0)
    for seq in range(1000, 1100):
        assert stream.passes(seq, NOW + seq)
    assert not stream.passes(900, NOW + 900)
    assert not stream.passes(1099, NOW + 1099)
    assert stream.passes(1100, NOW + 1100)
    assert stream.anew is None


def test_some_that_are_too_old_between_new_ones_are_not() -> None:
    stream = Stream(0)
    passed(stream, *range(1000, 1100))
    mixed = [seq for new in range(1100, 1200) for seq in (new, 5)]
    assert passed(stream, *mixed) == [*range(1100, 1200)]


@given(st.lists(st.integers(1, 10**6), unique=True, min_size=1, max_size=200), st.randoms())
def test_nothing_is_lost_and_nothing_doubled_in_small_disorder(seqs: list[int], random: object) -> None:
    """Every number within the window comes once, though each is sent twice and neighbours change places."""
    sent = sorted(seqs)
    for place in range(1, len(sent) - 1, 2):
        sent[place], sent[place + 1] = sent[place + 1], sent[place]
    twice = [seq for one in sent for seq in (one, one)]
    assert passed(Stream(0), *twice) == sent


def test_in_an_epoch_that_the_server_says_nothing_is_taken_for_one_that_counts_anew() -> None:
    stream = Stream(0)
    stream.goes_on(1_000, 1_004)
    assert stream.passes(1_004, 50), "the last event of before, which is shown once more"
    assert stream.passes(1_006, 40), "it came in front of the one before it, and was made older on the way"
    assert stream.passes(1_005, 60), "which is no new count"
    assert not stream.passes(1_003, 70), "of before it was wanted"
    assert (stream.anew, stream.outdated) == (None, False)
    for seq in range(1_007, 1_007 + REMEMBERED):
        assert stream.passes(seq, 80 + seq)
    assert not stream.passes(1_006, 5_000)
    assert (stream.anew, stream.outdated) == (None, True), "nobody knows whether it had come"
    assert not any(stream.passes(seq, 9_000) for seq in (1_005, 1_038)), "nor do many of them change that"
    assert stream.anew is None


def test_the_first_that_comes_may_be_younger_than_the_next() -> None:
    stream = Stream(0)
    stream.goes_on(1_000, 0)
    assert stream.passes(1_001, 10)
    assert stream.passes(1_000, 20)
    assert not stream.passes(1_000, 20)
    assert (stream.anew, stream.outdated) == (None, False)
