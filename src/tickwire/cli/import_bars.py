"""`tickwire import`."""

from __future__ import annotations

import csv
import time
from contextlib import closing
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from ..config import DATABASE, SourceKind
from ..errors import InputError, SettingsError
from ..model import KlineType
from .flags import Config, DatabaseUrl, DataDir, settings_of


class Preset(StrEnum):
    """Whose files they are."""

    YFINANCE = "yfinance"
    MT5 = "mt5"
    TRADINGVIEW = "tradingview"
    BINANCE = "binance"


BINANCE = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume")
BINANCE_OTHERS = ("count", "taker_buy_volume", "taker_buy_quote_volume", "ignore")
"""The columns of Binance's files, which had no header before 2025."""
VOLUMES = {Preset.MT5: "tickvol"}
"""What counts as volume where a file has several: MetaTrader's `vol` is 0 for most symbols."""


def import_bars(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="CSV, plain, gzipped or zipped, or Parquet.")
    ],
    source: Annotated[
        str, typer.Option(help="The source whose bars they are, as /readyz names it.", metavar="NAME")
    ] = "simulator",
    code: Annotated[
        str | None, typer.Option(help="Whose bars they are, where no column says so.", metavar="CODE")
    ] = None,
    preset: Annotated[Preset | None, typer.Option("--format", help="Whose files they are.")] = None,
    columns: Annotated[
        str | None,
        typer.Option("--map", help='Columns: timestamp=Date,close="Adj Close".', metavar="OURS=THEIRS,…"),
    ] = None,
    zone: Annotated[
        str, typer.Option("--tz", help="Zone of times that have none: America/New_York.", metavar="ZONE")
    ] = "UTC",
    time_format: Annotated[
        str | None, typer.Option(help="How times are written: %d/%m/%Y %H:%M.", metavar="FORM")
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(help="What the bars are, in place of what is measured: 1m to 1mo.", metavar="TYPE"),
    ] = None,
    rounds: Annotated[
        bool, typer.Option("--round", help="Round numbers of more decimals than their instrument has.")
    ] = False,
    config: Config = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = None,
    instruments: Annotated[
        list[Path] | None, typer.Option(help="As for serve.", metavar="PATH", show_default=False)
    ] = None,
    strict_input: Annotated[bool, typer.Option("--strict-input", help="Stop at a bad line.")] = False,
) -> None:
    """Import bars from files.

    Columns, in any order and case: code, timestamp (when the bar opens), open, high, low, close and, if
    known, volume and turnover; usual names of others are known too. What type the bars are of is measured;
    larger types are rolled up from them. Dates are those of the market. Importing again changes nothing.
    Exit status 1 if more than a tenth of the lines cannot be used.

    Example: tickwire import AAPL.csv --format yfinance --code AAPL.US
    """
    settings = settings_of(config, database=database, data_dir=data_dir, instruments=instruments)
    if source.partition(":")[0] not in [*SourceKind]:
        raise SettingsError(
            f"--source {source!r} names no source: /readyz shows its name, such as simulator, replay:FILE or "
            "exchange:binance."
        )
    from ..files import Dress
    from ..machine.logs import configure
    from ..market.importer import Reading
    from ..market.importer import import_bars as run
    from ..store import klines_of, load_catalogue, make_data_directory, open_file

    named = _columns(columns)
    if preset in VOLUMES and "volume" not in named:
        named["volume"] = VOLUMES[preset]
    reading = Reading(
        Dress(
            named,
            (*BINANCE, *BINANCE_OTHERS) if preset is Preset.BINANCE else (),
            {} if code is None else {"code": code},
        ),
        _zone(zone),
        time_format or "",
        _type(interval),
        strict_input,
        rounds or preset is Preset.YFINANCE,
    )
    configure(settings.log_level)
    make_data_directory(settings.data_dir)
    with closing(open_file(settings.data_dir / DATABASE, settings.database_url)) as file:
        catalogue, now = load_catalogue(settings.instruments), time.time_ns() // 1_000_000
        report = run(files, source, klines_of(file), catalogue, now=now, reading=reading)
    if not report.bars:
        raise InputError(f"Nothing was imported: {report.bad_lines} lines skipped, no bar left.")
    codes = len(report.types)
    types = ", ".join(one.name.lower().replace("_", " ") for one in sorted({*report.types.values()}))
    typer.echo(
        f"{report.bars} bars ({types}) of {codes} code{'s' * (codes > 1)} imported for {source}, "
        f"{report.rolled_up} larger ones rolled up, {report.bad_lines} lines skipped."
    )
    if report.repeated:
        typer.echo(f"{report.repeated} lines were taken in place of earlier ones of the same code and time.")
    if report.rounded:
        typer.echo(f"{report.rounded} numbers were rounded to the decimals of their instruments.")
    if report.bad_lines * 9 > report.lines:
        raise InputError("More than a tenth of the lines could not be used: see the log above.")


def _columns(text: str | None) -> dict[str, str]:
    """What `--map` says."""
    from ..files import USUAL

    named: dict[str, str] = {}
    for pair in next(csv.reader([text]), []) if text else []:
        ours, equals, theirs = pair.partition("=")
        if not equals or ours.strip() not in USUAL:
            raise SettingsError(f"--map {pair!r}: expected OURS=THEIRS, with one of {', '.join(USUAL)}.")
        named[ours.strip()] = theirs.strip().strip('"')
    return named


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(
            f"--tz {name!r} is no time zone: expected one such as America/New_York."
        ) from None


def _type(name: str | None) -> KlineType | None:
    from ..client import kline_type_of

    try:
        return None if name is None else kline_type_of(name)
    except ValueError as error:
        raise SettingsError(f"--interval: {error}.") from None
