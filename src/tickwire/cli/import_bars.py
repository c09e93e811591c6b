"""`tickwire import`."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ..config import DATABASE, SourceKind, load
from ..errors import InputError, SettingsError
from .flags import DataDir


def import_bars(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV, CSV.gz or Parquet.")],
    source: Annotated[
        str, typer.Option(help="The source whose bars they are, as /readyz names it.", metavar="NAME")
    ] = "simulator",
    data_dir: DataDir = None,
    instruments: Annotated[
        list[Path] | None, typer.Option(help="As for serve.", metavar="PATH", show_default=False)
    ] = None,
    strict_input: Annotated[bool, typer.Option("--strict-input", help="Stop at a bad line.")] = False,
) -> None:
    """Import bars of one minute or one day.

    Larger types are rolled up from them. Columns: code, timestamp_s (open time), open, high, low, close and,
    if known, volume and turnover. A file whose bars all open at midnight of their market is one of daily
    bars. Importing again changes nothing.

    Example: tickwire import gold-2014.csv.gz --source simulator
    """
    flags = {"data_dir": data_dir, "instruments": instruments}
    settings = load({name: value for name, value in flags.items() if value})
    if source.partition(":")[0] not in [*SourceKind]:
        raise SettingsError(
            f"--source {source!r} names no source: /readyz shows its name, such as simulator, replay:FILE or "
            "exchange:binance."
        )
    from ..market.importer import import_bars as run
    from ..store import SqliteFile, SqliteKlineStore, load_catalogue, make_data_directory
    from .logs import configure

    configure(settings.log_level)
    make_data_directory(settings.data_dir)
    with closing(SqliteFile(settings.data_dir / DATABASE)) as file:
        catalogue, now = load_catalogue(settings.instruments), time.time_ns() // 1_000_000
        report = run(files, source, SqliteKlineStore(file), catalogue, now=now, strict=strict_input)
    if not report.bars:
        raise InputError(f"Nothing was imported: {report.bad_lines} lines skipped, no bar left.")
    typer.echo(
        f"{report.bars} bars of {len(report.codes)} codes imported for {source}, {report.rolled_up} larger "
        f"ones rolled up, {report.bad_lines} lines skipped."
    )
