"""How far publishers are in a recording: with every record, across seals, kills and retention."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import msgspec

from tickwire.store.recordings import Recorder
from tickwire.store.recordings.folder import Folder
from tickwire.store.recordings.journal import HEAD, HEADER, MAGIC, MARK, Record, encode, read
from tickwire.store.recordings.positions import read_positions

from .events import BEGIN, Row, book, everything, journals, put, sealed_files, trade, until


def a_recorder(folder: Path, **options: object) -> Recorder:
    return Recorder(folder, "publish", lines=True, **options)  # type: ignore[arg-type]


def line(recorder: Recorder, publisher: str, seq: int, *rows: Row) -> None:
    put(recorder, rows)
    recorder.reach(publisher, seq)


def test_they_are_reached_once_the_line_is_in_the_journal_and_outlive_an_end(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    recording = recorder.follow(None)
    line(recorder, "a", 7, trade(1))
    line(recorder, "b", 3, book(2), trade(3))
    until(lambda: recorder.reached("b") == 3)
    assert (recorder.reached("a"), recorder.reached("c")) == (7, 0)
    assert recorder.id == recording
    (journal,) = journals(tmp_path)
    records = [record for record in read(journal) if isinstance(record, Record)]
    assert {name: seq for record in records for name, seq in record.positions.items()} == {"a": 7, "b": 3}
    recorder.close()
    assert journals(tmp_path) == []
    again = a_recorder(tmp_path)
    assert again.follow(recording) == recording
    assert (again.reached("a"), again.reached("b")) == (7, 3)
    again.close()


def test_a_line_that_has_not_ended_is_not_written(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    line(recorder, "a", 1, trade(1))
    put(recorder, [book(2)])
    until(lambda: recorder.status().events == 1)
    line(recorder, "a", 2, trade(3))
    until(lambda: recorder.status().events == 3)
    (journal,) = journals(tmp_path)
    assert [record.events for record in read(journal) if isinstance(record, Record)] == [1, 2]
    put(recorder, [trade(4)])
    recorder.close()
    assert everything(tmp_path) == [trade(1), book(2), trade(3), trade(4)]


def test_a_position_without_events_is_kept_too(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    recording = recorder.follow(None)
    line(recorder, "a", 9)
    until(lambda: recorder.reached("a") == 9)
    recorder.close()
    again = a_recorder(tmp_path)
    again.follow(recording)
    assert again.reached("a") == 9
    again.close()
    assert everything(tmp_path) == []


def test_they_never_go_back(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    line(recorder, "a", 9, trade(1))
    until(lambda: recorder.reached("a") == 9)
    line(recorder, "a", 4)
    line(recorder, "b", 1)
    until(lambda: recorder.reached("b") == 1)
    assert recorder.reached("a") == 9
    recorder.close()
    assert read_positions(Folder(tmp_path).positions).publishers == {"a": 9, "b": 1}


def test_retention_leaves_them(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    line(recorder, "a", 5, trade(1))
    recorder.close()
    again = a_recorder(tmp_path, keep_bytes=1)
    assert sealed_files(tmp_path) == []
    assert again.reached("a") == 5
    again.close()


def test_they_begin_anew_beside_other_bars(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    recording = recorder.follow(None)
    line(recorder, "a", 5, trade(1))
    recorder.close()
    again = a_recorder(tmp_path)
    other = again.follow("another")
    assert other not in (recording, "another")
    assert again.reached("a") == 0
    again.close()
    last = a_recorder(tmp_path)
    assert last.follow(other) == other
    last.close()


def test_a_file_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    recorder = a_recorder(tmp_path)
    recording = recorder.follow(None)
    line(recorder, "a", 5, trade(1))
    recorder.close()
    Folder(tmp_path).positions.write_bytes(b"{")
    again = a_recorder(tmp_path)
    assert again.follow(recording) != recording
    assert again.reached("a") == 0
    again.close()


def test_a_journal_of_version_1_is_sealed(tmp_path: Path) -> None:
    """It had no positions in its records."""
    rows = [trade(1), book(2), trade(3)]
    record = encode(0, rows, {}, 0)[HEADER.size :]
    layout, new = struct.Struct("<qIqqII"), struct.Struct("<qIqqIII")
    body = layout.pack(*new.unpack_from(record)[:-1]) + record[new.size :]
    head = {"source": "publish", "first": 0, "began": BEGIN * 1000, "id": "one", "version": 1}
    text = msgspec.json.encode(head)
    own = Folder(tmp_path).own
    own.mkdir()
    path = own / f"{0:015}.journal"
    path.write_bytes(
        MAGIC
        + HEAD.pack(zlib.crc32(text), len(text))
        + text
        + HEADER.pack(MARK, zlib.crc32(body))
        + body
        + b"torn"
    )
    recorder = a_recorder(tmp_path)
    line(recorder, "a", 1, trade(4))
    recorder.close()
    assert everything(tmp_path) == [*rows, trade(4)]
