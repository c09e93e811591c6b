"""The commands, and what is said of those that there are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickwire import __version__
from tickwire.cli.main import app

from .commands import NAMED, WRONG, environment
from .test_serve import tickwire


def test_an_unknown_command() -> None:
    done = tickwire("sevre")
    assert done.returncode == WRONG
    assert "sevre" in done.stderr
    assert "serve" in done.stderr


def test_version() -> None:
    done = tickwire("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


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
