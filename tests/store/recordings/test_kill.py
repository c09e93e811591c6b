"""kill -9 at random moments of a recorder that writes, seals and recovers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import pytest
from pyarrow import parquet

from tickwire.store.recordings import GapReason, Recordings

from .events import everything, recorded, sealed_files
from .feeder import TRACE, row

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

KILLS = 20 if "TICKWIRE_SOAK" in os.environ else 3
AT_RISK = 1.0
"""Seconds before the kill whose events may be lost."""
SOURCE = Path(__file__).parents[3]


def prepared(folder: Path, life: int) -> subprocess.Popen[str]:
    """A process that waits for its turn: what it imports it imports while another records."""
    program = [sys.executable, "-m", "tests.store.recordings.feeder"]
    return subprocess.Popen(
        [*program, str(folder / "recording"), str(folder / f"trace{life}"), str(life)],
        cwd=SOURCE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_for(process: subprocess.Popen[str], seconds: float) -> int:
    """Lets it record and kills it; returns the moment, in nanoseconds since the epoch."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("begin\n")
    process.stdin.flush()
    while (line := process.stdout.readline()).strip() != "on":
        assert line, "it ended by itself"
    time.sleep(seconds)  # the moment of the kill
    at = time.time_ns()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return at


def handed_over(trace: Path, by: float) -> int:
    """How many events had been handed to the recorder by that moment."""
    content = trace.read_bytes()
    whole = content[: len(content) // TRACE.size * TRACE.size]
    return max((count for at, count in TRACE.iter_unpack(whole) if at <= by), default=0)


def test_each_kill_costs_the_last_second_at_most(tmp_path: Path) -> None:
    dice = random.Random()
    ends: list[int] = []
    waiting = prepared(tmp_path, 0)
    try:
        for life in range(KILLS):
            process, waiting = waiting, prepared(tmp_path, life + 1)
            # Around the seals, too, of which there is one in a third of a second.
            long_one = life == KILLS // 2
            ends.append(run_for(process, dice.uniform(1.3 if long_one else 0.05, 1.6)))
            for path in sealed_files(tmp_path / "recording"):
                parquet.read_metadata(path)
    finally:
        waiting.kill()
        waiting.communicate()
    folder = tmp_path / "recording"
    recorded(folder, [])
    for path in sealed_files(folder):
        parquet.ParquetFile(path, page_checksum_verification=True).read()
    lives = {life: [*rows] for life, rows in groupby(everything(folder), key=lambda one: one[2] // 10**9)}
    assert [*lives] == sorted(lives)
    long = 0
    empty = next((life for life in range(KILLS) if lives.get(life)), KILLS)  # before there was anything
    for life, end in enumerate(ends):
        rows = lives.get(life, [])
        assert rows == [row(life, number) for number in range(len(rows))]
        least = handed_over(tmp_path / f"trace{life}", end - AT_RISK * 1e9)
        assert len(rows) >= least, f"life {life} has {len(rows)} events, {least} were a second old"
        assert len(rows) <= handed_over(tmp_path / f"trace{life}", end + 1e9) + 20  # of a burst under way
        long += least > 0
    assert long > 0
    reasons = [gap.reason for gap in Recordings(folder).contents().gaps]
    assert set(reasons) <= {GapReason.BROKEN_OFF, GapReason.DAMAGED}
    assert len(reasons) == KILLS - empty
