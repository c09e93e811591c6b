"""`tickwire scenario` lists, shows and checks scenarios."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tickwire.cli.main import EXIT_FAILED, EXIT_USAGE, run
from tickwire.sandbox import library, library_text

Tickwire = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tickwire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tickwire:
    """Runs `tickwire scenario` with arguments; returns exit status, standard output and error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tickwire", "scenario", *arguments])
        with pytest.raises(SystemExit) as exited:
            run()
        status = exited.value.code
        assert status is None or isinstance(status, int)
        return status or 0, *capsys.readouterr()

    return call


def test_list_shows_names_and_descriptions_aligned(tickwire: Tickwire) -> None:
    status, out, _ = tickwire("list")
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [*library()]
    column = {line.index(one.description) for line, one in zip(lines, library().values(), strict=True)}
    assert column == {max(map(len, library())) + 2}


@pytest.mark.parametrize("name", library())
def test_what_is_shown_can_be_copied(tickwire: Tickwire, tmp_path: Path, name: str) -> None:
    status, out, _ = tickwire("show", name)
    assert (status, out) == (0, library_text(name))
    copy = tmp_path / "copy.toml"
    copy.write_text(out, encoding="utf-8")
    steps = len(library()[name].steps)
    assert tickwire("check", str(copy))[:2] == (0, f"ok: {steps} step{'s' if steps > 1 else ''}\n")


def test_an_unknown_name_is_answered_with_the_nearest(tickwire: Tickwire) -> None:
    status, out, error = tickwire("show", "week-end")
    assert (status, out) == (EXIT_FAILED, "")
    assert "weekend" in error
    assert "tickwire scenario list" in error
    assert len(error.splitlines()) == 1


def test_a_wrong_file_is_told_with_its_line(tickwire: Tickwire, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text('[[step]]\ndo = "hlat"\n')
    status, out, error = tickwire("check", str(path))
    assert (status, out) == (EXIT_FAILED, "")
    assert error.startswith(f'tickwire: {path}, line 2: do cannot be "hlat"; the nearest action is halt.')
    assert len(error.splitlines()) == 1


def test_a_missing_file_is_told(tickwire: Tickwire, tmp_path: Path) -> None:
    status, _, error = tickwire("check", str(tmp_path / "none.toml"))
    assert status == EXIT_FAILED
    assert "No such file" in error


def test_without_a_name_the_usage_is_shown(tickwire: Tickwire) -> None:
    assert tickwire("show")[0] == EXIT_USAGE


@pytest.mark.parametrize("command", ["list", "show", "check"])
def test_help_gives_an_example(tickwire: Tickwire, command: str) -> None:
    status, out, _ = tickwire(command, "--help")
    assert status == 0
    assert f"Example: tickwire scenario {command}" in out
    assert command in tickwire("--help")[1]
