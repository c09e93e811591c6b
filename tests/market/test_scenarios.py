"""Scenarios on a real server: begun and stopped by the admin API, seen over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ..serving import DEPTH, HEARTBEAT, STOCK_HTTP, STOCK_WS, TRADE, TRADE_PUSH, book
from ..staging import T0, Feed, Stage, at, push, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, Feed()) as stage:
        yield stage


async def test_a_halt_is_seen_everywhere_at_once(tmp_path: Path) -> None:
    async with (
        staged(tmp_path, codes=["AAPL.US", "MSFT.US"], rate=50) as stage,
        stage.served.link(STOCK_WS) as link,
    ):
        for cmd_id in (TRADE, DEPTH):
            await link.subscribe(cmd_id, "AAPL.US", "MSFT.US")
        await push(link, code="AAPL.US")
        assert (await stage.get("/api/suspension/nasdaq"))["data"] == []

        number = await stage.begin({"do": "halt", "codes": ["AAPL.US"], "reason": "T12"})
        await link.ask(HEARTBEAT)  # what is pushed from here on was pushed after the halt
        states = [await stage.state(code) for code in ("AAPL.US", "MSFT.US")]
        (entry,) = await stage.suspensions("nasdaq")
        assert states == ["halted", "open"]
        assert (entry["symbol"], entry["haltReason"], entry["resumeDateTime"]) == ("AAPL", ["T12"], None)
        halted = datetime.fromisoformat(f"{entry['haltDate']} {entry['haltTime']}")
        new_york = datetime.now(ZoneInfo("America/New_York")).replace(tzinfo=None)
        assert 0 <= (new_york - halted).total_seconds() < 5
        assert {(await push(link))["code"] for _ in range(40)} == {"MSFT.US"}
        for other in ("nyse", "sse"):
            assert (await stage.get(f"/api/suspension/{other}"))["data"] == []

        await stage.stop(number)
        await push(link, code="AAPL.US")
        assert await stage.state("AAPL.US") == "open"
        (entry,) = await stage.suspensions("nasdaq", resumed=True)
        assert entry["resumeDateTime"] >= f"{entry['haltDate']} {entry['haltTime']}"


async def test_a_resume_ends_a_halt_and_a_third_list_tells_of_shanghai(stage: Stage) -> None:
    await stage.begin({"do": "halt", "markets": ["us_stock", "cn_stock", "hk_stock"]})
    listed = {name: await stage.suspensions(name) for name in ("nasdaq", "nyse", "sse")}
    symbols = {name: {one["symbol"] for one in found} for name, found in listed.items()}
    for name, symbol in (("nasdaq", "AAPL"), ("nyse", "IBM"), ("sse", "600519")):
        assert [other for other, found in symbols.items() if symbol in found] == [name]
    await stage.begin({"do": "resume", "codes": ["600519.SH"]})
    assert [await stage.state(code) for code in ("600519.SH", "700.HK")] == ["open", "halted"]
    data = await stage.suspensions("sse", resumed=True)
    assert [one["symbol"] for one in data if one["resumeDate"] is not None] == ["600519"]


@pytest.mark.parametrize(
    ("action", "state", "bids", "asks", "price"),
    [
        ("limit-up", "limit-up", ["220", "219.99", "219.98"], [], "220"),
        ("limit-down", "limit-down", [], ["180", "180.01", "180.02"], "180"),
        ("delist", "delisted", [], [], None),
    ],
)
async def test_books_without_a_side(
    stage: Stage, action: str, state: str, bids: list[str], asks: list[str], price: str | None
) -> None:
    code = "600519.SH"
    async with stage.served.link(STOCK_WS) as link, stage.served.link(STOCK_WS) as trades:
        await link.ask(DEPTH, {"symbol_list": [{"code": code, "depth_level": 3}]})
        await trades.subscribe(TRADE, code)
        stage.feed.emit(book(code), at(1, code=code))
        assert len((await push(link))["asks"]) == 3
        await push(trades)
        number = await stage.begin({"do": action, "codes": [code]})

        def side(prices: list[str]) -> list[str]:
            return [f"{Decimal(one):.6f}" for one in prices] or ["0.000000"] * 3

        data = await push(link)  # at once, without a tick of the source
        for name, prices in (("bids", bids), ("asks", asks)):
            assert [one["price"] for one in data[name]] == side(prices)
            volumes = [str(n + 1) for n in range(3)] if prices else ["0"] * 3
            assert [one["volume"] for one in data[name]] == volumes
        assert await stage.state(code) == state
        (entry,) = (await stage.get(f"{STOCK_HTTP}/depth-tick", {"symbol_list": [{"code": code}]}))["data"][
            "tick_list"
        ]
        empty = [{"price": "0.000000", "volume": "0"}] * 5
        assert [name for name in ("bids", "asks") if entry[name] == empty] == [
            name for name, prices in (("bids", bids), ("asks", asks)) if not prices
        ]
        stage.feed.emit(at(2, "205", code), book(code))
        if price is not None:
            assert Decimal((await push(trades))["price"]) == Decimal(price)
            assert (await push(link))["bids"] == data["bids"]
        await stage.stop(number)
        stage.feed.emit(at(3, "206", code), book(code))
        assert (await push(trades))["price"] == "206.000000"
        after = await push(link)
        assert [len({one["price"] for one in after[name]}) for name in ("bids", "asks")] == [3, 3]
        await link.nothing()
    assert await stage.state(code) == "open"


async def test_a_simulated_a_share_goes_to_its_exchanges_limit_and_no_further(tmp_path: Path) -> None:
    """The reference price is what it closed at the day before: 1418.60, so 1560.46 and 1276.74."""
    code = "600519.SH"
    async with staged(tmp_path, codes=[code], rate=50) as stage, stage.served.link(STOCK_WS) as link:
        await link.subscribe(TRADE, code)
        await push(link)
        for step, state, price in (
            ({"do": "limit-up"}, "limit-up", "1560.460000"),
            ({"do": "limit-down"}, "limit-down", "1276.740000"),
            ({"do": "jump", "percent": 30}, "limit-up", "1560.460000"),
            ({"do": "jump", "percent": -30}, "limit-down", "1276.740000"),
        ):
            number = await stage.begin({**step, "codes": [code]})
            while (await push(link))["price"] != price:
                pass
            assert {(await push(link))["price"] for _ in range(20)} == {price}
            assert await stage.state(code) == state
            await stage.stop(number)
            while (await push(link))["price"] == price:
                pass
        while await stage.state(code) != "open":  # with the book that follows
            await push(link)


async def test_the_limit_of_an_a_share_counts_from_the_last_close_that_its_bars_know(stage: Stage) -> None:
    code = "600519.SH"
    day = 86_400
    async with stage.served.link(STOCK_WS) as link:
        await link.subscribe(TRADE, code)
        stage.feed.emit(at(1, "100.05", code), at(day, "105", code))
        stage.feed.now = T0 + day * 1000
        assert [(await push(link))["price"] for _ in range(2)] == ["100.050000", "105.000000"]
        await stage.begin({"do": "limit-up"})
        stage.feed.emit(at(day + 1, "106", code))
        assert (await push(link))["price"] == "110.060000"


async def test_a_limit_counts_from_the_last_price_that_was_shown(stage: Stage) -> None:
    await stage.begin({"do": "jump", "percent": 10})
    async with stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        stage.feed.emit(at(1, "200"))
        assert (await push(link))["price"] == "220.00"
        await stage.begin({"do": "limit-up"})
        stage.feed.emit(at(2, "201"))
        assert (await push(link))["price"] == "242.00"


async def test_a_limit_makes_no_trade_out_of_the_last_one(stage: Stage) -> None:
    async with stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        stage.feed.emit(at(1))
        await push(link)
        await stage.begin({"do": "late", "by": 1})
        await stage.begin({"do": "limit-up"})
        await stage.at(5)
        await link.nothing()
    assert (await stage.bar())["volume"] == "1.00000"


async def test_a_duplicate_is_the_same_frame_twice(stage: Stage) -> None:
    async with stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        number = await stage.begin({"do": "duplicate"})
        stage.feed.emit(at(1), book())
        texts = [await link.socket.recv() for _ in range(4)]
        assert texts[0] == texts[1] != texts[2] == texts[3]
        await stage.stop(number)
        stage.feed.emit(at(2))
        assert (await push(link))["seq"] == msgspec.json.decode(texts[0])["data"]["seq"] + 1
        await link.nothing()
    assert (await stage.bar())["volume"] == "2.00000"


async def test_out_of_order_the_next_one_comes_first(stage: Stage) -> None:
    async with stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        number = await stage.begin({"do": "out-of-order"})
        stage.feed.emit(at(1), book(at=1), at(2), at(3), at(4), book(at=2), at(5))
        pushes = [(await link.push()) for _ in range(6)]
        await link.nothing()
        seqs = [one["data"]["seq"] for one in pushes if one["cmd_id"] == TRADE_PUSH]
        assert [seq - min(seqs) for seq in seqs] == [1, 0, 3, 2]
        assert [one["data"]["tick_time"] for one in pushes if one["cmd_id"] != TRADE_PUSH] == [2, 1]
        await stage.stop(number)
        assert (await push(link))["seq"] == max(seqs) + 1  # what waited for the next one
    assert (await stage.bar())["volume"] == "5.00000"


@pytest.mark.parametrize("ends", ["stopped", "over", "goes on"])
async def test_a_late_tick_comes_behind_younger_ones_and_is_counted(tmp_path: Path, ends: str) -> None:
    lasts = {"for": 0.1} if ends == "over" else {}
    async with staged(tmp_path, Feed(), real_time=True) as stage, stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        began = time.monotonic()
        number = await stage.begin({"do": "late", "by": 2.0, "codes": ["BTCUSDT"], **lasts})
        await stage.emit(at(1))
        if ends == "stopped":
            await stage.stop(number)
        async with asyncio.timeout(120):
            while ends == "over" and stage.served.engine.market.scenarios.running:
                await link.ask(HEARTBEAT)
        if ends != "goes on":
            await stage.emit(at(2))
            assert (await push(link))["tick_time"] == T0 + 2000
        assert (await push(link))["tick_time"] == T0 + 1000
        assert time.monotonic() - began >= 2.0
        await link.nothing()
        assert (await stage.bar())["volume"] == ("1.00000" if ends == "goes on" else "2.00000")


async def test_each_trade_is_counted_once_whatever_comes_of_it(stage: Stage) -> None:
    async with stage.served.link(max_queue=None) as link:
        await link.subscribe(TRADE, "BTCUSDT")
        number = await stage.begin(
            {"do": "duplicate", "chance": 0.3},
            {"do": "out-of-order", "chance": 0.3},
            {"do": "burst", "times": 3},
            {"do": "late", "by": [0, 2], "chance": 0.3},
            {"do": "jump", "percent": 50},
        )
        await stage.emit(*(at(n / 10, volume=str(n + 1)) for n in range(200)))
        for step in range(20):
            await stage.at(step / 5)
        await stage.stop(number)
        await link.ask(HEARTBEAT)
    by_seq = {one["data"]["seq"]: one["data"] for one in link.pushes}
    assert len(link.pushes) > len(by_seq) > 200
    assert sorted(by_seq) == [*range(min(by_seq), max(by_seq) + 1)]
    bar = await stage.bar()
    for name in ("volume", "turnover"):
        assert Decimal(bar[name]) == sum(Decimal(data[name]) for data in by_seq.values())
    assert {data["price"] for data in by_seq.values()} == {"300.00"} == {bar["high_price"], bar["low_price"]}
