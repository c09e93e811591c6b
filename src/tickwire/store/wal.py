"""The write-ahead log that a killed process left: whether SQLite can still use all of it.

SQLite reads a log up to the first frame whose checksum is wrong, and ignores the rest without a word. So what
it used is compared with what the log, and the index that the process kept of it, say was committed (SQLite's
"Database File Format", section 4, and "WAL-mode File Format", section 2).
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ..machine import damaged_name

HEADER = struct.Struct(">4I8s2I")
"""Magic, version, bytes of a page, number of the checkpoint, salts, checksum."""
FRAME = struct.Struct(">2I8s2I")
"""Number of the page, pages of the database if it ends a transaction or else 0, salts, checksum."""
INDEX = struct.Struct("=3I2BH4I8s2I")
"""Version, unused, changes, whether it is made, byte order, bytes of a page, committed frames, pages of the
database, checksum of the last frame, salts, checksum. There are two of them."""
BACKFILLED = 2 * INDEX.size
"""Where the index says how many frames are in the database already."""

log = structlog.get_logger()


def check_log(path: Path) -> None:
    """Tells of a damaged log beside a database, keeps a copy of it, and plays what is left of it into the
    database. Nothing is done while anybody has the database open: then the log is in use, and was checked."""
    wal, shm = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    with contextlib.suppress(OSError, sqlite3.Error):  # opening the database says what is wrong
        if not (wal.exists() or shm.exists()) or not path.stat().st_size:
            return
        span = _moment(path), _moment(wal)  # the database is written when the log is played into it
        with contextlib.closing(sqlite3.connect(path, 0, isolation_level=None)) as alone:
            alone.execute("PRAGMA locking_mode = EXCLUSIVE")
            alone.execute("PRAGMA user_version").fetchone()  # reads the log; fails if somebody else is there
            # Before that, closing this file would end the locks that this process may have on it.
            index = _start(shm, BACKFILLED + 4)
            shm.unlink(missing_ok=True)  # it is not kept up to date from here on
            _, used, _ = alone.execute("PRAGMA wal_checkpoint").fetchone()
            if (committed := _committed(wal, index)) > max(used, 0):
                _tell(path, wal, max(used, 0), committed, span)


def _committed(wal: Path, index: bytes) -> int:
    """How many frames of a log hold committed pages, as far as that can be known."""
    start = _start(wal, HEADER.size)
    header = start.ljust(HEADER.size, b"\0")
    magic, _, page, _, salts, *checksum = HEADER.unpack(header)
    valid = magic | 1 == 0x377F0683 and checksum == _checksum(header[:24], magic)
    committed = _indexed(index, salts if valid else None)
    if valid:
        last, torn = _salted(wal, page, salts)
        if committed is None and torn:
            committed = last + 1
        committed = max(last, committed or 0)
    elif start and committed is None:  # how many there were is anyone's guess
        committed = max(1, (wal.stat().st_size - HEADER.size) // (FRAME.size + 4096))
    return committed or 0


def _indexed(index: bytes, salts: bytes | None) -> int | None:
    """How many frames of the log with these salts, or of any, an index says were committed and are not all
    in the database; None if it says nothing of it."""
    if len(index) < BACKFILLED + 4 or index[: INDEX.size] != index[INDEX.size : BACKFILLED]:
        return None
    _, _, _, made, _, _, committed, _, _, _, of, *_ = INDEX.unpack_from(index)
    (backfilled,) = struct.unpack_from("=I", index, BACKFILLED)
    if not made or (salts is not None and of != salts):
        return None
    return int(committed) if committed > backfilled else 0


def _salted(wal: Path, page: int, salts: bytes) -> tuple[int, bool]:
    """The number of the last frame with these salts that ends a transaction, and whether one behind it was
    cut off. Frames with other salts are left from before the log was begun again."""
    last, of = 0, salts
    with wal.open("rb") as file:
        size = wal.stat().st_size - HEADER.size
        whole, rest = divmod(size, FRAME.size + page)
        for number in range(1, whole + 1):
            file.seek(HEADER.size + (number - 1) * (FRAME.size + page))
            _, ends, of, _, _ = FRAME.unpack(file.read(FRAME.size))
            if of == salts and ends:
                last = number
        file.seek(HEADER.size + whole * (FRAME.size + page))
        head = file.read(FRAME.size)
    torn = rest > 0 and of == salts and (len(head) < FRAME.size or FRAME.unpack(head)[2] == salts)
    return last, torn


def _checksum(data: bytes, magic: int) -> list[int]:
    """SQLite's checksum of a multiple of 8 bytes, in the byte order that the magic number says."""
    first = second = 0
    for one, two in struct.iter_unpack(">2I" if magic & 1 else "<2I", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return [first, second]


def _start(path: Path, size: int) -> bytes:
    """The first bytes of a file; empty if there is none."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        return b""


def _tell(path: Path, wal: Path, used: int, committed: int, span: tuple[str, str]) -> None:
    kept = damaged_name(wal)
    try:
        shutil.copyfile(wal, kept)
        kept_as = kept.name
    except OSError as error:
        kept_as = f"none: {error.strerror}"
    log.error(
        "the write-ahead log of the database was damaged: the bars, tokens and revocations that were written "
        "last may be missing. Look through the tokens: tickwire token list",
        file=str(path),
        pages_used=used,
        pages_written=committed,
        missing_from=span[0],
        missing_to=span[1],
        kept_as=kept_as,
    )


def _moment(path: Path) -> str:
    """When a file was last written."""
    try:
        return f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except FileNotFoundError:
        return "unknown"
