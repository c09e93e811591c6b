"""The SQLite file: opened, brought up to date, refused, full, locked, damaged, shared and killed over."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tickwire.errors import StartError, StoreError
from tickwire.model import Kline, KlineType
from tickwire.store import SqliteFile, SqliteKlineStore
from tickwire.store.migrations import MIGRATIONS
from tickwire.store.sqlite import open_database, transaction

from ..stores import opened

MINUTE = KlineType.MINUTE
SOURCE = "simulator"
NOBODY = 65534


def a_bar(time: int, code: str = "GOLD", price: int = 1) -> Kline:
    one = Decimal(price)
    return Kline(code, MINUTE, time, one, one, one, one, one, one)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars.db"


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What SQLite itself says about the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def whole(path: Path) -> bool:
    return ask(path, "PRAGMA integrity_check") == [("ok",)] and not ask(path, "PRAGMA foreign_key_check")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program that is about to write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's power over files."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


# ---- opening


def test_bars_survive_closing(path: Path) -> None:
    with opened(SqliteKlineStore, path) as store:
        store.write(SOURCE, [a_bar(60)])
        store.put(SOURCE, "alive", "61")
    assert [file.name for file in path.parent.iterdir()] == ["bars.db"]
    with opened(SqliteKlineStore, path) as store:
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
        assert store.get(SOURCE, "alive") == "61"


def test_the_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "bars.db"
    open_database(path).close()
    assert whole(path)


def test_how_it_is_open(path: Path) -> None:
    with closing(open_database(path)) as connection:
        for name, value in (
            ("journal_mode", "wal"),
            ("synchronous", 1),
            ("foreign_keys", 1),
            ("busy_timeout", 5000),
            ("user_version", len(MIGRATIONS)),
        ):
            assert connection.execute(f"PRAGMA {name}").fetchone() == (value,)
        assert connection.isolation_level is None
    tables = ask(path, "SELECT wr, strict FROM pragma_table_list WHERE name IN ('kline', 'note')")
    assert tables == [(1, 1), (1, 1)]


def test_the_one_that_reads_cannot_write(path: Path) -> None:
    with (
        closing(SqliteFile(path)) as file,
        pytest.raises(StoreError, match="readonly"),
        file.reading() as connection,
    ):
        connection.execute("DELETE FROM kline")


# ---- the schema


NEXT = ("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT", "ALTER TABLE note ADD COLUMN at INTEGER")
BROKEN = ("CREATE TABLE last (id INTEGER PRIMARY KEY) STRICT", "CREATE TABLE kline (x)")


def version(path: Path) -> object:
    return ask(path, "PRAGMA user_version")[0][0]


def test_an_empty_file_is_a_database_of_version_0(path: Path) -> None:
    path.touch()
    open_database(path).close()
    assert version(path) == len(MIGRATIONS)


def test_an_old_file_is_brought_up_to_date_with_what_is_in_it(path: Path) -> None:
    with opened(SqliteKlineStore, path) as store:
        store.write(SOURCE, [a_bar(60)])
    open_database(path, migrations=[*MIGRATIONS, NEXT]).close()
    assert version(path) == len(MIGRATIONS) + 1
    assert ask(path, "SELECT count(*) FROM kline") == [(1,)]
    assert ask(path, "SELECT count(*) FROM later") == [(0,)]
    open_database(path, migrations=[*MIGRATIONS, NEXT]).close()


@pytest.mark.parametrize("old", range(1, len(MIGRATIONS)))
def test_a_file_of_each_earlier_version_becomes_what_a_new_one_is(path: Path, old: int) -> None:
    with closing(open_database(path, migrations=MIGRATIONS[:old])) as connection:
        connection.execute("INSERT INTO series VALUES (1, ?, 'GOLD')", (SOURCE,))
        connection.execute("INSERT INTO kline VALUES (1, 1, 60, '1', '1', '1', '1', '1', '1', 0, 0, 0)")
    with opened(SqliteKlineStore, path) as store:
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
    open_database(fresh := path.with_name("new.db")).close()
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert (version(path), ask(path, schema)) == (version(fresh), ask(fresh, schema))


@pytest.mark.parametrize("empty", [True, False])
def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, empty: bool) -> None:
    if not empty:
        open_database(path).close()
    before = version(path), ask(path, "SELECT name FROM sqlite_master") if path.exists() else []
    with pytest.raises(StartError, match="already exists"):
        open_database(path, migrations=[*MIGRATIONS, NEXT, BROKEN])
    assert (version(path), ask(path, "SELECT name FROM sqlite_master")) == before
    open_database(path).close()


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    open_database(path, migrations=[*MIGRATIONS, NEXT]).close()
    before = path.read_bytes()
    known = len(MIGRATIONS)
    text = rf"newer Tickwire \(schema {known + 1}, this one knows {known}\)\. Update"
    with pytest.raises(StartError, match=text):
        SqliteFile(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", [0, 1, 7])
def test_another_program_s_database_is_refused_and_left_alone(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE moz_places (id)")
        other.execute(f"PRAGMA user_version = {number}")
    before = path.read_bytes()
    with pytest.raises(StartError, match="another program's"):
        SqliteFile(path)
    assert path.read_bytes() == before


CREATE = """
import sys
from pathlib import Path
from tickwire.store import SqliteFile
for line in sys.stdin:
    SqliteFile(Path(line.strip())).close()
    print("made", flush=True)
"""


def test_many_processes_may_make_it_at_once(tmp_path: Path) -> None:
    makers = [child(CREATE) for _ in range(4)]
    for path in (tmp_path / f"{n}.db" for n in range(60)):
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.write(f"{path}\n")
            maker.stdin.flush()
        answers = [maker.stdout.readline() for maker in makers if maker.stdout is not None]
        if "" in answers:
            break
        assert whole(path)
    assert [maker.communicate(timeout=60)[1] for maker in makers] == [""] * 4


# ---- what cannot be used


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("code,time\n" * 1000)
    with pytest.raises(StartError, match=r"bars\.db: file is not a database\. It is damaged.*Move it away"):
        SqliteFile(path)
    assert path.read_text() == "code,time\n" * 1000


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StartError, match="--data-dir"):
        SqliteFile(path)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StartError, match="--data-dir"):
        SqliteFile(tmp_path / "data" / "bars.db")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
def test_a_folder_that_cannot_be_written(shared: Path) -> None:
    (shared / "closed").mkdir(mode=0o555)
    with as_nobody():
        with pytest.raises(StartError, match="writable, or choose another --data-dir"):
            SqliteFile(shared / "closed" / "bars.db")
        with pytest.raises(StartError, match=r"Permission denied.*--data-dir"):
            SqliteFile(shared / "closed" / "new" / "bars.db")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
def test_a_file_that_cannot_be_written(shared: Path) -> None:
    path = shared / "bars.db"
    open_database(path).close()
    path.chmod(0o444)
    with as_nobody(), pytest.raises(StartError, match="Cannot write"):
        SqliteFile(path)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder that others than root reach as well."""
    above = [folder for folder in (tmp_path, *tmp_path.parents[:2]) if folder.stat().st_uid == os.geteuid()]
    modes = {folder: folder.stat().st_mode for folder in above}
    for folder in above:
        folder.chmod(0o755)
    yield tmp_path
    for folder, mode in modes.items():
        folder.chmod(mode)


def test_a_locked_file_at_the_start(path: Path) -> None:
    path.touch()
    with locked(path), pytest.raises(StartError, match=r"locked\. Another program is using it"):
        SqliteFile(path, timeout=0.05)
    SqliteFile(path).close()


def test_a_locked_file_while_running(path: Path) -> None:
    with opened(SqliteKlineStore, path, timeout=0.05) as store:
        store.write(SOURCE, [a_bar(60)])
        with locked(path):
            with pytest.raises(StoreError, match=r"locked\. Another program is using it"):
                store.write(SOURCE, [a_bar(60, price=2)])
            with pytest.raises(StoreError, match="locked"):
                store.prune(SOURCE, MINUTE, 120)
            assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
        store.write(SOURCE, [a_bar(60, price=3)])
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60, price=3)]


def test_a_lock_that_ends_soon_is_waited_for(path: Path) -> None:
    with opened(SqliteKlineStore, path) as store:
        thread = threading.Thread(target=store.write, args=(SOURCE, [a_bar(60)]))
        with locked(path):
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
        thread.join(10)
        assert store.span(SOURCE, "GOLD", MINUTE) == (60, 60)


def test_a_full_disk(path: Path) -> None:
    with closing(SqliteFile(path)) as file:
        store = SqliteKlineStore(file)
        store.write(SOURCE, [a_bar(60)])
        limit_pages(file, 2)
        batch = [a_bar(60 * n, f"CODE{n % 7}") for n in range(5000)]
        with pytest.raises(StoreError, match=r"full\. Make room"):
            store.write(SOURCE, batch)
        assert ask(path, "SELECT count(*) FROM kline") == [(1,)]
        store.write(SOURCE, [a_bar(60, price=2)])
        limit_pages(file, 1_000_000)
        store.write(SOURCE, batch)
        assert ask(path, "SELECT count(*) FROM kline") == [(5001,)]
    assert whole(path)


def limit_pages(file: SqliteFile, more: int) -> None:
    """From now on the file may grow by so many pages."""
    with file.writing() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_damaged_file(path: Path) -> None:
    with opened(SqliteKlineStore, path) as store:
        store.write(SOURCE, [a_bar(60 * n) for n in range(5000)])
    content = bytearray(path.read_bytes())
    content[20 * 4096 : 60 * 4096] = b"\xa5" * (40 * 4096)
    path.write_bytes(content)
    with (
        opened(SqliteKlineStore, path) as store,
        pytest.raises(StoreError, match=r"malformed\. It is damaged"),
    ):
        store.read(SOURCE, "GOLD", MINUTE, count=5000)


# ---- transactions, threads, processes


def test_a_transaction_ends_whatever_happens(path: Path) -> None:
    with closing(open_database(path)) as connection:

        def stopped() -> None:
            with transaction(connection):
                connection.execute("INSERT INTO note VALUES ('a', 'b', 'c', -1)")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert not connection.in_transaction
        assert connection.execute("SELECT * FROM note").fetchall() == []


def test_a_series_without_a_name_is_refused(path: Path) -> None:
    with (
        closing(open_database(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"),
    ):
        connection.execute("INSERT INTO kline VALUES (9, 1, 1, '1', '1', '1', '1', '1', '1', 0, 0, 0, -1)")


def test_a_read_does_not_wait_for_a_write(path: Path) -> None:
    with closing(SqliteFile(path)) as file:
        store = SqliteKlineStore(file)
        store.write(SOURCE, [a_bar(60)])
        seen: list[object] = []

        def read() -> None:
            seen.extend(store.read(SOURCE, "GOLD", MINUTE, count=9))
            seen.append(store.get(SOURCE, "alive"))

        reading = threading.Thread(target=read)
        with file.writing() as connection:
            connection.execute("DELETE FROM kline")
            reading.start()
            reading.join(10)
            assert seen == [a_bar(60), None]
        reading.join(10)
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == []


def test_a_read_is_of_one_moment(path: Path) -> None:
    with closing(SqliteFile(path)) as file:
        store = SqliteKlineStore(file)
        store.write(SOURCE, [a_bar(60)])
        count = "SELECT count(*) FROM kline"
        with file.reading() as connection:
            assert connection.execute(count).fetchone() == (1,)
            writing = threading.Thread(target=store.write, args=(SOURCE, [a_bar(120)]))
            writing.start()
            writing.join(10)
            assert connection.execute(count).fetchone() == (1,)
        with file.reading() as connection:
            assert connection.execute(count).fetchone() == (2,)


def test_a_block_that_fails_leaves_nothing_and_the_file_usable(path: Path) -> None:
    with closing(SqliteFile(path)) as file:

        def write() -> None:
            with file.writing() as connection:
                connection.execute("INSERT INTO note VALUES ('a', 'b', 'c', -1)")
                raise LookupError

        def read() -> None:
            with file.reading():
                raise LookupError

        for use in (write, read, write):
            with pytest.raises(LookupError):
                use()
        with file.reading() as connection:
            assert connection.execute("SELECT * FROM note").fetchall() == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_after_closing_it_says_so(path: Path, in_memory: bool) -> None:
    file = SqliteFile(None if in_memory else path)
    file.close()
    file.close()
    for use in (file.writing, file.reading):
        with pytest.raises(StoreError, match="was closed"), use():
            pass


def test_others_may_write_between_the_steps_of_a_prune(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.store.sqlite_klines.PRUNE_STEP", 10)
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


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
