"""Shared by the tests of this room."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tickwire.store import (
    KEY_FILE,
    SqliteFile,
)

from ..stores import Place
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


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a new database is, of each kind."""
    if request.param == "sqlite":
        return tmp_path / "tickwire.db"
    url: str = request.getfixturevalue("postgres").schema()
    return url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars.db"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that others than root reach as well, which a `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


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
