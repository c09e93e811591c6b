"""A correction as it is recorded: one flat row."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ...model import Correction, Trade


class CorrectionFields(msgspec.Struct, frozen=True, gc=False):
    """The fields of a correction. Where the trade was cancelled its amounts are None."""

    code: str
    time: int
    trade_seq: int
    trade_time: int
    trade_source_seq: int
    was_price: Decimal
    was_volume: Decimal
    was_turnover: Decimal | None
    was_direction: int
    price: Decimal | None
    volume: Decimal | None
    turnover: Decimal | None
    direction: int | None
    source_seq: int


def fields_of(one: Correction) -> CorrectionFields:
    """A correction as a row."""
    was, now = one.was, one.became
    return CorrectionFields(
        one.code,
        one.time,
        one.trade_seq,
        was.time,
        was.source_seq,
        was.price,
        was.volume,
        was.turnover,
        was.direction,
        None if now is None else now.price,
        None if now is None else now.volume,
        None if now is None else now.turnover,
        None if now is None else now.direction,
        one.source_seq,
    )


def correction_of(row: CorrectionFields) -> Correction:
    """The correction of a row."""
    was = Trade(
        row.code,
        row.trade_time,
        row.was_price,
        row.was_volume,
        row.was_turnover,
        row.was_direction,
        row.trade_source_seq,
    )
    now = None
    if row.price is not None and row.volume is not None:
        now = msgspec.structs.replace(
            was,
            price=row.price,
            volume=row.volume,
            turnover=row.turnover,
            direction=was.direction if row.direction is None else row.direction,
        )
    return Correction(row.code, row.time, was, now, row.trade_seq, row.source_seq)
