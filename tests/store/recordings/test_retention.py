"""Old recordings go: by age, by size, the oldest dates first, and never what is not sealed."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest

from tickwire.errors import InputError
from tickwire.store.recordings import Recorder, Recordings
from tickwire.store.recordings.folder import Folder
from tickwire.store.recordings.retention import prune

from .events import A_DAY, BEGIN, Row, book, everything, put, recorded, sealed_files, trade, until

TODAY = date(2026, 9, 4)


@pytest.fixture
def rows() -> list[Row]:
    """Two events of each of five days, the last of them today."""
    days = [BEGIN - ago * A_DAY for ago in (4, 3, 2, 1, 0)]
    return [row for at in days for row in (trade(1, at=at), book(2, at=at))]


def days(folder: Path) -> list[int]:
    """How many days ago there is something of."""
    return sorted({(TODAY - day.date).days for day in Recordings(folder).contents().days}, reverse=True)


def test_dates_that_are_too_old_go(tmp_path: Path, rows: list[Row]) -> None:
    recorded(tmp_path, rows)
    before = sum(path.stat().st_size for path in sealed_files(tmp_path))
    freed = prune(Folder(tmp_path), TODAY, keep_days=2, keep_bytes=None)
    assert days(tmp_path) == [2, 1, 0]
    assert everything(tmp_path) == rows[4:]
    assert freed == before - sum(path.stat().st_size for path in sealed_files(tmp_path)) > 0
    assert len([*tmp_path.glob("kind=*/market=*/date=*")]) == 6
    assert prune(Folder(tmp_path), TODAY, keep_days=2, keep_bytes=None) == 0


def test_age_is_counted_from_the_newest_date_if_that_is_earlier(tmp_path: Path, rows: list[Row]) -> None:
    recorded(tmp_path, rows)
    prune(Folder(tmp_path), TODAY + timedelta(days=400), keep_days=3, keep_bytes=None)
    assert days(tmp_path) == [3, 2, 1, 0]
    # And from today if a source claims to be in the future.
    recorded(tmp_path, [trade(3, at=BEGIN + 1000 * A_DAY)])
    prune(Folder(tmp_path), TODAY, keep_days=1, keep_bytes=None)
    assert days(tmp_path) == [1, 0, -1000]


def test_what_is_too_much_goes_and_the_oldest_dates_first(tmp_path: Path, rows: list[Row]) -> None:
    recorded(tmp_path, rows)
    recorded(tmp_path, rows[2:4])  # recorded later, but of an older date
    sizes = {path: path.stat().st_size for path in sealed_files(tmp_path)}
    newest = sum(size for path, size in sizes.items() if f"date={TODAY - timedelta(1)}" <= path.parent.name)
    prune(Folder(tmp_path), TODAY, keep_days=None, keep_bytes=newest)
    assert days(tmp_path) == [1, 0]
    prune(Folder(tmp_path), TODAY, keep_days=None, keep_bytes=newest - 1)
    assert len(sealed_files(tmp_path)) == 3
    prune(Folder(tmp_path), TODAY, keep_days=None, keep_bytes=0)
    assert sealed_files(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["_tickwire"]


def test_other_files_are_left_alone(tmp_path: Path, rows: list[Row]) -> None:
    recorded(tmp_path, rows)
    others = [
        tmp_path / "notes.txt",
        sealed_files(tmp_path)[0].parent / "mine.parquet",
        tmp_path / "kind=trade" / "market=crypto" / "date=2000-01-01" / "part-0.parquet",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
    prune(Folder(tmp_path), TODAY, keep_days=0, keep_bytes=0)
    assert sorted(path for path in tmp_path.rglob("*") if path.suffix in (".txt", ".parquet")) == sorted(
        others
    )


def last(folder: Path) -> Row | None:
    """The last event; none while files are let go of."""
    with suppress(OSError):
        return next(reversed(everything(folder)), None)
    return None


def is_last(folder: Path, row: Row) -> bool:
    """Files may go while they are read."""
    with suppress(InputError):
        return last(folder) == row
    return False


def test_a_recorder_lets_go_when_it_starts_and_after_it_has_sealed(tmp_path: Path, rows: list[Row]) -> None:
    recorded(tmp_path, rows)
    recorder = Recorder(tmp_path, "simulator", clock=lambda: BEGIN / 1000, keep_days=1)
    assert days(tmp_path) == [1, 0]
    recorder.close()
    limit = sum(path.stat().st_size for path in sealed_files(tmp_path))
    recorder = Recorder(tmp_path, "simulator", keep_bytes=limit, seal_bytes=1)
    put(recorder, [trade(5, at=BEGIN + 1)])
    until(lambda: is_last(tmp_path, trade(5, at=BEGIN + 1)))
    until(lambda: recorder.status().sealed_bytes <= limit)
    assert days(tmp_path) == [1, 0]
    put(recorder, [trade(6, at=BEGIN + 2)])
    recorder.close()
    kept = sum(path.stat().st_size for path in sealed_files(tmp_path))
    assert recorder.status().sealed_bytes == kept <= limit
    assert everything(tmp_path)[-1] == trade(6, at=BEGIN + 2)


def test_a_journal_is_never_let_go_of(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "simulator", keep_bytes=0, keep_days=0)
    put(recorder, [trade(1, at=0)])
    until(lambda: recorder.status().journal_bytes)
    prune(Folder(tmp_path), TODAY, keep_days=0, keep_bytes=0)
    assert len(Folder(tmp_path).journals()) == 1
    recorder.close()
