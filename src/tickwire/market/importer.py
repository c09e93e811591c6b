"""Imports bars from files: one-minute or daily ones, from which the larger types are rolled up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import structlog

from ..errors import InputError
from ..files import CODE, NUMBER, check_regular, read_table
from ..klines import Grid, roll_up, smaller
from ..model import Catalogue, Entrance, Instrument, Kline, KlineType, bar_fault
from ..store import KlineStore, past_note

COLUMNS = ("code", "timestamp_s", "open", "high", "low", "close")
PRICES = {"code": CODE, "timestamp_s": r"\d{1,11}"} | dict.fromkeys(COLUMNS[2:], NUMBER)
SHAPES = {
    3: PRICES | {"volume": NUMBER, "turnover": NUMBER},
    2: PRICES | {"volume": NUMBER},
    1: PRICES,
}
LOGGED_LINES = 10
ZERO = Decimal(0)
EVERYTHING = 2**31

log = structlog.get_logger()


@dataclass
class Report:
    """What an import did."""

    bars: int = 0
    """Bars that were in the files."""
    rolled_up: int = 0
    """Bars of larger types made of them."""
    bad_lines: int = 0
    codes: set[str] = field(default_factory=set)


def import_bars(
    paths: Iterable[Path],
    source: str,
    store: KlineStore,
    catalogue: Catalogue,
    *,
    now: int,
    strict: bool = False,
) -> Report:
    """Puts the bars of these files into the store as those of a source, in place of those of their times.

    Importing again changes nothing. `now` is the wall clock in milliseconds. Raises InputError if a file
    cannot be read; with `strict`, if a line cannot.
    """
    report = Report()
    for path in paths:
        by_code: defaultdict[str, dict[int, list[str]]] = defaultdict(dict)
        for number, row in _rows(path):
            reason = row if isinstance(row, str) else _wrong(row, catalogue, now)
            if reason is not None:
                if strict:
                    raise InputError(
                        f"{path}, line {number}: {reason}. Mend it, or leave out --strict-input."
                    )
                report.bad_lines += 1
                if report.bad_lines <= LOGGED_LINES:
                    log.warning("line skipped", file=str(path), line=number, reason=reason)
                continue
            by_code[row[0]][int(row[1])] = list(row)
        for code, rows in by_code.items():
            _import(catalogue[code], [rows[at] for at in sorted(rows)], source, store, report)
    return report


def _import(
    instrument: Instrument, rows: Sequence[Sequence[str]], source: str, store: KlineStore, report: Report
) -> None:
    grid = Grid(instrument)
    base = KlineType.DAY if all(_is_midnight(grid, int(row[1])) for row in rows) else KlineType.MINUTE
    # Rolled up to its own type, a bar of Sunday becomes part of Monday's.
    bars = list(roll_up(instrument, base, (_kline(row, base, grid) for row in rows)))
    store.write(source, bars, {past_note(instrument): "imported"})
    report.bars += len(bars)
    report.codes.add(instrument.code)
    for kline_type in [one for one in grid.types if one > base]:
        begin = grid.begin(kline_type, grid.open_time(kline_type, bars[0].time))
        end = grid.end(kline_type, grid.open_time(kline_type, bars[-1].time))
        parts = store.read(
            source, instrument.code, smaller(kline_type, grid.types), count=EVERYTHING, end=end - 1
        )
        rolled = list(roll_up(instrument, kline_type, (part for part in parts if part.time >= begin)))
        store.write(source, rolled)
        report.rolled_up += len(rolled)


def _is_midnight(grid: Grid, at: int) -> bool:
    """Whether a day begins then, be it a Sunday that belongs to Monday's."""
    opened = grid.open_time(KlineType.DAY, at)
    return at in (opened, grid.begin(KlineType.DAY, opened))


def _kline(row: Sequence[str], kline_type: KlineType, grid: Grid) -> Kline:
    code, at, open_, high, low, close, volume, turnover = [*row, "0", "0"][:8]
    time = int(at)
    return Kline(
        code,
        kline_type,
        time,
        Decimal(open_),
        Decimal(high),
        Decimal(low),
        Decimal(close),
        Decimal(volume),
        Decimal(turnover),
        time * 1000,
        grid.end(kline_type, time) * 1000 - 1,
    )


def _wrong(row: Sequence[str], catalogue: Catalogue, now: int) -> str | None:
    """What is wrong with a bar, if anything. `now` is the wall clock in milliseconds."""
    if row[0] not in catalogue:
        return f"unknown code {row[0]!r} (add it with --instruments)"
    if int(row[1]) % 60:
        return f"{row[1]} is not the first second of a minute"
    open_, high, low, close, volume, turnover = map(Decimal, [*row[2:], "0", "0"][:6])
    bar = Kline(row[0], KlineType.MINUTE, int(row[1]), open_, high, low, close, volume, turnover)
    fault = bar_fault(bar, catalogue[row[0]], Entrance.IMPORT, now)
    return None if fault is None else fault.text


def _rows(path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """The bars of a file as text, each with its number, or what is wrong with it."""
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    for number, row in read_table(path, SHAPES):
        yield number, row if isinstance(row, str) else row[1]


def _parquet_rows(path: Path) -> Iterator[tuple[int, list[str] | str]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("Parquet files need one more package: pip install 'tickwire[parquet]'.") from None
    try:
        check_regular(path)
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {path}: {reason}.") from error
    with file:
        names = [name for name in (*COLUMNS, "volume", "turnover") if name in file.schema_arrow.names]
        if missing := [name for name in COLUMNS if name not in names]:
            raise InputError(f"{path}: the column {missing[0]} is missing.")
        number = 0
        for batch in file.iter_batches(columns=names):
            for row in batch.to_pylist():
                number += 1
                yield number, _plain([row[name] for name in names])


def _plain(values: list[Any]) -> list[str] | str:
    """Values of a Parquet row as plain decimals, or what is wrong with them."""
    code, *numbers = values
    try:
        texts = [f"{Decimal(str(number)):f}" for number in numbers]
    except InvalidOperation:
        return "not numbers"
    plain = all(re.fullmatch(NUMBER, text) for text in texts) and "." not in texts[0]
    return [str(code), *texts] if plain else "not numbers from 0 to 10^15 with up to 12 decimals"
