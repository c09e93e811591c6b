"""Reads a segment: its files, each sorted by code, as one stream in the order of arrival.

A segment is what a recorder sealed at once, so it fits into memory; its tables are sorted anew in Arrow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from weakref import WeakValueDictionary

import pyarrow as pa
from pyarrow import parquet

from ...errors import InputError
from ...model import Kind
from .folder import SealedFile
from .footer import UNREADABLE, read_footer, unreadable
from .page import MARKET, MARKETS, Loaded, Numbered, chosen
from .recordings import Wanted
from .schema import ARRIVAL, ARRIVAL_BEFORE, COLUMNS

_loaded: WeakValueDictionary[Hashable, Loaded] = WeakValueDictionary()
"""What is being read now, by its files and what is chosen of them."""


def read_segment(files: Iterable[SealedFile], wanted: Wanted) -> Iterator[Numbered]:
    """The events of a segment's files in their order of arrival, each with its place in it. Raises InputError
    that names a bad file."""
    return (one for page in load_segment(files, wanted).pages(wanted) for one in page.recorded())


def load_segment(files: Iterable[SealedFile], wanted: Wanted) -> Loaded:
    """The same in columns, whatever their times are. Who reads the same segment at once reads it together,
    each the stretch that it wants."""
    some = [file for file in files if _holds(file, wanted)]
    codes, kinds = (None if one is None else frozenset(one) for one in (wanted.codes, wanted.kinds))
    key = (*(file.path for file in some), codes, kinds, wanted.after)
    if (loaded := _loaded.get(key)) is None:
        tables: dict[Kind, list[pa.Table]] = {kind: [] for kind in COLUMNS}
        for file in some:
            try:
                tables[file.partition.kind] += _load(file, wanted)
            except UNREADABLE as error:
                raise unreadable(file.path, error) from error
        loaded = _loaded[key] = Loaded(tables)
    return loaded


def _holds(file: SealedFile, wanted: Wanted) -> bool:
    """Whether something that is wanted may be in a file, by what its end says."""
    try:
        footer = read_footer(file.path)
    except UNREADABLE as error:
        raise unreadable(file.path, error) from error
    return (
        (wanted.codes is None or not footer.codes.keys().isdisjoint(wanted.codes))
        and (wanted.start is None or footer.last_time >= wanted.start)
        and (wanted.end is None or footer.first_time < wanted.end)
    )


def _load(file: SealedFile, wanted: Wanted) -> Iterator[pa.Table]:
    """What is chosen of each row group, with the market's number beside the columns."""
    schema = COLUMNS[file.partition.kind]
    market = MARKETS.index(file.partition.market)
    with parquet.ParquetFile(file.path, page_checksum_verification=True) as opened:
        if not _renamed(opened.schema_arrow).equals(schema):
            raise InputError(f"{file.path} does not have the columns of a recording. Move it away.")
        for number in range(opened.num_row_groups):
            group = opened.metadata.row_group(number)
            if not _may_hold(group, schema, wanted):
                continue
            # In this thread: a replay shares the machine with the server that it feeds.
            table = opened.read_row_group(number, use_threads=False).rename_columns(schema.names)
            table = chosen(table, wanted)
            yield table.append_column(
                MARKET, pa.repeat(pa.scalar(market, pa.int8()), len(table))
            ).replace_schema_metadata()


def _renamed(columns: pa.Schema) -> pa.Schema:
    """The columns of a file of any version by the names that they have now."""
    return pa.schema([one.with_name(ARRIVAL) if one.name == ARRIVAL_BEFORE else one for one in columns])


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
