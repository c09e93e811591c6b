"""Where sequences begin: after everything that was ever sent, whatever the clock says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.errors import StartError
from tickwire.store import EpochFile

NOW = 1_788_530_574_453_000


def test_the_first_epoch_is_the_time(tmp_path: Path) -> None:
    assert EpochFile(tmp_path).begin(NOW) == NOW


def test_an_epoch_on_a_clock_that_went_on_is_the_time(tmp_path: Path) -> None:
    EpochFile(tmp_path).begin(NOW)
    assert EpochFile(tmp_path).begin(NOW + 1) == NOW + 1


@pytest.mark.parametrize("back", [0, 1, 3_600_000_000])
def test_on_a_clock_that_was_set_back_the_epoch_lies_after_all_that_was_noted(
    tmp_path: Path, back: int
) -> None:
    file = EpochFile(tmp_path)
    file.begin(NOW - 1000)
    file.note(NOW)
    # A run notes its time every half minute, so it may have come half a minute further than it noted.
    assert EpochFile(tmp_path).begin(NOW - back) >= NOW + 30_000_000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**16), min_size=2, max_size=8))
def test_epochs_grow_whatever_the_clock_shows(
    tmp_path_factory: pytest.TempPathFactory, clocks: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("epoch")
    epochs = [EpochFile(folder).begin(now) for now in clocks]
    assert epochs == sorted(set(epochs))


@pytest.mark.parametrize("content", [b"", b"soon", b"\xff\xfe", b"12.5", b"9" * 5000])
def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "epoch").write_bytes(content)
    assert EpochFile(tmp_path).begin(NOW) == NOW
    assert EpochFile(tmp_path).begin(NOW) > NOW


def test_the_folder_is_made_and_nothing_but_the_note_is_left_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    file = EpochFile(folder)
    file.begin(NOW)
    file.note(NOW + 5)
    assert [path.name for path in folder.iterdir()] == ["epoch"]
    assert (folder / "epoch").read_text() == str(NOW + 5)


def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(StartError, match="--data-dir") as caught:
        EpochFile(taken)
    assert str(taken) in str(caught.value)


def test_a_note_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    file = EpochFile(tmp_path)
    (tmp_path / "epoch").mkdir()
    (tmp_path / "epoch" / "in the way").touch()
    assert file.begin(NOW) == NOW
