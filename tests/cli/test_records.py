"""Events as commands print them for people."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tickwire.cli.output import json_line
from tickwire.cli.records import Lines, record, spared_line
from tickwire.client import Book, Kline, Trade
from tickwire.model import Direction, Kind, Level
from tickwire.wire import MarketState, Spared

from .commands import AT, WHEN


def test_lines_grow_into_columns_and_colour_what_was_bought_and_sold() -> None:
    lines = Lines(colours=True)
    bought = Trade("GOLD", AT, Decimal("4415.32"), Decimal("8.00"), direction=Direction.BUY)
    sold = Trade("BTCUSDT", AT, Decimal("79317.70"), Decimal("0.50000"), direction=Direction.SELL)
    assert [lines.line(one) for one in (bought, sold, bought)] == [
        f"{WHEN}  GOLD  trade  4415.32  8.00  \x1b[32mbuy\x1b[0m\n",
        f"{WHEN}  BTCUSDT  trade  79317.70  0.50000  \x1b[31msell\x1b[0m\n",
        f"{WHEN}  GOLD     trade   4415.32     8.00  \x1b[32mbuy\x1b[0m\n",
    ]


def test_a_side_that_is_empty_and_numbers_without_exponents() -> None:
    limit_up = Book("X", AT, bids=(Level(Decimal("0.0000001"), Decimal(3)),), asks=())
    assert Lines(colours=False).line(limit_up) == f"{WHEN}  X  book   bid 0.0000001x3  ask none\n"


@pytest.mark.parametrize(("interval", "shown"), [("1h", "2026-11-15T16:00:00.000Z"), ("1d", "2026-11-16")])
def test_a_bar_of_a_day_is_shown_by_its_trading_date(interval: str, shown: str) -> None:
    one = Decimal(1)
    bar = Kline("700.HK", interval, 1794758400000, one, one, one, one, one, one)  # midnight in Hong Kong
    assert Lines(colours=False).line(bar).split()[0] == shown
    found = record(bar)
    assert found["time"] == "2026-11-15T16:00:00.000Z"
    assert found.get("trading_date") == bar.trading_date


def test_what_an_instrument_does() -> None:
    state = MarketState("600519.SH", "limit-up", AT)
    assert Lines(colours=False).line(state) == f"{WHEN}  600519.SH  state  limit-up\n"
    assert Lines(colours=False).line(MarketState("X", "\x1b[2J", AT)).endswith("state  �[2J\n")
    assert record(state) == {
        "event": "marketstate",
        "code": "600519.SH",
        "state": "limit-up",
        "time": WHEN,
    }


def test_what_the_server_spared_us() -> None:
    spared = Spared(Kind.DEPTH, 7, ("GOLD", "BTCUSDT"), AT)
    assert spared_line(spared) == (
        f"too slow: the server thinned or left out 7 books of GOLD, BTCUSDT since {WHEN}"
    )
    assert json.loads(json_line(record(spared))) == {
        "event": "spared",
        "kind": "book",
        "dropped": 7,
        "codes": ["GOLD", "BTCUSDT"],
        "since": WHEN,
    }
