"""A database with all tables filled."""

from __future__ import annotations

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
