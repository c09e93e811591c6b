"""A simulator that does not keep up says so once, and once that it does again."""

from __future__ import annotations

from structlog.testing import capture_logs

from tickwire.sources import Health, Status
from tickwire.sources.shortfall import SETTLED, Shortfall


def hundred() -> float:
    return 100


def test_it_says_by_how_much_and_when_it_is_over() -> None:
    health = Health(Status.UP, wall=lambda: 0)
    shortfall = Shortfall(health)
    with capture_logs() as logged:
        for second in range(10):
            shortfall.look(second, 0.2, 100 * second, hundred)
        assert not logged
        assert health.reason == ""
        for second in range(10, 100):
            health.dropped += 50
            shortfall.look(second, 1.5, 900 + 50 * (second - 9), hundred)
        (said,) = logged
        assert (said["log_level"], said["reason"]) == (
            "warning",
            "1.5 s late: it makes 90 of 100 steps a second",
        )
        assert health.reason == "1.5 s late: it makes 50 of 100 steps a second"
        shortfall.look(99 + SETTLED, 0, 10_000, hundred)
        assert len(logged) == 1
        shortfall.look(100 + SETTLED, 0, 10_000, hundred)
        assert (logged[1]["log_level"], logged[1]["left_out"]) == ("info", 4450)
        assert health.reason == ""
        shortfall.look(500, 3, 10_000, hundred)
        assert [entry["log_level"] for entry in logged] == ["warning", "info", "warning"]


def test_it_counts_before_it_says_how_many() -> None:
    shortfall = Shortfall(Health(Status.UP, wall=lambda: 0))
    with capture_logs() as logged:
        shortfall.look(7, 6, 0, hundred)  # late from the start
        assert not logged
        shortfall.look(9, 6, 80, hundred)
    assert [entry["reason"] for entry in logged] == ["6.0 s late: it makes 40 of 100 steps a second"]
