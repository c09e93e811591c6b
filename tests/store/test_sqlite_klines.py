"""Bars in a file: kept, pruned in steps, shared, and killed over."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from pathlib import Path

import pytest

from tickwire.store import SqliteFile, SqliteKlineStore

from ..stores import opened
from .files import MINUTE, SOURCE, a_bar, child, whole


def test_bars_survive_closing(path: Path) -> None:
    with opened(SqliteKlineStore, path) as store:
        store.write(SOURCE, [a_bar(60)])
        store.put(SOURCE, "alive", "61")
    assert [file.name for file in path.parent.iterdir()] == ["bars.db"]
    with opened(SqliteKlineStore, path) as store:
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
        assert store.get(SOURCE, "alive") == "61"


def test_others_may_write_between_the_steps_of_a_prune(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.store.sql_klines.PRUNE_STEP", 10)
    with opened(SqliteKlineStore, path) as store:
        store.write(SOURCE, [a_bar(60 * n) for n in range(6_000)])
        pruning = threading.Thread(target=store.prune, args=(SOURCE, MINUTE, 10**9))
        pruning.start()
        for n in range(5):
            store.write("other", [a_bar(n)])
        assert pruning.is_alive()
        assert store.span(SOURCE, "GOLD", MINUTE) is not None
        pruning.join(60)
        assert store.span(SOURCE, "GOLD", MINUTE) is None
        assert store.span("other", "GOLD", MINUTE) == (0, 4)


def test_two_stores_share_a_file(path: Path) -> None:
    with opened(SqliteKlineStore, path) as one, opened(SqliteKlineStore, path) as two:
        one.write(SOURCE, [a_bar(60, "GOLD")])
        assert two.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
        two.write(SOURCE, [a_bar(0, "SILVER"), a_bar(120, "GOLD")])
        one.write(SOURCE, [a_bar(60, "SILVER"), a_bar(180, "GOLD")])
        assert one.span(SOURCE, "GOLD", MINUTE) == two.span(SOURCE, "GOLD", MINUTE) == (60, 180)
        assert one.span(SOURCE, "SILVER", MINUTE) == (0, 60)


WRITE = """
import sys
from decimal import Decimal
from pathlib import Path
from tickwire.model import Kline, KlineType
from tickwire.store import SqliteFile, SqliteKlineStore

store, number = SqliteKlineStore(SqliteFile(Path(sys.argv[1]))), int(sys.argv[2])
while True:
    one = Decimal(number)
    bars = [
        Kline(f"CODE{n % 50}", KlineType.MINUTE, time, one, one, one, one, one, one)
        for n in range(300)
        for time in (0, 60 * number + 60 * (n // 50) * 1_000_000)
    ]
    store.write("simulator", bars)
    print(number, flush=True)
    number += 1
"""
KILLS = 8


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_kill_9_loses_no_batch_that_was_written_and_leaves_no_half_of_one(path: Path) -> None:
    """A batch replaces a bar of each of 50 codes (time 0) and adds 6 to each."""
    dice = random.Random(9)
    written = 0
    for _ in range(KILLS):
        with child(WRITE, path, written + 1) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            killing = threading.Timer(dice.uniform(0, 0.3), os.kill, (writer.pid, signal.SIGKILL))
            killing.start()
            lines = [first, *writer.stdout]
            killing.join()
        assert writer.returncode == -signal.SIGKILL
        acknowledged = int([line for line in lines if line.endswith("\n")][-1])
        assert acknowledged > written

        with opened(SqliteKlineStore, path) as store:
            for code in (f"CODE{n}" for n in range(50)):
                replaced, *added = store.read(SOURCE, code, MINUTE, count=10**9)
                last = int(replaced.close)
                assert last in (acknowledged, acknowledged + 1)
                if code == "CODE0":
                    written = last
                assert last == written
                assert sorted(int(bar.close) for bar in added) == [
                    number for number in range(1, last + 1) for _ in range(6)
                ]
        assert whole(path)


def test_another_process_reads_while_one_writes(path: Path) -> None:
    SqliteFile(path).close()
    with child(WRITE, path, 1) as writer, opened(SqliteKlineStore, path) as store:
        assert writer.stdout is not None
        for line in writer.stdout:
            number = int(line)
            bars = store.read(SOURCE, "CODE7", MINUTE, count=10**6)
            assert bars[0].close >= number
            assert len(bars) == 1 + 6 * int(bars[0].close)
            if number >= 20:
                break
        writer.kill()
