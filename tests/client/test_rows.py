"""Tables of what the API answers. pandas and Polars are tried where they are installed."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tickwire import Book, Kline, MissingLibrary, Rows, Trade
from tickwire.client import GapInfo, MarketInfo
from tickwire.model import Level

MS = 1788529064027
AT = datetime(2026, 9, 4, 13, 37, 44, 27000, UTC)
TRADES = Rows(
    Trade,
    [
        Trade("GOLD", MS, Decimal("4415.32"), Decimal(8), Decimal("35322.56"), seq=1),
        Trade("GOLD", MS, Decimal("0.000000000000000001"), Decimal(99999999999999999999), seq=2),
    ],
)
BOOKS = Rows(Book, [Book("GOLD", MS, (Level(Decimal("4415.3"), Decimal(2)),), (), 3)])
NEW_YORK = ("XNYS", ("us_stock",), 1, "America/New_York", "open", False)
CHRISTMAS = date(2026, 12, 25)
MARKETS = Rows(MarketInfo, [MarketInfo(*NEW_YORK, MS, MS, None, (CHRISTMAS,), date(2035, 12, 31))])


def test_arrow_keeps_numbers_and_times_exactly() -> None:
    pytest.importorskip("pyarrow")
    first, second = TRADES.to_arrow().to_pylist()
    assert (first["code"], first["time"], first["price"]) == ("GOLD", AT, Decimal("4415.32"))
    assert (first["turnover"], second["turnover"]) == (Decimal("35322.56"), None)
    assert second["price"] == Decimal("0.000000000000000001")
    assert second["volume"] == Decimal(99999999999999999999)
    assert TRADES.to_arrow(floats=True).to_pylist()[0]["price"] == 4415.32


def test_arrow_holds_levels_and_lists() -> None:
    pytest.importorskip("pyarrow")
    (book,) = BOOKS.to_arrow().to_pylist()
    assert (book["bids"], book["asks"]) == ([{"price": Decimal("4415.3"), "volume": Decimal(2)}], [])
    (market,) = MARKETS.to_arrow().to_pylist()
    assert (market["next_open"], market["next_close"]) == (AT, None)
    assert (market["holidays"], market["markets"]) == ([CHRISTMAS], ["us_stock"])


@pytest.mark.parametrize("kind", [Trade, Book, Kline, GapInfo, MarketInfo])
def test_an_empty_list_has_the_same_columns_as_a_full_one(kind: Any) -> None:
    pytest.importorskip("pyarrow")
    empty = Rows(kind).to_arrow()
    assert len(empty) == 0
    assert "null" not in {str(one) for one in empty.schema.types}
    if kind is Trade:
        assert empty.schema == TRADES.to_arrow().schema


def test_pandas() -> None:
    pytest.importorskip("pandas")
    exact, floats = TRADES.to_pandas(), TRADES.to_pandas(floats=True)
    assert exact["price"][0] == Decimal("4415.32")
    assert exact["time"][0] == AT
    assert (str(floats["price"].dtype), floats["price"][0]) == ("float64", 4415.32)
    assert BOOKS.to_pandas()["bids"][0] == [{"price": Decimal("4415.3"), "volume": Decimal(2)}]
    assert [*Rows(Kline).to_pandas().columns][:4] == ["code", "interval", "time", "open"]
    assert MARKETS.to_pandas()["next_close"].isna()[0]


def test_polars() -> None:
    pytest.importorskip("polars")
    (first, second) = TRADES.to_polars().to_dicts()
    assert (first["price"], first["time"], second["turnover"]) == (Decimal("4415.32"), AT, None)
    assert TRADES.to_polars(floats=True).to_dicts()[0]["price"] == 4415.32
    assert BOOKS.to_polars(floats=True).to_dicts()[0]["bids"] == [{"price": 4415.3, "volume": 2.0}]
    assert MARKETS.to_polars().to_dicts()[0]["holidays"] == [CHRISTMAS]
    assert Rows(Trade).to_polars().schema == TRADES.to_polars().schema


@pytest.mark.parametrize(
    ("library", "method"), [("pandas", "to_pandas"), ("polars", "to_polars"), ("pyarrow", "to_arrow")]
)
def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, library: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibrary, match=f"pip install {library}"):
        getattr(TRADES, method)()
