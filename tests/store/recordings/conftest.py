"""A recording that several modules read."""

from __future__ import annotations

from pathlib import Path

import pytest

from .events import recorded, simulated

ROWS = simulated(12_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of all of these, in some files."""
    path = tmp_path_factory.mktemp("recording")
    for begin in range(0, len(ROWS), 4_000):
        recorded(path, ROWS[begin : begin + 4_000], seal_bytes=400_000)
    return path
