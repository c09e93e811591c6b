"""The SQLite file: opened, refused, locked, full and damaged; what a transaction and a read are."""

from __future__ import annotations

import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tickwire.errors import StartError, StoreError
from tickwire.store import SqliteFile, SqliteKlineStore
from tickwire.store.migrations import MIGRATIONS
from tickwire.store.sqlite import open_database, transaction

from ..stores import opened
from .files import MINUTE, SOURCE, a_bar, as_nobody, ask, child, locked, whole


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
    assert [maker.communicate(timeout=120)[1] for maker in makers] == [""] * 4


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
