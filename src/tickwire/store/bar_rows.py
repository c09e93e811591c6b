"""Bars as rows of the SQLite file: their values and the checksum of these."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

from ..model import Kline, KlineType
from .rows import UNSEALED, checksum, encode

COLUMNS = tuple("time open high low close volume turnover first last incomplete".split())
"""What the checksum is made of; it follows them in a row that is read."""
VALUES, SEAL = itemgetter(slice(10)), itemgetter(10)


@functools.lru_cache(maxsize=10_000)
def seed_of(source: str, code: str, kline_type: int) -> int:
    """What the checksum of a bar begins with, so that one in a wrong place is noticed."""
    return checksum(source, code, kline_type)


def values_of(bar: Kline) -> tuple[int, str, str, str, str, str, str, int, int, int]:
    """The columns that the checksum is made of."""
    return (
        bar.time,
        str(bar.open),
        str(bar.high),
        str(bar.low),
        str(bar.close),
        str(bar.volume),
        str(bar.turnover),
        bar.first,
        bar.last,
        int(bar.incomplete),
    )


def bars_of(code: str, kline_type: KlineType, rows: Iterable[tuple[Any, ...]]) -> list[Kline]:
    """Raises ValueError, TypeError or ArithmeticError for what is no bar."""
    number = Decimal
    return [
        Kline(
            code,
            kline_type,
            time,
            number(open_),
            number(high),
            number(low),
            number(close),
            number(volume),
            number(turnover),
            first,
            last,
            bool(incomplete),
        )
        for time, open_, high, low, close, volume, turnover, first, last, incomplete, _ in rows
    ]


def is_sound_bar(source: str, code: str, kline_type: KlineType, row: tuple[Any, ...]) -> bool:
    """Whether a row is a bar as it was written, as far as can be known."""
    try:
        seal = zlib.crc32(encode(VALUES(row)), seed_of(source, code, int(kline_type)))
        if SEAL(row) != UNSEALED:
            return bool(SEAL(row) == seal)
        (bar,) = bars_of(code, kline_type, [row])
        return bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    except (ValueError, TypeError, ArithmeticError):
        return False
