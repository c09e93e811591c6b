"""The one way to a database: the contract of what the stores share, be it SQLite's or PostgreSQL's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol


class Dialect(StrEnum):
    """Whose words statements are in, where one for both does not do."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class Cursor(Protocol):
    """What a statement has found or done."""

    @property
    def rowcount(self) -> int:
        """Rows that were written."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows, tuples."""
        ...


class Connection(Protocol):
    """Takes statements, whose values are marked ?1, ?2 and so on."""

    def execute(self, query: str, values: Sequence[Any] = ..., /) -> Cursor:
        """One statement."""
        ...


class File(Protocol):
    """A database that a process opens once and hands to every store.

    One connection writes and another reads, each for one thread at a time. Other processes may have the same
    one open. What fails raises StoreError, whose text names the database, and no secret.
    """

    name: str
    dialect: Dialect
    damaged: bool
    """Whether a call has met damage that the next write is to mend."""

    @property
    def generation(self) -> int:
        """Grows whenever what a holder of data wrote before may be missing."""
        ...

    def mend(self) -> None:
        """Carries what can be read over into a new one. Raises StoreError."""

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction: all of what is done in the block, or nothing, and nobody else writes meanwhile.
        Raises StoreError.

        A block must not ask for another one.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """One view: what others write meanwhile is not seen in the block. Raises StoreError.

        A block must not ask for another one.
        """
        ...

    def checkpoint(self) -> None:
        """Sees to it that what was written is not lost with a log."""

    def close(self) -> None:
        """Ends all use. May be called again."""
