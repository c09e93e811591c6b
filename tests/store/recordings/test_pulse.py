"""A disk that does not answer: it is told, and nobody waits."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.store.recordings import Recorder
from tickwire.store.recordings import recorder as module
from tickwire.store.recordings.journal import Journal

from .events import everything, put, trade, until


def test_a_disk_that_hangs_is_told_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANG", 0.0)
    monkeypatch.setattr(module, "WAITING_LIMIT", 100)
    answers, begun = threading.Event(), threading.Event()
    append = Journal.append

    def hanging(self: Journal, record: bytes) -> None:
        begun.set()
        assert answers.wait(20)
        append(self, record)

    monkeypatch.setattr(Journal, "append", hanging)
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, [trade(number) for number in range(60)])
    assert begun.wait(20)
    with capture_logs() as logs:
        until(lambda: not recorder.status().recording)
        assert not recorder.behind
        assert "does not answer" in recorder.status().text
    assert [line["event"] for line in logs] == ["recording stopped, the server goes on"]
    monkeypatch.setattr(module, "HANG", 20.0)
    answers.set()
    until(lambda: recorder.status().recording)
    recorder.close()
    assert len(everything(tmp_path)) == 60


def test_an_end_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END", 0.01)
    answers = threading.Event()
    monkeypatch.setattr(Journal, "append", lambda *_: answers.wait(20))
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, [trade(1)])
    with capture_logs() as logs:
        recorder.close()
    assert "does not answer" in recorder.status().text
    assert [line["event"] for line in logs] == ["recording stopped, the server goes on"]
    answers.set()


def test_how_far_the_journal_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, begun = threading.Event(), threading.Event()
    append = Journal.append

    def hanging(self: Journal, record: bytes) -> None:
        begun.set()
        assert answers.wait(20)
        append(self, record)

    monkeypatch.setattr(Journal, "append", hanging)
    recorder = Recorder(tmp_path, "simulator")
    status = recorder.status()
    assert (status.waiting, status.lag) == (0, 0.0)
    put(recorder, [trade(1)])
    assert begun.wait(20)
    put(recorder, [trade(number) for number in range(2, 5)])
    recorder.reach("p", 4)  # which is no event
    until(lambda: recorder.status().lag > module.FLUSH_EVERY)
    assert recorder.status().waiting == 3
    answers.set()
    until(lambda: recorder.status().waiting == 0)
    assert recorder.status().lag == 0.0
    recorder.close()
    assert len(everything(tmp_path)) == 4
