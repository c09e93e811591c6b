"""How a recording goes."""

from __future__ import annotations

from pathlib import Path

from tickwire.store.recordings import Recorder, StopReason

from .events import book, put, sealed_files, trade

# ---- the end


def test_its_status(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "simulator")
    assert recorder.status().recording
    assert recorder.status().reason is None
    put(recorder, [trade(1), book(2)])
    recorder.close()
    recorder.close()
    status = recorder.status()
    assert (status.recording, status.reason) == (False, StopReason.CLOSED)
    assert (status.events, status.lost, status.journal_bytes) == (2, 0, 0)
    assert status.sealed_bytes == sum(path.stat().st_size for path in sealed_files(tmp_path))
