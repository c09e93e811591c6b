"""Money that changes hands in a trade: one rule for pushes, answers and bars."""

from __future__ import annotations

from decimal import Decimal

from .decimals import EXACT, QUANTA
from .events import Trade
from .instrument import Instrument


def turnover(instrument: Instrument, trade: Trade) -> Decimal:
    """The source's figure, or price × volume × shares in a unit of volume; half up to its decimals.

    Section 2, "Push: trade".
    """
    money = trade.turnover
    if money is None:
        money = EXACT.multiply(trade.price, trade.volume)
        if instrument.volume_unit != 1:
            money = EXACT.multiply(money, Decimal(instrument.volume_unit))
    return EXACT.quantize(money, QUANTA[instrument.turnover_decimals])
