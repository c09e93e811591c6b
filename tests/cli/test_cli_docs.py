"""What the command line says of itself: its page, the examples, completion."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from tickwire.cli.main import app

from .commands import NAMED, WRONG, environment

ROOT = Path(__file__).parent.parent.parent
NOWHERE: Any = None
"""The context that none of our commands looks at when it is found."""


def commands(command: Any, path: str = "tickwire") -> Iterator[tuple[str, Any]]:
    yield path, command
    if isinstance(command, TyperGroup):
        for name in command.list_commands(NOWHERE):
            yield from commands(command.get_command(NOWHERE, name), f"{path} {name}")


ALL = dict(commands(typer.main.get_command(app)))
LEAVES = {path: one for path, one in ALL.items() if not isinstance(one, TyperGroup)}


@pytest.mark.skipif(sys.platform != "linux", reason="folders are named as on Linux")
def test_the_page_is_what_help_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_cli_docs.py", "--compare"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_an_example_of_itself(path: str) -> None:
    assert "Example" in LEAVES[path].help
    assert path in LEAVES[path].help.partition("Example")[2]


@pytest.mark.parametrize("path", LEAVES)
def test_every_option_says_what_it_is(path: str) -> None:
    assert [one.name for one in LEAVES[path].params if one.param_type_name == "option" and not one.help] == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tickwire s", {"serve", "scenario", "suspend"}),
        ("tickwire quote AAPL", {"AAPL.US"}),
        ("tickwire kline GOLD --type 1", {"1m", "15m", "1h", "1d", "1w", "1mo"}),
    ],
)
def test_a_shell_completes_commands_codes_and_values(words: str, offered: set[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NAMED],
        env=environment(
            tmp_path,
            COMP_WORDS=words,
            COMP_CWORD=str(words.count(" ")),
            _TICKWIRE_COMPLETE="complete_bash",
        ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


@pytest.mark.parametrize(
    ("words", "foreign"),
    [
        (["--help"], ["tickwire.client", "httpx", "rich.progress", "pyarrow"]),
        (["tail", "--help"], ["tickwire.client", "tickwire.config", "structlog", "uvicorn"]),
    ],
)
def test_help_imports_little(words: list[str], foreign: list[str]) -> None:
    program = (
        "import sys; foreign = sys.argv[-1].split(); sys.argv = ['tickwire', *sys.argv[1:-1]]\n"
        "from tickwire.cli.main import run\ntry: run()\nexcept SystemExit: pass\n"
        "print([name for name in foreign if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, " ".join(foreign)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == "[]\n"
    assert "Example: tickwire" in done.stdout


def test_a_command_that_is_misspelt_is_named() -> None:
    done = CliRunner().invoke(app, ["tial"])
    assert done.exit_code == WRONG
    assert "Did you mean 'tail'?" in done.output
