"""How far exchanges let a price move in a day."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from .decimals import EXACT
from .instrument import Instrument, Market, tick_size

BOARDS = {"688": 20, "689": 20, "300": 20, "301": 20, "302": 20}
"""Percent by how a code of Shanghai (STAR) or Shenzhen (ChiNext) begins."""
BEIJING, UNDER_WARNING, OTHERS = 30, 5, 10
WARNING = re.compile(r"S?\*?ST")
"""How the name of a share under special treatment begins."""


class PriceLimits(NamedTuple):
    """The lowest and the highest price of a day."""

    down: Decimal
    up: Decimal


def limit_percent(instrument: Instrument) -> int | None:
    """By how many percent an instrument's price may lie above or below its previous close; None where there
    is no such rule. A-shares have one: by board, which the code tells, and by name (ST)."""
    if instrument.market is not Market.CN_STOCK:
        return None
    number, _, exchange = instrument.code.partition(".")
    if exchange == "BJ":
        return BEIJING
    if (percent := BOARDS.get(number[:3])) is not None:
        return percent
    return UNDER_WARNING if WARNING.match(instrument.name_cn) else OTHERS


def price_limits(instrument: Instrument, previous_close: Decimal) -> PriceLimits | None:
    """The limits of a day, rounded half up to a tick, and a tick from the previous close at the least; None
    where there are none."""
    if (percent := limit_percent(instrument)) is None:
        return None
    tick = tick_size(instrument, previous_close)

    def limit(by: int) -> Decimal:
        exact = EXACT.multiply(previous_close, EXACT.divide(Decimal(100 + by), Decimal(100)))
        return EXACT.multiply(EXACT.divide(exact, tick).to_integral_value(ROUND_HALF_UP), tick)

    down = min(limit(-percent), EXACT.subtract(previous_close, tick))
    return PriceLimits(max(down, tick), max(limit(percent), EXACT.add(previous_close, tick)))
