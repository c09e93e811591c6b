"""A recording that several modules read."""

from __future__ import annotations

from pathlib import Path

import pytest

from .events import Row, recorded, simulated


def all_rows() -> list[Row]:
    """What it holds; made when a test asks, not when tests are found."""
    return simulated(12_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of all of these, in some files."""
    path = tmp_path_factory.mktemp("recording")
    for begin in range(0, 12_000, 4_000):
        recorded(path, all_rows()[begin : begin + 4_000], seal_bytes=400_000)
    return path


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded is written at once: waiting for it takes a quarter of a second each time."""
    monkeypatch.setattr("tickwire.store.recordings.recorder.FLUSH_EVERY", 0.01)
