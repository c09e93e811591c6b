"""Tables of what the API answers. pandas and Polars are tried where they are installed."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from tickwire import Api, Book, Kline, MissingLibrary, Rows, Trade
from tickwire.client import GapInfo, MarketInfo
from tickwire.model import EXACT, Level
from tickwire.testing import AllTickServer

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


LARGEST = Decimal("999999999999999.999999999999")
"""A price or a volume of the most digits that a server takes."""
TURNOVER = EXACT.multiply(LARGEST, LARGEST)
LONG = {
    "as usual": ([LARGEST, Decimal("-0.000000000000000001")], (38, 18)),
    "many decimals": ([Decimal("0.000000000000000000001234"), Decimal("-12.5")], (26, 24)),
    "a large turnover": ([Decimal("1000000000000000000000.50"), Decimal("-0.250")], (24, 2)),
    "the largest turnover": ([TURNOVER, -TURNOVER], (54, 24)),
    "both": ([Decimal(10) ** 40, Decimal(10) ** -53], (94, 53)),
}


def rows_of(turnovers: list[Decimal]) -> Rows[Trade]:
    return Rows(Trade, [Trade("GOLD", MS, Decimal(1), Decimal(1), one) for one in turnovers])


@pytest.mark.parametrize("numbers", LONG)
def test_arrow_holds_numbers_of_any_length(numbers: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    turnovers, (digits, places) = LONG[numbers]
    table = rows_of(turnovers).to_arrow()
    assert [Decimal(one) for one in table["turnover"].to_pylist()] == turnovers
    kinds = {38: pyarrow.decimal128(38, places), 76: pyarrow.decimal256(76, places), 99: pyarrow.string()}
    assert table.schema.field("turnover").type == kinds[min(most for most in kinds if digits <= most)]
    levels = tuple(Level(one, Decimal(1)) for one in turnovers)
    (book,) = Rows(Book, [Book("GOLD", MS, levels, ())]).to_arrow().to_pylist()
    assert [Decimal(one["price"]) for one in book["bids"]] == turnovers


@pytest.mark.parametrize("numbers", LONG)
def test_polars_holds_numbers_of_any_length_those_of_more_than_38_digits_as_texts(numbers: str) -> None:
    polars = pytest.importorskip("polars")
    turnovers, (digits, _) = LONG[numbers]
    frame = rows_of(turnovers).to_polars()
    assert [Decimal(one) for one in frame["turnover"]] == turnovers
    assert (frame["turnover"].dtype == polars.String) is (digits > 38)
    levels = tuple(Level(one, Decimal(1)) for one in turnovers)
    (book,) = Rows(Book, [Book("GOLD", MS, levels, ())]).to_polars().to_dicts()
    assert [Decimal(one["price"]) for one in book["bids"]] == turnovers


async def test_tables_hold_the_largest_trade_that_a_server_takes() -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("polars")
    price, volume = Decimal("999999999999999.99"), Decimal("999999999999999.99999")
    turnover = EXACT.multiply(price, volume).quantize(Decimal("0.01"), ROUND_HALF_UP, EXACT)
    with AllTickServer(quiet=True, codes=["BTCUSDT"]) as server:
        server.trade("BTCUSDT", str(price), volume=str(volume))
        async with Api(server.url) as api:
            trades, bars = await api.latest_trades("BTCUSDT"), await api.klines("BTCUSDT", "1d", 1)
    for rows in (trades, bars):
        (arrow,), (polars,) = rows.to_arrow().to_pylist(), rows.to_polars().to_dicts()
        for found in (arrow, polars):
            assert Decimal(found["turnover"]) == rows[0].turnover
            assert Decimal(found["turnover"]) >= turnover
            assert found["volume"] == rows[0].volume >= volume


def test_bars_have_their_trading_date() -> None:
    one, hour, day = Decimal(1), 1794798000000, 1794758400000
    rows = [
        Kline("700.HK", name, at, one, one, one, one, one, one) for name, at in (("1h", hour), ("1d", day))
    ]
    pytest.importorskip("pyarrow")
    assert Rows(Kline, rows).to_arrow()["trading_date"].to_pylist() == [None, date(2026, 11, 16)]
    assert [one.trading_date for one in rows] == [None, date(2026, 11, 16)]


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
