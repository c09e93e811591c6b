"""Prices below zero are taken by every entrance where the instrument has them, and written as they are:
WTI crude of 2020-04-20, which opened at 17.73, fell to -40.32 and settled at -37.63."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tickwire
from tickwire.model import Book, Entrance, Instrument, Kline, KlineType, Level, Market, Trade, bar_fault
from tickwire.sandbox.shaping import at_limit, moved, with_prices_moved
from tickwire.sources.exchange.mapper import Unreadable, read_bar, read_book, read_trade
from tickwire.store import load_catalogue

from .cli.commands import DONE
from .cli.commands import tickwire as command
from .server.publishing import desk_in, now, packed
from .serving import DEPTH, OTHER_HTTP, TRADE, Served, serving, until

CATALOGUE = load_catalogue()
OIL, GOLD = CATALOGUE["USOIL"], CATALOGUE["GOLD"]
AT = 1_587_407_400_000
"""2020-04-20 18:30 UTC."""
PRICES = ("17.73", "0", "-40.32", "-37.63")
BAR = {
    "open_price": "17.730",
    "high_price": "17.730",
    "low_price": "-40.320",
    "close_price": "-37.630",
    "volume": "8.000",
    "turnover": "-120.440",
}
"""17.73 × 2 + 0 × 2 − 40.32 × 2 − 37.63 × 2 = −120.44."""


async def bars(served: Served, kline_type: int = 1) -> list[dict[str, str]]:
    query = {"data": {"code": "USOIL", "kline_type": kline_type, "query_kline_num": 9}}
    found: list[dict[str, str]] = (await served.get(f"{OTHER_HTTP}/kline", query)).json()["data"][
        "kline_list"
    ]
    return [{name: text for name, text in bar.items() if name != "timestamp"} for bar in found]


def test_which_instruments_have_them() -> None:
    assert [
        code
        for code in ("USOIL", "UKOIL", "NGAS", "GOLD", "BTCUSDT", "AAPL.US")
        if CATALOGUE[code].goes_negative
    ] == [
        "USOIL",
        "UKOIL",
        "NGAS",
    ]


@pytest.mark.parametrize(("suffix", "quote"), [("csv", ""), ("toml", '"')])
@pytest.mark.parametrize("said", ["true", "false"])
def test_a_file_of_instruments_says_it(tmp_path: Path, suffix: str, quote: str, said: str) -> None:
    row = {
        "code": "POWER",
        "market": "energy",
        "price_decimals": "2",
        "volume_decimals": "0",
        "negative_prices": said,
    }
    text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    if suffix == "toml":
        lines = (
            f"{name} = {value if value in ('true', 'false') else chr(34) + value + chr(34)}"
            for name, value in row.items()
        )
        text = "[[instrument]]\n" + "\n".join(lines) + "\n"
    path = tmp_path / f"own.{suffix}"
    path.write_text(text)
    assert load_catalogue([path])["POWER"].goes_negative is (said == "true")


async def test_they_are_published_pushed_and_counted(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.served.link() as link:
        await link.subscribe(TRADE, "USOIL")
        await link.subscribe(DEPTH, "USOIL")
        at = now() // 60_000 * 60_000
        lines = [
            {"type": "trade", "code": "USOIL", "time": at, "price": price, "volume": 2, "seq": number}
            for number, price in enumerate(PRICES, 1)
        ]
        book = {"type": "book", "code": "USOIL", "time": at, "seq": 9}
        lines += [
            book | {"bids": [["-37.64", "1"]], "asks": [["0", "3"]]},
            book | {"bids": [["0", "0"]], "asks": [["-37.62", "3"]], "seq": 10},
            book | {"bids": [["-37.61", "1"]], "asks": [["-37.62", "3"]], "seq": 11},
            {"type": "trade", "code": "GOLD", "time": at, "price": "-1", "volume": 1, "seq": 12},
            {
                "type": "trade",
                "code": "USOIL",
                "time": at,
                "price": "1",
                "volume": 1,
                "turnover": "-1",
                "seq": 13,
            },
            {"type": "trade", "code": "USOIL", "time": at, "price": "-1e15", "volume": 1, "seq": 14},
        ]
        answer = await desk.data(packed(*lines))
        assert [(one["line"], one["reason"]) for one in answer["bad"]] == [
            (7, "crossed: the bid -37.610 is above the ask -37.620"),
            (8, "price is not above 0"),
            (9, "turnover is below 0"),
            (10, "price is not between -10^15 and 10^15"),
        ]
        pushes = [(await link.push())["data"] for _ in range(6)]
        trades = [one for one in pushes if "price" in one]
        assert [(one["price"], one["turnover"]) for one in trades] == [
            ("17.730", "35.460"),
            ("0.000", "0.000"),
            ("-40.320", "-80.640"),
            ("-37.630", "-75.260"),
        ]
        assert [(one["bids"][0], one["asks"][0]) for one in pushes if "bids" in one] == [
            ({"price": "-37.640", "volume": "1.000"}, {"price": "0.000", "volume": "3.000"}),
            ({"price": "0.000", "volume": "0.000"}, {"price": "-37.620", "volume": "3.000"}),
        ]
        assert await bars(desk.served) == await bars(desk.served, 8) == [BAR]
        found = (await desk.client.get("/v1/instruments?token=t&codes=USOIL,GOLD")).json()
        assert [one["negative_prices"] for one in found["data"]["instrument_list"]] == [True, False]


async def test_a_publisher_defines_an_instrument_that_has_them(tmp_path: Path) -> None:
    new = {"type": "instrument", "code": "SPREAD", "market": "cfd_index", "price_decimals": 2}
    new |= {"volume_decimals": 0, "turnover_decimals": 2, "levels": 1, "negative_prices": True}
    trade = {"type": "trade", "code": "SPREAD", "time": now(), "price": "-1.25", "volume": 4}
    async with desk_in(tmp_path) as desk:
        assert (await desk.data(packed(new, trade)))["bad"] == []
        await desk.served_all()
        assert (await desk.last_trade("SPREAD"))["turnover"] == "-5.00"


async def test_they_are_replayed_from_csv(tmp_path: Path) -> None:
    lines = [f"USOIL,{AT + number},{price},2\n" for number, price in enumerate(PRICES)]
    path = tmp_path / "trades.csv"
    path.write_text("code,tick_time_ms,price,volume\n" + "".join(lines) + f"GOLD,{AT},-1,1\n")
    quotes = tmp_path / "quotes.csv"
    quotes.write_text(f"code,tick_time_ms,bid,bid_volume,ask,ask_volume\nUSOIL,{AT},-37.64,1,-37.62,1\n")
    async with serving(tmp_path / "data", source="replay", file=[path, quotes], speed=0) as served:
        await until(lambda: served.engine.market.events >= 5)
        assert await bars(served) == [BAR]
        (source,) = (await served.request("GET", "/readyz")).json()["sources"]
        assert source["bad"] == 1
        data = (
            await served.get(f"{OTHER_HTTP}/depth-tick", {"data": {"symbol_list": [{"code": "USOIL"}]}})
        ).json()
        assert data["data"]["tick_list"][0]["bids"] == [{"price": "-37.640", "volume": "1.000"}]


async def test_they_are_recorded_replayed_and_relayed(tmp_path: Path) -> None:
    """Through the recording of one server, the replay of another and the relay of that, into the SDK."""
    pytest.importorskip("pyarrow")
    from tickwire.store.recordings import Recorder

    folder = tmp_path / "recorded"
    recorder = Recorder(folder, "alltick")
    for number, price in enumerate(PRICES):
        event = Trade("USOIL", AT + number, Decimal(price), Decimal(2), Decimal(price) * 2)
        recorder.record(event, Market.ENERGY, AT * 1000 + number, number + 1)
    book = Book("USOIL", AT + 4, (Level(Decimal("-37.64"), Decimal(1)),), (Level(Decimal(0), Decimal(1)),))
    recorder.record(book, Market.ENERGY, AT * 1000 + 4, 1)
    recorder.close()
    async with serving(tmp_path / "data", source="replay", file=[folder], speed=0) as served:
        await until(lambda: served.engine.market.events >= 5)
        assert await bars(served) == [BAR]
        relay: dict[str, Any] = {
            "source": "alltick",
            "upstream_url": served.url,
            "upstream_plan": "unlimited",
            "upstream_token": "t",
            "codes": ["USOIL"],
        }
        async with serving(tmp_path / "relay", **relay) as second:
            async with tickwire.connect(second.url, token="t", plan="unlimited") as feed:
                await feed.subscribe(trades=["USOIL"], books=["USOIL"])
                kinds = (tickwire.Trade, tickwire.Book)
                seen: list[Any] = []
                while len(seen) < len(kinds):
                    seen += [one for one in [await anext(feed)] if isinstance(one, kinds)]
            prices = {str(one.price) for one in seen if isinstance(one, tickwire.Trade)}
            assert prices == {"-37.630"}
            asks = [one.asks for one in seen if isinstance(one, tickwire.Book)]
            assert asks == [(Level(Decimal("0.000"), Decimal("1.000")),)]
            async with tickwire.Api(served.url, token="t", plan="unlimited") as api:
                found = await api.klines("USOIL", "1m", 5)
            assert [(str(one.low), str(one.turnover)) for one in found] == [("-40.320", "-120.440")]
            frame = found.to_arrow()
            assert [str(one) for one in frame["low"].to_pylist()] == ["-40.320000000000000000"]


async def test_bars_of_them_are_imported_and_exported(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    rows = ["17.73,17.85,-40.32,-37.63,2,-75.26", "-37.63,-37.63,-37.63,-37.63,1,-37.63"]
    lines = [f"USOIL,{AT // 1000 + 60 * number},{row}\n" for number, row in enumerate(rows)]
    bad = f"GOLD,{AT // 1000},1,1,-1,1,1,1\n"
    path.write_text("code,timestamp_s,open,high,low,close,volume,turnover\n" + "".join(lines) + bad)
    where = ["--data-dir", str(tmp_path / "data"), "--source", "publish"]
    done = await command(tmp_path, "import", str(path), *where)
    assert done.status != DONE  # a third of the lines
    assert "line 4: low is not above 0" in done.err
    path.write_text(path.read_text().replace(bad, ""))
    done = await command(tmp_path, "import", str(path), *where)
    assert done.status == DONE, done.err
    async with serving(tmp_path / "data", source="publish") as served:
        (day,) = await bars(served, 8)
        assert (day["low_price"], day["close_price"], day["turnover"]) == ("-40.320", "-37.630", "-112.890")


def test_an_exchange_is_read() -> None:
    raw = {"id": "1", "timestamp": AT, "price": Decimal("-37.63"), "amount": Decimal(2), "side": "sell"}
    assert read_trade(OIL, raw, AT).price == Decimal("-37.63")
    book = {"timestamp": AT, "bids": [["-37.64", "1"]], "asks": [["-37.62", "1"]]}
    assert read_book(OIL, book, AT).bids[0].price == Decimal("-37.64")
    bar = read_bar(OIL, KlineType.MINUTE, [AT, "17.73", "17.73", "-40.32", "-37.63", "2"], AT)
    assert (bar.low, bar.turnover) == (Decimal("-40.32"), Decimal("-75.260"))
    with pytest.raises(Unreadable, match="price is not above 0"):
        read_trade(GOLD, raw, AT)


def a_bar(instrument: Instrument, low: str, turnover: str) -> Kline:
    one, least = Decimal(1), Decimal(low)
    return Kline(instrument.code, KlineType.MINUTE, AT // 1000, one, one, least, one, one, Decimal(turnover))


def test_the_turnover_of_a_bar_is_below_zero_only_where_a_price_is() -> None:
    assert bar_fault(a_bar(OIL, "-1", "-1"), OIL, Entrance.IMPORT) is None
    fault = bar_fault(a_bar(OIL, "1", "-1"), OIL, Entrance.IMPORT)
    assert fault is not None
    assert fault.text == "turnover is below 0"


def test_scenarios_move_them_and_stop_above_zero_elsewhere() -> None:
    assert moved(Decimal("-37.63"), Decimal("1.1"), OIL) == Decimal("-41.393")
    assert moved(Decimal("0.002"), Decimal("0.1"), OIL) == 0
    assert moved(Decimal("0.02"), Decimal("0.1"), GOLD) == Decimal("0.01")
    book = Book(
        "USOIL",
        AT,
        (Level(Decimal(-38), Decimal(1)), Level(Decimal(-39), Decimal(1))),
        (Level(Decimal(-37), Decimal(1)),),
    )
    event = with_prices_moved(book, Decimal("0.5"), OIL)
    assert isinstance(event, Book)
    assert [one.price for one in (*event.bids, *event.asks)] == [
        Decimal(-19),
        Decimal("-19.5"),
        Decimal("-18.5"),
    ]
    down = at_limit(book, Decimal(-40), OIL, up=False)
    assert isinstance(down, Book)
    assert [one.price for one in down.asks] == [Decimal(-40)]
