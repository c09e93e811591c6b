"""The epoch of a server's run: where its sequences begin."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import structlog

from ..errors import StartError

FILE = "epoch"
MARGIN = 60_000_000
"""Microseconds added to what the last run may have reached since it noted its time."""

log = structlog.get_logger()


class EpochFile:
    """Notes the latest time this machine's servers have seen, so that `seq` grows across restarts even if
    the clock was set back in between (section 2, "Push")."""

    def __init__(self, data_dir: Path) -> None:
        """Raises StartError if the folder cannot be used."""
        self._path = data_dir / FILE
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=data_dir):
                pass
        except OSError as error:
            raise StartError(
                f"Cannot write to the data directory {data_dir}: {error.strerror}. "
                "Choose another with --data-dir."
            ) from error

    def begin(self, now: int) -> int:
        """The epoch of a run that starts now, both in microseconds since the Unix epoch."""
        seen = 0
        with contextlib.suppress(OSError, ValueError):
            seen = int(self._path.read_text("ascii"))
        if now <= seen:
            log.warning(
                "the clock was set back: sequences go on from where they were", seconds=(seen - now) / 1e6
            )
            now = seen + MARGIN
        self.note(now)
        return now

    def note(self, now: int) -> None:
        """The run has come so far."""
        fresh = self._path.with_suffix(f".{os.getpid()}")
        try:
            fresh.write_text(str(now), "ascii")
            fresh.replace(self._path)
        except OSError as error:
            log.warning("cannot note the epoch", file=str(self._path), reason=error.strerror)
