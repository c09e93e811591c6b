"""The database file: what opens it, what does not, and what it survives."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickwire.errors import StartError, StoreError
from tickwire.model import Kline, KlineType
from tickwire.store import SqliteKlineStore, database
from tickwire.store.database import MIGRATIONS, open_database

from ..serving import program_environment

MINUTE = KlineType.MINUTE
BATCH = 25
"""Bars of a batch of the writing program."""
WRITER = f"""
import sys
from decimal import Decimal
from pathlib import Path
from tickwire.model import Kline, KlineType
from tickwire.store import SqliteKlineStore

store, first, last = SqliteKlineStore(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    values = [Decimal(number)] * 6
    store.write("w", [Kline(f"C{{n}}", KlineType.MINUTE, number, *values) for n in range({BATCH})])
    print(number, flush=True)
"""


def bar(time: int, code: str = "BTCUSDT") -> Kline:
    one = Decimal("1.50")
    return Kline(code, MINUTE, time, one, one, one, one, one, one)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickwire.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteKlineStore]:
    made = SqliteKlineStore(path)
    yield made
    made.close()


def times(store: SqliteKlineStore, code: str = "BTCUSDT") -> list[int]:
    return [one.time for one in store.read("s", code, MINUTE, count=10**6)]


def look(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What SQLite alone finds in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def writing(path: Path, first: int, last: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=program_environment())


# Opening.
def test_bars_and_notes_are_there_after_it_was_closed(path: Path) -> None:
    with closing(SqliteKlineStore(path)) as store:
        store.write("s", [bar(0), bar(60)])
        store.put("s", "note", "kept")
    with closing(SqliteKlineStore(path)) as store:
        assert store.read("s", "BTCUSDT", MINUTE, count=9) == [bar(0), bar(60)]
        assert store.get("s", "note") == "kept"
        store.write("s", [bar(120)])  # the number of the code is found again
        assert times(store) == [0, 60, 120]


def test_an_empty_file_is_brought_up_to_date(path: Path) -> None:
    path.touch()
    open_database(path).close()
    assert look(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert look(path, "PRAGMA journal_mode") == [("wal",)]
    tables = look(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    assert tables == [("kline",), ("note",), ("series",)]


def test_a_later_migration_is_made_once_and_keeps_what_there_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteKlineStore(path)) as store:
        store.write("s", [bar(0)])
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (x INTEGER) STRICT;"))
    for _ in range(2):  # a second time, it would fail: the table is there
        with closing(SqliteKlineStore(path)) as store:
            assert times(store) == [0]
    assert look(path, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    assert look(path, "SELECT * FROM later") == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteKlineStore(path)) as store:
        store.write("s", [bar(0)])
    broken = "CREATE TABLE later (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(StartError, match="nowhere"):
        SqliteKlineStore(path)
    monkeypatch.undo()
    assert look(path, "SELECT name FROM sqlite_schema WHERE name = 'later'") == []
    with closing(SqliteKlineStore(path)) as store:
        assert times(store) == [0]


def refused(path: Path, *words: str) -> None:
    with pytest.raises(StartError) as caught:
        SqliteKlineStore(path)
    text = str(caught.value)
    assert "\n" not in text
    for word in (str(path), "--data-dir", *words):
        assert word in text


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    open_database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    refused(path, "newer", "9999", str(len(MIGRATIONS)), "Update")
    assert look(path, "PRAGMA user_version") == [(9999,)]


@pytest.mark.parametrize("content", [b"rubbish" * 1000, b"code,market\n" * 100], ids=["noise", "csv"])
def test_a_file_that_is_no_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "not a database")
    assert path.read_bytes() == content


def test_a_database_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE series (x)")
    refused(path, "series")
    assert look(path, "SELECT name FROM sqlite_schema") == [("series",)]


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    refused(path)


def test_a_missing_folder(tmp_path: Path) -> None:
    refused(tmp_path / "missing" / "tickwire.db")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root may write")
def test_a_folder_that_may_not_be_written() -> None:
    refused(Path("/proc/tickwire.db"))


# A full disk.
def test_on_a_full_disk_nothing_of_a_batch_is_kept_and_the_store_works_on(
    store: SqliteKlineStore, path: Path
) -> None:
    store.write("s", [bar(0)])
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    much = [bar(at * 60, f"FULL{n}") for n in range(50) for at in range(50)]
    for _ in range(2):
        with pytest.raises(StoreError, match="full") as caught:
            store.write("s", much)
        assert "\n" not in str(caught.value)
        assert all(times(store, f"FULL{n}") == [] for n in range(50))
        assert times(store) == [0]
        assert look(path, "SELECT count(*) FROM kline") == [(1,)]
        assert look(path, "SELECT code FROM series") == [("BTCUSDT",)]
    store.write("s", [bar(60)])  # what still fits is kept
    store.put("s", "note", "x")
    assert times(store) == [0, 60]
    store._writer.execute(f"PRAGMA max_page_count = {2**30}")
    store.write("s", much)
    assert all(times(store, f"FULL{n}") == [at * 60 for at in range(50)] for n in range(50))
    assert look(path, "PRAGMA integrity_check") == [("ok",)]
    assert look(path, "PRAGMA foreign_key_check") == []


# Locks.
def test_a_read_does_not_wait_for_a_batch(store: SqliteKlineStore) -> None:
    store.write("s", [bar(0)])
    begun, go = threading.Event(), threading.Event()

    def slowly() -> Iterator[Kline]:
        yield bar(60)
        begun.set()
        assert go.wait(30)

    with ThreadPoolExecutor(2) as pool:
        batch = pool.submit(store.write, "s", slowly())
        try:
            assert begun.wait(30)
            assert pool.submit(times, store).result(30) == [0]
        finally:
            go.set()
        batch.result(30)
    assert times(store) == [0, 60]


def test_a_file_that_another_process_keeps_locked_is_a_store_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    with closing(SqliteKlineStore(path)) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.write("s", [bar(0)])
        with pytest.raises(StoreError, match="locked"):
            store.put("s", "note", "x")
        other.rollback()
        store.write("s", [bar(60)])
        assert times(store) == [60]


def test_all_who_make_the_file_at_once_get_it(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def make(path: Path) -> None:
        together.wait(30)
        open_database(path).close()

    with ThreadPoolExecutor(4) as pool:
        for n in range(30):
            path = tmp_path / f"{n}.db"
            for making in [pool.submit(make, path) for _ in range(4)]:
                making.result(30)
            assert look(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_two_processes_write_at_once(store: SqliteKlineStore, path: Path) -> None:
    with writing(path, 0, 150) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "0\n"
        for at in range(150):
            store.write("s", [bar(at)])
        assert other.wait(60) == 0
    assert times(store) == list(range(150))
    assert look(path, "SELECT count(*) FROM kline WHERE type = 1") == [(150 + 150 * BATCH,)]


# kill -9.
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_kill_9_tears_no_batch_and_loses_none_that_was_acknowledged(path: Path) -> None:
    dice = random.Random(9)
    acknowledged: set[int] = set()
    first = 0
    for _ in range(8):
        with writing(path, first, 10**9) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(dice.randrange(1, 60))]
            time.sleep(dice.uniform(0, 0.004))  # to hit any step of a batch
            writer.send_signal(signal.SIGKILL)
            said += [int(line) for line in writer.stdout if line.endswith("\n")]
            assert writer.wait(30) == -signal.SIGKILL
        assert said == list(range(first, first + len(said)))
        acknowledged.update(said)
        assert look(path, "PRAGMA integrity_check") == [("ok",)]
        found = Counter(at for (at,) in look(path, "SELECT time FROM kline"))
        assert set(found.values()) == {BATCH}, "a batch is half there"
        assert found.keys() >= acknowledged
        first = max(found) + 1
    with closing(SqliteKlineStore(path)) as store:
        for n in (0, BATCH - 1):
            kept = store.read("w", f"C{n}", MINUTE, count=10**6)
            assert {one.time for one in kept} >= acknowledged
            assert all(one.close == one.time for one in kept)
