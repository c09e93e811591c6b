"""`tickwire record`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..store.recordings.contents import Contents

SHOWN_CODES = SHOWN_GAPS = 20
DAYS = "{:<10}  {:<9}  {:>12}  {:>12}  {:>6}  {:>9}"
CODES = "{:<20}  {:<9}  {:>12}  {:>12}"
GAPS = "{:<26}  {:<26}  {:<10}  {:<12}  {}"

record_app = typer.Typer(
    help="""Recordings: what a server has recorded into a folder.

    Example: tickwire record info recordings
    """
)


@record_app.command()
def info(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="The folder of a recording, or of several.")
    ],
    json: Annotated[bool, typer.Option("--json", help="As JSON, with all codes and gaps.")] = False,
) -> None:
    """Show what is in a recording, or in several together, and what is missing.

    That is days, markets, codes, counts and gaps. Dates are those of the source's time, the times of gaps
    those of our clock, all in UTC. A server may be recording into it: what it has not sealed yet is not
    counted.

    Example: tickwire record info recordings --json
    """
    import msgspec

    from ..store.recordings import Recordings

    found = Recordings(*folders).contents()
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        _show(found)


def _show(found: Contents) -> None:
    corrected = f", {found.corrections:,} corrections" if found.corrections else ""
    if found.files:
        typer.echo(
            f"{found.trades:,} trades and {found.books:,} books{corrected} of {len(found.codes):,} codes "
            f"from {', '.join(found.sources)}: {_size(found.bytes)} in {found.files:,} files."
        )
        typer.echo("\n" + DAYS.format("DATE", "MARKET", "TRADES", "BOOKS", "CODES", "SIZE"))
        for day in found.days:
            counts = f"{day.trades:,}", f"{day.books:,}", f"{day.codes:,}", _size(day.bytes)
            typer.echo(DAYS.format(day.date.isoformat(), day.market, *counts))
        typer.echo("\n" + CODES.format("CODE", "MARKET", "TRADES", "BOOKS"))
        busiest = sorted(found.codes.items(), key=lambda item: -(item[1].trades + item[1].books))
        for code, one in busiest[:SHOWN_CODES]:
            typer.echo(CODES.format(code, one.market, f"{one.trades:,}", f"{one.books:,}"))
        _say_more(len(busiest) - SHOWN_CODES)
    else:
        typer.echo(f"Nothing is sealed in {', '.join(found.folders)}.")
    if found.gaps:
        typer.echo("\n" + GAPS.format("GAP FROM", "TO", "REASON", "SOURCE", "EVENTS"))
        for gap in found.gaps[-SHOWN_GAPS:]:
            events = "?" if gap.events is None else f"{gap.events:,}"
            typer.echo(GAPS.format(_moment(gap.begin), _moment(gap.end), gap.reason, gap.source, events))
        _say_more(len(found.gaps) - SHOWN_GAPS)
    else:
        typer.echo("\nNo gaps.")
    if found.unreadable_gaps:
        lines = "1 line" if found.unreadable_gaps == 1 else f"{found.unreadable_gaps:,} lines"
        typer.echo(f"\n{lines} of _tickwire/gaps.jsonl cannot be read: gaps may be missing in this list.")
    if found.unsealed_bytes:
        typer.echo(
            f"\n{_size(found.unsealed_bytes)} are not sealed yet: the server that records seals them, or the "
            "next start if it was killed."
        )
    if found.damaged_bytes:
        typer.echo(f"\n{_size(found.damaged_bytes)} could not be read; they are in _tickwire/damaged.")


def _say_more(count: int) -> None:
    if count > 0:
        typer.echo(f"… and {count:,} more: --json shows all.")


def _moment(at: datetime | None) -> str:
    return "?" if at is None else f"{at:%Y-%m-%d %H:%M:%S.%f}"


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
