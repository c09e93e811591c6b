"""How a recording goes, and why it stopped."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum


class StopReason(StrEnum):
    """Why nothing is recorded."""

    CLOSED = "closed"
    """It was ended."""
    FULL = "full"
    """The disk, or what may be used of it."""
    GONE = "gone"
    """The folder was removed or moved."""
    FORBIDDEN = "forbidden"
    """The folder may no longer be written."""
    FAILED = "failed"
    """Anything else."""


@dataclass(frozen=True)
class RecorderStatus:
    """A recording as it stands."""

    recording: bool
    reason: StopReason | None
    """Why it does not record; None while it does."""
    text: str
    """The same for people, with what to do about it."""
    events: int
    """Events of this run that are in the journal or sealed."""
    lost: int
    """Events of this run that were left out: they came too fast, do not fit, or came after it stopped."""
    sealed_bytes: int
    """Bytes of all sealed files in the folder."""
    journal_bytes: int
    """Bytes of the journal that is being written."""
    waiting: int
    """Events that are in no journal yet."""
    lag: float
    """Seconds for which the oldest of them has waited, at most; 0 where none waits."""


_NAMES = {
    StopReason.FULL: "ENOSPC EFBIG EDQUOT",
    StopReason.GONE: "ENOENT ENOTDIR ESTALE",
    StopReason.FORBIDDEN: "EACCES EPERM EROFS",
}
_REASONS = {getattr(errno, one, None): reason for reason, names in _NAMES.items() for one in names.split()}
_TEXTS = {
    StopReason.FULL: "its disk is full. Make room on it: the recording then goes on",
    StopReason.GONE: "it was removed or moved. Put it back: the recording then goes on",
    StopReason.FORBIDDEN: "it may no longer be written. Make it writable: the recording then goes on",
}


def reason_of(error: Exception) -> StopReason:
    """What kind of failure it is."""
    # pyarrow puts the number into the error as the system does.
    return _REASONS.get(getattr(error, "errno", None) or 0, StopReason.FAILED)


def text_of(error: Exception) -> str:
    """A failure for people."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _TEXTS.get(reason_of(error), f"{said.partition(chr(10))[0]}. It is tried again and again")
