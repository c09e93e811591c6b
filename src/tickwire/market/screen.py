"""Which of recorded events, that lie in columns, have to be looked at one by one: those that are surely fit
by `model.event_fault` whatever their instrument is do not."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from ..model import LARGEST, YEAR_1990, YEAR_2100, Direction, Kind

ZERO, MOST = (pa.scalar(one, pa.decimal128(38, 12)) for one in (Decimal(0), LARGEST))


def doubtful(kind: Kind, table: pa.Table) -> list[int]:
    """The rows of events of a kind that may be unfit; of most recordings there are none."""
    if kind is Kind.CORRECTION:
        return [*range(len(table))]
    times = table["time"].cast(pa.int64())
    sound = pc.and_(pc.greater_equal(times, YEAR_1990), pc.less(times, YEAR_2100))
    if kind is Kind.TRADE:
        price, volume, money, direction = (
            table[name] for name in ("price", "volume", "turnover", "direction")
        )
        for one in (
            _is_price(price),
            _is_volume(volume),
            pc.fill_null(pc.greater_equal(money, ZERO), fill_value=True),
            pc.and_(pc.greater_equal(direction, 0), pc.less_equal(direction, int(Direction.SELL))),
        ):
            sound = pc.and_(sound, one)
    found = {*_rows_without(sound)}
    if kind is Kind.DEPTH:
        found.update(*(_sides(table[name], falling=name == "bids") for name in ("bids", "asks")))
    return sorted(found)


def _is_price(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    return pc.and_(pc.greater(column, ZERO), pc.less(column, MOST))


def _is_volume(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    return pc.and_(pc.greater_equal(column, ZERO), pc.less(column, MOST))


def _rows_without(sound: pa.ChunkedArray | pa.Array) -> list[int]:
    """The rows in which that does not hold."""
    found: list[int] = pc.indices_nonzero(pc.invert(pc.fill_null(sound, fill_value=False))).to_pylist()
    return found


def _sides(column: pa.ChunkedArray, *, falling: bool) -> set[int]:
    """The rows of which a side may be unfit."""
    found: set[int] = set()
    begin = 0
    for side in column.chunks:
        levels, row = side.flatten(), pc.list_parent_indices(side)
        price = pc.struct_field(levels, "price")
        sound = pc.and_(_is_price(price), _is_volume(pc.struct_field(levels, "volume")))
        unsure = _rows_without(sound)
        if len(levels) > 1:
            one, behind = price[:-1], price[1:]
            apart = pc.not_equal(row[:-1], row[1:])
            in_order = pc.greater(one, behind) if falling else pc.less(one, behind)
            unsure += _rows_without(pc.or_(apart, in_order))
        if unsure:
            rows = row.to_pylist()
            found.update(begin + rows[one] for one in unsure)
        begin += len(side)
    return found
