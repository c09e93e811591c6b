"""The SQLite file of a data directory: opening it, and bringing its schema up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..errors import StartError

MIGRATIONS = (
    """
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        code TEXT NOT NULL,
        UNIQUE (source, code)
    ) STRICT;
    CREATE TABLE kline (
        series INTEGER NOT NULL REFERENCES series (id),
        type INTEGER NOT NULL,
        time INTEGER NOT NULL,
        open TEXT NOT NULL,
        high TEXT NOT NULL,
        low TEXT NOT NULL,
        close TEXT NOT NULL,
        volume TEXT NOT NULL,
        turnover TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        incomplete INTEGER NOT NULL,
        PRIMARY KEY (series, type, time)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE note (
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (source, name)
    ) STRICT, WITHOUT ROWID;
    """,
)
"""What leads from each version of the schema to the next; `PRAGMA user_version` counts them."""
BUSY_TIMEOUT = 5.0
"""Seconds that one process waits while another writes."""


def open_database(path: Path | None) -> sqlite3.Connection:
    """A connection to the file, in any thread, its schema up to date; None is a database in memory.

    Raises StartError if the file cannot be used.
    """
    name = ":memory:" if path is None else str(path)
    try:
        connection = sqlite3.connect(name, BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(name, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, name)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(name, error) from error
    except StartError:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, name: str) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StartError(
            f"{name} was written by a newer Tickwire (schema {version}, this one knows {len(MIGRATIONS)}). "
            "Update Tickwire, or choose another --data-dir."
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {number};COMMIT;")


def _unusable(name: str, error: sqlite3.Error) -> StartError:
    return StartError(
        f"Cannot use the database {name}: {error}. Mend or move it, or choose another --data-dir."
    )
