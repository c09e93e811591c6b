"""Shared by the tests of this room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tickwire.store import (
    KEY_FILE,
    SqliteFile,
)

from .damaging import (
    Desk,
    Stores,
)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database with all tables filled."""
    path = tmp_path_factory.mktemp("filled") / "tickwire.db"
    (path.parent / KEY_FILE).write_bytes(b"k" * 32)
    with closing(SqliteFile(path)) as file:
        Stores(file, path.with_name(KEY_FILE)).fill()
    return path.read_bytes()


@pytest.fixture
def guarded_path(tmp_path: Path) -> Path:
    """Where a database may lie, beside the key of its tokens."""
    (tmp_path / KEY_FILE).write_bytes(b"k" * 32)
    return tmp_path / "tickwire.db"


@pytest.fixture
def damaged(guarded_path: Path, filled: bytes) -> Desk:
    """A filled database that is to be damaged."""
    return Desk(guarded_path, filled)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars.db"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder that others than root reach as well."""
    above = [folder for folder in (tmp_path, *tmp_path.parents[:2]) if folder.stat().st_uid == os.geteuid()]
    modes = {folder: folder.stat().st_mode for folder in above}
    for folder in above:
        folder.chmod(0o755)
    yield tmp_path
    for folder, mode in modes.items():
        folder.chmod(mode)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("NOT TESTED: a disk that is full needs root and mount")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "none", str(path)], check=False)
    if done.returncode:
        pytest.skip("NOT TESTED: a disk that is full needs the right to mount one")
    try:
        yield path
    finally:
        subprocess.run([shutil.which("umount") or "umount", str(path)], check=True)
