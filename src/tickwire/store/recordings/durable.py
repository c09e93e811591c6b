"""Makes what is in a folder last when the power goes."""

from __future__ import annotations

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Returns when the content of a file is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Returns when the names in a folder are on the disk. Raises OSError."""
    if os.name == "nt":  # which opens no folders, and keeps names in a journal of its own
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
