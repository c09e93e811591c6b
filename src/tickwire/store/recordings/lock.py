"""One recorder at a time in a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO

from ...errors import StartError

FAR = 1 << 30
"""A byte beyond the text: on Windows, what is locked cannot be read by others."""


class Lock:
    """Held until it is let go of, or its process ends, however it ends: the system lets go of it then.

    While it is held the file says by which process; `left` is whether it still did when we took it, so that
    the one before did not come to its end.
    """

    def __init__(self, path: Path) -> None:
        """Raises StartError if somebody else holds it, and OSError if the file cannot be written."""
        self._path = path
        self._file = path.open("a+b")
        try:
            _take(self._file)
        except (BlockingIOError, PermissionError) as error:  # the latter on Windows
            with self._file:
                holder = _said_by(self._file)
            raise StartError(
                f"Another Tickwire{holder} records into {path.parent.parent}. "
                "End it, or record into another folder."
            ) from error
        except OSError:
            self._file.close()
            raise
        self.left = os.fstat(self._file.fileno()).st_size > 0
        with contextlib.suppress(OSError):  # a full disk must not keep us from what makes room on it
            self._file.truncate(0)
            self._file.write(str(os.getpid()).encode("ascii"))
            self._file.flush()

    def stands(self) -> bool:
        """Whether the file is where it was taken: another one of its name is held by somebody else, or by
        nobody."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except (OSError, ValueError):  # the latter once it was let go of
            return False

    def release(self, *, clean: bool) -> None:
        """Lets go of it; `clean` says that we came to our end."""
        with contextlib.suppress(OSError, ValueError), self._file:  # May be called again.
            if clean:
                self._file.truncate(0)


def _said_by(file: IO[bytes]) -> str:
    """Which process says that it holds the lock."""
    try:
        file.seek(0)
        return f" (process {int(file.read(20))})"
    except (OSError, ValueError):
        return ""


if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
