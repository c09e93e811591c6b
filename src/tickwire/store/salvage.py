from __future__ import annotations

from pathlib import Path


def is_ours(path: Path) -> bool:
    return False


def remove_log(path: Path) -> None:
    """Removes the log of a database that is at that path no more: SQLite would play it into the next one."""
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def set_aside(path: Path, file: tuple[int, int] | None) -> None: ...
