"""The schema of the SQLite file, as the steps that led to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TypeAlias

Migrations: TypeAlias = Sequence[Sequence[str]]


def _steps(text: str) -> Migrations:
    _, *steps = re.split(r"^-- Version \d+\n", text, flags=re.MULTILINE)
    return [[one.lstrip() for one in step.split(";") if one.strip()] for step in steps]


MIGRATIONS = _steps(files(__package__).joinpath("migrations.sql").read_text("utf-8"))
"""The statements that lead from each version of the schema to the next; `PRAGMA user_version` counts."""
