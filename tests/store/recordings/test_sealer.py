"""When a journal is sealed beside the writing."""

from __future__ import annotations

from pathlib import Path

from tickwire.store.recordings import Recorder

from .events import A_DAY, BEGIN, Clock, everything, put, sealed_files, simulated, trade, until


def test_a_journal_is_sealed_when_it_is_old(tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path, "simulator", clock=clock, seal_seconds=60)
    put(recorder, [trade(1)])
    until(lambda: recorder.status().journal_bytes)
    clock.now += 59
    put(recorder, [trade(2)])
    until(lambda: recorder.status().events == 2)
    assert sealed_files(tmp_path) == []
    clock.now += 1
    until(lambda: everything(tmp_path) == [trade(1), trade(2)])
    assert recorder.status().recording
    put(recorder, [trade(3)])
    recorder.close()
    assert [path.stem for path in sealed_files(tmp_path)] == [f"{0:015}-{1:015}", f"{2:015}-{2:015}"]


def test_a_journal_is_sealed_when_the_date_changes(tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path, "simulator", clock=clock, seal_seconds=1e9)
    put(recorder, [trade(1)])
    until(lambda: recorder.status().journal_bytes)
    clock.now += (A_DAY - BEGIN % A_DAY) / 1000
    until(lambda: everything(tmp_path) == [trade(1)])
    recorder.close()


def test_a_journal_is_sealed_when_it_is_long(tmp_path: Path) -> None:
    rows = simulated(4_000)
    recorder = Recorder(tmp_path, "simulator", seal_bytes=100_000)
    put(recorder, rows)
    until(lambda: len(sealed_files(tmp_path)) > 0)
    recorder.close()
    assert everything(tmp_path) == rows
