"""Shapes as ccxt gives them, recorded and hostile, to our values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tickwire.model import Book, Direction, Kline, KlineType, Level, Trade
from tickwire.sources.exchange.mapper import LEVELS, Unreadable, exact, read_bar, read_book, read_trade

from .reading import BTC, CATALOGUE, NOW, TRADE

BOOK: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "bids": [[Decimal("79317.60"), Decimal("0.5")], [Decimal("79317.50"), Decimal(2), 7]],
    "asks": [[Decimal("79317.70"), Decimal("0.25")]],
    "timestamp": NOW - 20,
    "datetime": "2026-09-04T12:02:52.980Z",
    "nonce": 1027024,
}


def test_a_trade() -> None:
    price, volume = Decimal("79317.70"), Decimal("0.00012")
    expected = Trade("BTCUSDT", NOW - 17, price, volume, direction=Direction.BUY, source_seq=3062814)
    assert read_trade(BTC, TRADE, NOW) == expected
    assert str(read_trade(BTC, TRADE, NOW).price) == "79317.70000000"


@pytest.mark.parametrize(
    ("fields", "direction", "number"),
    [
        ({"side": "sell"}, Direction.SELL, 3062814),
        ({"side": None}, Direction.NEUTRAL, 3062814),
        ({"side": ["buy"]}, Direction.NEUTRAL, 3062814),
        ({"id": None}, Direction.BUY, 0),
        ({"id": 12}, Direction.BUY, 12),
        ({"id": "7c2f-11"}, Direction.BUY, 0),
        ({"id": "-1"}, Direction.BUY, 0),
        ({"id": "²"}, Direction.BUY, 0),
        ({"id": str(2**63 - 1)}, Direction.BUY, 2**63 - 1),
        ({"id": str(2**63)}, Direction.BUY, 0),
        ({"id": "9" * 5000}, Direction.BUY, 0),
        ({"price": "79317.7", "amount": 0.00012}, Direction.BUY, 3062814),
    ],
)
def test_sides_and_numbers(fields: dict[str, Any], direction: Direction, number: int) -> None:
    trade = read_trade(BTC, TRADE | fields, NOW)
    assert (trade.direction, trade.source_seq) == (direction, number)
    assert (trade.price, trade.volume) == (Decimal("79317.7"), Decimal("0.00012"))


@pytest.mark.parametrize(
    "fields",
    [
        {"price": None},
        {"price": 0},
        {"price": "-1"},
        {"price": True},
        {"price": "1,5"},
        {"price": "9" * 41},
        {"price": Decimal("NaN")},
        {"price": Decimal("Infinity")},
        {"price": Decimal("1E+16")},
        {"price": Decimal("0.00499")},  # 0.00 in its decimals
        {"timestamp": 600_000_000_000},
        {"price": Decimal("1E-31")},
        {"price": Decimal("1E+999999")},
        {"amount": Decimal(0)},
        {"amount": [1]},
        {"timestamp": None},
        {"timestamp": 0},
        {"timestamp": True},
        {"timestamp": "1788530572983"},
        {"timestamp": NOW + 60_001},
        {"timestamp": 1e12},
    ],
)
def test_a_trade_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_trade(BTC, TRADE | fields, NOW)


@pytest.mark.parametrize("raw", [None, [], "x", 7, {}])
def test_what_is_no_structure_at_all(raw: Any) -> None:
    for read in (read_trade, read_book):
        with pytest.raises(Unreadable):
            read(BTC, raw, NOW)


def test_numbers_stay_as_they_were_written() -> None:
    assert [str(exact(one)) for one in ("0.1234567890123456789", "79317.70", 79317.7, 1e-7, 5)] == [
        "0.1234567890123456789",
        "79317.70",
        "79317.7",
        "1E-7",
        "5",
    ]


def test_a_book() -> None:
    assert read_book(BTC, BOOK, NOW) == Book(
        "BTCUSDT",
        NOW - 20,
        (Level(Decimal("79317.60"), Decimal("0.5")), Level(Decimal("79317.50"), Decimal(2))),
        (Level(Decimal("79317.70"), Decimal("0.25")),),
    )
    assert read_book(BTC, BOOK | {"timestamp": None, "bids": []}, NOW).time == NOW
    many = [[Decimal(n), Decimal(1)] for n in range(1, 1000)]
    assert len(read_book(BTC, BOOK | {"asks": many}, NOW).asks) == LEVELS


@pytest.mark.parametrize(
    "fields",
    [
        {"bids": None},
        {"bids": {}},
        {"bids": [None]},
        {"bids": [[]]},
        {"bids": [["1"]]},
        {"bids": [[None, "1"]]},
        {"asks": [["1", "0"]]},
        {"asks": [["2", "1"], ["1", "1"]]},
        {"asks": [["2", "1"], ["2", "1"]]},
        {"bids": [["1", "1"], ["2", "1"]]},
        {"timestamp": -5},
    ],
)
def test_a_book_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_book(BTC, BOOK | fields, NOW)


def test_a_bar() -> None:
    one = CATALOGUE["BTCUSDT"]
    raw: list[Any] = [
        NOW - NOW % 60_000,
        *map(Decimal, ("79317.00", "79319.00", "79316.50", "79317.70", "2.5")),
    ]
    bar = read_bar(one, KlineType.MINUTE, raw, NOW)
    assert bar == Kline(
        code="BTCUSDT",
        kline_type=KlineType.MINUTE,
        time=(NOW - NOW % 60_000) // 1000,
        open=Decimal(79317),
        high=Decimal(79319),
        low=Decimal("79316.5"),
        close=Decimal("79317.7"),
        volume=Decimal("2.5"),
        turnover=Decimal("198294.25"),
    )
    assert read_bar(one, KlineType.MINUTE, [*raw, "198293.005"], NOW).turnover == Decimal("198293.01")
