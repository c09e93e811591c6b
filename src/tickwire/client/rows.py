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

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

T = TypeVar("T")
DIGITS, DECIMALS = 38, 18
"""Of the decimals of Arrow and Polars: all that the client takes from a server fits."""


class MissingLibrary(TickwireError, ImportError):
    """A library that is no dependency of the client is not installed."""


Cell = Enum("Cell", "TEXT WHOLE TRUTH NUMBER TIME DATE TEXTS DATES LEVELS")
"""What stands in a column."""
PLAIN: dict[Cell, type] = {Cell.TEXT: str, Cell.WHOLE: int, Cell.TEXTS: list, Cell.DATES: list}
"""What becomes of values whose types other libraries do not know."""


class Column(NamedTuple):
    """A column: times as milliseconds since the epoch, levels as pairs; None where there is nothing."""

    name: str
    cell: Cell
    values: list[Any]


class Rows(list[T]):
    """A list of values of one type, `kind`, which can become a table: a column for each field.

    Times are in UTC. Numbers stay exact decimals, or become floats where `floats` says so. An empty list
    gives a table without rows. All three raise MissingLibrary, which says how to get the library.

        (await api.klines("GOLD", "1h", 1000)).to_pandas(floats=True)
    """

    def __init__(self, kind: type[T], rows: Iterable[T] = ()) -> None:
        super().__init__(rows)
        self.kind = kind

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
        number = polars.Float64 if floats else polars.Decimal(DIGITS, DECIMALS)
        kinds = {
            Cell.TEXT: polars.String,
            Cell.WHOLE: polars.Int64,
            Cell.TRUTH: polars.Boolean,
            Cell.NUMBER: number,
            Cell.TIME: polars.Int64,
            Cell.DATE: polars.Date,
            Cell.TEXTS: polars.List(polars.String),
            Cell.DATES: polars.List(polars.Date),
            Cell.LEVELS: polars.List(polars.Struct({"price": number, "volume": number})),
        }
        series = []
        for name, cell, values in self.columns(floats=floats):
            one = polars.Series(name, values, dtype=kinds[cell])
            series.append(one.cast(polars.Datetime("ms", "UTC")) if cell is Cell.TIME else one)
        found: pl.DataFrame = polars.DataFrame(series)
        return found

    def to_arrow(self, *, floats: bool = False) -> pa.Table:
        """A table of Arrow."""
        arrow = library("pyarrow", "to_arrow()")
        number = arrow.float64() if floats else arrow.decimal128(DIGITS, DECIMALS)
        kinds = {
            Cell.TEXT: arrow.string(),
            Cell.WHOLE: arrow.int64(),
            Cell.TRUTH: arrow.bool_(),
            Cell.NUMBER: number,
            Cell.TIME: arrow.timestamp("ms", "UTC"),
            Cell.DATE: arrow.date32(),
            Cell.TEXTS: arrow.list_(arrow.string()),
            Cell.DATES: arrow.list_(arrow.date32()),
            Cell.LEVELS: arrow.list_(arrow.struct([("price", number), ("volume", number)])),
        }
        return arrow.table(
            {one.name: arrow.array(one.values, kinds[one.cell]) for one in self.columns(floats=floats)}
        )

    def columns(self, *, floats: bool = False) -> Iterator[Column]:
        """The columns, for other tables."""
        for name, hint in get_type_hints(self.kind).items():
            cell = _cell(name, hint)
            values = [_value(cell, getattr(row, name), floats) for row in self]
            yield Column(name.removesuffix("_ms"), cell, values)


def library(name: str, what: str) -> Any:
    """A library that `what` needs. Raises MissingLibrary."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingLibrary(f"{what} needs {name}: pip install {name}") from None


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
