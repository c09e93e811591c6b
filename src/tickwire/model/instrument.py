"""An instrument: what a code stands for, and in which numbers it is quoted."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from .decimals import MAX_DECIMALS


class Family(StrEnum):
    """The two halves of the protocol, each with paths of its own."""

    STOCK = "stock"
    OTHER = "other"


class Market(StrEnum):
    """Where an instrument is traded."""

    INDEX = "index"
    US_STOCK = "us_stock"
    HK_STOCK = "hk_stock"
    CN_STOCK = "cn_stock"
    FOREX = "forex"
    METALS = "metals"
    ENERGY = "energy"
    CFD_INDEX = "cfd_index"
    CRYPTO = "crypto"


class Rules(NamedTuple):
    """What holds for all instruments of a market unless one says otherwise.

    `levels` is the depth of the book (0: there is none). `price_decimals` and `volume_decimals` are
    None where the market has no rule. Section 2 of the protocol, "Push: order book". `negative_prices` says
    that prices may be zero and below: oil has been, and gas and power are at times.
    """

    family: Family
    levels: int
    price_decimals: int | None = None
    volume_decimals: int | None = None
    negative_prices: bool = False


RULES: dict[Market, Rules] = {
    Market.INDEX: Rules(Family.STOCK, 0, 6, 0),
    Market.US_STOCK: Rules(Family.STOCK, 1, 6, 0),
    Market.HK_STOCK: Rules(Family.STOCK, 10, 6, 0),
    Market.CN_STOCK: Rules(Family.STOCK, 5, 6, 0),
    Market.FOREX: Rules(Family.OTHER, 1),
    Market.METALS: Rules(Family.OTHER, 1),
    Market.ENERGY: Rules(Family.OTHER, 1, negative_prices=True),
    Market.CFD_INDEX: Rules(Family.OTHER, 1),
    Market.CRYPTO: Rules(Family.OTHER, 5),
}

Decimals = Annotated[int, Meta(ge=0, le=MAX_DECIMALS)]
Code = Annotated[str, Meta(pattern=r"\A[!-+\--~]{1,32}\Z")]  # visible ASCII without the comma


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code of the catalogue.

    `volume_unit` is the number of shares in one unit of volume (100 for A-shares, which are quoted in
    lots). `reference_price` is where the simulator begins; it is no market data. `learned` names the source
    whose upstream said what the code is, empty if a catalogue or a publisher did. `negative_prices` is None
    where the market's rule holds. The fields from `exchange` on are those of /static_info, empty where they
    are not known.
    """

    code: Code
    market: Market
    price_decimals: Decimals
    volume_decimals: Decimals
    turnover_decimals: Decimals
    levels: Annotated[int, Meta(ge=0, le=1000)]
    volume_unit: Annotated[int, Meta(ge=1, le=10**9)] = 1
    reference_price: Decimal = Decimal(100)
    negative_prices: bool | None = None
    name_en: str = ""
    name_cn: str = ""
    name_hk: str = ""
    currency: str = ""
    calendar: str = ""
    learned: str = ""
    exchange: str = ""
    board: str = ""
    lot_size: str = ""
    total_shares: str = ""
    circulating_shares: str = ""
    hk_shares: str = ""
    eps: str = ""
    eps_ttm: str = ""
    bps: str = ""
    dividend_yield: str = ""

    @property
    def family(self) -> Family:
        """The half of the protocol that serves it."""
        return RULES[self.market].family

    @property
    def goes_negative(self) -> bool:
        """Whether its prices may be zero and below."""
        said = self.negative_prices
        return RULES[self.market].negative_prices if said is None else said


_HK_TICKS = {
    Decimal(limit): Decimal(tick)
    for limit, tick in (
        ("0.25", "0.001"),
        ("0.5", "0.005"),
        ("20", "0.01"),
        ("50", "0.02"),
        ("100", "0.05"),
        ("200", "0.1"),
        ("500", "0.2"),
        ("1000", "0.5"),
        ("2000", "1"),
        ("5000", "2"),
        ("Infinity", "5"),
    )
}
_ANY_PRICE = Decimal("Infinity")
_CENT = {_ANY_PRICE: Decimal("0.01")}


def tick_sizes(instrument: Instrument) -> dict[Decimal, Decimal]:
    """The smallest steps of the instrument's price, by the price below which each holds, ascending.

    Hong Kong by the exchange's spread table of August 2025; US and A-shares and stock indices a cent;
    all else one unit of the last decimal.
    """
    if instrument.market is Market.HK_STOCK:
        return _HK_TICKS
    if instrument.family is Family.STOCK:
        return _CENT
    return {_ANY_PRICE: Decimal(1).scaleb(-instrument.price_decimals)}


def tick_size(instrument: Instrument, price: Decimal) -> Decimal:
    """The smallest step of the instrument's price at that price."""
    return next(tick for limit, tick in tick_sizes(instrument).items() if price < limit)


class Reach(NamedTuple):
    """The instruments that a token is for: those of some markets, and some codes."""

    markets: frozenset[Market] = frozenset()
    codes: frozenset[str] = frozenset()

    def covers(self, instrument: Instrument) -> bool:
        """Whether that instrument is one of them."""
        return instrument.market in self.markets or instrument.code in self.codes
