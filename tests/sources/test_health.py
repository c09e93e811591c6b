"""The health of a source: what its events' times say of clocks."""

from __future__ import annotations

from tickwire.sources import Health
from tickwire.sources.health import SMOOTHED


def test_the_skew_of_a_clock_follows_slowly_and_forgets_single_events() -> None:
    health = Health(wall=lambda: 0)
    assert (health.lag, health.skew) == (None, None)
    for _ in range(3):
        health.stamped(100)
    assert (health.lag, health.skew) == (100, 100)
    health.stamped(100 + 64 * SMOOTHED)
    assert (health.lag, health.skew) == (100 + 64 * SMOOTHED, 164)
    for _ in range(20 * SMOOTHED):
        health.stamped(-300)
    assert health.lag == -300
    assert health.skew is not None
    assert -300 < health.skew < -299.9
