"""PostgreSQL: how a server of it is reached, its schema, and what its errors say."""

from __future__ import annotations

import functools
import re
import time
import zlib
from collections.abc import Generator
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from ..errors import StartError
from .migrations import POSTGRES_MIGRATIONS, Migrations

if TYPE_CHECKING:
    import psycopg

OLDEST = 14
"""The first whose functions are parsed when they are made."""
CONNECT_WAIT = 3
"""Seconds in which a connection must be there; libpq takes no fewer than 2."""
ANSWER_WAIT = 3.0
"""Seconds in which a statement must be answered, be it that the server hangs, or that nothing reaches it: few
enough that what is left is in the spool in time when a Tickwire ends."""
RETRY = 1.0
"""Seconds before a server that is away is asked again."""
PARAMETERS = {
    "application_name": "tickwire",
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_WAIT,
    "target_session_attrs": "read-write",  # of several hosts the one that is no standby
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What a connection is made with, unless the URL says otherwise."""
SESSION = f"""
    SET statement_timeout = {int(ANSWER_WAIT * 1000)};
    SET idle_in_transaction_session_timeout = {int(ANSWER_WAIT * 5000)};
    SET plan_cache_mode = force_generic_plan;
    SET timezone = 'UTC'
"""
"""A plan is made once a statement and connection: with many months, a plan takes longer than a read. A
transaction that is left in the middle, because its client was cut off, lets go of its locks."""
LOCK = zlib.crc32(b"tickwire") & 0x7FFF_FFFF
"""The number of the lock that is held by whoever changes the schema, or a small table."""
ALONE = f"SELECT pg_advisory_xact_lock({LOCK})"
GONE = ("08", "57P", "25006")
"""How the codes of errors begin that mean that a connection is of no use any more: it broke, the server ends,
or has become a standby."""

TABLES = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
OURS = {"source", "series", "kline", "note", "token", "suspension", "gap", "instrument", "bars"}

_ESCAPES = (
    "In a password each of @ / : ? # [ ] % and a space stands as % and its code, such as %40 for @. "
    "Or leave the password to PGPASSWORD or ~/.pgpass"
)
_REMEDIES = {
    "28": "See to the user, its password and pg_hba.conf",
    "3D": "Make it: createdb --owner USER NAME",
    "42501": "Let its user make tables there: ALTER DATABASE name OWNER TO user",
    "53100": "Make room on its disk",
    "53300": "Raise its max_connections: each Tickwire takes two",
    "57014": "It is busy, or another Tickwire is writing: wait for it",
    "57P": "It ends, or is starting: wait for it",
}
T = TypeVar("T")

log = structlog.get_logger()


@functools.cache
def driver() -> ModuleType:
    """psycopg. Raises StartError if it is not installed."""
    try:
        import psycopg.types.numeric
        import psycopg.types.string
    except ImportError as error:
        raise StartError(
            f"PostgreSQL needs psycopg, which is not here ({error}): pip install 'tickwire[postgres]'."
        ) from error
    return psycopg


class Server:
    """A server of PostgreSQL, a database on it, and who we are there."""

    def __init__(self, url: str) -> None:
        """Raises StartError if it is no URL, or psycopg is not there."""
        self._psycopg = driver()
        try:
            given = self._psycopg.conninfo.conninfo_to_dict(url)
        except self._psycopg.Error:  # whose text may show a part of the password
            raise StartError(f"--database is no URL that libpq reads. {_ESCAPES}.") from None
        place = {name: str(given[name]) for name in ("host", "port", "dbname") if name in given}
        # Else a part of a password may have come there, which would be shown.
        if any("@" in one for one in place.values()) or re.search(r"[^\d,]", place.get("port", "")):
            raise StartError(f"--database has an odd host, port or name. {_ESCAPES}.")
        self._parameters = PARAMETERS | given
        at = ":".join(place[name] for name in ("host", "port") if name in place)
        self.name = f"postgresql://{at}/{place.get('dbname', '')}"
        """Host, port and database, as far as the URL names them."""

    def connect(self, *, patient: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection whose statements have their values as $1, $2; if it is `patient`, they take as long as
        they take. Raises psycopg.Error."""
        kind = self._psycopg.Connection if patient else _impatient(self._psycopg)
        made: psycopg.Connection[tuple[Any, ...]] = kind.connect(
            **self._parameters, autocommit=True, cursor_factory=self._psycopg.RawCursor
        )
        try:
            numeric, string = self._psycopg.types.numeric, self._psycopg.types.string
            # Of one type each, so that a statement has one plan.
            for dumper in (numeric.Int8Dumper, numeric.Int8BinaryDumper):
                made.adapters.register_dumper(int, dumper)
            for dumper in (string.StrBinaryDumper, string.StrDumper):
                made.adapters.register_dumper(str, dumper)
            if not patient:
                made.execute(SESSION)
        except BaseException:
            made.close()
            raise
        return made

    def text_of(self, error: BaseException) -> str:
        """What went wrong, and what to do. Names host and database, and no secret."""
        code = getattr(error, "sqlstate", None) or ""
        said = " ".join(str(error).split()).rstrip(".") or "it does not answer"
        remedy = next((text for start, text in _REMEDIES.items() if code.startswith(start)), "")
        return f"Cannot use the database {self.name}: {said}." + (f" {remedy}." if remedy else "")

    def is_gone(self, error: BaseException) -> bool:
        """Whether the connection that an error is of is of no use any more."""
        late = isinstance(error, self._psycopg.errors.ConnectionTimeout)
        return late or (getattr(error, "sqlstate", None) or "").startswith(GONE)


@functools.cache
def _impatient(psycopg: ModuleType) -> Any:
    """The class of connections that do not wait for an answer for ever."""

    class Impatient(psycopg.Connection):  # type: ignore[misc, name-defined]
        def wait(self, answer: Generator[Any, Any, T], *more: Any, **named: Any) -> T:
            return super().wait(_in_time(psycopg, answer), *more, **named)  # type: ignore[no-any-return]

    return Impatient


def _in_time(psycopg: ModuleType, answer: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """What psycopg waits with, which it looks after ten times a second: a server that has stopped, or was cut
    off, tells nobody."""
    due = time.monotonic() + ANSWER_WAIT + 1  # the server itself gives up before
    try:
        state = next(answer)
        while True:
            ready = yield state
            if time.monotonic() > due:
                raise psycopg.errors.ConnectionTimeout(f"no answer within {ANSWER_WAIT:.0f} s")
            state = answer.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def reach_postgres(url: str) -> None:
    """Asks a database something. Raises StartError if it cannot be used."""
    server = Server(url)
    try:
        with server.connect() as connection:
            connection.execute("SELECT 1")
    except driver().Error as error:
        raise StartError(server.text_of(error)) from error


def prepare(server: Server, wait: float) -> None:
    """Brings the schema up to date once the server is there, for which it waits so many seconds. Raises
    StartError and psycopg.Error."""
    until, told = time.monotonic() + wait, False
    while True:
        try:
            with server.connect(patient=True) as connection:
                migrate(connection, server)
                return
        except driver().OperationalError as error:
            if time.monotonic() >= until:
                raise
            if not told:
                log.warning("the database is away: waiting for it", reason=server.text_of(error), most=wait)
                told = True
            time.sleep(RETRY)


def migrate(
    connection: psycopg.Connection[tuple[Any, ...]],
    server: Server,
    migrations: Migrations = POSTGRES_MIGRATIONS,
) -> None:
    """Brings the schema up to date, one process at a time. Raises StartError and psycopg.Error."""
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        raise StartError(f"{server.name} is PostgreSQL {version}, Tickwire needs {OLDEST} or later.")
    ((encoding,),) = connection.execute("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise StartError(
            f"{server.name} is in {encoding}. Make one in UTF8: createdb -E UTF8 -T template0 NAME."
        )
    if _version(connection, server, migrations) == len(migrations):
        return
    with connection.transaction():
        connection.execute(ALONE)
        version = _version(connection, server, migrations)  # another process may have been faster
        for statement in (one for step in migrations[version:] for one in step):
            connection.execute(statement)
        connection.execute("UPDATE tickwire SET version = $1", (len(migrations),))


def _version(connection: psycopg.Connection[tuple[Any, ...]], server: Server, migrations: Migrations) -> int:
    """The version of the schema. Raises StartError if it is newer than ours, or somebody else's."""
    found = {name for (name,) in connection.execute(TABLES).fetchall()}
    if "tickwire" not in found:
        if others := found & OURS:
            raise StartError(
                f"{server.name} has a table {min(others)!r} of another program. Make a database of its own: "
                "createdb NAME."
            )
        return 0
    ((version,),) = connection.execute("SELECT version FROM tickwire").fetchall()
    if version > len(migrations):
        raise StartError(
            f"{server.name} was written by a newer Tickwire (schema {version}, this one knows "
            f"{len(migrations)}). Update Tickwire, or name another --database."
        )
    return int(version)
