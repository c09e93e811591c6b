"""A damaged database is set aside, and what can be read of it carried over into a new one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from ..machine import damaged_name
from .carrying import Carrying
from .migrations import MIGRATIONS
from .rows import know_checksum, lenient
from .sqlite import altered, new_in_memory, open_database, transaction

MARKS = tuple(b"CREATE TABLE " + name for name in (b"kline", b"series", b"suspension", b"instrument"))
"""What stands in the schema of a database of ours and hardly in another program's."""
LOOKED = 1 << 20
"""Bytes at the beginning of a file in which they are looked for: the schema is what is made first."""
TREE = (2, 5, 10, 13)
"""What pages of tables and indexes begin with."""
HEADER = 100
"""Bytes of SQLite's header, in front of the first page's own content."""
PAGE = 4096
"""Bytes of a page, SQLite's default since 2016."""

log = structlog.get_logger()


def is_ours(path: Path) -> bool:
    """Whether a file that cannot be used as a database was one of ours.

    That its schema tells or, if the first page has nothing of SQLite left, that the others are as SQLite
    makes them: another program's file would not lie here. Zeros alone are what a power failure leaves.
    """
    for file in (path, beside(path, "-wal")):
        with contextlib.suppress(OSError), file.open("rb") as opened:
            start = opened.read(LOOKED)
            if any(mark in start for mark in MARKS):
                return True
            if start and not any(start):
                return True
            like = [kind in TREE for kind in start[PAGE::PAGE]]
            if b"CREATE TABLE" not in start and sum(like) > len(like) / 2:
                return True
    return False


def beside(path: Path, end: str) -> Path:
    """A file that belongs to a database."""
    return path.with_name(path.name + end)


def remove_log(path: Path) -> None:
    """Removes the log of a database that is at that path no more: SQLite would play it into the next one."""
    for end in ("-wal", "-shm"):
        beside(path, end).unlink(missing_ok=True)


def set_aside(path: Path, file: tuple[int, int] | None, held: sqlite3.Connection | None = None) -> None:
    """Puts a new database at the path, with what can be read of the damaged one there, which is renamed.

    `file` is the device and number of the damaged one: if another process was faster, nothing is done.
    `held` is a connection to it, in whose memory may stand what the file has lost. Raises StartError or
    OSError if there is no room; then nothing has changed.
    """
    from .tokens import KEY_FILE  # here, because tokens stand on the file that this mends

    with _alone(path.parent), contextlib.ExitStack() as made:
        found = path.stat()
        if (found.st_dev, found.st_ino) != file:
            return
        fresh, scratch = (beside(path, f".{name}-{secrets.token_hex(4)}") for name in ("new", "copy"))
        for one in (fresh, scratch):
            made.callback(_remove, one)
        carried = None
        if held is None or not _copied(held, fresh):
            with (
                contextlib.closing(open_database(fresh)) as new,
                contextlib.closing(_readable(path, scratch)) as old,
            ):
                with contextlib.suppress(sqlite3.Error):  # so that no other process changes it meanwhile
                    old.execute("BEGIN IMMEDIATE")
                carried = Carrying(old, new).all(guarded=path.with_name(KEY_FILE).exists())
        aside = damaged_name(path)
        with contextlib.suppress(FileNotFoundError):
            beside(path, "-wal").rename(beside(aside, "-wal"))
        path.rename(aside)
        remove_log(path)
        fresh.replace(path)
    if carried is None:
        log.error(
            "the database was damaged: all of it was still in memory, and was written anew",
            file=str(path),
            damaged_file=str(aside),
        )
        return
    log.error(
        "the database was damaged: what can be read of it was carried over into a new one",
        file=str(path),
        carried=carried.counts,
        lost=carried.lost or "nothing that is known of",
        damaged_file=str(aside),
        to_bring_back_more=f"sqlite3 {aside.name} .recover",
    )


def _copied(held: sqlite3.Connection, fresh: Path) -> bool:
    """Whether a connection could write all of its database anew, from its memory where it has a page."""
    try:
        with contextlib.closing(sqlite3.connect(fresh)) as target:
            held.backup(target)
            if target.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",):
                return True
    except sqlite3.Error:
        pass
    _remove(fresh)
    return False


def _readable(path: Path, scratch: Path) -> sqlite3.Connection:
    """A connection through which the rows of a damaged file can be asked for: to the file itself or, if its
    header or its schema is damaged, to a copy in which these are those of a new one."""
    connection = _connection(path)
    if _has_schema(connection):
        return connection
    connection.close()
    for repair in (_write_header, _write_schema):
        _remove(scratch)
        for end in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(beside(path, end), beside(scratch, end))
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
            repair(scratch)
        connection = _connection(scratch)
        if _has_schema(connection):
            return connection
        connection.close()
    return _connection(scratch)  # of which nothing can be read


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.text_factory = lenient
    know_checksum(connection)
    return connection


def _has_schema(connection: sqlite3.Connection) -> bool:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return 0 < version < len(MIGRATIONS) or (version == len(MIGRATIONS) and not altered(connection))
    except (sqlite3.Error, UnicodeDecodeError, TypeError):
        return False


def _write_header(copy: Path) -> None:
    """Gives a copy the header of a new database, and plays its log into it."""
    header = bytearray(_template()[:HEADER])
    pages = copy.stat().st_size // PAGE
    header[18:20] = b"\x02\x02"  # there is a log
    header[28:32] = pages.to_bytes(4, "big")
    header[32:40] = bytes(8)  # no free pages: nothing is written into it but the schema
    header[92:96] = header[24:28]  # so that the number of pages counts
    with copy.open("r+b") as file:
        file.write(header)
    with contextlib.closing(_connection(copy)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def _write_schema(copy: Path) -> None:
    """Gives a copy the schema of a new database: its tables where it says that they are or, failing that,
    where those of a database lie that was made in one go."""
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        _write_header(copy)
    template, pages = _template(), copy.stat().st_size // PAGE
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        memory.deserialize(template)
        rows = memory.execute(MASTER).fetchall()
    roots: dict[str, int] = {}
    with (
        contextlib.suppress(sqlite3.Error, UnicodeDecodeError),
        contextlib.closing(_connection(copy)) as found,
    ):
        found.execute("PRAGMA writable_schema = ON")
        for _, name, _, root, _ in found.execute(MASTER):
            roots[name] = root  # noqa: PERF403 (what was read before an error counts)
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        empty.execute("PRAGMA user_version = 1")
        first = bytearray(empty.serialize()[:PAGE])
    first[:HEADER] = template[:HEADER]
    first[28:32], first[32:40], first[92:96] = pages.to_bytes(4, "big"), bytes(8), first[24:28]
    with copy.open("r+b") as file:
        file.write(first)
    with contextlib.closing(_connection(copy)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        with transaction(connection):
            for kind, name, table, root, sql in rows:
                row = (kind, name, table, roots.get(name, root), sql)
                connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)


MASTER = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master"


def _template() -> bytes:
    """A new database."""
    with contextlib.closing(new_in_memory()) as connection:
        return connection.serialize()


def _remove(path: Path) -> None:
    remove_log(path)
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; on Windows none can rename what another one has open."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
