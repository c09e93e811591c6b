"""Scenarios that a test runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    from ..sandbox import Scenario

    What: TypeAlias = str | Path | Mapping[str, Any] | Scenario


def scenario_in(what: What) -> Scenario:
    """A scenario of the library by its name, one in a file, one step, or a whole one.

    Raises InputError that names the place and what would be right there.
    """
    from ..sandbox import Scenario, load_file, load_scenario, scenario_of

    match what:
        case Scenario():
            return what
        case str():
            return load_scenario(what)
        case Path():
            return load_file(what)
        case {"do": _}:
            return scenario_of({"step": [dict(what)]}, "the scenario")
    return scenario_of(what, "the scenario")


class RunningScenario:
    """A scenario that was begun. As a context manager it is stopped at the end."""

    def __init__(self, number: int, name: str, stop: Callable[[int], bool]) -> None:
        self.number = number
        """What the admin API knows it by."""
        self.name = name
        self._stop = stop

    def stop(self) -> bool:
        """Ends it and undoes what it did; returns whether it still ran. A clock that was moved stays."""
        return self._stop(self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
