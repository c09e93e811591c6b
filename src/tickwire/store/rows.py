"""Rows that tell by a checksum whether they are what was written."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from .file import Connection

UNSEALED = -1
"""In place of the checksum of a bar of before there were any. Not NULL: one altered bit can make a NULL."""
MOST_TOLD = 10_000
"""Altered rows that are told apart, so that each is counted and logged once."""

T = TypeVar("T")
log = structlog.get_logger()

encode = msgspec.msgpack.Encoder().encode


def checksum(*values: object) -> int:
    """The CRC-32 of a row: of its values as an array of MessagePack."""
    return zlib.crc32(encode(values))


def know_checksum(connection: sqlite3.Connection) -> None:
    """Teaches a connection the function that seals rows; NULL for text that is no UTF-8."""

    def made(*values: object) -> int | None:
        try:
            return checksum(*values)
        except UnicodeEncodeError:
            return None

    connection.create_function("checksum", -1, made, deterministic=True)


class Table(NamedTuple):
    """A table whose rows carry a checksum of all of their other columns, in this order."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """What a row is called by in the log."""

    @property
    def all(self) -> str:
        """The columns of a query, with the checksum at the end."""
        return f"{', '.join(map(quoted, self.columns))}, checksum"

    @property
    def primary(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return self.columns[: 2 if self.name == "note" else 1]

    @property
    def add(self) -> str:
        """The statement that writes a row that was sealed, unless one of its keys is there."""
        values = ", ".join(f"?{number}" for number in range(1, len(self.columns) + 2))
        return f"INSERT INTO {self.name} ({self.all}) VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608

    @property
    def put(self) -> str:
        """The statement that writes a row that was sealed, in place of the one of its primary key."""
        others = [name for name in (*self.columns, "checksum") if name not in self.primary]
        changed = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        nothing, key = "ON CONFLICT DO NOTHING", ", ".join(self.primary)
        return self.add.replace(nothing, f"ON CONFLICT ({key}) DO UPDATE SET {changed}")

    def update(self, *columns: str) -> str:
        """The statement that changes these columns and the seal of a row, found by its primary key: it takes
        their values, the checksum and the key."""
        names = [*columns, "checksum"]
        changed = ", ".join(f"{quoted(name)} = ?{number}" for number, name in enumerate(names, 1))
        key = " AND ".join(f"{name} = ?{number}" for number, name in enumerate(self.primary, len(names) + 1))
        return f"UPDATE {self.name} SET {changed} WHERE {key}"  # noqa: S608


def quoted(column: str) -> str:
    """A column as it stands in a statement: `end` is a word of PostgreSQL's."""
    return f'"{column}"'


def sealed(row: Iterable[Any]) -> tuple[Any, ...]:
    """A row with its checksum."""
    values = (*row,)
    return *values, checksum(*values)


NOTE = Table("note", ("source", "name", "value"), ("source", "name"))
TOKEN = Table(
    "token",
    tuple("id digest name plan markets codes admin publish created expires revoked".split()),
    ("id", "name"),
)
SUSPENSION = Table(
    "suspension",
    tuple(
        "id source exchange symbol publish_date symbol_name halt_reason halt_date halt_time halt_period "
        "resume_date resume_time source_exchange pause_threshold_price".split()
    ),
    ("exchange", "symbol", "publish_date"),
)
GAP = Table("gap", tuple("id source market codes begin end reason filled".split()), ("id", "source", "begin"))
INSTRUMENT = Table("instrument", ("code", "definition"), ("code",))


class Altered:
    """The rows of a store that are not what was written: logged once each."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._told: set[tuple[object, ...]] = set()

    def add(self, what: str, **key: object) -> None:
        """`key` says which row, for a person."""
        row = (what, *key.values())
        if row in self._told or len(self._told) >= MOST_TOLD:
            return
        self._told.add(row)
        shown = {name: value if isinstance(value, int) else ascii(value) for name, value in key.items()}
        log.error(f"a stored {what} is damaged and left out", file=self._file, **shown)

    def sift(self, table: Table, rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """The rows of a query for `table.all` that are as they were written, without their checksums."""
        found = []
        for *row, sealed in rows:
            if is_sound(row, sealed):
                found.append(row)
            else:
                self.tell(table, row)
        return found

    def read(self, table: Table, rows: Iterable[Sequence[Any]], decode: Callable[[list[Any]], T]) -> list[T]:
        """What those rows say that can be read; `decode` raises ValueError for one that cannot."""
        found = []
        for row in self.sift(table, rows):
            try:
                found.append(decode(row))
            except ValueError:
                self.tell(table, row)
        return found

    def tell(self, table: Table, row: Sequence[Any]) -> None:
        """A row, in the order of the table's columns, cannot be used."""
        named = dict(zip(table.columns, row, strict=True))
        self.add(table.name, **{name: named[name] for name in table.key})


def is_sound(row: Sequence[Any], seal: object) -> bool:
    """Whether a row is as it was written."""
    try:
        return seal == checksum(*row)
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False


def fetch(connection: Connection, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query. Text that is no UTF-8 comes with surrogates, so that one row hides no other."""
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) is not None or not isinstance(
            connection, sqlite3.Connection
        ):
            raise
    connection.text_factory = lenient
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.text_factory = str


def lenient(text: bytes) -> str:
    """Text whatever its bytes are."""
    return text.decode("utf-8", "surrogateescape")
