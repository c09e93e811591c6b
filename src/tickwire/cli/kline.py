"""`tickwire kline`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SettingsError, TickwireError
from .output import Format, note, progress_bar, put
from .upstream import AsJson, CaFile, Code, Config, Plan, Token, Url, ask, upstream, valid

SUFFIXES = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
    ".parquet": Format.PARQUET,
}


def _types(incomplete: str) -> list[str]:
    from ..client import INTERVALS

    return [name for name in INTERVALS if name.startswith(incomplete)]


def kline(
    code: Code,
    kline_type: Annotated[
        str,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="1m, 5m, 15m, 30m, 1h, 2h, 4h, 1d, 1w or 1mo.",
            autocompletion=_types,
        ),
    ] = "1m",
    num: Annotated[
        int | None,
        typer.Option("--num", min=1, metavar="N", help="The last N bars. [default: 500; with --from all]"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="From then on: 2026-09-04 or 2026-09-04T12:30Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Up to then, which no longer belongs to it.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="How it is written. [default: as FILE ends, else table]"),
    ] = None,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write, whole or not at all."),
    ] = None,
    url: Url = None,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
) -> None:
    """Print or save the K-lines of a code.

    They go as far back as the server has them; where that is later than --from, standard error says so.
    Times are when a bar opens, in UTC; the last one may still be forming. Days, weeks and months have
    trading dates of their exchange, and so have --from and --to. CSV and Parquet have the columns that
    `tickwire import` reads; Parquet needs pyarrow. Exit status 1 if there is no bar.

    Example: tickwire kline GOLD --type 1d --from 2026-01-01 -o gold.csv
    """
    from ..client.history import between, opening
    from ..client.intervals import kline_type_of
    from .kline_files import check, content, replacing
    from .records import opened

    wanted = _format(form, output, as_json=as_json)
    kind = valid("--type", kline_type_of, kline_type)
    valid("--from", opening, start, kind)
    valid("--to", opening, end, kind)
    valid("--to", between, start, end, kind)
    check(wanted)
    server = upstream(url, token, plan, config, ca_file)
    short: list[str] = []
    with replacing(output) if output else nullcontext() as file:
        with progress_bar() as progress:
            bars = ask(
                server,
                lambda api: api.klines(
                    code, kind, num, start=start, end=end, progress=progress, on_short=short.append
                ),
            )
        if not bars:
            raise TickwireError(f"{''.join(short)}.")
        if file is None:
            put(content(bars, wanted).decode())
        else:
            file.write(content(bars, wanted))
    for text in short:
        note(f"{text}.")
    if missing := [gap for gap in bars.gaps or () if gap.filled_ms is None]:
        note(f"Gaps of the source in that time that are not filled: {len(missing)}. /v1/gaps tells of them.")
    if output:
        of = f" of {bars.source}" if bars.source else ""
        note(f"{len(bars)} bars{of}, {opened(bars[0])} to {opened(bars[-1])}, in {output}.")


def _format(form: Format | None, output: Path | None, *, as_json: bool) -> Format:
    """How the bars are written. Raises SettingsError."""
    if as_json:
        if form not in (None, Format.JSON):
            raise SettingsError(f"--json and --format {form} exclude each other.")
        return Format.JSON
    if form is None and output is not None:
        form = SUFFIXES.get(output.suffix.lower())
    if form is Format.PARQUET and output is None:
        raise SettingsError("Parquet is for a file: name it with -o FILE.parquet.")
    return form or Format.TABLE
