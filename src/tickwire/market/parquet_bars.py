"""Bars in Parquet files, as texts: what is read of them is read like the lines of any other file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import USUAL, Dress, check_regular, plain_name

NEEDED = ("code", "timestamp", "open", "high", "low", "close")


def parquet_rows(path: Path, dress: Dress) -> tuple[Iterator[tuple[int, list[str] | str]], str]:
    """The rows of a file, each with its number, and the name of the column of their times. Raises InputError
    at once, or when they are gone through, if it cannot be read."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("Parquet files need one more package: pip install 'tickwire[parquet]'.") from None
    # Text that is no UTF-8 and a time beyond what Python knows are no errors of Arrow's.
    unreadable = OSError, ValueError, OverflowError, pyarrow.ArrowException
    try:
        check_regular(path)
        names = [str(name) for name in parquet.read_schema(path).names]
    except unreadable as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {path}: {reason}.") from error
    plain = {plain_name(name): name for name in names}
    each = [plain_name(name) for name in names]
    columns: dict[str, str] = {}
    for ours in (*NEEDED, "volume", "turnover"):
        wanted = [plain_name(dress.columns[ours])] if ours in dress.columns else [ours, *USUAL[ours]]
        found = next((plain[name] for name in wanted if name in plain), None)
        if found is not None:
            if each.count(plain_name(found)) > 1:
                raise InputError(
                    f"{path}: the column {plain_name(found)} is there twice. Remove one of them."
                )
            columns[ours] = found
        elif ours in NEEDED and ours not in dress.values:
            raise InputError(f"{path}: the column {ours} is missing.")

    def rows() -> Iterator[tuple[int, list[str] | str]]:
        number = 0
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=[*{*columns.values()}]):
                    for row in batch.to_pylist():
                        number += 1
                        values = {ours: row[name] for ours, name in columns.items()}
                        yield number, _texts({**dress.values, **values})
        except unreadable as error:
            raise InputError(f"Cannot read {path} after row {number}: {error}.") from error

    return rows(), columns["timestamp"]


def _texts(values: dict[str, Any]) -> list[str] | str:
    """Values as plain texts, or what is wrong with them."""
    at = values["timestamp"]
    texts = [str(values["code"]), at.isoformat() if isinstance(at, (date, datetime)) else str(at)]
    for name in (*NEEDED[2:], "volume", "turnover"):
        value = values.get(name, 0)
        if name not in NEEDED and (value is None or value != value):  # NaN: it is not known
            value = 0
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            return f"{name} is {value!r}, expected a number"
        if number.is_nan() or not -(10**15) < number < 10**15:
            return f"{name} is {value!r}, expected a number between -10^15 and 10^15"
        texts.append(f"{number:f}")
    return texts
