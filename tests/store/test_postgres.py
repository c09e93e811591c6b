"""What a URL says, what errors say, and the schema: a real server of PostgreSQL."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from contextlib import closing

import psycopg
import pytest

from tickwire.errors import StartError, StoreError
from tickwire.store import klines_of
from tickwire.store.migrations import POSTGRES_MIGRATIONS, Migrations
from tickwire.store.postgres import Server, driver, migrate
from tickwire.store.postgres_file import PostgresFile

from ..postgres import PATIENCE, Postgres
from .files import MINUTE, SOURCE, a_bar

NEXT = ("CREATE TABLE later (id integer)", "ALTER TABLE note ADD COLUMN at bigint")
BROKEN = ("CREATE TABLE last (id integer)", "CREATE TABLE kline (x integer)")
SECRET = "pa55w0rd"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


def bring(url: str, migrations: Migrations) -> None:
    server = Server(url)
    with server.connect(patient=True) as connection:
        migrate(connection, server, migrations)


def tables(postgres: Postgres, url: str) -> set[object]:
    query = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return {name for (name,) in postgres.ask(url, query)}


# The schema.
def test_an_old_database_is_brought_up_to_date_with_what_is_in_it(postgres: Postgres, url: str) -> None:
    with closing(PostgresFile(url)) as file:
        klines_of(file).write(SOURCE, [a_bar(60)])
    for _ in range(2):
        bring(url, [*POSTGRES_MIGRATIONS, NEXT])
        assert postgres.ask(url, "SELECT version FROM tickwire") == [(len(POSTGRES_MIGRATIONS) + 1,)]
    assert postgres.ask(url, "SELECT count(*) FROM kline") == [(1,)]
    assert "later" in tables(postgres, url)


@pytest.mark.parametrize("empty", [True, False])
def test_a_migration_that_fails_leaves_all_as_it_was(postgres: Postgres, url: str, empty: bool) -> None:
    if not empty:
        PostgresFile(url).close()
    before = tables(postgres, url)
    with pytest.raises(psycopg.Error, match="already exists"):
        bring(url, [*POSTGRES_MIGRATIONS, NEXT, BROKEN])
    assert tables(postgres, url) == before
    PostgresFile(url).close()


@pytest.mark.parametrize("later", [NEXT, ()], ids=["changed", "the same tables"])
def test_a_newer_one_is_refused(url: str, later: Sequence[str]) -> None:
    bring(url, [*POSTGRES_MIGRATIONS, later])
    known = len(POSTGRES_MIGRATIONS)
    text = rf"newer Tickwire \(schema {known + 1}, this one knows {known}\)\. Update"
    with pytest.raises(StartError, match=text):
        PostgresFile(url)


def test_one_of_another_program_is_refused_and_left_alone(postgres: Postgres, url: str) -> None:
    postgres.ask(url, "CREATE TABLE token (x integer)")
    with pytest.raises(StartError, match="has a table 'token' of another program"):
        PostgresFile(url)
    assert tables(postgres, url) == {"token"}


def test_other_tables_beside_ours_do_no_harm(postgres: Postgres, url: str) -> None:
    postgres.ask(url, "CREATE TABLE holidays (x integer)")
    PostgresFile(url).close()
    assert {"holidays", "kline"} <= tables(postgres, url)


def test_several_that_start_at_once_make_one_schema(postgres: Postgres, url: str) -> None:
    begin, wrong = threading.Barrier(4), []

    def start() -> None:
        begin.wait()
        try:
            PostgresFile(url).close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert postgres.ask(url, "SELECT version FROM tickwire") == [(len(POSTGRES_MIGRATIONS),)]


def test_a_database_in_another_encoding_is_refused(postgres: Postgres) -> None:
    postgres.ask("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StartError, match="is in LATIN1"):
        PostgresFile(postgres.url("latin"))


def test_a_user_who_may_make_no_tables_is_told_what_to_do(postgres: Postgres, url: str) -> None:
    postgres.ask(url, "CREATE ROLE guest LOGIN")
    with pytest.raises(StartError, match=r"permission denied.*ALTER DATABASE name OWNER TO user"):
        PostgresFile(url.replace("tickwire@", "guest@"))


# What is said.
@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql://tickwire:{SECRET}@127.0.0.1:1/bars", "postgresql://127.0.0.1:1/bars: .*refused"),
        (f"postgresql://tickwire@127.0.0.1:1/bars?password={SECRET}", "postgresql://127.0.0.1:1/bars: "),
        (f"postgresql://tickwire:x@{SECRET}@127.0.0.1:1/bars", "odd host.*each of @"),
        (f"postgresql://tickwire:x/{SECRET}@127.0.0.1:1/bars", "odd host"),
        (f"postgresql://tickwire:{SECRET}/bars", "odd host"),
        (f"postgresql://tickwire:{SECRET}@127.0.0.1:1/bars?nonsense=1", "no URL that libpq reads"),
        (f"postgresql://tickwire:x%{SECRET}@127.0.0.1:1/bars", "no URL that libpq reads"),
    ],
)
def test_no_error_shows_a_password(url: str, told: str) -> None:
    with pytest.raises(StartError, match=told) as raised:
        PostgresFile(url)
    error: BaseException | None = raised.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__


def test_without_the_driver_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    driver.cache_clear()
    monkeypatch.setitem(sys.modules, "psycopg.types.numeric", None)
    with pytest.raises(StartError, match=r"pip install 'tickwire\[postgres\]'"):
        PostgresFile("postgresql:///bars")
    monkeypatch.undo()
    driver.cache_clear()


def test_who_waits_for_another_longer_than_a_statement_may_take_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.store.postgres.SESSION", "SET statement_timeout = 50")
    with closing(PostgresFile(url)) as one, closing(PostgresFile(url)) as other:
        with one.writing(), pytest.raises(StoreError, match="statement timeout"), other.writing():
            pass
        with other.writing():
            pass
        store = klines_of(other)
        store.write(SOURCE, [a_bar(60)])
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
