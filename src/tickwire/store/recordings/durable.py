"""Makes what is in a folder last when the power goes."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Returns when the content of a file, or the names in a folder, are on the disk. Raises OSError."""
    folder = path.is_dir()
    if folder and os.name == "nt":  # which opens no folders, and keeps names in a journal of its own
        return
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
