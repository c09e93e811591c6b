"""A data directory whose folder goes and comes back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.machine import REAL
from tickwire.store import DataDirectory

NOW = 1_788_530_574_453_000


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    found = DataDirectory(tmp_path / "data", REAL.disk)
    yield found
    found.close()


def events(logs: list[object]) -> list[str]:
    return [str(one["event"]) for one in logs if isinstance(one, dict)]


def test_one_that_goes_is_told_once_and_held_again_when_it_is_made_anew(
    directory: DataDirectory, tmp_path: Path
) -> None:
    directory.note(directory.begin(NOW))
    shutil.rmtree(tmp_path / "data")
    with capture_logs() as logs:
        for _ in range(3):
            directory.note(NOW + 1)
        (one,) = logs
        assert one["log_level"] == "error"
        assert "No such file" in one["reason"]
    assert not (tmp_path / "data").exists(), "a disk may come back there"
    (tmp_path / "data").mkdir()
    with capture_logs() as logs:
        for _ in range(3):
            directory.note(NOW + 2)
    assert events([*logs]) == [
        "the lock of the data directory was gone, and was taken anew",
        "the data directory can be used again",
    ]
    with pytest.raises(StartError):
        DataDirectory(tmp_path / "data", REAL.disk)
    directory.close()
    again = DataDirectory(tmp_path / "data", REAL.disk)
    assert again.begin(NOW) > NOW + 2
    again.close()


def test_one_that_another_server_has_by_now_is_left_to_it(directory: DataDirectory, tmp_path: Path) -> None:
    directory.note(directory.begin(NOW))
    (tmp_path / "data").rename(tmp_path / "away")
    other = DataDirectory(tmp_path / "data", REAL.disk)
    other.begin(NOW - 5)
    before = (tmp_path / "data" / "epoch").read_bytes()
    with capture_logs() as logs:
        directory.note(NOW + 1)
        directory.note(NOW + 2)
    (one,) = logs
    assert one["log_level"] == "error"
    assert f"process {os.getpid()}) serves from the data directory" in one["reason"]
    assert (tmp_path / "data" / "epoch").read_bytes() == before
    other.close()
    with capture_logs() as logs:
        directory.note(NOW + 3)
    assert "taken anew" in events([*logs])[0]


def test_one_that_comes_back_as_it_was_is_still_held(directory: DataDirectory, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "away")
    directory.note(NOW)
    (tmp_path / "away").rename(tmp_path / "data")
    with capture_logs() as logs:
        directory.note(NOW)
    assert events([*logs]) == ["the data directory can be used again"]
    with pytest.raises(StartError):
        DataDirectory(tmp_path / "data", REAL.disk)


def test_nothing_is_noted_once_it_was_let_go_of(directory: DataDirectory, tmp_path: Path) -> None:
    directory.begin(NOW)
    directory.close()
    directory.note(NOW + 1)
    assert str(NOW) in (tmp_path / "data" / "epoch").read_text()
