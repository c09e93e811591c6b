"""The SQLite file of a data directory: opening it, its schema, and what its errors say."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import StartError
from .migrations import MIGRATIONS, Migrations
from .rows import know_checksum

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
BUSY_TIMEOUT = 5.0
"""Seconds to wait while another process writes."""
CHECKPOINT = 4_000
"""Pages in the write-ahead log before they go into the file: with fewer, the pages of the forming bars are
carried over once per batch; with more, a reader searches longer and a start recovers longer."""
WAL_LIMIT = 64 << 20
"""Bytes that the write-ahead log may keep on the disk after a large batch has passed through it."""
CACHE = 16 << 10
"""KiB of pages per connection: the pages that the forming bars of 600 codes lie in, several times."""

_LOCKED = "Another program is using it: wait for it or end it."
_DAMAGED = "It is damaged or no database."
_RIGHTS = "Make it and its folder writable, or choose another --data-dir."
_DISK = "Make room on its disk, or choose another --data-dir."
_REMEDIES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: "Look after its disk, or choose another --data-dir.",
}

_OS_REMEDIES = {errno.ENOSPC: _DISK, errno.EDQUOT: _DISK, errno.EIO: _REMEDIES[sqlite3.SQLITE_IOERR]}


class Damaged(StartError):
    """The bytes of the file are not what SQLite, or our schema, makes them."""


def open_database(
    path: Path | None, *, timeout: float = BUSY_TIMEOUT, migrations: Migrations = MIGRATIONS
) -> sqlite3.Connection:
    """A connection in autocommit mode, its schema up to date; None is a database in memory.

    It may be used in any thread, by one at a time. A file that is not ours, or of a newer schema, is left
    as it is. Raises StartError if the file cannot be used, and Damaged if that lies in its bytes.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StartError(
            f"This Python has SQLite {sqlite3.sqlite_version}, bars need 3.37 or later. Use a newer Python."
        )
    name = ":memory:" if path is None else str(path)
    if path is not None:
        _make_sure_of(path)
    try:
        connection = sqlite3.connect(name, timeout, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StartError(text_of(name, error)) from error
    try:
        know_checksum(connection)
        _version(connection, name, migrations)
        mode = _use_wal(connection, timeout)
        if path is not None and mode != "wal":
            raise StartError(
                f"The file system of {name} does not carry SQLite's write-ahead log. "
                "Choose another --data-dir, on a local disk."
            )
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        connection.execute(f"PRAGMA cache_size = -{CACHE}")
        _migrate(connection, name, migrations)
        if migrations is MIGRATIONS and (wrong := altered(connection) or _broken(connection)):
            raise Damaged(f"Cannot use the database {name}: {wrong}. {_DAMAGED}")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        kind = Damaged if is_damage(error, connection) else StartError
        connection.close()
        raise kind(text_of(name, error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done in it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def view(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read in it is of one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # a damaged page may have ended it already
            connection.execute("ROLLBACK")


def is_damage(error: Exception, connection: sqlite3.Connection) -> bool:
    """Whether an error of our statements comes of damaged bytes."""
    decoded = isinstance(error, (UnicodeDecodeError, sqlite3.OperationalError)) and not _code(error)
    if decoded or _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT):
        return True
    try:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
            return True  # we replace or ignore what is there: its rows are not in their order
        if _code(error) == sqlite3.SQLITE_CONSTRAINT:  # an index and its table may contradict each other
            found = [connection.execute(f"PRAGMA integrity_check({table})").fetchone() for table in SMALL]
            return found != [("ok",)] * len(SMALL)
        # "no such table": a letter of the schema has changed, or a statement of ours is wrong.
        return _code(error) in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH) and bool(altered(connection))
    except (sqlite3.Error, UnicodeDecodeError):
        return True


SMALL = ("series", "note", "token", "suspension", "gap", "instrument")
"""Tables that are checked in no time, unlike that of the bars, whose rows are when they are read."""


def _broken(connection: sqlite3.Connection) -> str:
    """What is wrong with the pages of the small tables; empty if nothing is."""
    for table in SMALL:
        (found,) = connection.execute(f"PRAGMA quick_check({table})").fetchone()
        if found != "ok":
            return f"{table}: {' '.join(str(found).split())}"
    return ""


def altered(connection: sqlite3.Connection) -> str:
    """What of our schema is not there as it was made; empty if all is."""
    found = dict(connection.execute(SCHEMA).fetchall())
    wrong = [name for name, sql in _schema().items() if found.get(name, "") != sql]
    return f"the definition of {wrong[0]} has changed" if wrong else ""


SCHEMA = "SELECT name, sql FROM sqlite_master"


@functools.cache
def _schema() -> dict[str, str | None]:
    with contextlib.closing(new_in_memory()) as connection:
        return dict(connection.execute(SCHEMA).fetchall())


def new_in_memory() -> sqlite3.Connection:
    """An empty database of our schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    know_checksum(connection)
    for statement in (one for step in MIGRATIONS for one in step):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    return connection


def _make_sure_of(path: Path) -> None:
    """Makes the folder; refuses a file that could be read but not written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"Cannot make the folder {path.parent}: {error.strerror}. Choose another --data-dir."
        ) from error
    # Asked, not tried: closing a file of our own would end the locks that SQLite holds on it.
    effective = os.access in os.supports_effective_ids
    if path.exists() and not os.access(path, os.W_OK, effective_ids=effective):
        raise StartError(f"Cannot write to the database {path}. {_RIGHTS}")


def _version(connection: sqlite3.Connection, name: str, migrations: Migrations) -> int:
    """The version of the schema. Raises StartError if it is newer than ours, or somebody else's."""
    connection.execute("SAVEPOINT look")  # both in one view: another process may be making the tables
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.execute("RELEASE look")
    if version > len(migrations) and "kline" in tables:  # it may have all that ours has, and more
        raise StartError(
            f"{name} was written by a newer Tickwire (schema {version}, this one knows {len(migrations)}). "
            "Update Tickwire, or choose another --data-dir."
        )
    if migrations is MIGRATIONS and version != len(migrations) and tables and not altered(connection):
        raise Damaged(f"Cannot use the database {name}: its header has changed. {_DAMAGED}")
    if (tables or version) and ("kline" not in tables or not version):
        raise StartError(f"{name} is another program's database. Move it away, or choose another --data-dir.")
    return int(version)


def _use_wal(connection: sqlite3.Connection, timeout: float) -> str:
    """Switches the file to write-ahead logging, which does not wait for a lock by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return str(mode)


def _migrate(connection: sqlite3.Connection, name: str, migrations: Migrations) -> None:
    if _version(connection, name, migrations) == len(migrations):
        return
    with transaction(connection):
        version = _version(connection, name, migrations)  # another process may have been faster
        for statement in (one for step in migrations[version:] for one in step):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for what Python's module raises by itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def text_of(name: str, error: Exception) -> str:
    """What went wrong with a database, and what to do."""
    if isinstance(error, OSError):
        return (
            f"Cannot use the database {name}: {error.strerror}. {_OS_REMEDIES.get(error.errno or 0, _RIGHTS)}"
        )
    remedy = _REMEDIES.get(_code(error))
    return f"Cannot use the database {name}: {error}." + (f" {remedy}" if remedy else "")
