"""Histograms: which bucket a value is counted in."""

from __future__ import annotations

from tickwire.model import Histogram


def test_a_value_is_counted_by_the_first_bound_that_it_does_not_pass() -> None:
    measured = Histogram((0.1, 1.0))
    assert measured.buckets == [("0.1", 0), ("1.0", 0), ("+Inf", 0)]
    for value in (0.0, 0.1, 0.5, 1.0, 7.5):
        measured.add(value)
    assert measured.buckets == [("0.1", 2), ("1.0", 4), ("+Inf", 5)]
    assert measured.total == 9.1
