"""`tickwire scenario`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

scenario_app = typer.Typer(
    help="""Scenarios: faults that the server makes on demand.

    Example: tickwire scenario show flaky-network
    """
)


@scenario_app.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with Tickwire.

    Example: tickwire scenario list
    """
    from ..sandbox import library

    width = max(map(len, library()))
    for name, scenario in library().items():
        typer.echo(f"{name:<{width}}  {scenario.description}")


@scenario_app.command()
def show(name: Annotated[str, typer.Argument(help="As the list names it.", metavar="NAME")]) -> None:
    """Print the file of a scenario, to copy from.

    Example: tickwire scenario show halt-and-resume > mine.toml
    """
    from ..sandbox import library_text

    typer.echo(library_text(name), nl=False)


@scenario_app.command()
def check(file: Annotated[Path, typer.Argument(help="A TOML file.", metavar="FILE")]) -> None:
    """Check a scenario of your own.

    Says how many steps it has, or what is wrong and in which line. Whether its codes are known depends on
    the server that runs it.

    Example: tickwire scenario check mine.toml
    """
    from ..sandbox import load_file

    steps = len(load_file(file).steps)
    typer.echo(f"ok: {steps} step{'s' if steps != 1 else ''}")
