"""The journal: what is recorded and not sealed yet, on the disk within a fraction of a second.

A head says the version, the source and where in the order it begins. Records follow, each of some hundred
events: a mark, a checksum, what stretch of the order and of our clock it holds, its trades, its books and its
corrections as lines of JSON with exact decimals, and the positions that publishers reach with it. So a record
is whole or it is recognised as torn, and the damage of one leaves the others readable.

Version 1 had no positions, version 2 no corrections. They are read, and no longer written.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from ...errors import StartError
from ...model import Correction, Event, Market, Trade
from .corrected import CorrectionFields, fields_of

VERSION = 3
MAGIC = b"\xffTICKWIRE JOURNAL\n"
MARK = b"\xffTWR"
"""Begins a record. Its first byte is never part of UTF-8, so that it does not occur in what is recorded."""
HEAD = struct.Struct("<II")
"""Checksum and length of the head, which is JSON."""
HEADER = struct.Struct("<4sI")
"""The mark and the checksum of all that follows in the record."""
RECORD = struct.Struct("<qIqqIII")
"""First event, count, `received` of the first and the last; bytes of trades and corrections, of books, of
positions."""
RECORD_1 = struct.Struct("<qIqqII")
"""The same in version 1, without positions."""
BEHIND = b"\0"
"""What stands between trades and corrections, where there are any; it is never part of JSON."""
WINDOW = 1 << 20
"""Bytes that are searched for the next mark at a time."""

Waiting: TypeAlias = tuple[Event | Correction, Market, int, int]
"""An event, its market, when it was received (microseconds since the epoch), and its `seq`."""


class Head(msgspec.Struct, frozen=True):
    """What a journal says of itself. `began` is in microseconds since the epoch."""

    source: str
    first: int
    began: int
    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    version: int = VERSION


Fields = TypeVar("Fields")


class Line(msgspec.Struct, Generic[Fields], gc=False):
    """An event as a line of a journal."""

    order: int
    market: Market
    received: int
    seq: int
    event: Fields


class Record(NamedTuple):
    """Some events that follow one another in the order: the trades, books and corrections, as lines.

    `positions` are the last `seq` of each publisher of whom something is in it. There may be no events.
    """

    first: int
    events: int
    first_received: int
    last_received: int
    trades: bytes
    books: bytes
    positions: dict[str, int]
    corrections: bytes = b""
    end: int = 0
    """Where it ends in the file."""


class Damage(NamedTuple):
    """Bytes of a journal, from `begin` up to `end`, that are no record."""

    begin: int
    end: int


_encoder = msgspec.json.Encoder()


def encode(first: int, events: Sequence[Waiting], positions: Mapping[str, int], now: int) -> bytes:
    """A record of these events and of the positions that are reached with them.

    `first` is the place of the first event in the order; `now` the time of a record without events, in
    microseconds.
    """
    trades: list[Line[Event]] = []
    books: list[Line[Event]] = []
    corrections: list[Line[CorrectionFields]] = []
    for order, (event, market, received, seq) in enumerate(events, first):
        if isinstance(event, Correction):
            corrections.append(Line(order, market, received, seq, fields_of(event)))
            continue
        of = trades if isinstance(event, Trade) else books
        of.append(Line(order, market, received, seq, event))
    trade_lines, book_lines = _encoder.encode_lines(trades), _encoder.encode_lines(books)
    correction_lines = _encoder.encode_lines(corrections)
    reached = _encoder.encode(positions) if positions else b""
    began, ended = (events[0][2], events[-1][2]) if events else (now, now)
    if correction_lines:
        trade_lines += BEHIND + correction_lines
    parts = trade_lines, book_lines, reached
    body = b"".join((RECORD.pack(first, len(events), began, ended, *map(len, parts)), *parts))
    return HEADER.pack(MARK, zlib.crc32(body)) + body


class Journal:
    """A journal that is being written. One thread appends; another may sync and close."""

    def __init__(self, path: Path, source: str, *, now: int, first: int) -> None:
        """Makes the file, which does not exist yet. `now` is in microseconds. Raises OSError."""
        self.path = path
        self.head = Head(source, first, now)
        self.size = 0
        """Bytes of what is whole."""
        self.events = 0
        """Events in it, as the one says that appends."""
        self._file = open(path, "xb", buffering=0, opener=_at_the_end)  # noqa: SIM115 (it is kept open)
        text = msgspec.json.encode(self.head)
        self._prefix = MAGIC + HEAD.pack(zlib.crc32(text), len(text)) + text

    def append(self, record: bytes) -> None:
        """Writes a record: it survives the end of the process, though not yet that of the machine.

        Raises OSError, after which the file ends with what was whole before.
        """
        try:
            _write_all(self._file, self._prefix + record)
        except OSError:
            self._file.truncate(self.size)
            raise
        self.size += len(self._prefix) + len(record)
        self._prefix = b""

    def check(self) -> None:
        """Raises OSError if the file is no longer where it was made, so that what is written would vanish,
        or if it has less than was written: somebody has cut it short."""
        there = os.stat(self.path)  # noqa: PTH116
        if not os.path.samestat(there, os.fstat(self._file.fileno())):
            raise FileNotFoundError(errno.ENOENT, "another file has its name", str(self.path))
        if there.st_size < self.size:
            said = f"its journal {self.path.name} was cut short by another program"
            raise OSError(errno.EIO, said, str(self.path))

    def sync(self) -> None:
        """Returns when all that was appended is on the disk. Raises OSError."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Ends the writing. May be called again."""
        self._file.close()


def read_head(path: Path) -> Head | None:
    """What a journal says of itself; None if its head cannot be read, or if it is no regular file.

    Raises StartError if it is of a newer version, and OSError.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        return None
    with path.open("rb") as file:
        return _head(file, path)


def read(path: Path, begin: int = 0) -> Iterator[Record | Damage]:
    """The records of a journal whose head can be read, in their order, and what is damaged between them;
    from the `end` of one on, if that is given. What is being written looks like damage at the end.

    Raises OSError.
    """
    with path.open("rb") as file:
        head = _head(file, path)
        layout = RECORD_1 if head is not None and head.version == 1 else RECORD
        offset, size = begin or file.tell(), os.fstat(file.fileno()).st_size
        while offset < size:
            record = _record_at(file, offset, size, layout)
            if record is None:
                begin, offset = offset, _next_whole(file, offset + 1, size, layout)
                yield Damage(begin, offset)
            else:
                offset = file.tell()
                yield record


def _head(file: IO[bytes], path: Path) -> Head | None:
    prefix = file.read(len(MAGIC) + HEAD.size)
    if len(prefix) < len(MAGIC) + HEAD.size or not prefix.startswith(MAGIC):
        return None
    checksum, length = HEAD.unpack_from(prefix, len(MAGIC))
    text = file.read(length) if length <= WINDOW else b""
    if len(text) < length or zlib.crc32(text) != checksum:
        return None
    try:
        head = msgspec.json.decode(text, type=Head)
    except msgspec.DecodeError:  # zeros, as a power cut leaves them, have the right checksum
        return None
    if head.version > VERSION:
        raise StartError(
            f"{path} was written by a newer Tickwire (version {head.version}, this one knows {VERSION}). "
            "Update Tickwire, or record into another folder."
        )
    return head


def _record_at(file: IO[bytes], offset: int, size: int, layout: struct.Struct) -> Record | None:
    """The record that begins there, if a whole one does; the file then stands behind it."""
    file.seek(offset)
    prefix = file.read(HEADER.size + layout.size)
    if len(prefix) < HEADER.size + layout.size or not prefix.startswith(MARK):
        return None
    _, checksum = HEADER.unpack_from(prefix)
    first, events, began, ended, *sizes = layout.unpack_from(prefix, HEADER.size)
    if offset + len(prefix) + sum(sizes) > size:
        return None
    rest = file.read(sum(sizes))
    if zlib.crc32(rest, zlib.crc32(prefix[HEADER.size :])) != checksum:
        return None
    trades, _, corrections = rest[: sizes[0]].partition(BEHIND)
    books = sizes[0] + sizes[1]
    try:
        positions = msgspec.json.decode(rest[books:], type=dict[str, int]) if rest[books:] else {}
    except msgspec.DecodeError:
        return None
    lines = trades, rest[sizes[0] : books]
    return Record(first, events, began, ended, *lines, positions, corrections, file.tell())


def _next_whole(file: IO[bytes], offset: int, size: int, layout: struct.Struct) -> int:
    """Where the next whole record begins; the size of the file if none does."""
    while offset < size:
        file.seek(offset)
        window = file.read(WINDOW)
        at = window.find(MARK)
        while at >= 0:
            if _record_at(file, offset + at, size, layout) is not None:
                return offset + at
            at = window.find(MARK, at + 1)
        offset += max(1, len(window) - len(MARK) + 1)
    return size


def _at_the_end(path: str, flags: int) -> int:
    """Opens a file of which each write goes to its end: a hole would hide that it was cut short."""
    return os.open(path, flags | os.O_APPEND, 0o666)


def _write_all(file: IO[bytes], data: bytes) -> None:
    """A disk that fills takes a part of the data first, and refuses only the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
