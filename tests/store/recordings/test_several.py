"""Recordings of several sources, read together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickwire.errors import InputError
from tickwire.store.recordings import Recordings

from .events import BEGIN, Row, book, recorded, rows_of, trade


def at(row: Row, received: int, seq: int | None = None) -> Row:
    """The same, come so many microseconds after the beginning."""
    return (*row[:2], BEGIN * 1000 + received, row[3] if seq is None else seq)


HERE = [at(trade(1), 0), at(book(2), 10), at(trade(3), 10), at(trade(4), 30)]
THERE = [at(trade(5, code="ETHUSDT"), 5), at(book(6, code="ETHUSDT"), 10), at(trade(7, code="ETHUSDT"), 40)]
TOGETHER = [HERE[0], THERE[0], HERE[1], HERE[2], THERE[1], HERE[3], THERE[2]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "ticks"
    recorded(path / "here", HERE)
    recorded(path / "there", THERE)
    (path / "notes").mkdir()
    return path


def test_they_come_by_when_they_arrived_each_in_its_own_order(folder: Path) -> None:
    """Of one microsecond what stands in the folder that is named first comes first."""
    assert rows_of(Recordings(folder).read()) == TOGETHER
    assert rows_of(Recordings(folder / "here", folder / "there").read()) == TOGETHER
    turned = rows_of(Recordings(folder / "there", folder / "here").read())
    assert turned == [HERE[0], THERE[0], THERE[1], HERE[1], HERE[2], HERE[3], THERE[2]]
    assert rows_of(Recordings(folder).read(codes=["ETHUSDT"])) == THERE


def test_a_folder_that_is_named_twice_is_read_once(folder: Path) -> None:
    assert rows_of(Recordings(folder / "here", folder / "here").read()) == HERE
    assert rows_of(Recordings(folder, folder / "here").read()) == TOGETHER


def test_what_clients_were_not_sent_is_left_out_of_them_together_only(folder: Path) -> None:
    stood_by = [at(trade(9), 20, seq=0), at(trade(10), 50)]
    recorded(folder / "other", stood_by)
    assert rows_of(Recordings(folder).read()) == [*TOGETHER, stood_by[1]]
    assert rows_of(Recordings(folder / "other").read()) == stood_by


def test_their_contents_are_sums(folder: Path) -> None:
    found = Recordings(folder).contents()
    assert found.folders == [str(folder / "here"), str(folder / "there")]
    assert (found.trades, found.books, found.files) == (5, 2, 4)
    assert {code: (one.trades, one.books) for code, one in found.codes.items()} == {
        "BTCUSDT": (3, 1),
        "ETHUSDT": (2, 1),
    }
    (day,) = found.days
    assert (day.trades, day.books, day.codes, day.files) == (5, 2, 2, 4)


def test_a_folder_without_any_is_refused(folder: Path) -> None:
    for path in (folder / "notes", folder / "missing"):
        with pytest.raises(InputError, match="There is no recording in"):
            Recordings(folder / "here", path)
