"""What a simulated company looks like: the figures of /static_info that the catalogue does not know."""

from __future__ import annotations

from random import Random

import msgspec

from ..model import Instrument, Market

COMPANIES = (Market.US_STOCK, Market.HK_STOCK, Market.CN_STOCK)


def with_figures(instrument: Instrument, seed: int) -> Instrument:
    """A stock with plausible figures in place of those that are not known, always the same by the seed; any
    other instrument as it is.

    They fit one another and the reference price: earnings and book value are in money per share, the dividend
    yield in percent.
    """
    if instrument.market not in COMPANIES:
        return instrument
    dice, price = Random(f"{seed}:{instrument.code}:company"), float(instrument.reference_price)
    shares = round(10 ** dice.uniform(9.5, 11.7) / price)
    years = dice.lognormvariate(2.9, 0.5)  # price to earnings
    figures = {
        "total_shares": str(shares),
        "circulating_shares": str(round(shares * dice.uniform(0.6, 1))),
        "hk_shares": str(shares if instrument.market is Market.HK_STOCK else 0),
        "eps": f"{price / years / dice.uniform(0.9, 1.2):.4f}",
        "eps_ttm": f"{price / years:.4f}",
        "bps": f"{price / dice.lognormvariate(0.8, 0.6):.4f}",
        "dividend_yield": f"{100 / years * dice.uniform(0, 0.6):.2f}",
    }
    unknown = {name: figure for name, figure in figures.items() if not getattr(instrument, name)}
    return msgspec.structs.replace(instrument, **unknown)
