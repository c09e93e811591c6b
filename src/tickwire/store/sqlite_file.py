"""The one way to a SQLite file: a connection that writes and one that reads, shared by all stores."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError
from .sqlite import BUSY_TIMEOUT, open_database, told, transaction


class SqliteFile:
    """A database that a process opens once and hands to every store.

    One connection writes and another reads, each for one thread at a time: a read never waits for a write,
    since readers of a write-ahead log see the state before it. In memory there is one for both, and a read
    does wait. Other processes may have the same file open.
    """

    def __init__(self, path: Path | None, *, timeout: float = BUSY_TIMEOUT) -> None:
        """None is a database in memory; `timeout` is how many seconds to wait while another process writes.

        Raises StartError if the file cannot be used.
        """
        self.path = path
        self.name = ":memory:" if path is None else str(path)
        self.generation = 0
        """Grows whenever what is behind the path was made anew: what a holder of data wrote before may be
        missing in it."""
        self._timeout = timeout
        self._closed = False
        self._write_lock = self._read_lock = threading.Lock()
        self._writer = self._reader = open_database(path, timeout=timeout)
        if path is not None:
            self._read_lock = threading.Lock()
            try:
                self._reader = open_database(path, timeout=timeout)
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self.close()
                raise

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of what is done in the block, or nothing. Raises StoreError.

        A block must not ask for another one.
        """
        with self._write_lock:
            self._check_open()
            with told(self.name), transaction(self._writer):
                yield self._writer

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One view: what others write meanwhile is not seen in the block. Raises StoreError.

        A block must not ask for another one.
        """
        with self._read_lock:
            self._check_open()
            with told(self.name), view(self._reader):
                yield self._reader

    def close(self) -> None:
        """Ends all use. May be called again."""
        self._closed = True
        if self._reader is not self._writer:
            with self._read_lock, told(self.name):
                self._reader.close()
        with self._write_lock, told(self.name):  # the last one to close empties the log into the file
            self._writer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"The database {self.name} was closed.")


@contextlib.contextmanager
def view(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read in it is of one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # a damaged page may have ended it already
            connection.execute("ROLLBACK")
