"""SQLite files: what stands in them, and what may be done to them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

from tickwire.model import Kline, KlineType

MINUTE = KlineType.MINUTE
SOURCE = "simulator"
NOBODY = 65534


def a_bar(time: int, code: str = "GOLD", price: int = 1) -> Kline:
    one = Decimal(price)
    return Kline(code, MINUTE, time, one, one, one, one, one, one)


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What SQLite itself says about the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def whole(path: Path) -> bool:
    return ask(path, "PRAGMA integrity_check") == [("ok",)] and not ask(path, "PRAGMA foreign_key_check")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program that is about to write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's power over files."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
