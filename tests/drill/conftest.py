"""Shared by the tests of this room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK = "256m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, where that can be had."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(path)],
            check=False,
            capture_output=True,
        ).returncode
    )
    if not mounted:
        print("NOT TESTED: a disk that is full needs root and mount")
    yield path
    if mounted:
        subprocess.run([shutil.which("umount") or "umount", "-l", str(path)], check=True)
