"""The ledger of gaps beside a recording: lines that are torn, and what is no ledger."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import InputError, StartError
from tickwire.store.recordings import Recordings
from tickwire.store.recordings.folder import Folder
from tickwire.store.recordings.gaps import moment

from .events import NOW, gaps, recorded, started, trade


def test_a_torn_line_of_the_ledger_costs_itself(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(1)])
    recorded(tmp_path, [trade(2)])
    ledger = Folder(tmp_path).gaps
    ledger.write_bytes(ledger.read_bytes() + b'{"reason":"stop')
    assert (len(gaps(tmp_path)), Recordings(tmp_path).contents().unreadable_gaps) == (1, 1)
    recorded(tmp_path, [trade(3)])
    assert (len(gaps(tmp_path)), Recordings(tmp_path).contents().unreadable_gaps) == (2, 0)
    assert (Folder(tmp_path).damaged / "gaps.jsonl").read_bytes() == b'{"reason":"stop\n'


def test_garbage_in_the_ledger_is_set_aside_and_counted_once(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(1)])
    recorded(tmp_path, [trade(2)])
    ledger = Folder(tmp_path).gaps
    garbage = b"\x00\xff\n\n[" + b"[" * 100_000 + b'\n{"reason":"no such"}\n'
    ledger.write_bytes(garbage + ledger.read_bytes() + garbage)
    with capture_logs() as logs:
        recorded(tmp_path, [trade(3)])
        recorded(tmp_path, [trade(4)])
    assert [one["lines"] for one in logs if "lines" in one] == [6]
    assert len(gaps(tmp_path)) == 3


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_has_the_name_of_the_ledger_is_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    recorded(tmp_path, [trade(1)])
    make(Folder(tmp_path).gaps)
    with pytest.raises(InputError, match=r"gaps\.jsonl is no file"):
        Recordings(tmp_path).contents()
    with pytest.raises(StartError, match=r"Cannot record into .*gaps\.jsonl is no file"):
        recorded(tmp_path, [trade(2)])


def test_a_clock_that_was_set_back_makes_no_gap_that_ends_before_it_begins(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(1)])
    started(tmp_path, NOW - 10**12)
    (gap,) = gaps(tmp_path)
    assert gap.begin is not None
    assert gap.end is not None
    assert gap.begin == gap.end == moment(NOW - 10**12)
