"""Bars and notes on the disk of this machine, until the database that they are for is back."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from ..errors import StartError, StoreError
from ..machine import Disk
from ..model import Kline, KlineType
from .bar_rows import bars_of, values_of
from .rows import UNSEALED
from .salvage import beside

SCHEMA = """
    CREATE TABLE IF NOT EXISTS bar (
        source TEXT, code TEXT, type INTEGER, time INTEGER, content BLOB NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (source, code, type, time)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS note (
        source TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (source, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS begun (source TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
"""
ADD = "INSERT OR IGNORE INTO bar VALUES (?, ?, ?, ?, ?, ?)"
PUT = ADD.replace("IGNORE", "REPLACE")
PUT_NOTE = "INSERT OR REPLACE INTO note VALUES (?, ?, ?)"
BEGIN = "INSERT OR IGNORE INTO begun VALUES (?, ?)"
SOURCES = """
    SELECT source, revision, (SELECT count(*) FROM bar WHERE bar.source = begun.source) FROM begun
"""
FIRST = "SELECT code, type, time, content, checksum FROM bar WHERE source = ? LIMIT ?"
UP_TO = """
    SELECT code, type, time, content, checksum FROM bar
    WHERE source = ? AND code = ? AND type = ? AND time <= ?
"""
CODES = "SELECT DISTINCT code FROM bar WHERE source = ?"
NOTES = "SELECT name, value FROM note WHERE source = ?"
DROP = "DELETE FROM bar WHERE source = ? AND code = ? AND type = ? AND time = ?"
DROP_NOTE = "DELETE FROM note WHERE source = ? AND name = ?"
END = "DELETE FROM begun WHERE source = ?"
PAGE = 4096

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

log = structlog.get_logger()


class Part(NamedTuple):
    """Some of what waits of a source. `revision` is that of its writes when the first of it came."""

    source: str
    revision: int
    bars: list[Kline]
    notes: dict[str, str]


class Spool:
    """Bars and notes that wait, of each key the last. Its file is there only while something waits.

    A bar that is `removed` and a note without a value wait as such. Methods may be called from any thread;
    they raise StoreError if the file cannot be used.
    """

    def __init__(self, path: Path, most: int, guard: Callable[[], None]) -> None:
        """`most` is how many bytes it may take. `guard` is called before each write, and raises StartError if
        the folder is another server's. A file that is damaged is set aside. Raises StoreError if there is one
        that cannot be used."""
        self.path = path
        self._most = most
        self._guard = guard
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._begun: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        if path.exists():
            found = self._look()
            self._begun = {source: revision for source, revision, _ in found}
            self._counts = {source: count for source, _, count in found}
            log.warning("bars wait in the spool", file=str(path), bars=sum(self._counts.values()))

    def waiting(self, source: str) -> int:
        """Bars that wait. Waits for nothing."""
        return self._counts.get(source, 0)

    def __contains__(self, source: str) -> bool:
        return source in self._begun

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._begun

    def put(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str], revision: int) -> None:
        """Takes these, each in place of the one of its key. `revision` counts for the first ones only."""
        rows = []
        for bar in bars:
            content = _encode((*values_of(bar), bar.removed))
            rows.append((source, bar.code, int(bar.kline_type), bar.time, content, zlib.crc32(content)))
        try:
            self._guard()
        except StartError as error:
            raise StoreError(str(error)) from error
        with self._using() as connection:
            connection.execute(BEGIN, (source, revision))
            new = connection.executemany(ADD, rows).rowcount if rows else 0  # so they need not be counted
            connection.executemany(PUT, rows)
            connection.executemany(PUT_NOTE, [(source, *one) for one in notes.items()])
        self._begun.setdefault(source, revision)
        self._counts[source] = self._counts.get(source, 0) + new

    def first(self, most: int) -> Part | None:
        """Up to so many bars that wait; where there are none any more, the notes. None if nothing waits."""
        for source, revision in self._begun.items():
            with self._using() as connection:
                bars = self._bars(source, connection.execute(FIRST, (source, most)))
                notes = {} if bars else dict(connection.execute(NOTES, (source,)).fetchall())
            return Part(source, revision, bars, notes)
        return None

    def drop(self, part: Part) -> None:
        """What `first` gave waits no more."""
        source = part.source
        with self._using() as connection:
            keys = [(source, bar.code, int(bar.kline_type), bar.time) for bar in part.bars]
            connection.executemany(DROP, keys)
            connection.executemany(DROP_NOTE, [(source, name) for name in part.notes])
            if not part.bars:
                connection.execute(END, (source,))
        if part.bars:
            self._counts[source] -= len(part.bars)
            return
        del self._begun[source], self._counts[source]
        if self.empty:
            with self._lock:
                self._disconnect()
                for name in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):  # it is looked at again at the next start
                        beside(self.path, name).unlink(missing_ok=True)

    def bars(self, source: str, code: str, kline_type: KlineType, end: int) -> dict[int, Kline]:
        """Those up to and including `end` that wait, by time."""
        if source not in self._begun:
            return {}
        asked = (source, code, int(kline_type), end)
        with self._using() as connection:
            return {bar.time: bar for bar in self._bars(source, connection.execute(UP_TO, asked))}

    def codes(self, source: str) -> list[str]:
        """Those of which bars wait."""
        if source not in self._begun:
            return []
        with self._using() as connection:
            return [code for (code,) in connection.execute(CODES, (source,))]

    def notes(self, source: str) -> dict[str, str]:
        """Those that wait, by name."""
        if source not in self._begun:
            return {}
        with self._using() as connection:
            return dict(connection.execute(NOTES, (source,)).fetchall())

    def close(self) -> None:
        """Ends all use of the file; what waits stays."""
        with self._lock:
            self._disconnect()

    def _look(self) -> list[tuple[str, int, int]]:
        """What waits in the file: sources, their revisions, and how many bars of each."""
        try:
            with self._using() as connection:
                return connection.execute(SOURCES).fetchall()
        except StoreError as error:
            if not isinstance(error.__cause__, sqlite3.DatabaseError) or isinstance(
                error.__cause__, sqlite3.OperationalError
            ):
                raise
            self.close()
            aside = Disk().set_aside(self.path)
            log.error("the spool was damaged and is set aside", reason=str(error), kept_as=aside.name)
            return []

    def _bars(self, source: str, rows: Iterable[Any]) -> list[Kline]:
        """The bars of these rows; what was altered is left out, and dropped with the rest."""
        found = []
        for code, kline_type, time, content, checksum in rows:
            if zlib.crc32(content) == checksum:
                *values, removed = _decode(content)
                (bar,) = bars_of(code, KlineType(kline_type), [(*values, UNSEALED)])
                found.append(msgspec.structs.replace(bar, removed=removed) if removed else bar)
            else:
                log.error(
                    "a bar in the spool is damaged and left out",
                    file=str(self.path),
                    source=source,
                    code=code,
                    kline_type=kline_type,
                    time=time,
                )
        return found

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The file, in one transaction."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield self._connection
            except sqlite3.Error as error:
                full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
                remedy = (
                    f" It may take {self._most} bytes (--spool-bytes), and its disk has an end too." * full
                )
                raise StoreError(f"Cannot use the spool {self.path}: {error}.{remedy}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, 5.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA max_page_count = {self._most // PAGE}")
            connection.executescript(SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
