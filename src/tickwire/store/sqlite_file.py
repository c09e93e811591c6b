"""The one way to a SQLite file: a connection that writes and one that reads, shared by all stores."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import structlog

from ..errors import StartError, StoreError
from .epoch import FILE as EPOCH_FILE
from .file import Dialect
from .salvage import beside, is_ours, remove_log, set_aside
from .sqlite import BUSY_TIMEOUT, Damaged, is_damage, open_database, text_of, transaction, view
from .wal import check_log

log = structlog.get_logger()


class SqliteFile:
    """A File in SQLite's form.

    One connection writes and another reads, each for one thread at a time: a read never waits for a write,
    since readers of a write-ahead log see the state before it. In memory there is one for both, and a read
    does wait. Other processes may have the same file open.

    Each use looks whether the file at the path is still the one that is open. If it was removed, what is open
    is written there anew; if there is another one, that is opened. A file that turns out to be damaged is
    set aside by the next write, and what can be read of it carried over into a new one.
    """

    def __init__(
        self, path: Path | None, *, timeout: float = BUSY_TIMEOUT, guard: Callable[[], None] | None = None
    ) -> None:
        """None is a database in memory; `timeout` is how many seconds to wait while another process writes.
        `guard` is called before each write, and raises StartError if the file may not be written any more.

        Raises StartError if the file cannot be used.
        """
        self.path = path
        self.dialect = Dialect.SQLITE
        self.name = ":memory:" if path is None else str(path)
        self.generation = 0
        """Grows whenever what is behind the path was made anew: what a holder of data wrote before may be
        missing in it."""
        self._timeout = timeout
        self._guard = guard
        self._closed = False
        self.damaged = False
        """Whether a call has met a damaged page that the next write is to mend."""
        self._write_lock = self._read_lock = threading.Lock()
        if path is not None:
            self._read_lock = threading.Lock()
        self._writer, self._reader = self._open()
        self._place = Place.of(path)

    def mend(self) -> None:
        """Sets the file aside as damaged, and carries over what can be read of it. Raises StoreError."""
        self.damaged = True
        with self.writing():
            pass

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of what is done in the block, or nothing. Raises StoreError.

        A block must not ask for another one.
        """
        with self._write_lock:
            while True:
                self._mend()
                with self._told(self._writer), transaction(self._writer):
                    # Another process may have put another file there while we waited for its lock.
                    if Place.of(self.path) == self._place:
                        yield self._writer
                        return

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One view: what others write meanwhile is not seen in the block. Raises StoreError.

        A block must not ask for another one.
        """
        if Place.of(self.path) != self._place:
            with self._write_lock:
                self._mend()
        with self._read_lock:
            self._check_open()
            with self._told(self._reader), view(self._reader):
                yield self._reader

    def checkpoint(self) -> None:
        """Brings what was written from the log into the file itself, as far as no reader is in the way."""
        with self._write_lock, contextlib.suppress(sqlite3.Error):
            if not self._closed:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Ends all use. May be called again."""
        self._closed = True
        with self._write_lock, contextlib.ExitStack() as reading:
            if self._read_lock is not self._write_lock:
                reading.enter_context(self._read_lock)
            self._disconnect()

    def _open(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        """Both connections to what is at the path, which is set aside if it is damaged. Raises StartError."""
        if self.path is not None:
            _tell_if_lost(self.path)
            check_log(self.path)
        try:
            return self._connections()
        except Damaged as error:
            if self.path is None or not is_ours(self.path):
                raise StartError(f"{error} Move it away, or choose another --data-dir.") from error
            try:
                set_aside(self.path, Place.of(self.path).file)
            except OSError as failure:
                raise StartError(text_of(self.name, failure)) from failure
            return self._connections()

    def _connections(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        """One that writes and one that reads. Raises StartError."""
        writer = open_database(self.path, timeout=self._timeout)
        if self.path is None:
            return writer, writer
        try:
            reader = open_database(self.path, timeout=self._timeout)
            reader.execute("PRAGMA query_only = ON")
        except BaseException:
            writer.close()
            raise
        return writer, reader

    def _disconnect(self) -> None:
        for connection in (self._reader, self._writer):  # the last one empties the log into the file
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"The database {self.name} was closed.")

    @contextlib.contextmanager
    def _told(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Tells of SQLite's errors as StoreError, with the remedy."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            text = text_of(self.name, error)
            if is_damage(error, connection):
                self.damaged = True
                text += " The next write carries what can be read of it over into a new file."
            raise StoreError(text) from error

    def _mend(self) -> None:
        """Sees to it that what is at the path is open, and whole as far as is known. Under the write lock."""
        self._check_open()
        if self._guard is not None:
            try:
                self._guard()
            except StartError as error:
                raise StoreError(str(error)) from error
        path, place = self.path, Place.of(self.path)
        if path is None or (place == self._place and not self.damaged):
            return
        replaced = False
        with self._read_lock:
            try:
                if place == self._place:
                    set_aside(path, place.file, self._writer)
                elif place.file in (None, self._place.file):  # it, or its log, was removed
                    self._write_anew(path)
                else:
                    if place.log == self._place.log:  # what stands in it is not of the new file
                        remove_log(path)
                    replaced = True
                opened = self._open()
            except StartError as error:
                raise StoreError(str(error)) from error
            except OSError as error:
                raise StoreError(text_of(self.name, error)) from error
            self._disconnect()
            self._writer, self._reader = opened
            self._place = Place.of(path)
            self.damaged = False
            self.generation += 1
        if replaced:
            log.warning("the database was replaced by another one, which is used now", file=self.name)

    def _write_anew(self, path: Path) -> None:
        """Puts the content of the open file, which is at the path no more, into a new one there."""
        folder = path.parent
        try:
            device = folder.stat().st_dev
        except OSError:
            raise StoreError(
                f"The folder {folder} of the database is gone, so nothing can be kept. Put it back, or start "
                "again with another --data-dir."
            ) from None
        if self._place.file is not None and device != self._place.file[0]:
            raise StoreError(
                f"{folder} lies on another file system than before, as if its disk were not mounted. "
                "Mount it again, or start again."
            )
        fresh = path.with_name(f"{path.name}.new-{secrets.token_hex(4)}")
        try:
            with self._told(self._reader), contextlib.closing(sqlite3.connect(fresh)) as target:
                self._reader.backup(target)
            remove_log(path)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        log.warning("the database was removed; what was in it was written anew", file=self.name)


def _tell_if_lost(path: Path) -> None:
    """Says so if there is no database, or an empty file, where a server has run before."""
    with contextlib.suppress(OSError):
        if not path.with_name(EPOCH_FILE).exists():
            return
        there = path.exists()
        if not there or not (path.stat().st_size or beside(path, "-wal").exists()):
            log.error(
                "there is no database although a server ran here before, a new one is begun: bars, tokens, "
                "learned codes and places of publishers are not there",
                file=str(path),
                found="an empty file" if there else "nothing",
                to_bring_it_back="stop, put a copy of it there, and start again",
            )


class Place(NamedTuple):
    """Which file is at a path, and which log beside it: their devices and numbers, None for one that is not
    there."""

    file: tuple[int, int] | None
    log: tuple[int, int] | None

    @classmethod
    def of(cls, path: Path | None) -> Place:
        """Raises StoreError if the path cannot be looked at."""
        if path is None:
            return NOWHERE
        try:
            return cls(_number(path), _number(f"{path}-wal"))
        except OSError as error:
            raise StoreError(text_of(str(path), error)) from error


NOWHERE = Place(None, None)


def _number(path: Path | str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (each use asks twice; a Path takes twice as long)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
