"""What an instrument is that no catalogue has: by its code, upstream's answers and the stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from ...calendars import KEYS
from ...client import InstrumentInfo
from ...model import (
    MAX_DECIMALS,
    METALS,
    QUANTA,
    RULES,
    Book,
    Event,
    Instrument,
    Kline,
    Market,
    Trade,
    market_of,
)
from ...wire import StaticInfo

CALENDARS = {".US": "XNYS", ".HK": "XHKG", ".SH": "XSHG", ".SZ": "XSHG"}
"""The calendars of stocks and their indices, by the end of their codes."""
OTHER_CALENDARS = {Market.FOREX: "forex", Market.CRYPTO: "crypto"}
CURRENCIES = {".US": "USD", ".HK": "HKD", ".SH": "CNY", ".SZ": "CNY"}
A_SHARE_LOT = 100
MOST_LEVELS = 1000
LONGEST = 200
"""Characters of a text of upstream's that are kept."""
FACTS = ("name_en", "name_cn", "name_hk", "exchange", "board", "currency", "lot_size")
"""What is kept of an entry of /static_info; the rest of it changes from day to day."""


def guessed(code: str, source: str) -> Instrument:
    """What the form of a code says, with as few decimals as can be: the first event widens them."""
    market, suffix = market_of(code), code[-3:]
    hours = "metals" if code[:3] in METALS else OTHER_CALENDARS.get(market, "")
    rules = RULES[market]
    return Instrument(
        code=code,
        market=market,
        price_decimals=rules.price_decimals or 0,
        volume_decimals=rules.volume_decimals or 0,
        turnover_decimals=rules.price_decimals or 0,
        levels=rules.levels,
        volume_unit=A_SHARE_LOT if CURRENCIES.get(suffix) == "CNY" else 1,
        currency=CURRENCIES.get(suffix, ""),
        calendar=CALENDARS.get(suffix, hours),
        learned=source,
    )


def described(info: InstrumentInfo, source: str) -> Instrument | None:
    """What a Tickwire says that an instrument is; None if it cannot be."""
    try:
        market = Market(info.market)
        calendar = info.calendar if info.calendar in KEYS else ""
        mainland = market in (Market.CN_STOCK, Market.INDEX) and calendar == "XSHG"
        told = Instrument(
            code=info.code,
            market=market,
            price_decimals=info.price_decimals,
            volume_decimals=info.volume_decimals,
            turnover_decimals=info.turnover_decimals,
            levels=info.depth_levels,
            negative_prices=info.negative_prices,
            volume_unit=A_SHARE_LOT if mainland else 1,
            calendar=calendar,
            learned=source,
            **{name: getattr(info, name)[:LONGEST] for name in FACTS if name != "board"},
        )
        return msgspec.convert(msgspec.structs.asdict(told), Instrument)  # which checks all bounds
    except ValueError:
        return None


def named(one: Instrument, info: StaticInfo) -> Instrument:
    """An instrument with what /static_info says of it."""
    facts = {name: text for name in FACTS if (text := getattr(info, name)[:LONGEST])}
    return msgspec.structs.replace(one, **facts)


def widened(one: Instrument, shown: Event | Kline) -> Instrument:
    """An instrument with at least as many decimals and levels as it is shown in: the same if it has them.

    Where a trade has no turnover, that gets the decimals of the price.
    """
    known = one.price_decimals, one.volume_decimals, one.turnover_decimals
    prices, volumes, money = map(_most, _numbers(shown), known)
    levels = one.levels
    if isinstance(shown, Book):
        levels = max(levels, min(max(len(shown.bids), len(shown.asks)), MOST_LEVELS))
    elif shown.turnover is None:
        money = max(prices, money)
    if (prices, volumes, money, levels) == (*known, one.levels):
        return one
    return msgspec.structs.replace(
        one, price_decimals=prices, volume_decimals=volumes, turnover_decimals=money, levels=levels
    )


def is_finer(shown: Event | Kline) -> bool:
    """Whether something is shown in more decimals than any instrument has."""
    prices, volumes, _ = _numbers(shown)
    exponents = (number.as_tuple().exponent for number in (*prices, *volumes))
    return any(isinstance(one, int) and one < -MAX_DECIMALS for one in exponents)


def _numbers(shown: Event | Kline) -> tuple[Sequence[Decimal], Sequence[Decimal], Sequence[Decimal]]:
    """The prices, volumes and turnovers of something."""
    match shown:
        case Trade():
            return (shown.price,), (shown.volume,), () if shown.turnover is None else (shown.turnover,)
        case Book(bids=bids, asks=asks):
            levels = (*bids, *asks)
            return [level.price for level in levels], [level.volume for level in levels], ()
    return (shown.open, shown.high, shown.low, shown.close), (shown.volume,), (shown.turnover,)


def _most(numbers: Iterable[Decimal], known: int) -> int:
    """The most decimals that any of these is written with, and no fewer than are known."""
    most, quantum = known, QUANTA[known]
    for number in numbers:
        if not number.same_quantum(quantum):  # which is asked in a tenth of the time
            exponent = number.as_tuple().exponent
            most = max(most, -exponent if isinstance(exponent, int) else 0)
    return min(most, MAX_DECIMALS)
