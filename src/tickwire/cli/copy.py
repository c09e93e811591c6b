"""`tickwire copy`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config import Settings, check_no_password
from ..errors import InputError, SettingsError
from .flags import Config, settings_of

if TYPE_CHECKING:
    from ..store import Copied, File

SQLITE = "sqlite:"


def copy(
    source: Annotated[
        str | None, typer.Option("--from", help="Which. [default: that of the settings]", metavar="DATABASE")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--to", help="Into which new one. [default: that of the settings]", metavar="DATABASE"),
    ] = None,
    config: Config = None,
) -> None:
    """Copy a server's database into another one.

    DATABASE is sqlite:PATH, such as the tickwire.db of a data directory, or postgresql://HOST/NAME. All is
    copied and counted; what is left of a data directory, token.key above all, is copied as files. No server
    may use either meanwhile. Interrupted, run it again: it goes on.

    Example: tickwire copy --from sqlite:/var/lib/tickwire/tickwire.db --to postgresql://db.internal/tickwire
    """
    from ..store import copy as run

    settings = settings_of(config)
    with (
        _opened("--from", source, settings, there=True) as old,
        _opened("--to", target, settings, there=False) as new,
    ):
        run(old, new, _tell)
        typer.echo(f"{new.name} has all of {old.name}.")


def _tell(copied: Copied) -> None:
    damaged = f", {copied.damaged} damaged ones left out" * bool(copied.damaged)
    typer.echo(f"{copied.rows} {copied.what}{damaged}")


@contextmanager
def _opened(flag: str, text: str | None, settings: Settings, *, there: bool) -> Iterator[File]:
    """The database that a flag names; `there` says that it must be."""
    from ..store import open_file
    from ..store.data_directory import LOCK
    from ..store.lock import Lock

    url = text or settings.database_url
    if url is None:
        raise SettingsError(f"{flag} is missing: name a database, as {SQLITE}PATH or postgresql://HOST/NAME.")
    check_no_password(flag, text)
    with ExitStack() as held:
        path = Path(url.removeprefix(SQLITE)).absolute()
        if url.startswith(SQLITE):
            if there and not path.exists():
                raise InputError(f"{flag}: there is no {path}.")
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(path.with_name(LOCK), f"serves from {path.parent}", "Stop it, and copy then.")
            held.callback(lock.release, clean=True)
        elif not url.startswith("postgres"):
            raise SettingsError(f"{flag} {url!r} is neither {SQLITE}PATH nor postgresql://HOST/NAME.")
        yield held.enter_context(closing(open_file(path, None if url.startswith(SQLITE) else url)))
