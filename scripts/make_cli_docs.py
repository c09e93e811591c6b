"""Writes the commands of docs/cli.md, below its hand-written head, from their --help; or compares the two.

python scripts/make_cli_docs.py
python scripts/make_cli_docs.py --compare
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything looks at it: the pages show a home that is nobody's.
os.environ["HOME"] = "/home/you"
for name in [one for one in os.environ if one.startswith(("TICKWIRE_", "XDG_"))]:
    del os.environ[name]

import typer  # noqa: E402
from typer.core import TyperGroup  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from tickwire.cli.main import app  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent / "docs/cli.md"
MARK = "<!-- What follows is made of --help by scripts/make_cli_docs.py. -->\n"
WIDTH = 100
NOWHERE: Any = None
"""The context that none of our commands looks at when it is found."""


def main() -> int:
    """Exit status 0 if the page is as it should be, 1 if --compare finds it different."""
    there = PAGE.read_text("utf-8")
    head, mark, _ = there.partition(MARK)
    if not mark:
        sys.exit(f"{PAGE} lacks the line {MARK.strip()}")
    page = head + MARK + "".join(sections())
    if page == there:
        return 0
    if sys.argv[1:] == ["--compare"]:
        print(f"{PAGE} differs from --help: run scripts/make_cli_docs.py", file=sys.stderr)
        return 1
    PAGE.write_text(page, "utf-8")
    return 0


def sections() -> Iterator[str]:
    """The commands with their --help, and those below them."""
    yield "\n## Commands\n"
    for path in commands(typer.main.get_command(app), ()):
        told = CliRunner().invoke(app, [*path, "--help"], prog_name="tickwire", terminal_width=WIDTH)
        if told.exit_code:
            sys.exit(f"tickwire {' '.join(path)} --help: {told.output}")
        title = " ".join(["tickwire", *path])
        yield f"\n### {title}\n\n```text\n{told.output.strip()}\n```\n"


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The command's words, then those of the commands below it."""
    yield path
    if isinstance(command, TyperGroup):
        for name in command.list_commands(NOWHERE):
            yield from commands(command.get_command(NOWHERE, name), (*path, name))


if __name__ == "__main__":
    sys.exit(main())
