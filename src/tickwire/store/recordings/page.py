"""Events of a recording in columns, some thousand at a time: what is served at speed is never made into
Python's objects."""

from __future__ import annotations

import functools
import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ...model import Book, Correction, Event, Kind, Level, Market, Trade
from .corrected import CorrectionFields, correction_of
from .journal import Record
from .recordings import ROWS, Recorded, Wanted
from .schema import ARRIVAL, TIME, parse

MARKETS = [*Market]
MARKET = "market"
"""Stands behind the columns of a table, as a place in `MARKETS`."""

Numbered: TypeAlias = tuple[int, Recorded]


class Page:
    """Events that follow one another in the order of arrival: of each kind a table of `COLUMNS`, with the
    market behind them, sorted by arrival."""

    def __init__(self, tables: Mapping[Kind, pa.Table], following: int) -> None:
        """`following` is the place in the order of what comes behind it."""
        self.tables = {kind: table for kind, table in tables.items() if len(table)}
        self.following = following

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def split(self, place: int) -> tuple[Page, Page]:
        """What comes before that place in the order, and the rest."""
        at = {kind: bisect_left(places(table), place) for kind, table in self.tables.items()}
        before = {kind: self.tables[kind].slice(0, row) for kind, row in at.items()}
        rest = {kind: self.tables[kind].slice(row) for kind, row in at.items()}
        return Page(before, min(place, self.following)), Page(rest, self.following)

    def recorded(self) -> Iterator[Numbered]:
        """Its events, each with its place in the order."""
        each = [numbered(kind, table) for kind, table in self.tables.items()]
        return each[0] if len(each) == 1 else heapq.merge(*each)  # no two have the same number


def first_time(page: Page) -> int:
    """When the earliest of its events was, in milliseconds since the epoch. Raises ValueError if there is
    none."""
    return min(min(integers(table["time"])) for table in page.tables.values())


def places(table: pa.Table) -> memoryview[int]:
    """The places of the events of a table in the order, which rise."""
    return integers(table[ARRIVAL])


def integers(column: pa.ChunkedArray) -> memoryview[int]:
    """A column of whole numbers or times without nulls, as it lies in memory."""
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    size = whole.type.bit_width // 8
    data = memoryview(whole.buffers()[1] or b"").cast("B")
    data = data[whole.offset * size : (whole.offset + len(whole)) * size]
    return data.cast("q") if size == 8 else data.cast("b")


class Run(NamedTuple):
    """The numbers of a stream that stand together: the first, the last, and those that are not one more than
    the one before."""

    kind: Kind
    code: str
    first: int
    last: int
    jumps: list[int]


class Loaded:
    """Tables in the order of arrival, and the places of all their events, which rise."""

    def __init__(self, tables: Mapping[Kind, Iterable[pa.Table]]) -> None:
        """The tables are in any order."""
        whole = {kind: _in_order([*some]) for kind, some in tables.items()}
        self.tables = {kind: table for kind, table in whole.items() if table is not None and len(table)}
        chunks = [chunk for table in self.tables.values() for chunk in table[ARRIVAL].chunks]
        each = pa.chunked_array(chunks, pa.int64())
        self.order = integers(each.take(pc.sort_indices(each)))

    @functools.cached_property
    def runs(self) -> list[Run]:
        """How the numbers of each stream run in these, whatever their times are."""
        return [run for kind, table in self.tables.items() for run in _runs(kind, table)]

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """What stands in these of that stretch of time."""
        tables, before = {}, {}
        for kind, table in self.tables.items():
            begin, end = _stretch(table, wanted)
            if begin < end:
                tables[kind], before[kind] = table.slice(0, end), begin
        if not tables:
            return
        first = min(places(table)[before[kind]] for kind, table in tables.items())
        last = max(places(table)[-1] for table in tables.values())
        order = self.order[bisect_left(self.order, first) : bisect_right(self.order, last)]
        for end in (*order[ROWS::ROWS], last + 1):
            found = {}
            for kind, table in tables.items():
                behind = bisect_left(places(table), end)
                found[kind] = filtered(table.slice(before[kind], behind - before[kind]), wanted)
                before[kind] = behind
            yield Page(found, end)


def _stretch(table: pa.Table, wanted: Wanted) -> tuple[int, int]:
    """From which row up to which one all is that is wanted, by its time."""
    if wanted.start is None and wanted.end is None:
        return 0, len(table)
    inside = [
        compare(table["time"], pa.scalar(bound, TIME))
        for compare, bound in ((pc.greater_equal, wanted.start), (pc.less, wanted.end))
        if bound is not None
    ]
    rows = pc.indices_nonzero(inside[0] if len(inside) == 1 else pc.and_(*inside))
    return (rows[0].as_py(), rows[-1].as_py() + 1) if len(rows) else (0, 0)


def _runs(kind: Kind, table: pa.Table) -> Iterator[Run]:
    sent = table.select(["code", "seq"]).filter(pc.field("seq") > 0)
    if not len(sent):
        return
    sent = sent.take(pc.sort_indices(sent, [("code", "ascending"), ("seq", "ascending")])).combine_chunks()
    codes, seqs = pa.concat_arrays(sent["code"].chunks), pa.concat_arrays(sent["seq"].chunks)
    others = pc.add(pc.indices_nonzero(pc.not_equal(codes[1:], codes[:-1])), 1).to_pylist()
    jumps = pc.indices_nonzero(pc.greater(pc.subtract(seqs[1:], seqs[:-1]), 1)).to_pylist()
    for begin, end in pairwise([0, *others, len(sent)]):
        some = jumps[bisect_left(jumps, begin) : bisect_left(jumps, end - 1)]
        first, last = seqs[begin].as_py(), seqs[end - 1].as_py()
        yield Run(kind, codes[begin].as_py(), first, last, [seqs[at + 1].as_py() for at in some])


def load_records(records: Sequence[Record], wanted: Wanted) -> Loaded:
    """What is chosen of the records of a journal that follow one another."""
    lines = {
        Kind.TRADE: [one.trades for one in records],
        Kind.DEPTH: [one.books for one in records],
        Kind.CORRECTION: [one.corrections for one in records],
    }
    tables = {}
    for kind, parts in lines.items():
        if wanted.kinds is None or kind in wanted.kinds:
            table = chosen(parse(kind, b"".join(parts), "")[0], wanted)
            numbers = pc.index_in(table[MARKET], pa.array(MARKETS)).cast(pa.int8())
            tables[kind] = [table.drop_columns(MARKET).append_column(MARKET, numbers)]
    return Loaded(tables)


def filtered(table: pa.Table, wanted: Wanted) -> pa.Table:
    """The rows of a table that are wanted, by their time."""
    if wanted.start is not None:
        table = table.filter(pc.field("time") >= pa.scalar(wanted.start, TIME))
    if wanted.end is not None:
        table = table.filter(pc.field("time") < pa.scalar(wanted.end, TIME))
    return table


def chosen(table: pa.Table, wanted: Wanted) -> pa.Table:
    """The rows of a table that are wanted whatever their time is."""
    if wanted.codes is not None:
        table = table.filter(pc.field("code").isin(sorted(wanted.codes)))
    if wanted.after is not None:
        table = table.filter(pc.field("seq") > wanted.after)
    return table


def _in_order(tables: list[pa.Table]) -> pa.Table | None:
    if not tables:
        return None
    table = pa.concat_tables(tables)
    tables.clear()  # each table goes as soon as the next one is made of it
    table = table.combine_chunks()
    return table.take(pc.sort_indices(table[ARRIVAL]))


def numbered(kind: Kind, table: pa.Table) -> Iterator[Numbered]:
    """The events of a table of a kind, each with its place in the order."""
    for batch in table.to_batches():
        yield from zip(
            batch[ARRIVAL].to_pylist(),
            map(
                Recorded,
                events(kind, batch),
                _integers(batch["received"]),
                batch["seq"].to_pylist(),
                map(MARKETS.__getitem__, batch[MARKET].to_pylist()),
            ),
            strict=True,
        )


def events(kind: Kind, batch: pa.RecordBatch) -> Iterator[Event | Correction]:
    """The events of rows of a kind."""
    if kind is Kind.TRADE:
        return _trades(batch)
    return _books(batch) if kind is Kind.DEPTH else _corrections(batch)


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
