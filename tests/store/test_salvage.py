"""A damaged database is set aside, and what can be read of it carried over."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError, StoreError
from tickwire.model import Kline, KlineType
from tickwire.store import (
    KEY_FILE,
    SqliteFile,
    SqliteKlineStore,
    TokenStore,
)
from tickwire.store.migrations import MIGRATIONS
from tickwire.store.sqlite import open_database

from .. import forks
from .damaging import (
    BARS,
    PAGE,
    SOURCE,
    TOKENS,
    Desk,
    Stores,
    a_bar,
    bars_in,
)
from .files import ask, whole


def read_all(store: SqliteKlineStore) -> list[Kline]:
    return [bar for code, kline_type in BARS for bar in store.read(SOURCE, code, kline_type, count=500)]


def test_all_but_the_destroyed_pages_is_carried_over(damaged: Desk) -> None:
    leaves = damaged.pages("kline")
    gone = [leaves[1], leaves[4], leaves[-1]]
    lost = bars_in(damaged, gone)
    damaged.destroy(*gone)
    with closing(SqliteFile(damaged.path)) as file, capture_logs() as logs:
        store = SqliteKlineStore(file)
        with pytest.raises(StoreError, match=r"damaged.*The next write carries what can be read"):
            read_all(store)
        assert file.generation == 0
        store.put(SOURCE, "a", "b")
        assert file.generation == 1
        found = {(bar.code, int(bar.kline_type), bar.time) for bar in read_all(store)}
        store.write(SOURCE, BARS["GOLD", KlineType.MINUTE])
    every = {(bar.code, int(bar.kline_type), bar.time) for bars in BARS.values() for bar in bars}
    assert every - lost <= found
    assert 0 < len(every - found) <= len(lost)
    (line,) = logs
    (aside,) = damaged.path.parent.glob("tickwire.db.damaged-*Z")
    assert aside.read_bytes() == bytes(damaged.content)
    assert line["event"].startswith("the database was damaged")
    assert line["damaged_file"] == str(aside)
    assert line["carried"]["kline"] == len(found)
    assert line["carried"]["token"] == len(TOKENS)
    assert "bars of 'GOLD', type 1, 2023-11-14T2" in str(line["lost"])
    assert ".recover" in line["to_bring_back_more"]
    names = sorted(one.name for one in damaged.path.parent.iterdir())
    assert names == [damaged.path.name, aside.name, f"{aside.name}-wal", KEY_FILE]
    assert whole(damaged.path)


@pytest.mark.parametrize("first", [b"", b"\0" * 100, b"\xa5" * PAGE])
def test_a_destroyed_beginning_costs_nothing(damaged: Desk, first: bytes) -> None:
    """The header, or the whole first page with the schema."""
    damaged.content[: len(first)] = first
    damaged.path.write_bytes(damaged.content)
    with capture_logs() as logs, closing(SqliteFile(damaged.path)) as file:
        stores = Stores(file, damaged.path.with_name(KEY_FILE))
        for (code, kline_type), bars in BARS.items():
            assert stores.bars.read(SOURCE, code, kline_type, count=500) == bars
        assert {token.name: token for token in stores.tokens.tokens()} == TOKENS
        assert len(stores.gaps.page(None, 0, None, 500)) == 60
    assert [line["event"][:28] for line in logs] == ["the database was damaged: wh"] * bool(first)


def test_what_only_the_log_holds_is_carried_over_too(damaged: Desk, tmp_path: Path) -> None:
    damaged.path.write_bytes(damaged.content)
    copy = tmp_path / "copy" / "tickwire.db"
    copy.parent.mkdir()
    new = a_bar("GOLD", KlineType.MINUTE, 500)
    with closing(SqliteFile(damaged.path)) as file:
        SqliteKlineStore(file).write(SOURCE, [new])
        for end in ("", "-wal"):
            copy.with_name(copy.name + end).write_bytes(
                damaged.path.with_name(damaged.path.name + end).read_bytes()
            )
    with copy.open("r+b") as opened:
        opened.write(bytes(16))
    with closing(SqliteFile(copy)) as file:
        bars = SqliteKlineStore(file).read(SOURCE, "GOLD", KlineType.MINUTE, count=500)
        assert bars == [*BARS["GOLD", KlineType.MINUTE], new]


def test_lost_tokens_leave_the_server_closed(damaged: Desk) -> None:
    damaged.destroy(*damaged.pages("token"))
    with closing(SqliteFile(damaged.path)) as file:
        store = TokenStore(file, damaged.path.with_name(KEY_FILE))
        (token,) = store.tokens()
        assert token.revoked is not None
        assert token.name.startswith("lost-")
        store.add(TOKENS["name 1"])
        assert len(store.tokens()) == 2


def test_a_token_that_was_altered_is_revoked_and_still_there(guarded_path: Path) -> None:
    with closing(SqliteFile(guarded_path)) as file, capture_logs() as logs:
        store = TokenStore(file, guarded_path.with_name(KEY_FILE))
        for n in (1, 2, 4):
            store.add(TOKENS[f"name {n}"])
        with closing(sqlite3.connect(guarded_path)) as connection, connection:
            connection.execute("UPDATE token SET admin = 1 WHERE name = 'name 1'")
            connection.execute("UPDATE token SET markets = CAST(x'5bff5d' AS TEXT) WHERE name = 'name 2'")
        for _ in range(2):
            found = store.tokens()
            assert TOKENS["name 4"] in found
            assert [one.revoked is not None for one in found] == [True, True, False]
            assert not any(one.admin for one in found)
        with pytest.raises(Exception, match="There is no token 'name 1'"):
            store.find("name 1")
    assert [line["event"] for line in logs] == ["a stored token is damaged and left out"] * 2


@pytest.mark.parametrize(
    "change",
    ["close = '1.23'", "time = time + 1", "close = CAST(x'31ff' AS TEXT)", "open = 'x'", "series = 2"],
)
def test_an_altered_bar_is_left_out_and_told_once(guarded_path: Path, change: str) -> None:
    bars = BARS["GOLD", KlineType.MINUTE]
    with closing(SqliteFile(guarded_path)) as file, capture_logs() as logs:
        store = SqliteKlineStore(file)
        store.write(SOURCE, bars)
        store.write(SOURCE, BARS["BTCUSDT", KlineType.DAY])
        with closing(sqlite3.connect(guarded_path)) as connection, connection:
            last = f"series = 1 AND type = 1 AND time = {bars[-1].time}"
            connection.execute(f"UPDATE kline SET {change} WHERE {last}")  # noqa: S608
        code = "BTCUSDT" if "series" in change else "GOLD"
        for _ in range(2):
            assert store.read(SOURCE, code, KlineType.MINUTE, count=1) == []
            assert store.read(SOURCE, "GOLD", KlineType.MINUTE, count=500) == bars[:-1]
            assert store.span(SOURCE, "GOLD", KlineType.MINUTE) == (bars[0].time, bars[-2].time)
        store.write(SOURCE, bars[-1:])
        assert store.read(SOURCE, "GOLD", KlineType.MINUTE, count=1) in ([bars[-1]], [])
    (line,) = logs
    assert line["event"] == "a stored bar is damaged and left out"
    assert (line["code"], line["kline_type"]) == (repr(code), 1)
    assert abs(line["time"] - bars[-1].time) <= 1


@pytest.mark.parametrize("old", [1, 2, 3])
def test_a_damaged_file_of_an_earlier_version(guarded_path: Path, old: int) -> None:
    with closing(open_database(guarded_path, migrations=MIGRATIONS[:old])) as connection, connection:
        connection.execute("INSERT INTO series VALUES (1, 'simulator', 'GOLD')")
        row = ("1", "2", "0.5", "1", "3", "4", 0, 0, 0)
        bars = [(1, 1, 60 * n, *row) for n in range(2000)]
        connection.executemany(f"INSERT INTO kline VALUES (?{', ?' * 11})", bars)  # noqa: S608
        connection.execute("INSERT INTO note VALUES ('simulator', 'alive', '7')")
    content = bytearray(guarded_path.read_bytes())
    content[20 * PAGE : 21 * PAGE] = b"\xa5" * PAGE
    content[16 * PAGE : 16 * PAGE + 8] = b"\xa5" * 8
    guarded_path.write_bytes(content)
    with closing(SqliteFile(guarded_path)) as file:
        store = SqliteKlineStore(file)
        with suppress(StoreError):
            store.read("simulator", "GOLD", KlineType.MINUTE, count=5000)
        store.put("simulator", "a", "b")
        assert file.generation == 1
        assert 1700 < len(store.read("simulator", "GOLD", KlineType.MINUTE, count=5000)) < 2000
        assert store.get("simulator", "alive") == "7"
    assert whole(guarded_path)


def test_what_is_damaged_and_not_ours_is_refused_and_left_alone(guarded_path: Path) -> None:
    with closing(sqlite3.connect(guarded_path)) as other:
        other.execute("CREATE TABLE moz_places (id)")
    content = bytes(16) + guarded_path.read_bytes()[16:]
    guarded_path.write_bytes(content)
    with pytest.raises(StartError, match=r"not a database.*Move it away"):
        SqliteFile(guarded_path)
    assert guarded_path.read_bytes() == content


def test_a_file_of_zeros_as_a_power_failure_leaves_it_is_set_aside(guarded_path: Path) -> None:
    SqliteFile(guarded_path).close()
    size = guarded_path.stat().st_size
    guarded_path.write_bytes(bytes(size))
    with closing(SqliteFile(guarded_path)), capture_logs():
        pass
    (aside,) = guarded_path.parent.glob(f"{guarded_path.name}.damaged-*")
    assert aside.read_bytes() == bytes(size)
    assert whole(guarded_path)


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_database_that_is_gone_is_told_where_a_server_ran_before(path: Path, left: str) -> None:
    if left != "nothing":
        path.touch()
    with closing(SqliteFile(path)), capture_logs() as logs:
        assert logs == []
    path.with_name("epoch").write_text("1795364866865000")
    path.unlink()
    if left != "nothing":
        path.touch()
    with capture_logs() as logs, closing(SqliteFile(path)):
        (line,) = logs
    assert line["log_level"] == "error"
    assert line["found"] == left
    assert "there is no database" in line["event"]
    with capture_logs() as logs, closing(SqliteFile(path)):
        assert logs == []


def test_two_processes_that_meet_the_same_damage_make_one_file_of_it(damaged: Desk) -> None:
    damaged.destroy(damaged.pages("kline")[2])
    with closing(SqliteFile(damaged.path)) as one, closing(SqliteFile(damaged.path)) as two:
        stores = [SqliteKlineStore(one), SqliteKlineStore(two)]
        for store in stores:
            with suppress(StoreError):
                read_all(store)
        for n, store in enumerate(stores):
            store.write(SOURCE, [a_bar("NEW", KlineType.MINUTE, n + 1)])
        for store in stores:
            assert len(store.read(SOURCE, "NEW", KlineType.MINUTE, count=9)) == 2
        assert (one.generation, two.generation) == (1, 1)
    assert len([*damaged.path.parent.glob("tickwire.db.damaged-*Z")]) == 1
    assert ask(damaged.path, "SELECT count(*) FROM series") == [(4,)]


@pytest.mark.parametrize("batch", [20, 5_000])
def test_a_disk_that_fills_while_it_is_mended_loses_nothing(
    small_disk: Path,
    filled: bytes,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    monkeypatch.setattr("tickwire.store.carrying.BATCH", batch)
    desk = Desk(small_disk / "tickwire.db", filled)
    (small_disk / KEY_FILE).write_bytes(b"k" * 32)
    desk.content[:16] = bytes(16)
    desk.destroy()
    free = shutil.disk_usage(small_disk).free
    for room in (60_000, 150_000, 250_000, 330_000):
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(free - room))
        with suppress(StartError), closing(SqliteFile(desk.path)):
            break
        ballast.unlink()
        assert desk.path.read_bytes() == bytes(desk.content)
        assert sorted(one.name for one in small_disk.iterdir()) == [desk.path.name, KEY_FILE]
    (small_disk / "ballast").unlink(missing_ok=True)
    with closing(SqliteFile(desk.path)) as file:
        assert len(read_all(SqliteKlineStore(file))) == sum(map(len, BARS.values()))
        assert len(TokenStore(file, small_disk / KEY_FILE).tokens()) == len(TOKENS)
    assert whole(desk.path)


def test_the_command_line_mends_it_as_well(damaged: Desk) -> None:
    damaged.content[:16] = bytes(16)
    damaged.destroy()
    command = "token", "list", "--data-dir", str(damaged.path.parent)
    done = forks.run(*command, env=forks.plain_environment())
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in TOKENS)
    assert "the database was damaged" in done.stdout + done.stderr
    assert whole(damaged.path)


def test_damage_without_room_to_mend_it_is_told_and_mended_when_there_is(
    small_disk: Path,
    filled: bytes,
) -> None:
    desk = Desk(small_disk / "tickwire.db", filled)
    (small_disk / KEY_FILE).write_bytes(b"k" * 32)
    desk.destroy(desk.pages("kline")[2])
    with closing(SqliteFile(desk.path)) as file:
        store = SqliteKlineStore(file)
        with suppress(StoreError):
            read_all(store)
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as stuffing, suppress(OSError):
            while True:
                stuffing.write(bytes(4096))
        for _ in range(2):
            with pytest.raises(StoreError, match="Make room on its disk"):
                store.put(SOURCE, "a", "b")
            assert store.get(SOURCE, "past:CODE7") == "made 7"
        ballast.unlink()
        store.put(SOURCE, "a", "b")
        assert file.generation == 1
    assert whole(desk.path)
