"""Codes that only upstream knows: what a client of the relay sees of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tickwire.client import Rates
from tickwire.model import Market
from tickwire.sources.relay import Relay, UpstreamPlan

from ...client.alltick_stub import TOKEN as VENDOR_TOKEN
from ...client.alltick_stub import AllTick, alltick
from ...client.bench import until
from ...serving import (
    OTHER_HTTP,
    OTHER_WS,
    STOCK_HTTP,
    STOCK_WS,
    TRADE,
    Link,
    Script,
    Served,
    serving,
)
from .bench import CATALOGUE, QUICK, fresh, now_ms

BASIC = UpstreamPlan(1, 100, 0.0, 1.0, None, Rates((1, 1), (1, 3), (1, 60), (60, 60), 86_400))
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
code = "USDMXN"
market = "forex"
price_decimals = 5
volume_decimals = 2
turnover_decimals = 3
calendar = "forex"
"""
CODES = {
    "510050.SH": (STOCK_HTTP, STOCK_WS),
    "2442.HK": (STOCK_HTTP, STOCK_WS),
    "USDMXN": (OTHER_HTTP, OTHER_WS),
}


def symbols(*codes: str) -> dict[str, Any]:
    return {"trace": "", "data": {"symbol_list": [{"code": code} for code in codes]}}


@pytest.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """A Tickwire upstream that has more codes than the catalogue."""
    (tmp_path / "more.toml").write_text(MORE, encoding="utf-8")
    async with serving(tmp_path / "up", script, instruments=[tmp_path / "more.toml"], plan="basic") as server:
        yield server


@contextlib.asynccontextmanager
async def relaying(folder: Path, url: str, plan: UpstreamPlan = BASIC, **more: Any) -> AsyncIterator[Served]:
    """A server that relays that one, within the plan."""
    given: dict[str, Any] = {"token": lambda: VENDOR_TOKEN, "plan": plan, "options": QUICK, "probe": True}
    settings = {name: more.pop(name) for name in ("takeover_after", "plans") if name in more}
    relay = Relay(CATALOGUE, url, **(given | more))
    async with serving(folder, relay, **settings) as server:
        yield server


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
            "USDMXN": "2.50000",
        }
        assert pushed["USDMXN"]["turnover"] == "2.500"
        named = {"token": "t", "codes": "510050.SH,USDMXN,GOLD"}
        learned = (await relayed.request("GET", "/v1/instruments", params=named)).json()
        assert {one["code"]: one["learned"] for one in learned["data"]["instrument_list"]} == {
            "510050.SH": True,
            "USDMXN": True,
            "GOLD": False,
        }
        assert learned["data"]["instrument_list"][0]["name_cn"] == "上证50ETF"
    asked = len(served.engine.callers)
    async with relaying(tmp_path / "down", served.url) as relayed:
        assert all(relayed.engine.catalogue[code].learned for code in CODES)
        for code, (base, _) in CODES.items():
            answer = (await relayed.get(f"{base}/trade-tick", symbols(code))).json()
            assert [one["code"] for one in answer["data"]["tick_list"]] == [code]
    assert asked <= 2


def _wanted(served: Served) -> set[str]:
    return {one.code for instruments in served.engine.hub.wanted().values() for one in instruments}


async def test_over_http_the_first_question_waits_for_upstream(
    tmp_path: Path, served: Served, script: Script
) -> None:
    script.emit(fresh("2442.HK", "3.5", ago=300_000), fresh("2442.HK", "3.25", ago=120_000))
    await until(lambda: served.engine.events == 2)
    async with relaying(tmp_path / "down", served.url) as relayed:
        answer = (await relayed.get(f"{STOCK_HTTP}/trade-tick", symbols("2442.HK", "700.HK"))).json()
        assert {one["code"]: one["price"] for one in answer["data"]["tick_list"]} == {"2442.HK": "3.250000"}
        query = {"code": "2442.HK", "kline_type": 1, "query_kline_num": 2, "adjust_type": 0}
        answer = (await relayed.get(f"{STOCK_HTTP}/kline", {"trace": "", "data": query})).json()
        assert [one["close_price"] for one in answer["data"]["kline_list"]] == ["3.500000", "3.250000"]
        answer = (await relayed.get(f"{STOCK_HTTP}/trade-tick", symbols("NOSUCH.HK"))).json()
        assert answer["ret"] == 600


# A vendor's server.
@pytest.fixture
async def stub() -> AsyncIterator[AllTick]:
    async with alltick() as server:
        server.codes["stock"] |= {"510050.SH", "2442.HK"}
        server.codes["other"] |= {"USDMXN"}
        yield server


async def test_a_relay_of_the_vendors_server_learns_from_its_ticks_and_static_info(
    tmp_path: Path, stub: AllTick
) -> None:
    stub.static["2442.HK"] = {"name_en": "Easy Smart", "lot_size": "5000", "eps": "0.1", "board": None}
    await stub.trade("USDMXN", "18.12345", at=now_ms())
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("USDMXN", "NOSUCH"))).json()
        (tick,) = answer["data"]["tick_list"]
        assert (tick["code"], tick["price"], tick["volume"]) == ("USDMXN", "18.12345", "8.00")
        learned = relayed.engine.catalogue["USDMXN"]
        assert (learned.market, learned.price_decimals, learned.volume_decimals) == (Market.FOREX, 5, 2)
        async with relayed.link(STOCK_WS) as link:
            assert (await link.subscribe(TRADE, "2442.HK", "NOSUCH.HK"))["ret"] == 200
            await until(lambda: "2442.HK" in stub.wanted(22004))
            await stub.trade("2442.HK", "3.250000", at=now_ms())
            assert (await link.push())["data"]["price"] == "3.250000"
            stock = relayed.engine.catalogue["2442.HK"]
            assert (stock.name_en, stock.lot_size, stock.market) == ("Easy Smart", "5000", Market.HK_STOCK)
            await until(lambda: not relayed.engine.discovery.waiting)
            assert (await link.subscribe(TRADE, "NOSUCH.HK"))["ret"] == 600
        entries = (await relayed.get(f"{STOCK_HTTP}/static_info", symbols("2442.HK"))).json()
        assert entries["data"]["static_info_list"][0]["eps"] == "0.1"
