"""Opens the database that the settings name: the SQLite file of the data directory, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from .file import File
from .kline_store import KlineStore
from .postgres_file import PostgresFile
from .postgres_klines import PostgresKlineStore
from .spool import Spool
from .spooled import Spooled
from .sql_klines import SqlKlineStore
from .sqlite_file import SqliteFile
from .sqlite_klines import SqliteKlineStore
from .tokens import KEY_FILE, TokenStore

log = structlog.get_logger()

SPOOL = "spool.db"
"""The file of the data directory that bars wait in for a database that is away."""


def open_file(
    path: Path, url: str | None = None, guard: Callable[[], None] | None = None, *, wait: float = 0.0
) -> File:
    """The database at that URL, without one the SQLite file at that path. `guard` is called before each
    write, and raises StartError if there may be none any more. `wait` is for how many seconds one is waited
    for that is away.

    Raises StartError if it cannot be used.
    """
    return SqliteFile(path, guard=guard) if url is None else PostgresFile(url, guard=guard, wait=wait)


def klines_of(file: File) -> SqlKlineStore:
    """The bars of a database."""
    if isinstance(file, PostgresFile):
        return PostgresKlineStore(file)
    assert isinstance(file, SqliteFile)  # noqa: S101 (there are no others)
    return SqliteKlineStore(file)


def server_klines_of(file: File, folder: Path, most: int, guard: Callable[[], None]) -> KlineStore:
    """The bars of a server's database. Where that may be away, what cannot be written goes to a spool in the
    data directory, of up to `most` bytes. Raises StoreError."""
    path = folder / SPOOL
    if not isinstance(file, PostgresFile):
        if path.exists():
            log.warning("bars wait in the spool for a PostgreSQL that is not named", file=str(path))
        return klines_of(file)
    spool = Spool(path, most, guard)
    file.closes(spool.close)
    return Spooled(PostgresKlineStore(file), spool)


@contextmanager
def open_tokens(path: Path, url: str | None = None, *, wait: float = 0.0) -> Iterator[TokenStore]:
    """The tokens of a database by themselves, their key beside where its SQLite file would lie. Raises
    StartError if it cannot be used."""
    with closing(open_file(path, url, wait=wait)) as file:
        yield TokenStore(file, path.with_name(KEY_FILE))
