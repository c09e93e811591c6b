"""Tables of recorded events, as Arrow writes them to a stream."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ..model import Kind


def tables_written(tables: Mapping[Kind, pa.Table]) -> dict[Kind, bytes]:
    """The bytes of each."""
    found = {}
    for kind, table in tables.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        found[kind] = sink.getvalue().to_pybytes()
    return found


def tables_read(tables: Mapping[Kind, bytes]) -> dict[Kind, pa.Table]:
    """The same at the other end."""
    return {kind: pa.ipc.open_stream(data).read_all() for kind, data in tables.items()}
