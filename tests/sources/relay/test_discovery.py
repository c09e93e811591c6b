"""Codes that only upstream knows: what a client of the relay sees of them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.config import DATABASE
from tickwire.model import Market
from tickwire.sources.relay import UpstreamPlan
from tickwire.wire import Deviation

from ...client.alltick_stub import TOKEN as VENDOR_TOKEN
from ...client.alltick_stub import AllTick
from ...server.bench import issue
from ...serving import (
    DEPTH,
    OTHER_HTTP,
    OTHER_WS,
    STOCK_HTTP,
    STOCK_WS,
    TRADE,
    Link,
    Script,
    Served,
    serving,
    until,
)
from .bench import fresh, now_ms
from .discovering import relaying, symbols

MORE = """
[[instrument]]
code = "510050.SH"
market = "cn_stock"
name_cn = "上证50ETF"
lot_size = "100"
calendar = "XSHG"

[[instrument]]
code = "2442.HK"
market = "hk_stock"
calendar = "XHKG"

[[instrument]]
code = "GBPMXN"
market = "forex"
price_decimals = 5
volume_decimals = 2
turnover_decimals = 3
calendar = "forex"
"""
CODES = {
    "510050.SH": (STOCK_HTTP, STOCK_WS),
    "2442.HK": (STOCK_HTTP, STOCK_WS),
    "GBPMXN": (OTHER_HTTP, OTHER_WS),
}


@pytest.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """A Tickwire upstream that has more codes than the catalogue."""
    (tmp_path / "more.toml").write_text(MORE, encoding="utf-8")
    async with serving(tmp_path / "up", script, instruments=[tmp_path / "more.toml"], plan="basic") as server:
        yield server


async def answered(served: Served, path: str, query: Any, good: Callable[[Any], bool]) -> Any:
    """An answer, asked for until it is good: a busy machine may bring two requests too close together for
    upstream's plan, which has all of them wait."""
    async with asyncio.timeout(120):
        while not good(answer := (await served.get(path, query)).json()):
            pass
    return answer


async def ticks(served: Served, base: str, *codes: str) -> dict[str, str]:
    """Prices by code."""
    query = symbols(*codes)
    answer = await answered(served, f"{base}/trade-tick", query, lambda one: bool(one["data"]["tick_list"]))
    return {one["code"]: one["price"] for one in answer["data"]["tick_list"]}


async def subscribed(served: Served, code: str, path: str) -> tuple[contextlib.AsyncExitStack, Link]:
    opened = contextlib.AsyncExitStack()
    link = await opened.enter_async_context(served.link(path))
    assert (await link.subscribe(TRADE, code))["ret"] == 200
    return opened, link


async def test_a_relay_of_a_tickwire_serves_what_only_that_has_after_a_restart_too(
    tmp_path: Path, served: Served, script: Script
) -> None:
    async with relaying(tmp_path / "down", served.url) as relayed:
        links = {}
        async with contextlib.AsyncExitStack() as stack:
            for code, (_, path) in CODES.items():
                opened, links[code] = await subscribed(relayed, code, path)
                await stack.enter_async_context(opened)
            await until(lambda: {code for code in CODES if code in relayed.engine.catalogue} == {*CODES})
            await until(lambda: all(code in _wanted(served) for code in CODES))
            script.emit(*(fresh(code, "2.5") for code in CODES))
            pushed = {code: (await link.push())["data"] for code, link in links.items()}
        assert {code: data["price"] for code, data in pushed.items()} == {
            "510050.SH": "2.500000",
            "2442.HK": "2.500000",
            "GBPMXN": "2.50000",
        }
        assert pushed["GBPMXN"]["turnover"] == "2.500"
        named = {"token": "t", "codes": "510050.SH,GBPMXN,GOLD"}
        learned = (await relayed.request("GET", "/v1/instruments", params=named)).json()
        assert {one["code"]: one["learned"] for one in learned["data"]["instrument_list"]} == {
            "510050.SH": True,
            "GBPMXN": True,
            "GOLD": False,
        }
        assert learned["data"]["instrument_list"][0]["name_cn"] == "上证50ETF"
    asked = len(served.engine.gateway.callers)
    async with relaying(tmp_path / "down", served.url) as relayed:
        assert all(relayed.engine.catalogue[code].learned for code in CODES)
        for code, (base, _) in CODES.items():
            assert [*await ticks(relayed, base, code)] == [code]
    assert asked <= 2


def _wanted(served: Served) -> set[str]:
    return {one.code for instruments in served.engine.gateway.hub.wanted().values() for one in instruments}


async def test_over_http_the_first_question_waits_for_upstream(
    tmp_path: Path, served: Served, script: Script
) -> None:
    script.emit(fresh("2442.HK", "3.5", ago=300_000), fresh("2442.HK", "3.25", ago=120_000))
    await until(lambda: served.engine.market.events == 2)
    async with relaying(tmp_path / "down", served.url) as relayed:
        assert await ticks(relayed, STOCK_HTTP, "2442.HK", "700.HK") == {"2442.HK": "3.250000"}
        query = {"code": "2442.HK", "kline_type": 1, "query_kline_num": 2, "adjust_type": 0}
        answer = await answered(
            relayed,
            f"{STOCK_HTTP}/kline",
            {"trace": "", "data": query},
            lambda one: len(one["data"]["kline_list"]) == 2,
        )
        assert [one["close_price"] for one in answer["data"]["kline_list"]] == ["3.500000", "3.250000"]
        await answered(
            relayed, f"{STOCK_HTTP}/trade-tick", symbols("NOSUCH.HK"), lambda one: bool(one["ret"] == 600)
        )


async def test_a_relay_of_the_vendors_server_learns_from_its_ticks_and_static_info(
    tmp_path: Path, stub: AllTick
) -> None:
    stub.static["2442.HK"] = {"name_en": "Easy Smart", "lot_size": "5000", "eps": "0.1", "board": None}
    await stub.trade("GBPMXN", "18.12345", at=now_ms())
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN", "NOSUCH"))).json()
        (tick,) = answer["data"]["tick_list"]
        assert (tick["code"], tick["price"], tick["volume"]) == ("GBPMXN", "18.12345", "8.00")
        learned = relayed.engine.catalogue["GBPMXN"]
        assert (learned.market, learned.price_decimals, learned.volume_decimals) == (Market.FOREX, 5, 2)
        async with relayed.link(STOCK_WS) as link:
            assert (await link.subscribe(TRADE, "2442.HK", "NOSUCH.HK"))["ret"] == 200
            await until(lambda: "2442.HK" in stub.wanted(22004))
            await stub.trade("2442.HK", "3.250000", at=now_ms())
            assert (await link.push())["data"]["price"] == "3.250000"
            await until(lambda: relayed.engine.catalogue["2442.HK"].name_en)
            stock = relayed.engine.catalogue["2442.HK"]
            assert (stock.name_en, stock.lot_size, stock.market) == ("Easy Smart", "5000", Market.HK_STOCK)
            await until(lambda: not relayed.engine.market.discovery.waiting)
            (caller,) = relayed.engine.gateway.callers.values()
            assert caller.report == {(Deviation.UNKNOWN_CODE, "NOSUCH.HK"): 1}
            assert (await link.subscribe(TRADE, "NOSUCH.HK"))["ret"] == 600
            assert caller.report == {(Deviation.UNKNOWN_CODE, "NOSUCH.HK"): 2}
        entries = (await relayed.get(f"{STOCK_HTTP}/static_info", symbols("2442.HK"))).json()
        assert entries["data"]["static_info_list"][0]["eps"] == "0.1"


async def test_a_stock_without_a_name_is_asked_about_again_after_a_restart(
    tmp_path: Path, stub: AllTick
) -> None:
    await stub.trade("2442.HK", "3.25", at=now_ms())
    async with relaying(tmp_path / "down", stub.url, UpstreamPlan(), probe=False) as relayed:
        await relayed.get(f"{STOCK_HTTP}/trade-tick", symbols("2442.HK"))
        assert not relayed.engine.catalogue["2442.HK"].name_en
    stub.static["2442.HK"] = {"name_en": "Easy Smart", "lot_size": "5000"}
    async with relaying(tmp_path / "down", stub.url, UpstreamPlan(), probe=False) as relayed:
        await until(lambda: relayed.engine.catalogue["2442.HK"].lot_size == "5000")


async def test_decimals_and_levels_that_come_later_are_not_rounded(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("GBPMXN", "18.12", at=now_ms() - 120_000)
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed, relayed.link() as link:
        assert (await link.subscribe(TRADE, "GBPMXN"))["ret"] == 200
        assert (await link.push())["data"]["price"] == "18.12"
        await until(lambda: stub.wanted(22004))
        await stub.trade("GBPMXN", "0.0000123", at=now_ms())
        assert (await link.push())["data"]["price"] == "0.0000123"
        await until(lambda: relayed.engine.catalogue["GBPMXN"].price_decimals == 7)
        await stub.trade("GBPMXN", "18.12", at=now_ms())
        assert (await link.push())["data"]["price"] == "18.1200000"
        answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"))).json()
        assert answer["data"]["tick_list"][0]["price"] == "18.1200000"
        assert (await link.subscribe(DEPTH, "GBPMXN"))["ret"] == 200
        await until(lambda: stub.wanted(22002))
        await stub.book("GBPMXN", at=now_ms())
        assert len((await link.push())["data"]["bids"]) == 1
        levels = [{"price": f"{18 - n}.1", "volume": "1"} for n in range(3)]
        await stub.push(22999, "GBPMXN", now_ms(), {"bids": levels, "asks": []})
        pushed = (await link.push())["data"]
        assert [one["price"] for one in pushed["bids"]] == ["18.1000000", "17.1000000", "16.1000000"]
        assert len(pushed["asks"]) == 3
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        again = relayed.engine.catalogue["GBPMXN"]
        assert (again.price_decimals, again.levels) == (7, 3)


async def test_bars_have_all_digits_too_and_are_pushed(tmp_path: Path, stub: AllTick) -> None:
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed, relayed.link() as link:
        wanted = {"symbol_list": [{"code": "GBPMXN", "kline_type": 1}]}
        assert (await link.ask(28004, wanted))["ret"] == 200
        await until(lambda: stub.wanted(22004))
        await stub.trade("GBPMXN", "18.5", at=now_ms())
        await stub.trade("GBPMXN", "18.123456", at=now_ms())
        while (bar := (await link.push())["data"])["close_price"] != "18.123456":
            pass
        assert len(bar["open_price"].partition(".")[2]) == 6


async def test_a_store_that_is_locked_keeps_nobody_from_a_code(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("GBPMXN", "18.5", at=now_ms())
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        with contextlib.closing(sqlite3.connect(tmp_path / "down" / DATABASE, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"))).json()
            assert [one["price"] for one in answer["data"]["tick_list"]] == ["18.5"]
            other.execute("ROLLBACK")
        await relayed.engine.market.learned.drain()
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        assert "GBPMXN" in relayed.engine.catalogue


async def test_a_row_that_is_damaged_is_learned_anew(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("GBPMXN", "18.5", at=now_ms())
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"))
    with contextlib.closing(sqlite3.connect(tmp_path / "down" / DATABASE, isolation_level=None)) as database:
        database.execute("UPDATE instrument SET definition = replace(definition, 'forex', 'metals')")
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        assert "GBPMXN" not in relayed.engine.catalogue
        answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"))).json()
        assert len(answer["data"]["tick_list"]) == 1
        assert relayed.engine.catalogue["GBPMXN"].market is Market.FOREX


async def test_a_relay_of_a_relay_learns_through_both(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("2442.HK", "3.250000", at=now_ms())
    async with (
        relaying(tmp_path / "middle", stub.url, probe=False) as middle,
        relaying(tmp_path / "down", middle.url, UpstreamPlan()) as relayed,
    ):
        answer = (await relayed.get(f"{STOCK_HTTP}/trade-tick", symbols("2442.HK"))).json()
        assert [one["price"] for one in answer["data"]["tick_list"]] == ["3.250000"]
        assert (await relayed.get(f"{STOCK_HTTP}/trade-tick", symbols("NOSUCH.HK"))).json()["ret"] == 600


async def test_several_sources_share_nothing_of_what_one_learns(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("GBPMXN", "18.5", at=now_ms())
    settings: dict[str, Any] = {
        "source": ["simulator=GOLD,BTCUSDT", "alltick"],
        "upstream_url": stub.url,
        "upstream_token": VENDOR_TOKEN,
        "upstream_plan": "unlimited",
    }
    async with serving(tmp_path / "down", **settings) as relayed:
        answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"))).json()
        assert [one["price"] for one in answer["data"]["tick_list"]] == ["18.5"]
        simulator, relay = relayed.engine.market.feeds
        assert not simulator.serves(relayed.engine.catalogue["GBPMXN"])
        assert relay.serves(relayed.engine.catalogue["GBPMXN"])


async def test_more_codes_than_the_plan_of_upstream_has_room_for(tmp_path: Path, stub: AllTick) -> None:
    stub.codes["other"] |= {"NZDMXN", "GBPBRL"}
    plan = UpstreamPlan(connections=1, codes=2)
    with capture_logs() as logs:
        async with (
            relaying(tmp_path / "down", stub.url, plan, probe=False, keep=["NZDMXN"]) as relayed,
            relayed.link() as link,
        ):
            await until(lambda: stub.wanted(22004) == {"NZDMXN"})
            assert (await link.subscribe(TRADE, "GBPMXN"))["ret"] == 200
            await until(lambda: stub.wanted(22004) == {"NZDMXN", "GBPMXN"})
            assert (await link.subscribe(TRADE, "GBPMXN", "GBPBRL"))["ret"] == 200
            await until(
                lambda: "GBPBRL" in relayed.engine.catalogue and not relayed.engine.market.discovery.waiting
            )
            await stub.trade("GBPMXN", "18.5", at=now_ms())
            assert (await link.push())["data"]["code"] == "GBPMXN"
            assert stub.wanted(22004) == {"NZDMXN", "GBPMXN"}
            (use,) = (await relayed.get("/v1/usage")).json()["data"]["token_list"]
            assert (use["codes"], use["without"]) == (2, 1)
    assert [one["first"] for one in logs if one["event"] == "the upstream plan has no room"] == [["GBPBRL"]]


async def test_a_code_that_is_learned_takes_no_place_of_its_own_token(tmp_path: Path, stub: AllTick) -> None:
    """It waits as a known one does, and what is subscribed to later finds all as it was."""
    desk = issue(tmp_path / "down", "desk")
    plan = UpstreamPlan(connections=1, codes=2)
    async with (
        relaying(tmp_path / "down", stub.url, plan, probe=False) as relayed,
        relayed.link(token=desk) as first,
        relayed.link(token=desk) as second,
    ):
        assert (await first.subscribe(TRADE, "GOLD", "BTCUSDT", "GBPMXN"))["ret"] == 200
        await until(
            lambda: "GBPMXN" in relayed.engine.catalogue and not relayed.engine.market.discovery.waiting
        )
        assert stub.wanted(22004) == {"GOLD", "BTCUSDT"}
        assert (await second.subscribe(TRADE, "EURUSD"))["ret"] == 603
        assert (await second.subscribe(TRADE, "EURUSD", "GOLD"))["ret"] == 200
        relayed.engine.gateway.sharing.renew()
        await stub.trade("GOLD", at=now_ms())
        assert [(await one.push())["data"]["code"] for one in (first, second)] == ["GOLD"] * 2
        assert stub.wanted(22004) == {"GOLD", "BTCUSDT"}
        (use,) = (await relayed.get("/v1/usage", token=desk)).json()["data"]["token_list"]
        assert (use["codes"], use["without"]) == (4, 2)


async def test_what_a_user_says_of_a_code_counts_more(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("GBPMXN", "18.5", at=now_ms())
    settings: dict[str, Any] = {
        "source": ["alltick"],
        "upstream_url": stub.url,
        "upstream_token": VENDOR_TOKEN,
        "upstream_plan": "unlimited",
        "codes": ["GBPMXN"],
    }
    async with serving(tmp_path / "down", **settings) as relayed:
        await until(lambda: "GBPMXN" in relayed.engine.catalogue)
        assert relayed.engine.catalogue["GBPMXN"].price_decimals == 1
    (tmp_path / "more.toml").write_text(MORE, encoding="utf-8")
    async with serving(tmp_path / "down", instruments=[tmp_path / "more.toml"], **settings) as relayed:
        own = relayed.engine.catalogue["GBPMXN"]
        assert (own.price_decimals, own.learned) == (5, "")
        await until(lambda: "GBPMXN" in stub.wanted(22004))


async def test_more_decimals_than_are_kept_are_said_once(tmp_path: Path, stub: AllTick) -> None:
    await stub.trade("GBPMXN", "18.123456789012345", at=now_ms())
    with capture_logs() as logs:
        async with relaying(tmp_path / "down", stub.url, probe=False) as relayed, relayed.link() as link:
            assert (await link.subscribe(TRADE, "GBPMXN"))["ret"] == 200
            assert (await link.push())["data"]["price"] == "18.123456789012"
            await until(lambda: stub.wanted(22004))
            await stub.trade("GBPMXN", "18.123456789012945", at=now_ms())
            assert (await link.push())["data"]["price"] == "18.123456789013"
    said = [one["code"] for one in logs if one["event"] == "upstream has more decimals than are kept"]
    assert said == ["GBPMXN"]
