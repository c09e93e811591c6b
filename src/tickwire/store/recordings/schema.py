"""The columns of a recording, and the way from the lines of a journal to them.

Prices, volumes and turnovers are exact: decimals with room for twelve digits behind the point and 26 before.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from ...model import MAX_DECIMALS, Kind

PRECISION = 38
DECIMAL = pa.decimal128(PRECISION, MAX_DECIMALS)
LARGEST = Decimal(10) ** (PRECISION - MAX_DECIMALS)
"""All amounts are smaller."""
LAST_TIME = 253_402_300_799_999
"""The last millisecond of the year 9999: later ones have no date."""
TIME = pa.timestamp("ms", "UTC")
RECEIVED = pa.timestamp("us", "UTC")
LEVEL = pa.struct([("price", DECIMAL), ("volume", DECIMAL)])
ARRIVAL, ARRIVAL_BEFORE = "arrival", "order"
"""The place of an event in the order of arrival; as files of version 1 and the lines of journals call it."""

_AMOUNTS = [(name, DECIMAL) for name in ("price", "volume", "turnover")]
_DIRECTION, _SOURCE_SEQ = ("direction", pa.int8()), ("source_seq", pa.int64())


def _columns(*event: tuple[str, pa.DataType]) -> pa.Schema:
    head = [("code", pa.string()), ("time", TIME), ("received", RECEIVED), ("seq", pa.int64())]
    return pa.schema([*head, *event, ("source", pa.string()), (ARRIVAL, pa.int64())])


_CORRECTION = [
    ("trade_seq", pa.int64()),
    ("trade_time", pa.int64()),
    ("trade_source_seq", pa.int64()),
    *((f"was_{name}", kind) for name, kind in (*_AMOUNTS, _DIRECTION)),
    *_AMOUNTS,
    _DIRECTION,
    _SOURCE_SEQ,
]
"""Those of a correction; amounts are null where the trade was cancelled."""
COLUMNS = {
    Kind.TRADE: _columns(_SOURCE_SEQ, *_AMOUNTS, _DIRECTION),
    Kind.DEPTH: _columns(("bids", pa.list_(LEVEL)), ("asks", pa.list_(LEVEL))),
    Kind.CORRECTION: _columns(
        *((name, TIME if name == "trade_time" else kind) for name, kind in _CORRECTION)
    ),
}
MARKET = pa.field("market", pa.string())
"""Stands before the others until a table is split into its partitions."""


def _lines(*event: tuple[str, pa.DataType]) -> pa.Schema:
    of = pa.struct([("code", pa.string()), ("time", pa.int64()), *event])
    return pa.schema(
        [(ARRIVAL_BEFORE, pa.int64()), MARKET, ("received", pa.int64()), ("seq", pa.int64()), ("event", of)]
    )


_SIDE = pa.list_(pa.list_(DECIMAL))
_LINES = {
    Kind.TRADE: _lines(*_AMOUNTS, _DIRECTION, _SOURCE_SEQ),
    Kind.DEPTH: _lines(("bids", _SIDE), ("asks", _SIDE)),
    Kind.CORRECTION: _lines(*_CORRECTION),
}


def parse(kind: Kind, lines: bytes, source: str) -> tuple[pa.Table, int]:
    """Lines of trades, of books or of corrections as a table with the market before the columns, and how
    many did not fit into it."""
    table, unfit = _fitting(lines, _LINES[kind])
    return _table(table, COLUMNS[kind], source), unfit


def _fitting(lines: bytes, schema: pa.Schema) -> tuple[pa.Table, int]:
    """All lines that fit, and how many do not: they are found by halving."""
    if not lines:
        return schema.empty_table(), 0
    try:
        return _parsed(lines, schema), 0
    except pa.ArrowInvalid:
        rows = lines.splitlines(keepends=True)
        if len(rows) == 1:
            return schema.empty_table(), 1
        middle = len(rows) // 2
        (head, some), (tail, more) = (
            _fitting(b"".join(part), schema) for part in (rows[:middle], rows[middle:])
        )
        return pa.concat_tables([head, tail]), some + more


def _parsed(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Raises ArrowInvalid if a line does not fit."""
    table = json.read_json(
        pa.BufferReader(lines),
        # In one block, as a line may be longer than any that is fixed; in this thread, as others work too.
        read_options=json.ReadOptions(use_threads=False, block_size=len(lines)),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
    for field, column in zip(table.schema, table.columns, strict=True):
        for amounts in _amounts(field.type, column):
            if (largest := pc.max(pc.abs(amounts)).as_py()) is not None and largest >= LARGEST:
                raise pa.ArrowInvalid(f"{largest} is too large")
    times = pc.min_max(pc.struct_field(table["event"], "time")).as_py()
    if times["min"] < 0 or times["max"] > LAST_TIME:
        raise pa.ArrowInvalid("a time has no date")
    return table


def _amounts(kind: pa.DataType, column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """All amounts in a column, however deep."""
    if pa.types.is_struct(kind):
        return [one for field in kind for one in _amounts(field.type, pc.struct_field(column, field.name))]
    if pa.types.is_list(kind):
        return _amounts(kind.value_type, pc.list_flatten(column))
    return [column] if pa.types.is_decimal(kind) else []


def _table(lines: pa.Table, schema: pa.Schema, source: str) -> pa.Table:
    columns = {name: lines[name] for name in ("market", "received", "seq")}
    columns[ARRIVAL] = lines[ARRIVAL_BEFORE]
    for field in lines.schema.field("event").type:
        column = pc.struct_field(lines["event"], field.name)
        columns[field.name] = _levels(column) if field.type == _SIDE else column
    columns["source"] = pa.repeat(pa.scalar(source), len(lines))
    full = pa.schema([MARKET, *schema])
    return pa.table([columns[field.name].cast(field.type) for field in full], schema=full)


def _levels(sides: pa.ChunkedArray) -> pa.ChunkedArray:
    """Pairs of price and volume as structs."""
    found = []
    for chunk in sides.chunks:
        pairs = chunk.flatten()
        both = [pc.list_element(pairs, 0), pc.list_element(pairs, 1)]
        levels = pa.StructArray.from_arrays(both, fields=list(LEVEL))
        found.append(pa.ListArray.from_arrays(pc.subtract(chunk.offsets, chunk.offsets[0]), levels))
    return pa.chunked_array(found, pa.list_(LEVEL))
