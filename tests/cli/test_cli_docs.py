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

from tickwire.cli.main import app

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
        timeout=120,
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
