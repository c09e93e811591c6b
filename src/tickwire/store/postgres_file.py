"""A database on a server of PostgreSQL, shared by all stores, and found again when it was away."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from ..errors import ReplacedError, StartError, StoreError
from .file import Dialect
from .postgres import ALONE, RETRY, Server, driver, prepare

if TYPE_CHECKING:
    import psycopg

WRITE = "BEGIN"
OWN = """
    INSERT INTO owner (cluster, term) VALUES ($1, $2)
    ON CONFLICT (cluster) DO UPDATE SET term = excluded.term WHERE owner.term < excluded.term RETURNING term
"""
OTHERS = "SELECT cluster FROM owner WHERE cluster <> $1 ORDER BY cluster"
TERM = "SELECT term FROM owner WHERE cluster = $1 FOR SHARE"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

log = structlog.get_logger()


class Session:
    """Takes the statements of one transaction."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[tuple[Any, ...]]:
        """One statement."""
        return self._connection.execute(_translated(query), values, binary=True)


@functools.cache
def _translated(query: str) -> bytes:
    """A statement whose values are marked as PostgreSQL marks them."""
    return query.replace("?", "$").encode()


class Link:
    """A connection that is made anew, by a thread of its own, when it was lost. Meanwhile whoever asks for it
    is told at once."""

    def __init__(self, server: Server, name: str) -> None:
        """Raises psycopg.Error if there is none."""
        self._server = server
        self._name = name
        self._error = driver().Error
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = server.connect()
        self._reason = ""
        self._closed = threading.Event()
        self._changing = threading.Lock()
        self.losses = 0
        """How often it was lost."""

    def begin(self, statement: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection on which a transaction has begun. One that broke while nobody used it, as when the
        server was started anew, is replaced at once. Raises StoreError."""
        for again in (True, False):
            if (connection := self._connection) is None:
                raise StoreError(self._reason)
            try:
                connection.execute(statement, prepare=False)
            except self._error as error:
                broken = connection.closed and again
                self.failed(connection, error)
                if broken:
                    self._try()
                else:
                    raise StoreError(self._server.text_of(error)) from error
            else:
                return connection
        raise StoreError(self._reason)

    def failed(self, connection: psycopg.Connection[tuple[Any, ...]], error: BaseException) -> None:
        """A transaction has failed: ends it, or lets go of the connection if that cannot be."""
        if not (self._server.is_gone(error) or connection.closed):
            try:
                connection.execute("ROLLBACK", prepare=False)
            except self._error:
                pass
            else:
                return
        with self._changing:
            with contextlib.suppress(self._error):
                connection.close()
            self._connection = None
            self._reason = self._server.text_of(error)
            self.losses += 1
        threading.Thread(target=self._find_again, name=self._name, daemon=True).start()

    def close(self) -> None:
        """Lets go of it for good."""
        self._closed.set()
        with self._changing:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _find_again(self) -> None:
        while not (self._closed.is_set() or self._try()):
            self._closed.wait(RETRY)

    def _try(self) -> bool:
        """Connects anew if there is no connection; returns whether there is one."""
        with self._changing:
            if self._connection is None and not self._closed.is_set():
                try:
                    self._connection = self._server.connect()
                except self._error as error:
                    self._reason = self._server.text_of(error)
            return self._connection is not None


class PostgresFile:
    """A File on a server of PostgreSQL: one connection writes, another one reads.

    A server that does not answer in time counts as away, and so does one that has become a standby. While it
    is away each call raises StoreError at once, and it is asked again every second.
    """

    def __init__(self, url: str, *, guard: Callable[[], None] | None = None, wait: float = 0.0) -> None:
        """`guard` is called before each write, and raises StartError if there may be none any more. `wait` is
        for how many seconds a server is waited for that is away. Raises StartError if the database cannot be
        used."""
        self._server = server = Server(url)
        self.dialect = Dialect.POSTGRESQL
        self.name = server.name
        self.damaged = False
        """Never: a server of PostgreSQL looks after its pages."""
        self._guard = guard
        self._closed = False
        self._owned: tuple[str, int] | None = None
        self._closing: list[Callable[[], None]] = []
        self._error = driver().Error
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        try:
            prepare(server, wait)
            self._writer = Link(server, "store-write-again")
            try:
                self._reader = Link(server, "store-read-again")
            except BaseException:
                self._writer.close()
                raise
        except self._error as error:
            raise StartError(server.text_of(error)) from error

    @property
    def generation(self) -> int:
        """How often the connection that writes was lost: a standby that has taken over may lack what was
        written last."""
        return self._writer.losses

    def mend(self) -> None:
        """There is nothing to mend."""

    @contextlib.contextmanager
    def writing(self, *, alone: bool = True) -> Iterator[Session]:
        """One transaction. `alone` keeps others from writing; without it, the block sees to that for the rows
        that it writes."""
        with self._write_lock:
            if self._guard is not None:
                try:
                    self._guard()
                except StartError as error:
                    raise StoreError(str(error)) from error
            begin = f"{WRITE}; {ALONE}" if alone else WRITE
            with self._transaction(self._writer, begin) as session:
                if self._owned is not None:
                    self._check_owned(session, *self._owned)
                yield session

    def own(self, cluster: str, term: int) -> None:
        """What this process writes from now on counts until another one calls this for the same cluster, with
        a higher term: then writing raises ReplacedError, and so does this after one. Raises StoreError."""
        with self.writing(alone=False) as session:
            if not session.execute(OWN, (cluster, term)).fetchall():
                raise ReplacedError(f"A later market of the cluster {cluster} has written into {self.name}.")
            others = session.execute(OTHERS, (cluster,)).fetchall()
        self._owned = cluster, term
        if others:
            log.warning(
                "clusters of other names have written into this database too: each needs one of its own",
                cluster=cluster,
                others=[name for (name,) in others],
            )

    def _check_owned(self, session: Session, cluster: str, term: int) -> None:
        rows = session.execute(TERM, (cluster,)).fetchall()
        if rows != [(term,)]:
            raise ReplacedError(f"Another market of the cluster {cluster} writes into {self.name} by now.")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """One view."""
        with self._read_lock, self._transaction(self._reader, READ) as session:
            yield session

    def checkpoint(self) -> None:
        """A commit is on the server's disk."""

    def closes(self, close: Callable[[], None]) -> None:
        """`close` is called when this is closed."""
        self._closing.append(close)

    def close(self) -> None:
        self._closed = True
        for link in (self._reader, self._writer):
            link.close()
        for close in self._closing:
            close()

    @contextlib.contextmanager
    def _transaction(self, link: Link, begin: str) -> Iterator[Session]:
        if self._closed:
            raise StoreError(f"The database {self.name} was closed.")
        connection = link.begin(begin)
        try:
            yield Session(connection)
            connection.execute("COMMIT", prepare=False)
        except self._error as error:
            link.failed(connection, error)
            raise StoreError(self._server.text_of(error)) from error
        except BaseException as error:
            link.failed(connection, error)
            raise
