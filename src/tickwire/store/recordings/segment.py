"""Reads a segment: its files, each sorted by code, as one stream in the order of arrival.

A segment is what a recorder sealed at once, so it fits into memory; its tables are sorted anew in Arrow, and
Python's objects are made of some thousand rows at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ...errors import InputError
from ...model import Book, Correction, Event, Kind, Level, Market, Trade
from .corrected import CorrectionFields, correction_of
from .folder import SealedFile
from .footer import UNREADABLE, read_footer, unreadable
from .recordings import Recorded, Wanted
from .schema import ARRIVAL, ARRIVAL_BEFORE, COLUMNS, TIME

ROWS = 4_096
"""Rows of which objects are made at a time."""
MARKETS = [*Market]

Numbered: TypeAlias = tuple[int, Recorded]


def read_segment(files: Iterable[SealedFile], wanted: Wanted) -> Iterator[Numbered]:
    """The events of a segment's files in their order of arrival, each with its place in it. Raises InputError
    that names a bad file."""
    tables: dict[Kind, list[pa.Table]] = {kind: [] for kind in COLUMNS}
    for file in files:
        try:
            tables[file.partition.kind] += _load(file, wanted)
        except UNREADABLE as error:
            raise unreadable(file.path, error) from error
    trades = _stream(_in_order(tables.pop(Kind.TRADE)), _trades)
    books = _stream(_in_order(tables.pop(Kind.DEPTH)), _books)
    corrections = _stream(_in_order(tables.pop(Kind.CORRECTION)), _corrections)
    return heapq.merge(trades, books, corrections)  # no two have the same number


def _load(file: SealedFile, wanted: Wanted) -> Iterator[pa.Table]:
    """What is wanted of each row group, with the market's number beside the columns."""
    footer = read_footer(file.path)
    if (
        (wanted.codes is not None and footer.codes.keys().isdisjoint(wanted.codes))
        or (wanted.start is not None and footer.last_time < wanted.start)
        or (wanted.end is not None and footer.first_time >= wanted.end)
    ):
        return
    schema = COLUMNS[file.partition.kind]
    market = MARKETS.index(file.partition.market)
    filters = _filters(wanted)
    with parquet.ParquetFile(file.path, page_checksum_verification=True) as opened:
        if not _renamed(opened.schema_arrow).equals(schema):
            raise InputError(f"{file.path} does not have the columns of a recording. Move it away.")
        for number in range(opened.num_row_groups):
            group = opened.metadata.row_group(number)
            if not _may_hold(group, schema, wanted):
                continue
            # In this thread: a replay shares the machine with the server that it feeds.
            table = opened.read_row_group(number, use_threads=False).rename_columns(schema.names)
            for one in filters:
                table = table.filter(one)
            yield table.append_column(
                "market", pa.repeat(pa.scalar(market, pa.int8()), len(table))
            ).replace_schema_metadata()


def _renamed(columns: pa.Schema) -> pa.Schema:
    """The columns of a file of any version by the names that they have now."""
    return pa.schema([one.with_name(ARRIVAL) if one.name == ARRIVAL_BEFORE else one for one in columns])


def _filters(wanted: Wanted) -> list[pc.Expression]:
    found = []
    if wanted.start is not None:
        found.append(pc.field("time") >= pa.scalar(wanted.start, TIME))
    if wanted.end is not None:
        found.append(pc.field("time") < pa.scalar(wanted.end, TIME))
    if wanted.codes is not None:
        found.append(pc.field("code").isin(sorted(wanted.codes)))
    if wanted.after is not None:
        found.append(pc.field("seq") > wanted.after)
    return found


def _may_hold(group: parquet.RowGroupMetaData, schema: pa.Schema, wanted: Wanted) -> bool:
    """Whether something that is wanted may be in a row group, by what it says of its columns."""
    codes, seqs = (
        one if one is not None and one.has_min_max else None
        for one in (group.column(schema.get_field_index(name)).statistics for name in ("code", "seq"))
    )
    if wanted.after is not None and seqs is not None and seqs.max <= wanted.after:
        return False
    return (
        wanted.codes is None or codes is None or any(codes.min <= code <= codes.max for code in wanted.codes)
    )


def _in_order(tables: list[pa.Table]) -> pa.Table | None:
    if not tables:
        return None
    table = pa.concat_tables(tables)
    tables.clear()  # each table goes as soon as the next one is made of it
    table = table.combine_chunks()
    return table.take(pc.sort_indices(table[ARRIVAL]))


def _stream(
    table: pa.Table | None, make: Callable[[pa.RecordBatch], Iterator[Event | Correction]]
) -> Iterator[Numbered]:
    """Each event with its number in the order."""
    if table is None:
        return
    for batch in table.to_batches(max_chunksize=ROWS):
        yield from zip(
            batch[ARRIVAL].to_pylist(),
            map(
                Recorded,
                make(batch),
                _integers(batch["received"]),
                batch["seq"].to_pylist(),
                map(MARKETS.__getitem__, batch["market"].to_pylist()),
            ),
            strict=True,
        )


def _trades(batch: pa.RecordBatch) -> Iterator[Event]:
    return map(
        Trade,
        batch["code"].to_pylist(),
        _integers(batch["time"]),
        _amounts(batch["price"]),
        _amounts(batch["volume"]),
        _amounts(batch["turnover"]),
        batch["direction"].to_pylist(),
        batch["source_seq"].to_pylist(),
    )


def _books(batch: pa.RecordBatch) -> Iterator[Event]:
    return map(
        Book,
        batch["code"].to_pylist(),
        _integers(batch["time"]),
        _sides(batch["bids"]),
        _sides(batch["asks"]),
    )


def _corrections(batch: pa.RecordBatch) -> Iterator[Correction]:
    names = [name for name in CorrectionFields.__struct_fields__ if name not in ("time", "trade_time")]
    columns: dict[str, list[Any]] = {
        name: _amounts(batch[name]) if pa.types.is_decimal(batch[name].type) else batch[name].to_pylist()
        for name in names
    }
    columns |= {name: _integers(batch[name]) for name in ("time", "trade_time")}
    rows = zip(*(columns[name] for name in CorrectionFields.__struct_fields__), strict=True)
    return (correction_of(CorrectionFields(*row)) for row in rows)


def _sides(lists: pa.ListArray) -> Iterator[tuple[Level, ...]]:
    levels = lists.flatten()
    rest = map(Level, _amounts(pc.struct_field(levels, "price")), _amounts(pc.struct_field(levels, "volume")))
    for length in lists.value_lengths().to_pylist():
        yield tuple(next(rest) for _ in range(length))


def _integers(times: pa.Array) -> list[int]:
    found: list[int] = times.cast(pa.int64()).to_pylist()
    return found


def _amounts(column: pa.Array) -> list[Any]:
    """Exact decimals without the zeros that the column adds; None where there is none."""
    # By way of their text, which is twice as fast as pyarrow's own; very small ones have an exponent.
    texts = column.cast(pa.string())
    plain = pc.utf8_rtrim(pc.utf8_rtrim(texts, "0"), ".")
    texts = pc.if_else(pc.match_substring(texts, "E"), texts, plain)
    if column.null_count:
        return [text if text is None else Decimal(text) for text in texts.to_pylist()]
    return [*map(Decimal, texts.to_pylist())]
