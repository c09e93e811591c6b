"""The rooms of the tests are those of the package, so that one can guess where a module is tested."""

from __future__ import annotations

from pathlib import Path

import tickwire

SOURCE = Path(tickwire.__file__).parent
TESTS = Path(__file__).parent
OWN = {"drill", "fixtures", "fuzz", "programs", "terminal"}
"""Faults at full load, data of older versions, what fuzzing is guided through, clients of other people,
the terminal in a browser."""


def test_every_room_is_one_of_the_package_or_named_here() -> None:
    rooms = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*.py")}
    assert {str(room) for room in rooms if not (SOURCE / room / "__init__.py").exists()} == OWN
