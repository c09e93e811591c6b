"""`tickwire`: the commands, and how failures are told."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import SettingsError, TickwireError
from .import_bars import import_bars
from .record import record_app
from .scenario import scenario_app
from .serve import serve
from .suspend import suspend_app
from .token import token_app
from .wait import wait

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(serve)
app.command("import")(import_bars)
app.command()(wait)
app.add_typer(record_app, name="record")
app.add_typer(scenario_app, name="scenario")
app.add_typer(suspend_app, name="suspend")
app.add_typer(token_app, name="token")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def tickwire(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A market-data server anyone can run, in the AllTick protocol.

    Example: tickwire serve
    """


def run() -> None:
    """Runs the command that the arguments name.

    Exit status: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.
    """
    try:
        app()
    except SettingsError as error:
        _fail(error, EXIT_USAGE)
    except TickwireError as error:
        _fail(error, EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _fail(error: TickwireError, status: int) -> None:
    print(f"tickwire: {error}", file=sys.stderr)
    sys.exit(status)
