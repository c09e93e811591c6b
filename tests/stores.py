"""A store on a database of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import psycopg

from tickwire.store import SqliteFile
from tickwire.store.postgres_file import PostgresFile
from tickwire.store.sqlite import BUSY_TIMEOUT

T = TypeVar("T")
Place: TypeAlias = Path | str | None
"""Where a database is: the path of a SQLite file, the URL of PostgreSQL; None is memory."""


@contextmanager
def opened(store: Callable[[Any], T], place: Place, timeout: float = BUSY_TIMEOUT) -> Iterator[T]:
    """A store in that database, which is closed at the end."""
    with closing(
        PostgresFile(place) if isinstance(place, str) else SqliteFile(place, timeout=timeout)
    ) as file:
        yield store(file)


def change_in(place: Place, statement: str) -> None:
    """What somebody else does there."""
    if isinstance(place, str):
        with psycopg.connect(place) as other:
            other.execute(statement)
        return
    assert place is not None
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(statement)
