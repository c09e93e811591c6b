"""Lists of values that become tables of pandas, Polars or Arrow, where the user has one of them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import TickwireError
from ..model import Level
from ..wire import GapInfo

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

T = TypeVar("T")
DATED = "trading_date"
"""What values may have beside their fields that is a column."""
DIGITS, DECIMALS = 38, 18
"""Of the decimals of Arrow and Polars, unless a column has numbers that do not fit into these."""
MOST_DIGITS = 76
"""Digits of Arrow's longest decimals."""


class MissingLibrary(TickwireError, ImportError):
    """A library that is no dependency of the client is not installed."""


Cell = Enum("Cell", "TEXT WHOLE TRUTH NUMBER TIME DATE TEXTS DATES LEVELS")
"""What stands in a column."""
NUMBERS = (Cell.NUMBER, Cell.LEVELS)
"""Those that hold decimals."""
PLAIN: dict[Cell, type] = {Cell.TEXT: str, Cell.WHOLE: int, Cell.TEXTS: list, Cell.DATES: list}
"""What becomes of values whose types other libraries do not know."""


class Column(NamedTuple):
    """A column: times as milliseconds since the epoch, levels as pairs; None where there is nothing."""

    name: str
    cell: Cell
    values: list[Any]

    def fitted(self, most: int) -> tuple[Column, tuple[int, int] | None]:
        """The column, and how many digits, and how many of them behind the point, a decimal must have that
        holds each of its numbers exactly; where that is more than `most`, its numbers as texts, and None."""
        numbers = self.values
        if self.cell is Cell.LEVELS:
            numbers = [number for side in self.values for level in side for number in level.values()]
        digits, places = digits_of(one for one in numbers if one is not None)
        if digits <= most:
            return self, (digits, places)
        return self._replace(values=[_text(one) for one in self.values]), None


class Rows(list[T]):
    """A list of values of one type, `kind`, which can become a table: a column for each field.

    Times are in UTC; bars have a column for their trading date too. Numbers stay exact decimals, or become
    floats where `floats` says so. An empty list gives a table without rows. All three raise MissingLibrary,
    which says how to get the library.

    Of bars that a Tickwire gave, `source` is where it has them from, several with commas between; and `gaps`
    are the times in which that was down, the newest first. Empty, and None, where nobody has told.

        (await api.klines("GOLD", "1h", 1000)).to_pandas(floats=True)
    """

    def __init__(
        self, kind: type[T], rows: Iterable[T] = (), *, source: str = "", gaps: Rows[GapInfo] | None = None
    ) -> None:
        super().__init__(rows)
        self.kind = kind
        self.source = source
        self.gaps = gaps

    def to_pandas(self, *, floats: bool = False) -> pd.DataFrame:
        """A DataFrame of pandas; decimals stand in columns of objects."""
        pandas = library("pandas", "to_pandas()")
        kinds = {Cell.WHOLE: "int64", Cell.TRUTH: "bool", Cell.NUMBER: "float64" if floats else "object"}
        found = {}
        for name, cell, values in self.columns(floats=floats):
            if cell is Cell.TIME:
                found[name] = pandas.to_datetime(pandas.Series(values, dtype="Int64"), unit="ms", utc=True)
            else:
                found[name] = pandas.Series(values, dtype=kinds.get(cell, "object"))
        return pandas.DataFrame(found)

    def to_polars(self, *, floats: bool = False) -> pl.DataFrame:
        """A DataFrame of Polars."""
        polars = library("polars", "to_polars()")
        kinds: dict[Cell, Any] = {
            Cell.TEXT: polars.String,
            Cell.WHOLE: polars.Int64,
            Cell.TRUTH: polars.Boolean,
            Cell.TIME: polars.Int64,
            Cell.DATE: polars.Date,
            Cell.TEXTS: polars.List(polars.String),
            Cell.DATES: polars.List(polars.Date),
        }
        series = []
        for column in self.columns(floats=floats):
            number = polars.Float64
            if not floats and column.cell in NUMBERS:
                column, size = column.fitted(DIGITS)
                number = polars.String if size is None else polars.Decimal(*size)
            levels = polars.List(polars.Struct({"price": number, "volume": number}))
            kind = kinds.get(column.cell, levels if column.cell is Cell.LEVELS else number)
            one = polars.Series(column.name, column.values, dtype=kind)
            series.append(one.cast(polars.Datetime("ms", "UTC")) if column.cell is Cell.TIME else one)
        found: pl.DataFrame = polars.DataFrame(series)
        return found

    def to_arrow(self, *, floats: bool = False) -> pa.Table:
        """A table of Arrow."""
        arrow = library("pyarrow", "to_arrow()")
        kinds: dict[Cell, Any] = {
            Cell.TEXT: arrow.string(),
            Cell.WHOLE: arrow.int64(),
            Cell.TRUTH: arrow.bool_(),
            Cell.TIME: arrow.timestamp("ms", "UTC"),
            Cell.DATE: arrow.date32(),
            Cell.TEXTS: arrow.list_(arrow.string()),
            Cell.DATES: arrow.list_(arrow.date32()),
        }
        found = {}
        for column in self.columns(floats=floats):
            number = arrow.float64()
            if not floats and column.cell in NUMBERS:
                column, size = column.fitted(MOST_DIGITS)
                number = arrow.string() if size is None else arrow_decimal(arrow, *size)
            levels = arrow.list_(arrow.struct([("price", number), ("volume", number)]))
            kind = kinds.get(column.cell, levels if column.cell is Cell.LEVELS else number)
            found[column.name] = arrow.array(column.values, kind)
        return arrow.table(found)

    def columns(self, *, floats: bool = False) -> Iterator[Column]:
        """The columns, for other tables."""
        for name, hint in get_type_hints(self.kind).items():
            if name == "times":  # of pushes alone
                continue
            cell = _cell(name, hint)
            values = [_value(cell, getattr(row, name), floats) for row in self]
            yield Column(name.removesuffix("_ms"), cell, values)
        if hasattr(self.kind, DATED):
            yield Column(DATED, Cell.DATE, [getattr(row, DATED) for row in self])


def library(name: str, what: str) -> Any:
    """A library that `what` needs. Raises MissingLibrary."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingLibrary(f"{what} needs {name}: pip install {name}") from None


def digits_of(numbers: Iterable[Decimal]) -> tuple[int, int]:
    """How many digits, and how many of them behind the point, hold each of these exactly; at least the usual
    ones.

    >>> digits_of([Decimal("-1.5"), Decimal(10) ** 30, Decimal("1e-20")])
    (51, 20)
    """
    whole = places = 0
    for one in numbers:
        _, digits, exponent = one.as_tuple()
        if not isinstance(exponent, int) or not any(digits):
            continue
        while exponent < -places and digits[-1] == 0:  # zeros behind the last decimal are none
            digits, exponent = digits[:-1], exponent + 1
        whole, places = max(whole, len(digits) + exponent), max(places, -exponent)
    if whole <= DIGITS - DECIMALS and places <= DECIMALS:
        return DIGITS, DECIMALS
    return whole + places, places


def _text(value: Any) -> Any:
    """A number, or the numbers of levels, in plain digits."""
    if isinstance(value, list):
        return [{name: f"{one:f}" for name, one in level.items()} for level in value]
    return None if value is None else f"{value:f}"


def arrow_decimal(arrow: Any, digits: int, places: int) -> Any:
    """The type of Arrow's that holds such numbers; 76 digits at the most."""
    if digits <= DIGITS:
        return arrow.decimal128(DIGITS, places)
    return arrow.decimal256(MOST_DIGITS, places)


def _cell(name: str, hint: Any) -> Cell:
    if name.endswith("_ms"):
        return Cell.TIME
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return Cell.LEVELS if inner is Level else Cell.DATES if inner is date else Cell.TEXTS
    known = ((bool, Cell.TRUTH), (int, Cell.WHOLE), (Decimal, Cell.NUMBER), (date, Cell.DATE))
    return next((cell for kind, cell in known if issubclass(hint, kind)), Cell.TEXT)


def _value(cell: Cell, value: Any, floats: bool) -> Any:
    if value is None:
        return None
    if cell is Cell.LEVELS:
        number = float if floats else Decimal
        return [{"price": number(one.price), "volume": number(one.volume)} for one in value]
    if cell is Cell.NUMBER and floats:
        return float(value)
    return PLAIN[cell](value) if cell in PLAIN else value
