"""What a server tells of its markets and instruments has the names that the rest of the house has."""

from __future__ import annotations

from tickwire.calendars import State
from tickwire.wire.overview import STATES


def test_the_states_are_those_of_the_calendars() -> None:
    assert set(STATES) == {state.value for state in State}
