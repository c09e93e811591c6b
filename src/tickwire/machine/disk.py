"""The small files that a server keeps or watches: read with care, replaced whole, set aside when damaged."""

from __future__ import annotations

import itertools
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

MOST = 4096
"""Bytes that are read of one; what is longer is none of ours."""

Seen: TypeAlias = tuple[int, int, int]
"""By what a file is told from what it was: time of change in ns, size, number."""


class Damaged(ValueError):
    """What stands in a file's place is not what was written there; the text says why."""


class Disk:
    """The machine's. All methods raise OSError."""

    def make_folder(self, path: Path) -> None:
        """Makes a folder, and those above it, unless it is there."""
        path.mkdir(parents=True, exist_ok=True)

    def look(self, path: Path) -> Seen:
        """By what the file can be told from another one that takes its place."""
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self, path: Path, most: int = MOST) -> bytes:
        """What stands in a file of so many bytes at most; whatever it is, this does not wait for it.

        Raises Damaged for what is no file of ours.
        """
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise Damaged("no regular file has its name")
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise Damaged(f"it has more than {most} bytes")
        return content

    def replace(self, path: Path, content: bytes, mode: int = 0o666) -> None:
        """Puts a file there that is on the disk before it has the name, never with more rights than it shall
        have."""
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            fresh.unlink(missing_ok=True)
            with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise

    def set_aside(self, path: Path) -> Path:
        """Gives a damaged file, or what stands in its place, a name that says when; that name."""
        return path.rename(damaged_name(path))


def damaged_name(path: Path) -> Path:
    """A name for a damaged file that says when, and that nothing has yet."""
    name = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = itertools.chain([name], (f"{name}~{number}" for number in itertools.count(2)))
    return next(found for one in names if not (found := path.with_name(one)).exists())
