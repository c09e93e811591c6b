"""Which events of a stream have come already."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire.stream import MOST_STALE, REMEMBERED, Stream


def passed(stream: Stream, *seqs: int) -> list[int]:
    return [seq for seq in seqs if stream.passes(seq)]


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
