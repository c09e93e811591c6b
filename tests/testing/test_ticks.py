"""Trades and books that a test writes: what clients get of them, and what is refused."""

from __future__ import annotations

import socket
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tickwire.testing import AllTickServer

from ..serving import DEPTH, TRADE, upgrade
from .conftest import Linked


def test_a_trade_is_pushed_as_it_was_told(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet)
    (last,) = client.subscribe(TRADE, "BTCUSDT")
    at = quiet.time.now() + 5
    quiet.trade("BTCUSDT", "79317.7", volume=Decimal("0.5"), direction="sell", at=at)
    quiet.trade("BTCUSDT", 79318, turnover="1.25", direction=1)
    quiet.trade("BTCUSDT", "7.93190e4", volume=0)
    common = {"code": "BTCUSDT"}
    assert [client.data() for _ in range(3)] == [
        common
        | {
            "seq": last["seq"] + 1,
            "tick_time": at,
            "price": "79317.70",
            "volume": "0.50000",
            "turnover": "39658.85",
            "trade_direction": 2,
        },
        common
        | {
            "seq": last["seq"] + 2,
            "tick_time": at - 5,
            "price": "79318.00",
            "volume": "1.00000",
            "turnover": "1.25",
            "trade_direction": 1,
        },
        common
        | {
            "seq": last["seq"] + 3,
            "tick_time": at - 5,
            "price": "79319.00",
            "volume": "0.00000",
            "turnover": "0.00",
            "trade_direction": 0,
        },
    ]


def test_a_book_is_pushed_as_it_was_told(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet, "stock")
    client.subscribe(DEPTH, "700.HK")
    quiet.book("700.HK", [("512.5", 100), ("512", "200")], iter([(Decimal(513), 0)]))
    pushed = client.data()
    assert pushed["bids"] == [
        {"price": "512.500000", "volume": "100"},
        {"price": "512.000000", "volume": "200"},
    ]
    assert pushed["asks"] == [{"price": "513.000000", "volume": "0"}]
    assert pushed["tick_time"] == quiet.time.now()
    quiet.book("700.HK", [("512.5", 100)], [], at=quiet.time.now() + 1)
    pushed = client.data()
    assert {level["price"] for level in pushed["asks"]} == {"0.000000"}
    assert pushed["tick_time"] == quiet.time.now() + 1


def test_an_alias_is_its_code(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet)
    client.subscribe(TRADE, "GOLD")
    quiet.trade("XAUUSD", "4415.32")
    assert (pushed := client.data())["code"] == "GOLD"
    assert pushed["price"] == "4415.32"
    assert quiet.state("XAUUSD") == "open"


def test_a_trade_has_been_sent_when_the_handle_returns(quiet: AllTickServer) -> None:
    with socket.create_connection(("127.0.0.1", int(quiet.url[17:]))) as client:
        client.sendall(upgrade())
        assert b"101" in client.recv(2**16)
        body = b'{"cmd_id":22004,"data":{"symbol_list":["BTCUSDT"]}}'
        client.sendall(bytes((0x81, 0x80 | len(body))) + bytes(4) + body)
        while b"22998" not in client.recv(2**16):
            pass
        client.setblocking(False)
        for price in range(1000, 1100):
            quiet.trade("BTCUSDT", price)
            assert f'"{price}.00"'.encode() in client.recv(2**16)


@pytest.mark.parametrize(
    ("tick", "error", "words"),
    [
        (lambda s: s.trade("BTCUSD", 1), ValueError, ["'BTCUSD'", "BTCUSDT"]),
        (lambda s: s.trade("btcusdt", 1), ValueError, ["'btcusdt'", "BTCUSDT", "case"]),
        (lambda s: s.book("NOPE", [], []), ValueError, ["'NOPE'"]),
        (lambda s: s.state("NOPE"), ValueError, ["'NOPE'"]),
        (lambda s: s.trade("GOLD", 4415.32), TypeError, ["GOLD", "price", "4415.32", "float"]),
        (lambda s: s.trade("GOLD", True), TypeError, ["price", "True"]),
        (lambda s: s.trade("GOLD", None), TypeError, ["price", "None"]),
        (lambda s: s.trade("GOLD", 1, volume=0.5), TypeError, ["volume", "0.5", "float"]),
        (lambda s: s.trade("GOLD", 1, turnover=0.5), TypeError, ["turnover", "0.5", "float"]),
        (lambda s: s.trade("GOLD", "4415.321"), ValueError, ["GOLD", "price", "2 decimals", "4415.321"]),
        (lambda s: s.trade("AAPL.US", 1, volume="1.5"), ValueError, ["volume", "0 decimals"]),
        (lambda s: s.trade("GOLD", 1, turnover="0.001"), ValueError, ["turnover", "2 decimals"]),
        (lambda s: s.trade("GOLD", 0), ValueError, ["price", "above 0"]),
        (lambda s: s.trade("GOLD", "-1"), ValueError, ["price", "'-1'"]),
        (lambda s: s.trade("GOLD", "1e16"), ValueError, ["price", "10^15"]),
        (lambda s: s.trade("GOLD", "1e999999999"), ValueError, ["price", "10^15"]),
        (lambda s: s.trade("GOLD", "NaN"), ValueError, ["price", "NaN"]),
        (lambda s: s.trade("GOLD", Decimal("Infinity")), ValueError, ["price", "Infinity"]),
        (lambda s: s.trade("GOLD", "12,50"), ValueError, ["price", "12,50", "no decimal number"]),
        (lambda s: s.trade("GOLD", 1, volume=-1), ValueError, ["volume", "-1"]),
        (lambda s: s.trade("GOLD", 1, direction="up"), ValueError, ["direction", "'up'", "sell (2)"]),
        (lambda s: s.trade("GOLD", 1, direction=3), ValueError, ["direction", "3"]),
        (lambda s: s.trade("GOLD", 1, at=1788530573), ValueError, ["at=1788530573", "milliseconds"]),
        (lambda s: s.trade("GOLD", 1, at=1788530573000.0), TypeError, ["at", "whole milliseconds"]),
        (lambda s: s.trade("GOLD", 1, at=10**15), ValueError, ["at", "milliseconds"]),
        (lambda s: s.book("GOLD", [(1, 1)], [(1.5, 1)]), TypeError, ["GOLD", "asks[0]", "price", "float"]),
        (lambda s: s.book("GOLD", [(2, 1), (1, 1)], []), ValueError, ["bids", "2 levels", "at most 1"]),
        (lambda s: s.book("700.HK", [(2, 1), (0, 1)], []), ValueError, ["bids[1]", "price", "above 0"]),
        (lambda s: s.book("700.HK", [], [(2, 1), (3, "x")]), ValueError, ["asks[1]", "volume", "'x'"]),
        (lambda s: s.book("700.HK", [(1, 1), (2, 1)], []), ValueError, ["bids", "best price first"]),
        (lambda s: s.book("700.HK", [], [(2, 1), (1, 1)]), ValueError, ["asks", "best price first"]),
        (lambda s: s.book("700.HK", [], [(2, 1), (2, 1)]), ValueError, ["asks", "once"]),
        (lambda s: s.book("700.HK", ["12"], [3]), ValueError, ["bids[0]", "pair"]),
        (lambda s: s.book("HSI.HK", [], []), ValueError, ["HSI.HK", "no book"]),
    ],
)
def test_what_no_tick_can_be_is_refused_by_name(
    quiet: AllTickServer, tick: Callable[[Any], object], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as told:
        tick(quiet)
    assert [word for word in words if word not in str(told.value)] == []
