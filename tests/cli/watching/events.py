"""What a feed gives a watcher."""

from __future__ import annotations

from decimal import Decimal

from tickwire.cli.watching.line import Line
from tickwire.client import Book, Kline, Trade
from tickwire.model import Level

NOW = 1_788_530_573_000
SOME = "BTCUSDT", "GOLD", "AAPL.US"


def trade(code: str = "GOLD", price: str = "4415.32", at: int = NOW, volume: str = "8.00") -> Trade:
    return Trade(code, at, Decimal(price), Decimal(volume))


def book(code: str = "GOLD", levels: int = 3, at: int = NOW) -> Book:
    bids = tuple(Level(Decimal(f"99.{9 - n}0"), Decimal(n + 1)) for n in range(levels))
    asks = tuple(Level(Decimal(f"100.{n}0"), Decimal(n + 1)) for n in range(levels))
    return Book(code, at, bids, asks)


def bar(close: str, at: int, interval: str = "1m", volume: str = "5", code: str = "GOLD") -> Kline:
    price = Decimal(close)
    return Kline(code, interval, at, price, price, price, price, Decimal(volume), Decimal(0))


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]
