"""`tickwire suspend`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config import DATABASE, Settings
from ..errors import InputError
from ..model import SuspensionList
from .flags import Config, DatabaseUrl, DataDir, settings_of
from .output import put, table

if TYPE_CHECKING:
    from ..store import SuspensionStore

ENTERED = ""
"""The source of what a person enters."""
SHOWN_LINES = 10
HEADER = ("EXCHANGE", "SYMBOL", "PUBLISHED", "HALTED", "RESUMES", "NAME: REASON")

suspend_app = typer.Typer(
    help="""Suspensions of stocks, which /api/suspension answers.

    A server that is running sees them at once.

    Example: tickwire suspend add nasdaq AAPL --reason "T1 Halt - News Pending"
    """
)


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    shape = re.fullmatch(r"[0-9-]{10}( [0-9:]{8})?", text)
    try:
        datetime.fromisoformat(text if shape else "")
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time such as '2026-09-03 19:50:00' or '2026-09-03'."
        ) from None
    return text


def _time(text: str) -> Any:
    return typer.Option(help=text, metavar="TIME", callback=_moment)


def _text(text: str) -> Any:
    return typer.Option(help=text, metavar="TEXT")


@contextmanager
def _suspensions(settings: Settings) -> Iterator[SuspensionStore]:
    from ..store import SuspensionStore, open_file

    with closing(open_file(settings.data_dir / DATABASE, settings.database_url)) as file:
        yield SuspensionStore(file)


@suspend_app.command()
def add(
    exchange: Annotated[SuspensionList, typer.Argument(help="Whose list it is in.", case_sensitive=False)],
    symbol: Annotated[str, typer.Argument(help="As the exchange writes it: AAPL, not AAPL.US.")],
    reason: Annotated[list[str], _text("Why; may be given several times.")],
    name: Annotated[str | None, _text("Name of the stock.")] = None,
    halt: Annotated[str | None, _time("When trading stops.")] = None,
    resume: Annotated[str | None, _time("When it resumes.")] = None,
    published: Annotated[str | None, _time("When it is announced. [default: now]")] = None,
    period: Annotated[str | None, _text("For how long, in words (sse).")] = None,
    source_exchange: Annotated[str | None, _text("Where it is listed (nyse, nasdaq).")] = None,
    threshold_price: Annotated[str | None, _text("The price that it was paused at (nasdaq).")] = None,
    config: Config = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Add a suspension.

    It takes the place of one of the same symbol and announcement. TIME is "YYYY-MM-DD HH:MM:SS" or
    YYYY-MM-DD, local to the exchange.

    Example: tickwire suspend add nyse IBM --reason "News Pending" --halt "2026-09-03 19:50:00"
    """
    settings = settings_of(config, database=database, data_dir=data_dir)
    from ..store import suspension_of

    fields = {
        "symbol": symbol,
        "symbolName": name,
        "haltReason": reason,
        "haltDateTime": halt,
        "haltPeriod": period,
        "resumeDateTime": resume,
        "sourceExchange": source_exchange,
        "pauseThresholdPrice": threshold_price,
        "publishDate": published,
    }
    suspension = suspension_of(fields, exchange, now=datetime.now(UTC))
    with _suspensions(settings) as store:
        new = store.add(ENTERED, [suspension])
    typer.echo(
        f"{suspension.symbol} {'added to' if new else 'replaced in'} the suspensions of {exchange}, "
        f"published {suspension.publish_date}."
    )


@suspend_app.command("list")
def list_suspensions(
    exchange: Annotated[
        SuspensionList | None, typer.Argument(help="Only this list.", case_sensitive=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON, which import reads.")] = False,
    config: Config = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """List what was added or imported.

    By exchange, the newest announcement first.

    Example: tickwire suspend list nasdaq
    """
    settings = settings_of(config, database=database, data_dir=data_dir)
    import msgspec

    found = []
    # To look at a folder does not make it.
    if settings.database_url is not None or (settings.data_dir / DATABASE).exists():
        with _suspensions(settings) as store:
            for one in SuspensionList if exchange is None else [exchange]:
                found += store.page(one, [ENTERED])[1]
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)))
        return
    if not found:
        typer.echo("No suspensions.")
        return
    rows = [
        (
            one.exchange,
            one.symbol,
            one.publish_date,
            one.halt_date_time or one.halt_date or "-",
            one.resume_date_time or one.resume_date or "-",
            ": ".join(filter(None, (one.symbol_name, one.reason))),
        )
        for one in found
    ]
    put(table(HEADER, rows))


@suspend_app.command("import")
def import_suspensions(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, or an answer of the API as JSON.")],
    exchange: Annotated[
        SuspensionList | None, typer.Option(help="The list that they are of.", case_sensitive=False)
    ] = None,
    strict_input: Annotated[
        bool, typer.Option("--strict-input", help="Stop at a bad line, importing nothing.")
    ] = False,
    config: Config = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Import suspensions from a file.

    Each takes the place of one of the same symbol and announcement; importing again changes nothing.

    Columns are named as in the API, with exchange unless --exchange says it; symbol and publishDate must be
    there. Several reasons are separated by "; ".

    Example: tickwire suspend import nyse.json --exchange nyse
    """
    settings = settings_of(config, database=database, data_dir=data_dir)
    from ..store import read_suspensions

    found, bad = [], 0
    for where, one in read_suspensions(file, exchange):
        if not isinstance(one, str):
            found.append(one)
            continue
        if strict_input:
            raise InputError(f"{where}: {one} Mend it, or leave out --strict-input.")
        bad += 1
        if bad <= SHOWN_LINES:
            typer.echo(f"tickwire: {where}: {one} Skipped.", err=True)
    with _suspensions(settings) as store:
        # The newest stands first in a file, as in the API, and is added last.
        new = store.add(ENTERED, reversed(found))
    typer.echo(f"{len(found)} suspensions imported, {new} of them new, {bad} lines skipped.")
