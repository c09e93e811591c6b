"""Files of earlier and later versions: brought up to date, or refused and left alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tickwire.errors import StartError
from tickwire.store import SqliteFile, SqliteKlineStore
from tickwire.store.migrations import MIGRATIONS
from tickwire.store.sqlite import open_database

from ..stores import opened
from .files import MINUTE, SOURCE, a_bar, ask

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


@pytest.mark.parametrize("later", [NEXT, NEXT[:1], ()], ids=["changed", "more", "the same tables"])
def test_a_newer_file_is_refused_and_left_alone(path: Path, later: Sequence[str]) -> None:
    open_database(path, migrations=[*MIGRATIONS, later]).close()
    before = path.read_bytes()
    known = len(MIGRATIONS)
    text = rf"newer Tickwire \(schema {known + 1}, this one knows {known}\)\. Update"
    with pytest.raises(StartError, match=text):
        SqliteFile(path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
