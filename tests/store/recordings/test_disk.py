"""Disks that fill, folders that vanish or close: the recording stops, the rest goes on, and then it too."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from pyarrow import parquet
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.store.recordings import Gap, GapReason, Recorder, Recordings, StopReason
from tickwire.store.recordings import recorder as module
from tickwire.store.recordings.gaps import moment

from ..files import NOBODY, as_nobody
from .events import Row, everything, journals, put, recorded, sealed_files, simulated, trade, until


def stopped(
    recorder: Recorder, rows: list[Row], fault: Callable[[], object] = lambda: None
) -> list[dict[str, object]]:
    """Records these until it stops, from the fault on; returns what is said above info meanwhile."""
    with capture_logs() as logs:
        fault()
        expected = recorder.status().events
        for begin in range(0, len(rows), 1_000):
            if not recorder.status().recording:
                break
            put(recorder, rows[begin : begin + 1_000])
            expected += 1_000
            until(lambda: not recorder.status().recording or recorder.status().events >= expected)  # noqa: B023
        assert not recorder.status().recording, "the disk is too large for the test"
        put(recorder, rows[:10])
        recorder.close()
        put(recorder, rows[:10])
    return [dict(line) for line in logs if line["log_level"] not in ("info", "debug")]


def test_a_full_disk_stops_the_recording_and_costs_nothing_before(small_disk: Path) -> None:
    rows = simulated(40_000)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    folder = small_disk / "recording"
    recorder = Recorder(folder, "simulator", seal_bytes=150_000)
    (line,) = stopped(recorder, rows)
    assert line["event"] == "recording stopped, the server goes on"
    assert line["log_level"] == "error"
    assert "full" in str(line["reason"])
    status = recorder.status()
    assert (status.recording, status.reason) == (False, StopReason.FULL)
    assert "full" in status.text
    for path in sealed_files(folder):
        parquet.read_table(path, partitioning=None)
    assert not (folder / "_tickwire" / "sealing").exists()
    assert journals(folder) != []
    ballast.unlink()
    recorded(folder, rows[:1])
    found = everything(folder)
    assert len(found) == status.events + 1 > 2_000
    assert found == [*rows[: status.events], rows[0]]
    assert Recordings(folder).contents().gaps[-1].reason is GapReason.BROKEN_OFF


def test_a_start_on_a_full_disk_is_refused_and_harms_nothing(small_disk: Path) -> None:
    rows = simulated(40_000)
    folder = small_disk / "recording"
    stopped(Recorder(folder, "simulator", seal_bytes=10 << 20), rows)
    (journal,) = journals(folder)
    content = journal.read_bytes()
    with contextlib.suppress(OSError):
        (small_disk / "ballast").write_bytes(bytes(2 << 20))
    with pytest.raises(StartError, match="No space left"):
        Recorder(folder, "simulator")
    assert journal.read_bytes() == content
    assert sealed_files(folder) == []


LIMITED = """
import resource, sys, time
from pathlib import Path
import msgspec
from tests.store.recordings.events import put, simulated
from tickwire.store.recordings import Recorder, recorder as module

rows = simulated(3_000)
module.LOOK_EVERY = 3600  # it does not go on
recorder = Recorder(Path(sys.argv[1]), "simulator")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
put(recorder, rows)
while (status := recorder.status()).events + status.lost < 3_000:
    time.sleep(0.01)
recorder.close()
sys.stdout.buffer.write(b"STATUS " + msgspec.json.encode(status))
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no limits on files")
def test_a_file_that_may_not_grow_stops_the_recording(tmp_path: Path) -> None:
    program = [sys.executable, "-c", LIMITED, str(tmp_path)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    status = msgspec.json.decode(said.partition("STATUS ")[2])
    assert status["reason"] == "full"
    assert 0 < status["events"] < 3_000
    assert status["events"] + status["lost"] == 3_000
    recorded(tmp_path, [])
    assert everything(tmp_path) == simulated(3_000)[: status["events"]]


def test_a_folder_that_vanishes_stops_the_recording(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    recorder = Recorder(folder, "simulator")
    put(recorder, [trade(1)])
    until(lambda: recorder.status().journal_bytes)
    (line,) = stopped(recorder, simulated(1_000), lambda: shutil.rmtree(folder))
    assert "removed or moved" in str(line["reason"])
    assert recorder.status().reason is StopReason.GONE
    assert not folder.exists()


def test_a_folder_that_vanishes_before_the_first_event_stops_it_too(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    recorder = Recorder(folder, "simulator")
    folder.rename(tmp_path / "away")
    stopped(recorder, simulated(1_000))
    assert recorder.status().reason is StopReason.GONE


def test_a_sealing_that_fails_halfway_leaves_no_file_behind(tmp_path: Path) -> None:
    rows = simulated(100)
    recorder = Recorder(tmp_path, "simulator")
    (tmp_path / "kind=book").touch()  # trades find their place, books do not
    put(recorder, rows)
    recorder.close()
    assert not recorder.status().recording
    assert sealed_files(tmp_path) == []
    (tmp_path / "kind=book").unlink()
    recorded(tmp_path, [])
    assert everything(tmp_path) == rows


def interrupted(recorder: Recorder, rows: list[Row], mend: Callable[[], object]) -> None:
    """Records until the disk stops it, mends that, and goes on: what came in between is a gap, and either is
    one line in the log."""
    folder = recorder._folder.path
    with capture_logs() as logs:
        put(recorder, rows[:1_000])
        upcoming = iter(range(1_000, len(rows) - 1_000, 100))
        while recorder.status().recording:
            first = next(upcoming)
            put(recorder, rows[first : first + 100])
            until(lambda: not recorder.status().recording or recorder.status().events >= first + 100)  # noqa: B023
        lost_up_to = first + 1_000
        put(recorder, rows[first + 100 : lost_up_to])
        until(lambda: recorder.status().events + recorder.status().lost == lost_up_to)
        events = recorder.status().events
        mend()
        until(lambda: recorder.status().recording)
        put(recorder, rows[lost_up_to : lost_up_to + 500])
        recorder.close()
    status = recorder.status()
    assert (status.events, status.lost) == (events + 500, lost_up_to - events)
    assert everything(folder) == [*rows[:events], *rows[lost_up_to : lost_up_to + 500]]
    gaps = [gap for gap in Recordings(folder).contents().gaps if gap.reason is not GapReason.DAMAGED]
    lost = [row[2] for row in rows[events:lost_up_to]]
    begin, end = moment(min(lost)), moment(max(lost))
    assert gaps == [Gap(GapReason.INTERRUPTED, begin, end, len(lost), "simulator")]
    said = [line["event"] for line in logs if line["log_level"] in ("warning", "error")]
    assert said.count("recording stopped, the server goes on") == said.count("recording goes on") == 1


@pytest.mark.usefixtures("soon")
def test_it_goes_on_when_there_is_room_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    recorder = Recorder(small_disk / "recording", "simulator", seal_bytes=150_000)
    interrupted(recorder, simulated(20_000), ballast.unlink)


def test_it_goes_on_when_its_folder_is_back(tmp_path: Path) -> None:
    folder, away = tmp_path / "recording", tmp_path / "away"
    recorder = Recorder(folder, "simulator")
    put(recorder, (rows := simulated(4_000))[:0])
    folder.rename(away)
    interrupted(recorder, rows, lambda: away.rename(folder))


def test_it_goes_on_in_a_folder_that_was_put_in_place_of_its_own(tmp_path: Path) -> None:
    """As when a disk is mounted anew: the lock is another file then."""
    folder, copy = tmp_path / "recording", tmp_path / "copy"
    rows = simulated(4_000)
    recorded(folder, rows[:10])
    shutil.copytree(folder, copy)
    recorder = Recorder(folder, "simulator")
    put(recorder, rows[10:20])
    until(lambda: recorder.status().journal_bytes)
    shutil.rmtree(folder)
    put(recorder, rows[20:30])
    until(lambda: not recorder.status().recording)
    copy.rename(folder)
    until(lambda: recorder.status().recording)
    put(recorder, rows[30:40])
    with pytest.raises(StartError, match="records into"):
        Recorder(folder, "simulator")
    recorder.close()
    assert everything(folder) == [*rows[:10], *rows[30:40]]
    assert Recordings(folder).contents().gaps[-1].reason is GapReason.INTERRUPTED


def test_it_stays_stopped_while_somebody_else_records_there(tmp_path: Path) -> None:
    folder, away = tmp_path / "recording", tmp_path / "away"
    recorder = Recorder(folder, "simulator")
    folder.rename(away)
    put(recorder, [trade(1)])
    until(lambda: not recorder.status().recording)
    other = Recorder(folder, "simulator")
    until(lambda: "Another Tickwire" in recorder.status().text)
    other.close()
    until(lambda: recorder.status().recording)
    recorder.close()


def test_what_comes_while_it_has_stopped_takes_no_memory(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    recorder = Recorder(folder, "publish", lines=True)
    folder.rename(tmp_path / "away")
    put(recorder, [trade(1)])
    recorder.reach("a", 1)
    until(lambda: not recorder.status().recording)
    for seq in range(2, 50_000):
        recorder.record(*trade(seq))
        recorder.reach("a", seq)
    until(lambda: recorder.status().lost == 49_999)
    until(lambda: not recorder._waiting)
    assert recorder._passed == {"a": 49_999}
    (tmp_path / "away").rename(folder)
    until(lambda: recorder.reached("a") == 49_999)
    recorder.close()


def test_an_error_that_nobody_thought_of_stops_it_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, "simulator")
    monkeypatch.setattr(module, "encode", lambda *_: 1 / 0)
    with capture_logs() as logs:
        put(recorder, [trade(1)])
        until(lambda: not recorder.status().recording)
        assert recorder.status().reason is StopReason.FAILED
        monkeypatch.undo()
        until(lambda: recorder.status().recording)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "recording stopped, the server goes on"
    ]
    put(recorder, [trade(2)])
    recorder.close()
    assert everything(tmp_path) == [trade(2)]


def test_a_folder_that_loses_its_rights_stops_the_recording(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as parent:  # tmp_path is root's alone
        folder = Path(parent, "recording")
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(parent, NOBODY, NOBODY)
            os.chown(folder, NOBODY, NOBODY)
        with as_nobody():
            recorder = Recorder(folder, "simulator", seal_bytes=10_000)
            put(recorder, [trade(1)])
            until(lambda: recorder.status().journal_bytes)
            paths = folder, folder / "_tickwire"

            def lock() -> None:
                for path in paths:
                    path.chmod(0o555)

            (line,) = stopped(recorder, simulated(1_000), lock)
            assert "writable" in str(line["reason"])
            assert recorder.status().reason is StopReason.FORBIDDEN
            for path in paths:
                path.chmod(0o755)
            events = recorder.status().events
            recorded(folder, [])
            assert len(everything(folder)) == events > 1
