"""The small files of a data directory: read with care, replaced whole, set aside when they are damaged."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

MOST = 4096
"""Bytes that are read of one; what is longer is none of ours."""


class Damaged(Exception):
    """What stands in a file's place is not what was written there; the text says why."""


def read_small(path: Path, most: int = MOST) -> bytes:
    """What stands in a file of so many bytes at most; whatever it is, this does not wait for it.

    Raises FileNotFoundError, other OSErrors, and Damaged for what is no file of ours.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        raise Damaged("no regular file has its name")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Damaged(f"it has more than {most} bytes")
    return content


def replace_small(path: Path, content: bytes) -> None:
    """Puts a file there that is on the disk before it has the name. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def set_aside(path: Path) -> Path:
    """Gives a damaged file, or what stands in its place, a name that says when; that name. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name.partition('~')[0]}~{number}")
    return path.rename(aside)
