"""The schema of the SQLite file, as the steps that led to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from .rows import SEALED

Migrations: TypeAlias = Sequence[Sequence[str]]

MIGRATIONS: Migrations = (
    (
        """
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            code TEXT NOT NULL,
            UNIQUE (source, code)
        ) STRICT
        """,
        """
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
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE note (
            source TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (source, name)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE token (
            id TEXT PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            plan TEXT NOT NULL,
            markets TEXT NOT NULL,
            codes TEXT NOT NULL,
            admin INTEGER NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER,
            revoked INTEGER
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE suspension (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            exchange TEXT NOT NULL,
            symbol TEXT NOT NULL,
            publish_date TEXT NOT NULL,
            symbol_name TEXT,
            halt_reason TEXT NOT NULL,
            halt_date TEXT,
            halt_time TEXT,
            halt_period TEXT,
            resume_date TEXT,
            resume_time TEXT,
            source_exchange TEXT,
            pause_threshold_price TEXT,
            UNIQUE (source, exchange, symbol, publish_date)
        ) STRICT
        """,
        "CREATE INDEX suspension_by_time ON suspension (exchange, publish_date DESC, id DESC)",
    ),
    (
        "ALTER TABLE token ADD COLUMN publish INTEGER NOT NULL DEFAULT 0",
        """
        CREATE TABLE gap (
            id INTEGER PRIMARY KEY,
            source TEXT NOT NULL,
            market TEXT NOT NULL,
            codes TEXT NOT NULL,
            begin INTEGER NOT NULL,
            end INTEGER,
            reason TEXT NOT NULL,
            filled INTEGER
        ) STRICT
        """,
        "CREATE INDEX gap_by_time ON gap (begin)",
        """
        CREATE TABLE instrument (
            code TEXT PRIMARY KEY,
            definition TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
    tuple(
        f"ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1"
        for table in ("kline", "note", "token", "suspension", "gap", "instrument")
    )
    + tuple(f"UPDATE {table.name} SET checksum = {table.seal}" for table in SEALED),  # noqa: S608
)
"""The statements that lead from each version of the schema to the next; `PRAGMA user_version` counts."""
