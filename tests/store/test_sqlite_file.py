"""The file under a running server: removed, replaced, unmounted, full, locked, closed to us."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import StoreError
from tickwire.store import SqliteFile, SqliteKlineStore

from .files import MINUTE, SOURCE, a_bar, as_nobody, ask, whole


def times(store: SqliteKlineStore, code: str = "GOLD") -> list[int]:
    return [bar.time for bar in store.read(SOURCE, code, MINUTE, count=10**6)]


class Desk:
    """A database in a folder of its own, open, with a bar in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.path = folder / "tickwire.db"
        self.file = SqliteFile(self.path, timeout=0.05)
        self.store = SqliteKlineStore(self.file)
        self.store.write(SOURCE, [a_bar(60)])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "data")
    with closing(made.file):
        yield made


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def make_anew(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def remove_the_log(folder: Path) -> None:
    (folder / "tickwire.db-wal").unlink()


def remove_all_but_the_log(folder: Path) -> None:
    (folder / "tickwire.db").unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("removed", [remove, make_anew, remove_the_log, remove_all_but_the_log])
@pytest.mark.parametrize("first", ["read", "write"])
def test_a_file_that_is_removed_is_written_anew(desk: Desk, removed: object, first: str) -> None:
    assert callable(removed)
    removed(desk.folder)
    with capture_logs() as logs:
        if first == "read":
            assert times(desk.store) == [60]
        desk.store.write(SOURCE, [a_bar(120), a_bar(60, "SILVER")])
        assert (times(desk.store), times(desk.store, "SILVER")) == ([60, 120], [60])
    assert [line["event"] for line in logs] == ["the database was removed; what was in it was written anew"]
    assert desk.file.generation == 1
    assert ask(desk.path, "SELECT count(*) FROM kline") == [(3,)]
    desk.file.close()
    assert [path.name for path in desk.folder.iterdir()] == ["tickwire.db"]
    assert whole(desk.path)
    with closing(SqliteFile(desk.path)) as again:
        assert times(SqliteKlineStore(again)) == [60, 120]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_folder_that_is_gone_is_told_and_taken_up_when_it_is_back(desk: Desk) -> None:
    away = desk.folder.with_name("away")
    desk.folder.rename(away)
    for _ in range(2):
        for use in (lambda: desk.store.write(SOURCE, [a_bar(120)]), lambda: times(desk.store)):
            with pytest.raises(StoreError, match=r"data of the database is gone.*Put it back"):
                use()
    away.rename(desk.folder)
    desk.store.write(SOURCE, [a_bar(120)])
    assert times(desk.store) == [60, 120]
    assert desk.file.generation == 0
    shutil.rmtree(desk.folder)
    with pytest.raises(StoreError, match="is gone"):
        desk.store.write(SOURCE, [a_bar(180)])
    desk.folder.mkdir()
    desk.store.write(SOURCE, [a_bar(180)])
    assert times(desk.store) == [60, 120, 180]
    assert ask(desk.path, "SELECT count(*) FROM kline") == [(3,)]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
@pytest.mark.parametrize("log_stays", [True, False])
def test_another_file_at_its_place_is_opened(desk: Desk, tmp_path: Path, log_stays: bool) -> None:
    desk.store.write(SOURCE, [a_bar(60 * n, "SILVER") for n in range(9)])
    other = tmp_path / "backup.db"
    with closing(SqliteFile(other)) as file:  # in which the series have other numbers
        SqliteKlineStore(file).write(SOURCE, [a_bar(0, "BTCUSDT"), a_bar(240)])
    if not log_stays:
        remove(desk.folder)
    other.replace(desk.path)
    with capture_logs() as logs:
        assert times(desk.store) == [240]
        desk.store.write(SOURCE, [a_bar(300)])
    assert [line["event"] for line in logs] == ["the database was replaced by another one, which is used now"]
    assert (times(desk.store), times(desk.store, "SILVER"), times(desk.store, "BTCUSDT")) == (
        [240, 300],
        [],
        [0],
    )
    assert desk.file.generation == 1
    desk.file.close()
    assert whole(desk.path)
    assert ask(desk.path, "SELECT count(*) FROM kline") == [(3,)]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
def test_another_program_s_file_at_its_place_is_refused_until_it_is_gone(desk: Desk) -> None:
    desk.path.unlink()
    with closing(sqlite3.connect(desk.path)) as other:
        other.execute("CREATE TABLE moz_places (id)")
    before = desk.path.read_bytes()
    for use in (lambda: desk.store.write(SOURCE, [a_bar(120)]), lambda: times(desk.store)):
        with pytest.raises(StoreError, match="another program's database"):
            use()
    assert desk.path.read_bytes() == before
    desk.path.unlink()
    desk.store.write(SOURCE, [a_bar(120)])
    assert times(desk.store) == [60, 120]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
def test_a_folder_at_its_place_is_not_said_to_be_used(desk: Desk) -> None:
    desk.path.unlink()
    desk.path.mkdir()
    with capture_logs() as logs:
        for _ in range(3):
            for use in (lambda: desk.store.write(SOURCE, [a_bar(120)]), lambda: times(desk.store)):
                with pytest.raises(StoreError, match="unable to open"):
                    use()
    assert logs == []
    desk.path.rmdir()
    desk.store.write(SOURCE, [a_bar(120)])
    assert times(desk.store) == [60, 120]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_two_processes_find_one_file_again(desk: Desk) -> None:
    with closing(SqliteFile(desk.path)) as file:
        other = SqliteKlineStore(file)
        make_anew(desk.folder)
        desk.store.write(SOURCE, [a_bar(120)])
        other.write(SOURCE, [a_bar(180)])
        assert times(desk.store) == times(other) == [60, 120, 180]
    assert whole(desk.path)


def test_a_disk_that_is_not_mounted_any_more(small_disk: Path) -> None:
    desk = Desk(small_disk)
    with closing(desk.file):
        subprocess.run([shutil.which("umount") or "umount", "--lazy", str(small_disk)], check=True)
        try:
            for use in (lambda: desk.store.write(SOURCE, [a_bar(120)]), lambda: times(desk.store)):
                with pytest.raises(StoreError, match=r"another file system than before.*Mount it again"):
                    use()
            assert [*small_disk.iterdir()] == []
        finally:  # which the fixture takes down
            mount = [
                shutil.which("mount") or "mount",
                "-t",
                "tmpfs",
                "-o",
                "size=2m",
                "none",
                str(small_disk),
            ]
            subprocess.run(mount, check=True)


def test_a_disk_that_is_full_for_a_while(small_disk: Path) -> None:
    desk = Desk(small_disk)
    batch = [a_bar(60 * n, f"CODE{n % 7}") for n in range(3000)]
    with closing(desk.file):
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as stuffing:
            try:
                while True:
                    stuffing.write(bytes(4096))
            except OSError:
                pass
        for _ in range(2):
            with pytest.raises(StoreError, match="Make room on its disk"):
                desk.store.write(SOURCE, batch)
            assert times(desk.store) == [60]
        ballast.unlink()
        desk.store.write(SOURCE, batch)
        assert ask(desk.path, "SELECT count(*) FROM kline") == [(3001,)]
    assert whole(desk.path)


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
def test_a_folder_that_is_closed_to_us_for_a_while(shared: Path) -> None:
    folder = shared / "data"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with as_nobody():
        desk = Desk(folder)
    with closing(desk.file):
        remove(folder)
        folder.chmod(0o555)  # what was removed cannot be written anew
        with as_nobody():
            for use in (lambda: desk.store.write(SOURCE, [a_bar(120)]), lambda: times(desk.store)):
                with pytest.raises(StoreError, match="Make it and its folder writable"):
                    use()
        folder.chmod(0o000)
        with (
            as_nobody(),
            pytest.raises(StoreError, match=r"denied.*Make it and its folder writable"),
        ):
            times(desk.store)
        folder.chmod(0o777)
        with as_nobody():
            desk.store.write(SOURCE, [a_bar(120)])
            assert times(desk.store) == [60, 120]


LOCK = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
other.execute("ROLLBACK")
print("free", flush=True)
"""


def test_another_process_that_holds_the_lock(desk: Desk) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(desk.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for _ in range(2):
            with pytest.raises(StoreError, match=r"locked\. Another program is using it"):
                desk.store.write(SOURCE, [a_bar(120)])
        assert times(desk.store) == [60]
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "free\n"
        desk.store.write(SOURCE, [a_bar(120)])
    assert times(desk.store) == [60, 120]
