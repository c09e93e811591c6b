"""Up to where a program has the streams of a feed, and the files that keep that from one run to the next.

feed = tickwire.connect(resume=tickwire.load_positions("positions.json"))
…
tickwire.save_positions("positions.json", feed.positions())
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ..errors import TickwireError
from ..model import Kind, KlineType
from ..wire import Key
from .intervals import INTERVAL_OF, kline_type_of

VERSION = 1
"""Of the form of the files."""
MOST = 64 * 2**20
"""Bytes of a file: what all kinds of thirty thousand codes take."""
REMEDY = "Name another file, or delete it to begin with what is live"
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
KINDS = {kind.name.lower(): kind for kind in Kind}
"""By what files call them."""


class PositionsError(TickwireError):
    """A file of positions cannot be read, cannot be written, or is none."""


class Position(msgspec.Struct, frozen=True):
    """The last event of a stream that a program was given.

    `interval` is that of K-lines, else "". `epoch` is since when the server counts, and `seq` the event's
    number, 0 if none came yet. `time_ms` is the event's time in milliseconds since the epoch, 0 before the
    first.
    """

    kind: Kind
    code: str
    epoch: int
    seq: int
    interval: str = ""
    time_ms: int = 0

    @property
    def key(self) -> Key:
        """By what streams of its kind are told apart."""
        return (self.code, int(kline_type_of(self.interval))) if self.interval else self.code


def position_of(kind: Kind, key: Key, epoch: int, seq: int, time: int) -> Position:
    """The position of a stream that is told from those of its kind by that key."""
    code, interval = (key[0], INTERVAL_OF[KlineType(key[1])]) if isinstance(key, tuple) else (key, "")
    return Position(kind, code, epoch, seq, interval, time)


class _Stored(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A position as a file has it."""

    kind: str
    code: str
    epoch: Number
    seq: Number
    interval: str = ""
    time_ms: Number = 0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    positions: list[_Stored]


class _Head(msgspec.Struct):
    version: int


def load_positions(path: str | Path) -> list[Position]:
    """The positions that a file holds; none if there is no such file. Raises PositionsError."""
    try:
        if not _is_file(path):
            return []
        with open(path, "rb", opener=_open_at_once) as file:  # a Path takes no opener
            _check_file(path, os.fstat(file.fileno()))
            content = file.read(MOST + 1) or b""
    except OSError as error:
        raise PositionsError(f"{path}: positions cannot be read: {error.strerror}") from None
    if len(content) > MOST:
        raise PositionsError(f"{path} is larger than {MOST:,} bytes, and no file of positions is. {REMEDY}.")
    try:
        if msgspec.json.decode(content, type=_Head).version != VERSION:
            raise PositionsError(f"{path} was written by another version of Tickwire. {REMEDY}.")
        return [*map(_read, msgspec.json.decode(content, type=_File).positions)]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError, RecursionError):
        raise PositionsError(f"{path} holds no positions, or is damaged. {REMEDY}.") from None


def save_positions(path: str | Path, positions: Iterable[Position]) -> None:
    """Puts positions into a file in place of what is there, whole or not at all. Raises PositionsError."""
    stored = [
        _Stored(one.kind.name.lower(), one.code, one.epoch, one.seq, one.interval, one.time_ms)
        for one in positions
    ]
    content = msgspec.json.format(msgspec.json.encode(_File(VERSION, stored)), indent=1) + b"\n"
    if len(content) > MOST:
        raise PositionsError(
            f"{path}: {len(stored):,} positions are more than a file of {MOST:,} bytes holds. "
            "Subscribe to fewer codes."
        )
    fresh = Path(f"{path}.{os.getpid()}")
    try:
        _is_file(path)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise PositionsError(f"{path}: positions cannot be written: {error.strerror}") from None


def _is_file(path: str | Path) -> bool:
    """Whether there is such a file. Raises PositionsError for what is none of them, and OSError."""
    try:
        _check_file(path, Path(path).stat())
    except FileNotFoundError:
        return False
    return True


def _check_file(path: str | Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = next((name for is_one, name in _OTHERS if is_one(found.st_mode)), "no regular file")
        raise PositionsError(f"{path} is {what}, and positions are kept in a regular file. Name another one.")


_OTHERS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
"""What a path may name in place of a file."""


def _open_at_once(path: str, flags: int) -> int:
    """Opens a file and waits for nobody, though it has become a pipe since it was looked at."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(one: _Stored) -> Position:
    """The position that a file has so. Raises ValueError and KeyError."""
    kind = KINDS[one.kind]
    if (kind is Kind.KLINE) is not bool(one.interval):
        raise ValueError("an interval is that of K-lines, which need it")
    if one.interval:
        kline_type_of(one.interval)
    return Position(kind, one.code, one.epoch, one.seq, one.interval, one.time_ms)
