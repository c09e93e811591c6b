"""A store on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from tickwire.store import SqliteFile
from tickwire.store.sqlite import BUSY_TIMEOUT

T = TypeVar("T")


@contextmanager
def opened(store: Callable[[SqliteFile], T], path: Path | None, timeout: float = BUSY_TIMEOUT) -> Iterator[T]:
    """A store in that file, or in memory, which is closed at the end."""
    with closing(SqliteFile(path, timeout=timeout)) as file:
        yield store(file)
