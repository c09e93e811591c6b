"""How far publishers are in a recording: with every record, across seals, kills and retention."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.store.recordings import GapReason, Recorder, Recordings
from tickwire.store.recordings.folder import Folder
from tickwire.store.recordings.journal import HEAD, HEADER, MAGIC, MARK, Record, encode, read
from tickwire.store.recordings.positions import Positions, read_positions, write_positions

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


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.parametrize("name", ["positions.json", "000000000000000.journal"])
@pytest.mark.parametrize("what", ["pipe", "endless"])
def test_what_is_no_regular_file_is_set_aside(tmp_path: Path, name: str, what: str) -> None:
    path = Folder(tmp_path).own / name
    path.parent.mkdir()
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    program = (
        "import sys, resource; from pathlib import Path; from tickwire.store.recordings import Recorder;"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "Recorder(Path(sys.argv[1]), 'publish', lines=True).close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if "cannot be read" in line]
    assert str(path) in line
    assert not os.path.lexists(path)
    assert [one for one in path.parent.rglob("*") if one.name.startswith(name)] != []


def test_a_file_that_is_damaged_is_kept(tmp_path: Path) -> None:
    path = Folder(tmp_path).positions
    path.parent.mkdir()
    path.write_bytes(b"{")
    with capture_logs() as logs:
        assert read_positions(path).publishers == {}
    (line,) = logs
    assert line["file"] == str(path)
    assert "the recording goes on from where the bars are" in line["event"]
    assert Path(line["kept_in"]).read_bytes() == b"{"


def test_more_publishers_than_there_may_be_fit(tmp_path: Path) -> None:
    names = {f"{number:08}/{'x' * 64}": 2**63 - 1 for number in range(20_000)}
    write_positions(tmp_path / "positions.json", Positions("r", names))
    assert read_positions(tmp_path / "positions.json") == Positions("r", names)


@pytest.mark.parametrize("name", ["lock", "000000000000000.journal", "positions.json"])
def test_a_start_that_fails_names_the_file(tmp_path: Path, name: str) -> None:
    path = Folder(tmp_path).own / name
    path.parent.mkdir()
    path.symlink_to(path.name)  # leads to itself
    with pytest.raises(StartError, match=re.escape(str(path))):
        a_recorder(tmp_path)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("size", [0, 700])
def test_a_journal_that_is_cut_short_stops_the_recording_which_goes_on_in_a_new_one(
    tmp_path: Path, size: int
) -> None:
    recorder = a_recorder(tmp_path)
    recording = recorder.follow(None)
    for seq in range(1, 11):
        line(recorder, "a", seq, trade(seq))
        until(lambda: recorder.reached("a") == seq)  # noqa: B023
    (journal,) = journals(tmp_path)
    with capture_logs() as logs:
        os.truncate(journal, size)
        until(lambda: any("stopped" in one["event"] for one in logs))
        until(lambda: recorder.status().recording)
    assert "cut short" in next(one["reason"] for one in logs if "stopped" in one["event"])
    line(recorder, "b", 1, trade(11))
    until(lambda: recorder.reached("b") == 1)
    status = recorder.status()
    assert status.events + status.lost == 11
    recorder.close()
    found = everything(tmp_path)
    assert len(found) == status.events
    assert found[-1] == trade(11)
    (gap,) = Recordings(tmp_path).contents().gaps
    assert (gap.reason, gap.events) == (GapReason.DAMAGED, status.lost)
    again = a_recorder(tmp_path)
    assert again.follow(recording) == recording
    assert (again.reached("a"), again.reached("b")) == (10, 1)
    again.close()
