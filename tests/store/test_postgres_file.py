"""PostgreSQL that is stopped, killed, halted and started anew under a store that stays open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TypeVar

import pytest

from tickwire.errors import ReplacedError, StartError, StoreError
from tickwire.model import KlineType
from tickwire.store import klines_of, postgres
from tickwire.store.postgres_file import PostgresFile

from ..postgres import PATIENCE, Postgres, running
from .files import SOURCE, a_bar

MINUTE = KlineType.MINUTE
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {}"
T = TypeVar("T")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One that is to be stopped."""
    with running() as made:
        yield made


@pytest.fixture
def url(server: Postgres) -> Iterator[str]:
    yield server.database()
    server.go_on()


def when_back(call: Callable[[], T]) -> T:
    """What a call returns once it does not fail any more."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except StoreError:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_market_that_owned_the_streams_earlier_writes_nothing_more_whenever_it_comes(url: str) -> None:
    with (
        closing(PostgresFile(url)) as early,
        closing(PostgresFile(url)) as late,
        closing(PostgresFile(url)) as held_up,
    ):
        early.own("one", 10)
        klines_of(early).write(SOURCE, [a_bar(0)])
        late.own("one", 11)
        with pytest.raises(ReplacedError, match="Another market of the cluster one writes"):
            klines_of(early).write(SOURCE, [a_bar(60)])
        with pytest.raises(ReplacedError, match="A later market of the cluster one has written"):
            held_up.own("one", 10)
        klines_of(late).write(SOURCE, [a_bar(120)])
        held_up.own("other", 1)
        with pytest.raises(ReplacedError):
            held_up.own("other", 1)


def test_one_that_is_away_at_the_start_is_waited_for_as_long_as_is_said(
    server: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RETRY", 0.01)
    server.stop()
    for wait in (0.0, 0.05):
        with pytest.raises(StartError, match="Cannot use the database"):
            PostgresFile(url, wait=wait)
    starting = threading.Timer(0.1, server.start)
    starting.start()
    PostgresFile(url, wait=PATIENCE).close()
    starting.join()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_was_started_anew_while_nobody_used_it_is_not_noticed(
    server: Postgres, url: str, end: str
) -> None:
    with closing(PostgresFile(url)) as file:
        store = klines_of(file)
        store.write(SOURCE, [a_bar(60)])
        getattr(server, end)()
        server.start()
        store.write(SOURCE, [a_bar(120)])
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60), a_bar(120)]
        assert file.generation == 1


def test_while_it_is_away_each_call_fails_at_once_and_says_where_it_should_be(
    server: Postgres, url: str
) -> None:
    with closing(PostgresFile(url)) as file:
        store = klines_of(file)
        store.write(SOURCE, [a_bar(60)])
        server.stop()
        for _ in range(3):
            for use in (
                lambda: store.write(SOURCE, [a_bar(120)]),
                lambda: store.read(SOURCE, "GOLD", MINUTE, count=9),
            ):
                with pytest.raises(StoreError, match=f"Cannot use the database {file.name}: "):
                    use()
        server.start()
        when_back(lambda: store.write(SOURCE, [a_bar(180)]))
        assert when_back(lambda: store.read(SOURCE, "GOLD", MINUTE, count=9)) == [a_bar(60), a_bar(180)]


def test_one_that_has_stopped_where_it_is_counts_as_away(
    server: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ANSWER_WAIT", 0.2)
    with closing(PostgresFile(url)) as file:
        store = klines_of(file)
        store.write(SOURCE, [a_bar(60)])
        server.halt()
        with pytest.raises(StoreError, match="no answer within"):
            store.write(SOURCE, [a_bar(120)])
        begun = time.monotonic()
        with pytest.raises(StoreError, match="no answer within"):
            store.write(SOURCE, [a_bar(120)])
        assert time.monotonic() - begun < 0.2, "it is not waited for again"
        server.go_on()
        when_back(lambda: store.write(SOURCE, [a_bar(180)]))
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60), a_bar(180)]


def test_cut_off_in_the_middle_of_a_transaction_nothing_of_it_is_there(server: Postgres, url: str) -> None:
    with closing(PostgresFile(url)) as file:
        store = klines_of(file)
        store.write(SOURCE, [a_bar(60)])

        def write() -> None:
            with file.writing() as session:
                session.execute("DELETE FROM kline")
                server.ask(url, END.format("query ~ '^DELETE'"))
                session.execute("DELETE FROM kline")

        with pytest.raises(StoreError):
            write()
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]


def test_one_that_has_become_a_standby_is_looked_for_anew(server: Postgres, url: str) -> None:
    with closing(PostgresFile(url)) as file:
        store = klines_of(file)

        def write() -> None:
            with file.writing() as session:
                session.execute("SET TRANSACTION READ ONLY")
                session.execute("DELETE FROM kline")

        with pytest.raises(StoreError):
            write()
        assert file.generation == 1
        when_back(lambda: store.write(SOURCE, [a_bar(60)]))


def test_a_statement_that_fails_ends_no_connection(url: str) -> None:
    with closing(PostgresFile(url)) as file:
        for use in (file.writing, file.reading):
            with pytest.raises(StoreError, match="nothing_like_that"), use() as session:
                session.execute("SELECT * FROM nothing_like_that")
            with use() as session:
                assert session.execute("SELECT 1").fetchall() == [(1,)]

        def fail() -> None:
            with file.writing() as session:
                session.execute("INSERT INTO instrument VALUES ('A', 'B', 1)")
                raise LookupError

        with pytest.raises(LookupError):
            fail()
        with file.reading() as session:
            assert session.execute("SELECT * FROM instrument").fetchall() == []
        assert file.generation == 0


def test_a_block_sees_one_moment(url: str) -> None:
    with closing(PostgresFile(url)) as file, file.reading() as session:
        assert session.execute("SELECT count(*) FROM instrument").fetchall() == [(0,)]
        with file.writing() as other:
            other.execute("INSERT INTO instrument VALUES ('A', 'B', 1)")
        assert session.execute("SELECT count(*) FROM instrument").fetchall() == [(0,)]


def test_two_write_one_after_the_other(url: str) -> None:
    """What one reads before it writes is there when it writes."""
    wrong: list[BaseException] = []

    def count() -> None:
        try:
            with closing(PostgresFile(url)) as file:
                for _ in range(20):
                    with file.writing() as session:
                        ((had,),) = session.execute("SELECT count(*) FROM instrument").fetchall()
                        session.execute("INSERT INTO instrument VALUES (?1, 'B', 1)", (f"{had:03}",))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    with closing(PostgresFile(url)) as file, file.reading() as session:
        assert session.execute("SELECT max(code), count(*) FROM instrument").fetchall() == [("059", 60)]


def test_a_closed_one_says_so_and_leaves_no_connection(server: Postgres, url: str) -> None:
    file = PostgresFile(url)
    file.close()
    file.close()
    for use in (file.writing, file.reading):
        with pytest.raises(StoreError, match="was closed"), use():
            pass
    ours = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    until = time.monotonic() + PATIENCE
    while server.ask(url, ours):
        assert time.monotonic() < until


def test_a_guard_keeps_from_writing(url: str) -> None:
    def guard() -> None:
        raise StartError("another server has it")

    with closing(PostgresFile(url, guard=guard)) as file:
        with pytest.raises(StoreError, match="another server has it"), file.writing():
            pass
        with file.reading():
            pass
