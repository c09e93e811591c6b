"""`tickwire copy`, and the other commands on PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickwire.cli.main import app
from tickwire.config import DATABASE
from tickwire.errors import InputError, SettingsError, StartError, TickwireError
from tickwire.machine import REAL
from tickwire.store import DataDirectory

from ..postgres import Postgres
from ..serving import program_environment


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in program_environment() if name.startswith("TICKWIRE_")]:
        monkeypatch.delenv(name)


def run(*arguments: object) -> str:
    """What a command says that succeeds, in this process."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.schema()


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "gold.csv"
    path.write_text("code,timestamp,open,high,low,close\nGOLD,1788480000,1,2,1,2\nGOLD,1788480060,2,3,2,3\n")
    return path


def test_a_server_s_data_moves_to_postgresql_and_back(tmp_path: Path, url: str, bars: Path) -> None:
    old, back = tmp_path / "old", tmp_path / "back"
    run("token", "create", "--name", "desk", "--data-dir", old)
    run("suspend", "add", "nyse", "IBM", "--reason", "news", "--data-dir", old)
    run("import", bars, "--data-dir", old)
    told = run("copy", "--from", f"sqlite:{old / DATABASE}", "--to", url)
    assert "1 tokens\n1 suspensions\n0 gaps\n" in told
    assert "bars of simulator\n" in told
    assert told.endswith(f" has all of {old / DATABASE}.\n")
    moved = ("--database", url, "--data-dir", old)  # which has the key
    assert " desk " in run("token", "list", *moved)
    assert " IBM " in run("suspend", "list", *moved)
    run("token", "revoke", "desk", *moved)
    run("copy", "--from", url, "--to", f"sqlite:{back / DATABASE}")
    (old / "token.key").rename(back / "token.key")
    assert " revoked " in run("token", "list", "--data-dir", back)
    assert " valid" not in run("token", "list", "--data-dir", back)


def test_commands_take_the_database_of_the_settings(
    tmp_path: Path, url: str, bars: Path, monkeypatch: pytest.MonkeyPatch, postgres: Postgres
) -> None:
    config, folder = tmp_path / "tickwire.toml", ("--data-dir", tmp_path / "data")
    config.write_text(f'database = "{url}"\n')
    run("token", "create", "--name", "one", "--config", config, *folder)
    run("suspend", "add", "nyse", "IBM", "--reason", "news", "--config", config, *folder)
    run("import", bars, "--config", config, *folder)
    monkeypatch.setenv("TICKWIRE_DATABASE", url)
    assert " one " in run("token", "list", *folder)
    run("token", "create", "--name", "two", "--codes", "GOLD", *folder)
    assert postgres.ask(url, "SELECT name FROM token ORDER BY name") == [("one",), ("two",)]
    assert postgres.ask(url, "SELECT symbol FROM suspension") == [("IBM",)]
    assert postgres.ask(url, "SELECT count(*) FROM bars WHERE type = 1") == [(2,)]
    assert not (tmp_path / "data" / DATABASE).exists()
    assert run("copy", "--to", f"sqlite:{tmp_path / 'copy.db'}").count("2 tokens") == 1


def test_what_is_refused(tmp_path: Path, url: str) -> None:
    there = tmp_path / "there" / DATABASE
    run("suspend", "add", "nyse", "IBM", "--reason", "news", "--data-dir", there.parent)
    old = f"sqlite:{there}"
    wrong: list[tuple[type[TickwireError], str, tuple[object, ...]]] = [
        (InputError, "--from: there is no", ("--from", f"sqlite:{tmp_path / 'none.db'}", "--to", url)),
        (SettingsError, "--to is missing", ("--from", old)),
        (SettingsError, "'mysql://x' is neither", ("--from", old, "--to", "mysql://x")),
        (SettingsError, "--to has a password", ("--from", old, "--to", "postgresql://a:secret@h/n")),
    ]
    for kind, told, arguments in wrong:
        with pytest.raises(kind, match=told) as raised:
            run("copy", *arguments)
        assert "secret" not in str(raised.value)
    with (
        closing(DataDirectory(there.parent, REAL.disk)),
        pytest.raises(StartError, match="Stop it, and copy"),
    ):
        run("copy", "--from", old, "--to", url)
    run("copy", "--from", old, "--to", url)
    with pytest.raises(InputError, match="is not empty"):
        run("copy", "--from", old, "--to", url)


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:secret@h/n", "postgresql://h/n?user=me&password=secret", "postgresql://me:s@ecret@h"],
)
@pytest.mark.parametrize("command", [("serve",), ("token", "list"), ("suspend", "list"), ("import", "x.csv")])
def test_a_password_in_a_flag_is_refused_and_not_shown(command: tuple[str, ...], url: str) -> None:
    with pytest.raises(SettingsError, match=r"--database has a password.*PGPASSWORD") as raised:
        run(*command, "--database", url)
    assert "ecret" not in str(raised.value)


def test_a_database_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_DATABASE", "mysql://me:secret@h/n")
    with pytest.raises(SettingsError, match="TICKWIRE_DATABASE: expected a URL such as postgresql") as raised:
        run("token", "list")
    assert "secret" not in str(raised.value)
