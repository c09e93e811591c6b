"""`tickwire`: the commands, and how failures are told."""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import SettingsError, TickwireError

EXIT_FAILED, EXIT_USAGE = 1, 2
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
"""What standard output says that takes nothing more."""
COMMANDS = (
    "serve watch tail quote kline instruments markets check wait import record scenario suspend token "
    "copy".split()
)
"""Each is in the module of its name: the function of that name, or NAME_app if there are some below it."""
MODULES = {"import": "import_bars"}  # for Python keeps the word to itself


class Commands(TyperGroup):
    """The commands by name. Each is imported when it is asked for: most need little of the house."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # only their names are looked at

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        name = MODULES.get(cmd_name, cmd_name)
        module = import_module(f".{name}", __package__)
        found = getattr(module, f"{name}_app", None) or getattr(module, name)
        single = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            single.add_typer(found, name=cmd_name, no_args_is_help=True)
        else:
            single.command(cmd_name)(found)
        return typer.main.get_group(single).commands[cmd_name]


LOG = {"serve", "import", "suspend", "token", "copy"}
"""Commands that keep a log of what they do."""
OPEN_STORES = {"token", "suspend", "copy"}
"""Commands that open a server's data directory, of which there may be damage to tell."""
KEEP = OPEN_STORES | {"import"}
"""Commands that may make one."""

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ..machine import ACCELERATED

        typer.echo(f"{__version__} ({'with the accelerator' if ACCELERATED else 'in pure Python'})")
        raise typer.Exit


@app.callback()
def tickwire(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and whether the accelerator runs.",
        ),
    ] = False,
) -> None:
    """A market-data server anyone can run, in the AllTick protocol.

    Exit status: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted.

    Example: tickwire serve
    """


def run() -> None:
    """Runs the command that the arguments name, and ends with its exit status. Raises KeyboardInterrupt."""
    try:
        if sys.argv[1:2] == ["serve"]:
            _hold_hang_ups()
        if {*sys.argv[1:2]} & KEEP:
            from ..files.private import make_private

            make_private()
        if {*sys.argv[1:2]} & LOG:
            _import_structlog()
        if {*sys.argv[1:2]} & OPEN_STORES:
            from ..config import LogLevel
            from ..machine.logs import configure

            configure(LogLevel.WARNING)
        app()
    except SettingsError as error:
        _fail(error, EXIT_USAGE)
    except TickwireError as error:
        _fail(error, EXIT_FAILED)
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        # What Python has not written yet fails once more as it ends, which it would tell in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail(TickwireError(f"Standard output cannot be written: {error.strerror}."), EXIT_FAILED)


def _hold_hang_ups() -> None:
    """SIGHUP, which has settings read again, waits until the server takes it: a start would end by it."""
    if hasattr(signal, "SIGHUP"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def _import_structlog() -> None:
    """Imports it as where there is no rich, of which it would import all for tracebacks that we draw plainly:
    a sixth of what the start of a server costs."""
    if not {"structlog", "rich"} & sys.modules.keys():
        sys.modules["rich"] = None  # type: ignore[assignment]  # so an import of it fails
        try:
            import structlog  # noqa: F401
        finally:
            del sys.modules["rich"]


def _fail(error: TickwireError, status: int) -> None:
    print(f"tickwire: {error}", file=sys.stderr)
    sys.exit(status)
