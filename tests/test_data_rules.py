"""What is unfit is taken by no entrance, counted and told: docs/data-rules.md, on real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.model import Book, Kind, KlineType, Trade
from tickwire.sources import Snapshot

from .serving import DEPTH, DEPTH_PUSH, OTHER_HTTP, Served, serving, until
from .sources.relay.bench import CATALOGUE, Caller, agreed, push, relaying, ticks, upstream

TRADES = "code,tick_time_ms,price,volume\n"
QUOTES = "code,tick_time_ms,bid,bid_volume,ask,ask_volume\n"
AT = 1_788_255_000_000
LEVEL, EMPTY = {"price": "100", "volume": "1"}, {"price": "0.000000", "volume": "0"}


async def bars(served: Served, code: str) -> list[dict[str, str]]:
    query = {"data": {"code": code, "kline_type": 1, "query_kline_num": 9}}
    answer = await served.get(f"{OTHER_HTTP}/kline", query)
    found: list[dict[str, str]] = answer.json()["data"]["kline_list"]
    return found


async def source_of(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = (await served.request("GET", "/readyz")).json()["sources"][0]
    return found


def write(folder: Path, text: str) -> Path:
    path = folder / "recorded.csv"
    path.write_text(text)
    return path


async def ended(served: Served, events: int) -> None:
    await until(lambda: served.engine.market.events >= events)


async def test_a_replay_takes_no_trade_at_zero(tmp_path: Path) -> None:
    lines = f"BTCUSDT,{AT},100,1\nBTCUSDT,{AT + 1000},0,0\nBTCUSDT,{AT + 2000},101,1\n"
    path = write(tmp_path, TRADES + lines)
    with capture_logs() as logged:
        async with serving(tmp_path, source="replay", file=[path], speed=0) as served:
            await ended(served, 2)
            (bar,) = await bars(served, "BTCUSDT")
            assert (bar["low_price"], bar["volume"]) == ("100.00", "2.00000")
            assert (await source_of(served))["bad"] == 1
    skipped = [entry for entry in logged if entry["event"] == "line skipped"]
    assert [(entry["line"], entry["reason"]) for entry in skipped] == [(3, "price is not above 0")]


async def test_a_quote_without_a_bid_is_half_a_book_and_no_trade(tmp_path: Path) -> None:
    lines = f"EURUSD,{AT},1.1,1,1.2,1\nEURUSD,{AT + 100},0,0,1.2,1\nEURUSD,{AT + 200},0,5,1.2,1\n"
    path = write(tmp_path, QUOTES + lines)
    async with (
        serving(tmp_path, source="replay", file=[path], speed=0, hold=True) as served,
        served.link() as link,
    ):
        await link.subscribe(DEPTH, "EURUSD")
        pushes = [(await link.push())["data"] for _ in "12"]
        assert [one["bids"][0]["price"] for one in pushes] == ["1.10000", "0.00000"]
        (bar,) = await bars(served, "EURUSD")
        assert bar["low_price"] == "1.10000"
        assert (await source_of(served))["bad"] == 1


async def test_a_recorded_folder_gives_no_trade_at_zero(tmp_path: Path) -> None:
    """As a server recorded it that did not know the rules."""
    pytest.importorskip("pyarrow")
    from decimal import Decimal

    from tickwire.model import Market
    from tickwire.store.recordings import Recorder

    folder = tmp_path / "recorded"
    recorder = Recorder(folder, "alltick")
    for number, price in enumerate(("100", "0", "101")):
        event = Trade("BTCUSDT", AT + 1000 * number, Decimal(price), Decimal(1), Decimal(price))
        recorder.record(event, Market.CRYPTO, AT * 1000 + number, number + 1)
    recorder.close()
    async with serving(tmp_path / "data", source="replay", file=[folder], speed=0) as served:
        await ended(served, 2)
        (bar,) = await bars(served, "BTCUSDT")
        assert (bar["low_price"], bar["volume"]) == ("100.00", "2.00000")
        assert (await source_of(served))["bad"] == 1


def publish(line: dict[str, Any]) -> bytes:
    return json.dumps({"code": "BTCUSDT"} | line).encode()


async def test_what_is_unfit_is_told_to_its_publisher(tmp_path: Path) -> None:
    async with serving(tmp_path, source="publish") as served:
        now = served.engine.market.source.market_time()
        lines = [
            {"type": "trade", "time": now, "price": 0, "volume": 1},
            {"type": "trade", "time": now, "price": 100, "volume": 1},
            {"type": "book", "time": now, "bids": [[100, 1]], "asks": [[0, 0]]},
            {"type": "book", "time": now, "bids": [[100, 1]], "asks": [[99, 1]]},
            {"type": "trade", "time": now + 120_000, "price": 100, "volume": 1},
        ]
        headers = {"content-type": "application/x-ndjson"}
        body = b"\n".join(map(publish, lines))
        answer = (await served.request("POST", "/v1/publish", content=body, headers=headers)).json()["data"]
        assert (answer["accepted"], answer["bad_lines"]) == (2, 3)
        assert [(one["line"], one["reason"]) for one in answer["bad"]] == [
            (1, "price is not above 0"),
            (4, "crossed: the bid 100.00 is above the ask 99.00"),
            (5, "time is too far ahead of the server's clock"),
        ]
        assert (await source_of(served))["bad"] == 3


def book(seq: int, bids: object, asks: object) -> dict[str, Any]:
    made = push(seq)
    data = made["data"]
    fields = {"code": "BTCUSDT", "seq": seq, "tick_time": data["tick_time"], "bids": bids, "asks": asks}
    return {"cmd_id": DEPTH_PUSH, "data": fields}


def level(price: str) -> dict[str, str]:
    return {"price": price, "volume": "1"}


async def test_a_relay_takes_no_trade_at_zero_and_says_so_once() -> None:
    prices = ["100", "0", "0.00", "0.001", "1000000000000000", "101"]

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, price="99"))
        await caller.send(*(push(seq, price=price) for seq, price in enumerate(prices, 2)))

    with capture_logs() as logged:
        async with upstream() as server, relaying(server.url) as consumer:
            server.act = act
            consumer.relay.want(Kind.TRADE, ["BTCUSDT"], subscribed=True)
            assert [str(one.price) for one in await consumer.take(Trade, 2)] == ["100", "101"]
            await until(lambda: consumer.relay.health.bad == 4)
    refused = [entry for entry in logged if entry["event"] == "data refused"]
    assert [(entry["code"], entry["rule"], entry["times"]) for entry in refused] == [("BTCUSDT", "price", 1)]


async def test_a_relay_takes_crossed_books_and_empty_sides_and_no_disorder() -> None:
    books: list[tuple[list[Any], list[Any]]] = [
        ([LEVEL], [level("101")]),
        ([LEVEL], [EMPTY]),
        ([level("102")], [level("101")]),
        ([level("99"), level("100")], [level("101")]),
        ([level("100"), level("100.0")], [level("101")]),
        ([level("0.001")], []),
        ([level("98")], [{"price": "99", "volume": "0"}]),
    ]

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), book(1, [LEVEL], []))
        await caller.send(*(book(seq, *sides) for seq, sides in enumerate(books, 2)))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.DEPTH, ["BTCUSDT"], subscribed=True)
        found = await consumer.take(Book, 4)
        tops = [(str(one.bids[0].price), [str(ask.price) for ask in one.asks]) for one in found]
        assert tops == [("100", ["101"]), ("100", []), ("102", ["101"]), ("98", ["99"])]
        await until(lambda: consumer.relay.health.bad == 3)
        assert consumer.relay.health.crossed == 1


async def test_a_relay_shows_no_answer_at_zero_and_no_bar_of_zero() -> None:
    def answer(path: str, codes: list[str]) -> tuple[int, Any]:
        if path == "trade-tick":
            return ticks(*(push(1, code, price="0")["data"] for code in codes))
        bar = {"timestamp": str(AT // 1000), "volume": "1", "turnover": "1"}
        prices = dict.fromkeys(("open_price", "high_price", "close_price"), "100")
        rows = [bar | prices | {"low_price": low} for low in ("0", "100")]
        rows[1]["timestamp"] = str(AT // 1000 + 60)
        return 200, {"ret": 200, "msg": "ok", "trace": "", "data": {"kline_list": rows}}

    async with upstream() as server, relaying(server.url) as consumer:
        server.answer = lambda path, codes: answer(path.rpartition("/")[2], codes)
        consumer.relay.want(Kind.TRADE, ["BTCUSDT"], subscribed=False)
        assert [one.event for one in await consumer.take(Snapshot)] == [None]
        history = consumer.relay.history
        assert history is not None
        found = await history.klines(CATALOGUE["BTCUSDT"], KlineType.MINUTE, count=5, end=AT // 1000 + 600)
        assert [bar.time for bar in found] == [AT // 1000 + 60]
        await until(lambda: consumer.relay.health.bad == 2)
