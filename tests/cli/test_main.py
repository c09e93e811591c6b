"""The commands, and what is said of those that there are not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickwire import __version__
from tickwire.cli.main import app
from tickwire.machine import ACCELERATED

from ..serving import program_environment
from .commands import INTERRUPTED, NAMED, WRONG, environment
from .test_serve import tickwire


def test_an_unknown_command() -> None:
    done = tickwire("sevre")
    assert done.returncode == WRONG
    assert "sevre" in done.stderr
    assert "serve" in done.stderr


def test_version() -> None:
    done = tickwire("--version")
    way = "with the accelerator" if ACCELERATED else "in pure Python"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__} ({way})\n", "")
    done = tickwire("--version", TICKWIRE_ACCELERATOR="off")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__} (in pure Python)\n", "")


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
        timeout=120,
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
    done, found = imported(words, foreign)
    assert found == []
    assert "Example: tickwire" in done.stdout


def test_a_server_imports_nothing_that_it_may_never_need(tmp_path: Path) -> None:
    trades = tmp_path / "trades.csv"
    trades.write_text("code,tick_time_ms,price,volume\nGOLD,1788529064027,1284.1,1\n")
    words = ["serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--source", "replay"]
    words += ["--file", str(trades), "--speed", "0", "--exit-at-end"]
    done, found = imported(
        words, ["httpx", "markdown_it", "rich", "pygments", "pyarrow", "cryptography", "ccxt"]
    )
    assert found == []
    assert "Ctrl-C stops it." in done.stdout


def imported(words: list[str], foreign: list[str]) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """A command that was run to its end, and what it has imported of these."""
    program = (
        "import sys; foreign = sys.argv[-1].split(); sys.argv = ['tickwire', *sys.argv[1:-1]]\n"
        "from tickwire.cli.main import run\ntry: run()\nexcept SystemExit: pass\n"
        "print(*(name for name in foreign if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, " ".join(foreign)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done, done.stderr.splitlines()[-1].split()


def test_a_command_that_is_misspelt_is_named() -> None:
    done = CliRunner().invoke(app, ["tial"])
    assert done.exit_code == WRONG
    assert "Did you mean 'tail'?" in done.output


INTERRUPTS = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.write(2, b"interrupted")
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
"""
"""A `sitecustomize` by which Ctrl-C comes when a module is being imported."""


@pytest.mark.parametrize("module", ["typer", "tickwire.errors", "tickwire.cli.tail", "tickwire.wire"])
@pytest.mark.parametrize("way", ["python -m tickwire", "tickwire"])
def test_ctrl_c_ends_a_command_quietly_while_it_is_imported(module: str, way: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    name, _, function = project["project"]["scripts"]["tickwire"].partition(":")
    script = f"import re\nimport sys\nfrom {name} import {function}\nsys.exit({function}())"  # that of pip
    done = subprocess.run(
        [sys.executable, *(["-c", script] if way == "tickwire" else ["-m", "tickwire"]), "tail", "GOLD"],
        env=environment(tmp_path, INTERRUPTED_AT=module, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "interrupted")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("words", [["scenario", "list"], ["--help"]])
def test_a_full_disk_behind_standard_output_is_told_in_a_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tickwire", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
            env=program_environment(),
        )
    expected = "tickwire: Standard output cannot be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (1, expected)
