"""The schemas of the databases, as the steps that led to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TypeAlias

Migrations: TypeAlias = Sequence[Sequence[str]]


def _steps(text: str) -> Migrations:
    _, *steps = re.split(r"^-- Version \d+\n", text, flags=re.MULTILINE)
    return [[one.lstrip() for one in step.split(";") if one.strip()] for step in steps]


def _read(name: str) -> Migrations:
    return _steps(files(__package__).joinpath(name).read_text("utf-8"))


MIGRATIONS = _read("migrations.sql")
"""The statements that lead from each version of the schema to the next; `PRAGMA user_version` counts."""
POSTGRES_MIGRATIONS = _read("postgres_migrations.sql")
"""The same for PostgreSQL, where the table "tickwire" counts."""
