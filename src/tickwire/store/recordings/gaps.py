"""What is missing from a recording: a line of JSON each, in `gaps.jsonl`."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from ...machine import Disk

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_300_799_999_999
"""The last microsecond that a datetime can show."""

log = structlog.get_logger()


class GapReason(StrEnum):
    """Why something is missing."""

    STOPPED = "stopped"
    """Nothing recorded: the one before had ended as it should."""
    BROKEN_OFF = "broken_off"
    """The one before was killed, or its disk was full; the next began at the end of the gap."""
    INTERRUPTED = "interrupted"
    """The folder could not be written for a while: its disk was full, or it was away."""
    DAMAGED = "damaged"
    """Bytes of a journal could not be read (they are in `damaged/`), or it was cut short or removed."""
    OVERRUN = "overrun"
    """Events came faster than they could be written."""
    UNFIT = "unfit"
    """Events with values that the columns do not hold."""


class Gap(msgspec.Struct, frozen=True):
    """A stretch of our clock in which events are missing; an end that is not known is None.

    `events` is how many are known to be missing; None if that cannot be known.
    """

    reason: GapReason
    begin: datetime | None = msgspec.field(name="from")
    end: datetime | None = msgspec.field(name="to")
    events: int | None = None
    source: str = ""


class Stretch(NamedTuple):
    """From when to when events are missing, in microseconds of our clock, and how many."""

    begin: int
    end: int
    events: int

    def gap(self, reason: GapReason, source: str) -> Gap:
        """The same for the list."""
        return Gap(reason, moment(self.begin), moment(self.end), self.events, source)


def moment(microseconds: int) -> datetime:
    """A time since the epoch as a datetime in UTC."""
    return EPOCH + timedelta(microseconds=max(0, min(microseconds, LATEST)))


def add_gap(path: Path, gap: Gap) -> None:
    """Adds a line, and says it in the log. Raises OSError."""
    log.warning(
        "gap in the recording",
        reason=gap.reason.value,
        begin=gap.begin and gap.begin.isoformat(),
        end=gap.end and gap.end.isoformat(),
        events=gap.events,
    )
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        else:
            torn = False
        file.write(b"\n" * torn + msgspec.json.encode(gap) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_gaps(path: Path) -> tuple[list[Gap], int]:
    """All gaps that are listed, in the order in which they were found, and how many lines cannot be read.

    Raises OSError.
    """
    gaps = [gap for _, gap in _lines(path)]
    return [gap for gap in gaps if gap is not None], gaps.count(None)


def set_unreadable_aside(path: Path, damaged: Path) -> None:
    """Moves lines that cannot be read into the folder `damaged`, and says so in the log. Raises OSError."""
    lines = _lines(path)
    bad = [line for line, gap in lines if gap is None]
    if not bad:
        return
    damaged.mkdir(exist_ok=True)
    with (damaged / path.name).open("ab") as aside:
        aside.writelines(line + b"\n" for line in bad)
        aside.flush()
        os.fsync(aside.fileno())
    Disk().replace(path, b"".join(line + b"\n" for line, gap in lines if gap is not None))
    log.warning(
        "lines of the list of gaps cannot be read and are set aside: it may lack gaps",
        file=str(path),
        lines=len(bad),
        kept_in=str(damaged / path.name),
    )


def _lines(path: Path) -> list[tuple[bytes, Gap | None]]:
    """The lines of the list, each with its gap; None where it cannot be read."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EINVAL, f"{path.name} is no file")
    try:
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    except FileNotFoundError:
        return []
    return [(line, _gap(line)) for line in lines]


def _gap(line: bytes) -> Gap | None:
    try:
        return msgspec.json.decode(line, type=Gap)
    except (ValueError, RecursionError):
        return None
