"""Trades and books from what a test writes, checked as strictly as a test deserves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from ..model import ALIASES, Book, Catalogue, Direction, Instrument, Level, Trade
from .market_time import milliseconds

Number: TypeAlias = str | int | Decimal
"""A price or a volume, exactly."""
Side: TypeAlias = Iterable[Sequence[Number]]
"""Pairs of price and volume, best first."""

LARGEST = Decimal(10**15)


def instrument_of(catalogue: Catalogue, code: str) -> Instrument:
    """What the code, or an alias, stands for. Raises ValueError."""
    name = ALIASES.get(code, code) if code not in catalogue else code
    if name not in catalogue:
        near = catalogue.nearest(code)
        meant = "" if near is None else f"; the nearest is {near!r} (case matters)"
        raise ValueError(f"The code {code!r} is unknown{meant}.")
    return catalogue[name]


def read_trade(
    instrument: Instrument,
    price: Number,
    volume: Number,
    direction: int | str,
    turnover: Number | None,
    at: int,
) -> Trade:
    """A trade at that time. Raises TypeError or ValueError that names what is wrong."""
    where = f"A trade of {instrument.code}: "
    return Trade(
        instrument.code,
        milliseconds("at", at),
        _price(where + "price", price, instrument),
        _decimal(where + "volume", volume, instrument.volume_decimals),
        None if turnover is None else _decimal(where + "turnover", turnover, instrument.turnover_decimals),
        _direction(where + "direction", direction),
    )


def read_book(instrument: Instrument, bids: Side, asks: Side, at: int) -> Book:
    """A whole book at that time. Raises TypeError or ValueError that names what is wrong."""
    if not instrument.levels:
        raise ValueError(f"{instrument.code} is an index and has no book.")
    return Book(
        instrument.code,
        milliseconds("at", at),
        _side("bids", bids, instrument, rising=False),
        _side("asks", asks, instrument, rising=True),
    )


def _side(name: str, side: Side, instrument: Instrument, *, rising: bool) -> tuple[Level, ...]:
    where = f"A book of {instrument.code}: {name}"
    levels = []
    for place, level in enumerate(side):
        match level:
            case (price, volume):
                levels.append(
                    Level(
                        _price(f"{where}[{place}]: price", price, instrument),
                        _decimal(f"{where}[{place}]: volume", volume, instrument.volume_decimals),
                    )
                )
            case _:
                raise ValueError(f"{where}[{place}] must be a pair of price and volume, not {level!r}.")
    if len(levels) > instrument.levels:
        raise ValueError(f"{where} has {len(levels)} levels; a book of it has at most {instrument.levels}.")
    prices = [level.price for level in levels]
    if prices != sorted(set(prices), reverse=not rising):
        raise ValueError(f"{where} must have the best price first, and each price once.")
    return tuple(levels)


def _price(where: str, value: Number, instrument: Instrument) -> Decimal:
    least = -LARGEST if instrument.goes_negative else Decimal(0)
    price = _decimal(where, value, instrument.price_decimals, least)
    if not price and not least:
        raise ValueError(f"{where} must be above 0.")
    return price


def _decimal(where: str, value: Number, decimals: int, least: Decimal = Decimal(0)) -> Decimal:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise TypeError(f"{where} must be a text, an int or a Decimal, not {value!r}: a float is not exact.")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{where} is {value!r}, which is no decimal number.") from None
    if not number.is_finite() or not least <= number <= LARGEST:
        raise ValueError(f"{where} must be from {'-10^15' if least else 0} to 10^15, not {value!r}.")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        raise ValueError(f"{where} may have {decimals} decimals, not as {value!r}.")
    return number


def _direction(where: str, value: int | str) -> int:
    try:
        return Direction[value.upper()] if isinstance(value, str) else Direction(value)
    except (KeyError, ValueError):
        names = ", ".join(f"{one.name.lower()} ({one.value})" for one in Direction)
        raise ValueError(f"{where} must be one of {names}, not {value!r}.") from None
