"""Up to where a program has the streams of a feed, and the files that keep that from one run to the next.

feed = tickwire.connect(resume=tickwire.load_positions("positions.json"))
…
tickwire.save_positions("positions.json", feed.positions())
"""

from __future__ import annotations

import os
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
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PositionsError(f"{path}: positions cannot be read: {error.strerror}") from None
    remedy = "Name another file, or delete it to begin with what is live"
    try:
        if msgspec.json.decode(content, type=_Head).version != VERSION:
            raise PositionsError(f"{path} was written by another version of Tickwire. {remedy}.")
        return [*map(_read, msgspec.json.decode(content, type=_File).positions)]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError, RecursionError):
        raise PositionsError(f"{path} holds no positions, or is damaged. {remedy}.") from None


def save_positions(path: str | Path, positions: Iterable[Position]) -> None:
    """Puts positions into a file in place of what is there, whole or not at all. Raises PositionsError."""
    stored = [
        _Stored(one.kind.name.lower(), one.code, one.epoch, one.seq, one.interval, one.time_ms)
        for one in positions
    ]
    content = msgspec.json.format(msgspec.json.encode(_File(VERSION, stored)), indent=1)
    fresh = Path(f"{path}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise PositionsError(f"{path}: positions cannot be written: {error.strerror}") from None


def _read(one: _Stored) -> Position:
    """The position that a file has so. Raises ValueError and KeyError."""
    kind = KINDS[one.kind]
    if (kind is Kind.KLINE) is not bool(one.interval):
        raise ValueError("an interval is that of K-lines, which need it")
    if one.interval:
        kline_type_of(one.interval)
    return Position(kind, one.code, one.epoch, one.seq, one.interval, one.time_ms)
