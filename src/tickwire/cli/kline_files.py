"""K-lines as bytes: a table, CSV, JSON lines, Parquet; and the file that is written whole or not at all."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO

from ..client import Kline, Rows
from ..client.rows import arrow_decimal, digits_of, library
from ..errors import SettingsError, TickwireError
from .output import Format, json_line, table
from .records import opened, record

HEADER = ("OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TURNOVER")
NUMBERS = ("open", "high", "low", "close", "volume", "turnover")
COLUMNS = ("code", "timestamp_s", "time", *NUMBERS)
"""Those of files: `time` is for people and tables, the trading date of days, weeks and months; the others are
what `tickwire import` reads."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in some spreadsheet."""
PARQUET = "Writing Parquet"


def check(form: Format) -> None:
    """Whether this can be written on this machine. Raises MissingLibrary."""
    if form is Format.PARQUET:
        library("pyarrow", PARQUET)


def content(bars: Rows[Kline], form: Format) -> bytes:
    """Bars in that format; there is at least one."""
    match form:
        case Format.TABLE:
            first = "TIME (UTC)" if bars[0].trading_date is None else "DATE"
            return table((first, *HEADER), ([_shown(bar), *_numbers(bar)] for bar in bars), HEADER).encode()
        case Format.JSON:
            return "".join(json_line(record(bar)) for bar in bars).encode()
        case Format.CSV:
            lines = [[*COLUMNS]]
            for bar in bars:
                when = str(bar.time_ms // 1000), opened(bar)
                lines.append([text_cell(bar.code), *when, *_numbers(bar)])
            return "".join(f"{','.join(line)}\n" for line in lines).encode()
        case Format.PARQUET:
            return _parquet(bars)


def _shown(bar: Kline) -> str:
    """The same in a table."""
    return f"{bar.time:%Y-%m-%d %H:%M}" if bar.trading_date is None else opened(bar)


def _numbers(bar: Kline) -> list[str]:
    return [f"{getattr(bar, name):f}" for name in NUMBERS]


def text_cell(text: str) -> str:
    """A text as a field of CSV. One that a spreadsheet would take for a formula has an apostrophe before it,
    which spreadsheets do not show; numbers are no texts, and stay as they are.

    >>> print(text_cell("700.HK"), text_cell("=1+1"), text_cell('a,"b'))
    700.HK '=1+1 "a,""b"
    """
    if text.startswith(FORMULA):
        text = f"'{text}"
    return '"{}"'.format(text.replace('"', '""')) if re.search(r'[",\r\n]', text) else text


def _parquet(bars: Rows[Kline]) -> bytes:
    """Decimals keep as many places as the server gave them."""
    arrow, parquet = library("pyarrow", PARQUET), library("pyarrow.parquet", PARQUET)
    dates = [bar.trading_date for bar in bars]
    columns = {
        "code": arrow.array([bar.code for bar in bars]),
        "timestamp_s": arrow.array([bar.time_ms // 1000 for bar in bars], arrow.int64()),
        "time": arrow.array(dates, arrow.date32())
        if all(dates)
        else arrow.array([bar.time_ms for bar in bars], arrow.timestamp("ms", "UTC")),
    }
    for name in NUMBERS:
        values = [getattr(bar, name) for bar in bars]
        (digits, behind), places = digits_of(values), max(map(_places, values))
        columns[name] = arrow.array(values, arrow_decimal(arrow, digits - behind + places, places))
    file = io.BytesIO()
    parquet.write_table(arrow.table(columns), file, compression="zstd")
    return file.getvalue()


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that stands at that path once all has been written; until then what was there stays.

    Raises SettingsError if it cannot be written there, TickwireError if the disk refuses later.
    """
    target = path.resolve()
    whole = target.exists() and not target.is_file()  # such as /dev/stdout
    part = target if whole else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        file = part.open("wb")
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error.strerror}.") from None
    try:
        try:
            with file:
                yield file
            if not whole:
                part.replace(target)
        except OSError as error:
            raise TickwireError(f"Cannot write {path}: {error.strerror}.") from None
    finally:
        if not whole:
            part.unlink(missing_ok=True)
