"""Lets go of what was recorded long ago."""

from __future__ import annotations

import contextlib
from datetime import date

import structlog

from .folder import Folder, SealedFile

log = structlog.get_logger()


def prune(folder: Folder, today: date, *, keep_days: int | None, keep_bytes: int | None) -> int:
    """Removes sealed files, the oldest dates first, and returns how many bytes they had.

    `keep_days` lets go of dates more than so many days before today, or before the newest date if that is
    earlier: a replay of last year's data that is recorded today is not old. `keep_bytes` bounds what all
    sealed files have together. Raises OSError.
    """
    files = folder.files()
    if not files:
        return 0
    freed = 0
    if keep_days is not None:
        reached = min(today, max(file.partition.date for file in files))
        oldest = reached.toordinal() - keep_days
        old = [file for file in files if file.partition.date.toordinal() < oldest]
        freed += _remove(folder, old, f"older than {keep_days} days")
        files = [file for file in files if file.partition.date.toordinal() >= oldest]
    if keep_bytes is not None:
        files.sort(key=lambda file: (file.partition.date, file.first, file.path))
        sizes = [file.path.stat().st_size for file in files]
        excess, count = sum(sizes) - keep_bytes, 0
        while excess > 0:
            excess -= sizes[count]
            count += 1
        freed += _remove(folder, files[:count], f"more than {keep_bytes} bytes")
    return freed


def _remove(folder: Folder, files: list[SealedFile], because: str) -> int:
    freed = 0
    for path, *_ in files:
        freed += path.stat().st_size
        path.unlink()
        for parent in path.parents:
            if parent == folder.path:
                break
            with contextlib.suppress(OSError):  # others are in it
                parent.rmdir()
    if files:
        dates = sorted({file.partition.date.isoformat() for file in files})
        log.info(
            "old recordings removed",
            files=len(files),
            bytes=freed,
            first=dates[0],
            last=dates[-1],
            because=because,
        )
    return freed
