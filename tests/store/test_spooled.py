"""Bars while the database is away: they go to a spool, and from there to the database when it is back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError, StoreError
from tickwire.model import Kline, KlineType
from tickwire.store import KlineStore, SqliteFile, SqliteKlineStore, spooled
from tickwire.store.opening import SPOOL, server_klines_of
from tickwire.store.postgres_file import PostgresFile

from ..postgres import PATIENCE, Postgres, running
from .files import MINUTE, SOURCE, a_bar

MOST = 2**24
CODES = ("GOLD", "SILVER")
TYPES = (MINUTE, KlineType.DAY)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


@pytest.fixture
def url(server: Postgres) -> str:
    return server.database()


def allowed() -> None:
    """Nobody else has the folder."""


@contextmanager
def serving(url: str, folder: Path, most: int = MOST) -> Iterator[KlineStore]:
    """The bars of a server."""
    with closing(PostgresFile(url)) as file:
        yield server_klines_of(file, folder, most, allowed)


def away(server: Postgres, store: KlineStore) -> None:
    """Stops the server, and waits until that is known."""
    server.stop()
    with pytest.raises(StoreError):
        store.codes(SOURCE)


def brought(store: KlineStore, folder: Path) -> None:
    """Writes nothing until all that waits has been brought, and can be read."""
    until = time.monotonic() + PATIENCE
    while (folder / SPOOL).exists():
        store.write(SOURCE, ())
        assert time.monotonic() < until
        time.sleep(0.01)
    while True:  # what reads has a connection of its own
        try:
            store.span(SOURCE, "GOLD", MINUTE)
        except StoreError:
            assert time.monotonic() < until
            time.sleep(0.01)
        else:
            return


def removed(bar: Kline) -> Kline:
    return msgspec.structs.replace(bar, removed=True)


def test_what_is_written_while_it_is_away_is_there_when_it_is_back(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    with serving(url, tmp_path) as store, capture_logs() as logs:
        store.write(SOURCE, [a_bar(60), a_bar(120), a_bar(180)], {"a": "1", "b": "1", "gone": "1"})
        assert not (tmp_path / SPOOL).exists()
        away(server, store)
        store.write(SOURCE, [a_bar(120, price=2), a_bar(240)], {"a": "2", "gone": ""})
        store.write(SOURCE, [removed(a_bar(180)), a_bar(240, price=3)], {"c": "3"})
        store.write("other", [a_bar(60)])
        assert (store.waiting(SOURCE), store.waiting("other"), store.waiting("none")) == (3, 1, 0)
        assert store.away.startswith("Cannot use the database postgresql://")
        with pytest.raises(StoreError):
            store.read(SOURCE, "GOLD", MINUTE, count=9)
        server.start()
        brought(store, tmp_path)
        assert (store.waiting(SOURCE), store.away) == (0, "")
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [
            a_bar(60),
            a_bar(120, price=2),
            a_bar(240, price=3),
        ]
        assert store.read("other", "GOLD", MINUTE, count=9) == [a_bar(60)]
        assert store.notes(SOURCE, "") == {"a": "2", "b": "1", "c": "3"}
    told = [(line["event"], line.get("bars")) for line in logs]
    assert told == [("the database is away: bars go to the spool", None), ("the spool is written", 4)]


def test_what_waits_survives_the_server_and_is_read_with_the_rest(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    with serving(url, tmp_path) as store:
        store.write(SOURCE, [a_bar(60), a_bar(120), a_bar(180)], {"a": "1", "b": "1"})
        away(server, store)
        store.write(SOURCE, [removed(a_bar(180)), a_bar(120, price=2), a_bar(300)], {"a": "", "c": "2"})
    server.start()
    with capture_logs() as logs, serving(url, tmp_path) as store:
        told = [(line["event"], line["bars"]) for line in logs]
        assert told == [("bars wait in the spool", 3), ("the spool is written", 3)]
        last = [a_bar(60), a_bar(120, price=2), a_bar(300)]
        for _ in range(2):
            assert store.read(SOURCE, "GOLD", MINUTE, count=9) == last
            assert store.read(SOURCE, "GOLD", MINUTE, count=2) == last[1:]
            assert store.read(SOURCE, "GOLD", MINUTE, count=2, end=299) == last[:2]
            assert store.restore(SOURCE, ["GOLD", "X"], 2) == {"GOLD": {MINUTE: last[1:]}, "X": {}}
            assert store.span(SOURCE, "GOLD", MINUTE) == (60, 300)
            assert store.codes(SOURCE) == ["GOLD"]
            assert store.notes(SOURCE, "") == {"b": "1", "c": "2"}
            assert [store.get(SOURCE, name) for name in "abc"] == [None, "1", "2"]
            brought(store, tmp_path)


def test_a_server_that_starts_again_does_not_take_back_what_another_has_written(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    with serving(url, tmp_path) as store:
        store.write(SOURCE, [a_bar(60)], {"place": "1"})
        away(server, store)
        store.write(SOURCE, [a_bar(60, price=2)], {"place": "2"})
    server.start()
    with serving(url, tmp_path / "other") as other:
        other.write(SOURCE, [a_bar(60, price=3)], {"place": "3"})
    with serving(url, tmp_path) as store:
        assert store.notes(SOURCE, "") == {"place": "3"}
        assert store.restore(SOURCE, ["GOLD"], 9) == {"GOLD": {MINUTE: [a_bar(60, price=3)]}}


def test_what_another_server_has_written_meanwhile_stays(server: Postgres, url: str, tmp_path: Path) -> None:
    with serving(url, tmp_path) as store:
        store.write(SOURCE, [a_bar(60), a_bar(120)], {"place": "1"})
        away(server, store)
        store.write(SOURCE, [a_bar(60, price=2), a_bar(120, price=2)], {"place": "2"})
        server.start()
        with serving(url, tmp_path / "other") as other:
            other.write(SOURCE, [a_bar(60, price=3)], {"place": "3"})
        brought(store, tmp_path)
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60, price=3), a_bar(120, price=2)]
        assert store.get(SOURCE, "place") == "3"


def test_a_write_of_which_it_is_not_known_whether_it_was_made_is_made_once_more(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    """Its commit reached the server, its answer not us: what comes later is later than it all the same."""
    with closing(PostgresFile(url)) as file:
        store = server_klines_of(file, tmp_path, MOST, allowed)
        store.write(SOURCE, [a_bar(60)])
        server.ask(url, SLOW_COMMIT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tickwire.store.postgres.ANSWER_WAIT", -0.7)
            store.write(SOURCE, [a_bar(60, price=2)])
        assert (tmp_path / SPOOL).exists()
        store.write(SOURCE, [a_bar(60, price=3)])
        brought(store, tmp_path)
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60, price=3)]
        assert server.ask(url, "SELECT revision FROM source") != [(1,)], "it was made"


SLOW_COMMIT = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON source DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait()
"""


def test_a_spool_that_is_full_says_so_and_takes_up_again(server: Postgres, url: str, tmp_path: Path) -> None:
    with serving(url, tmp_path, 200 * 4096) as store:
        store.write(SOURCE, ())
        away(server, store)
        written = 0

        def write() -> None:
            nonlocal written
            for written in range(100):
                store.write(SOURCE, [a_bar(60 * n, str(written)) for n in range(300)])

        with pytest.raises(StoreError, match=r"may take 819200 bytes \(--spool-bytes\)"):
            write()
        assert written > 3
        assert (tmp_path / SPOOL).stat().st_size <= 200 * 4096
        server.start()
        brought(store, tmp_path)
        assert len(store.codes(SOURCE)) == written, "of what was refused nothing is there"
        store.write(SOURCE, [a_bar(60, "new")])
        assert store.read(SOURCE, "new", MINUTE, count=1) == [a_bar(60, "new")]


def test_a_spool_that_is_damaged_is_set_aside(url: str, tmp_path: Path) -> None:
    (tmp_path / SPOOL).write_bytes(b"no database at all, " * 1000)
    with capture_logs() as logs, serving(url, tmp_path) as store:
        store.write(SOURCE, [a_bar(60)])
    assert logs[0]["event"] == "the spool was damaged and is set aside"
    assert [file.name for file in tmp_path.iterdir()] == [logs[0]["kept_as"]]


def test_a_spool_that_is_left_behind_by_another_database_is_told(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    with serving(url, tmp_path) as store:
        away(server, store)
        store.write(SOURCE, [a_bar(60)])
        server.start()
    with closing(SqliteFile(None)) as file, capture_logs() as logs:
        server_klines_of(file, tmp_path, MOST, allowed)
    assert [line["event"] for line in logs] == ["bars wait in the spool for a PostgreSQL that is not named"]


def test_a_folder_that_is_another_server_s_is_not_written_to(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    def guard() -> None:
        raise StartError("another server has it")

    with closing(PostgresFile(url)) as file:
        store = server_klines_of(file, tmp_path, MOST, guard)
        away(server, store)
        with pytest.raises(StoreError, match="another server has it"):
            store.write(SOURCE, [a_bar(60)])
        server.start()


@pytest.mark.parametrize("seed", range(2))
def test_whatever_comes_and_goes_all_is_as_in_a_store_that_was_there_all_the_time(
    server: Postgres, url: str, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes of all kinds, while the database comes and goes, and the server is begun anew."""
    monkeypatch.setattr(spooled, "PART", 3)
    monkeypatch.setattr(spooled, "BRINGING", 0.005)  # so that it often ends in the middle
    dice = random.Random(seed)
    with closing(SqliteFile(None)) as memory:
        whole = SqliteKlineStore(memory)
        is_away = False
        for _ in range(6):
            with serving(url, tmp_path) as store:
                for _ in range(12):
                    bars = [
                        msgspec.structs.replace(
                            a_bar(60 * dice.randrange(12), dice.choice(CODES), dice.randrange(99)),
                            kline_type=dice.choice(TYPES),
                            removed=dice.random() < 0.2,
                        )
                        for _ in range(dice.randrange(8))
                    ]
                    notes = {dice.choice("abc"): dice.choice(("", "1", "2"))}
                    for one in (store, whole):
                        one.write(SOURCE, bars, notes)
                    if dice.random() < 0.25:
                        (server.start if is_away else server.stop)()
                        is_away = not is_away
                    if not is_away:
                        same(store, whole)
                if is_away:
                    server.start()
                    is_away = False
        with serving(url, tmp_path) as store:
            brought(store, tmp_path)
            same(store, whole)


def same(store: KlineStore, whole: KlineStore) -> None:
    """Asks until the connection is back that was lost."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            assert store.notes(SOURCE, "") == whole.notes(SOURCE, "")
            assert store.restore(SOURCE, CODES, 99) == whole.restore(SOURCE, CODES, 99)
            for code in CODES:
                for count in (1, 5):
                    found = [one.read(SOURCE, code, MINUTE, count=count, end=480) for one in (store, whole)]
                    assert found[0] == found[1]
        except StoreError:
            assert time.monotonic() < until
            time.sleep(0.01)
        else:
            return
