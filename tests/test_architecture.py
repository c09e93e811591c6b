"""ARCHITECTURE.md names what there is: files where they stand, and the calls of its ways."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import tickwire

SOURCE = Path(tickwire.__file__).parent
ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
FILES = {*re.findall(r"`([\w/]+\.py)`", TEXT)}
CALLS = {*re.findall(r"`([A-Z]\w+)\.(\w+)`", TEXT)}
PYTHON = "\n".join(path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.py")))
ROOMS = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}


def test_every_file_is_there() -> None:
    there = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    names = {path.rpartition("/")[2] for path in there}
    named = {one for one in FILES if not one.startswith("tests/")}
    assert {one for one in named if one not in there and one not in names} == set()
    assert {one for one in FILES - named if not (ROOT / one).exists()} == set()


def test_every_call_of_the_ways_is_there() -> None:
    bodies: defaultdict[str, str] = defaultdict(str)
    for name, body in re.findall(r"^class (\w+)\b(.*?)(?=^\S|\Z)", PYTHON, re.DOTALL | re.MULTILINE):
        bodies[name] += body
    assert len(CALLS) > 20
    assert {f"{owner}.{name}" for owner, name in CALLS if f"def {name}(" not in bodies[owner]} == set()


def test_every_room_is_in_its_table() -> None:
    assert {room for room in ROOMS if f"| `{room}/` |" not in TEXT} == set()
