"""The HTTP side: tries, and answers of both kinds of server."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tickwire import Api, RequestRefused, TooManyRequests, Unreadable
from tickwire.client import Plan, Rates, family_of
from tickwire.store import load_catalogue

from ..serving import Script, Served, serving, trade
from .alltick_stub import NOW, TOKEN, AllTick
from .heard import FAST, taken


# Refusals.
async def test_a_request_that_was_too_fast_is_sent_again(vendor: AllTick) -> None:
    vendor.refuse_http = 1
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        assert len(await api.klines("GOLD", "1m", 2)) == 2


async def test_it_waits_no_longer_than_its_patience(vendor: AllTick) -> None:
    vendor.refuse_http = 100
    async with Api(vendor.url, token=TOKEN, plan=FAST, patience=0.0) as api:
        with pytest.raises(TooManyRequests) as caught:
            await api.klines("GOLD")
        assert (caught.value.status, caught.value.retryable) == (429, True)
    day = Plan(rates=Rates(per_day=1))
    async with Api(vendor.url, token=TOKEN, plan=day) as api:
        vendor.refuse_http = 0
        await api.klines("GOLD")
        with pytest.raises(TooManyRequests, match="in a day"):
            await api.klines("GOLD")


async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    async with serving(tmp_path, plan="slow", plans={"slow": {"endpoint": "1/2s"}}) as served:
        loop = asyncio.get_running_loop()
        async with Api(served.url, token="t", plan=FAST) as api:
            began = loop.time()
            await api.klines("BTCUSDT", "1m", 1)
            await api.klines("BTCUSDT", "1m", 1)
            assert loop.time() - began > 1.9  # however long the first one took


async def test_a_plan_is_kept_without_being_refused(vendor: AllTick) -> None:
    plan = Plan(http_codes=2, batch_groups=1, rates=Rates(endpoint=(1, 0.1), batch_kline=(1, 0.1)))
    loop = asyncio.get_running_loop()
    for code in ("GOLD", "EURUSD", "BTCUSDT"):
        await vendor.trade(code)
    async with Api(vendor.url, token=TOKEN, plan=plan) as api:
        began = loop.time()
        found = await api.latest_trades(["GOLD", "EURUSD", "BTCUSDT"])
        assert [one.code for one in found] == ["GOLD", "EURUSD", "BTCUSDT"]
        assert len(await api.latest_klines(["GOLD", "EURUSD"])) == 4
        assert loop.time() - began > 0.2
    assert [[one["code"] for one in data.get("symbol_list", [])] for _, data in vendor.asked[:2]] == [
        ["GOLD", "EURUSD"],
        ["BTCUSDT"],
    ]


async def test_what_the_vendor_does_not_have_is_refused(vendor: AllTick) -> None:
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        for ask in (api.markets, api.instruments, api.gaps):
            with pytest.raises((RequestRefused, Unreadable)):
                await ask()


# A Tickwire.
async def test_many_instruments_come_page_by_page(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Api(served.url) as api:
        whole = [one.code for one in await api.instruments()]
        monkeypatch.setattr("tickwire.client.api.PAGE", 100)
        assert [one.code for one in await api.instruments()] == whole
        assert len(whole) > 200


async def test_what_only_a_tickwire_has(served: Served, script: Script) -> None:
    script.emit(trade("BTCUSDT", at=NOW))
    await taken(served, 1)
    async with Api(served.url) as api:
        (apple,) = await api.instruments("AAPL.US")
        assert (apple.code, apple.family, apple.price_decimals) == ("AAPL.US", "stock", 6)
        assert apple.last_trade is None
        bitcoin = next(one for one in await api.instruments("BTCUSDT") if one.code == "BTCUSDT")
        assert bitcoin.last_trade == datetime.fromtimestamp(NOW / 1000, UTC)
        market = next(one for one in await api.markets() if one.calendar == "XNYS")
        assert market.timezone == "America/New_York"
        assert market.next_open is not None
        assert market.next_open.tzinfo is UTC
        assert isinstance(market.known_until, date)
        assert await api.gaps("BTCUSDT", start="2026-01-01", limit=5) == []
        with pytest.raises(RequestRefused, match="code invalid"):
            await api.gaps("nonsense")
        with pytest.raises(RequestRefused, match=r"code invalid \(600\); the nearest code is BTCUSDT"):
            await api.gaps("btcusdt")
        assert await api.nearest(["GOLD", "BTC-USDT", "nonsense", "0700.HK"]) == {
            "BTC-USDT": "BTCUSDT",
            "0700.HK": "700.HK",
        }
        for name in ("AAPL", "aapl.us", "AAPL.SU"):
            with pytest.raises(RequestRefused, match=r"code invalid \(600\); the nearest code is AAPL\.US"):
                await api.latest_trades(name)
        with pytest.raises(RequestRefused, match=r"code invalid \(600\)$"):
            await api.klines("nonsense")
        (info,) = await api.static_info("AAPL.US")
        assert info.currency == "USD"
        assert await api.suspensions("nasdaq") == []
        with pytest.raises(ValueError, match="amex"):
            await api.suspensions("amex")


async def test_latest_klines_of_a_tickwire(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, Api(served.url) as api:
        found = await api.latest_klines(["BTCUSDT", "AAPL.US"], ["1m", "1d"])
        assert {(one.code, one.interval) for one in found} == {
            (code, interval) for code in ("BTCUSDT", "AAPL.US") for interval in ("1m", "1d")
        }
        assert len(found) == 8
        (last,) = await api.klines("AAPL.US", "1d", 1)
        assert last.time_ms == max(one.time_ms for one in found if one.interval == "1d" and ".US" in one.code)


# What is given in.
def test_every_code_of_the_catalogue_has_the_family_of_its_form() -> None:
    wrong = [one.code for one in load_catalogue() if family_of(one.code) is not one.family]
    assert wrong == []


async def test_the_user_may_know_the_family_better(served: Served) -> None:
    async with Api(served.url) as api:
        with pytest.raises(RequestRefused, match=r"^/kline of BTCUSDT: code invalid"):
            await api.klines("BTCUSDT", family="stock")


async def test_an_error_names_the_first_codes_of_many(served: Served) -> None:
    async with Api(served.url) as api:
        with pytest.raises(RequestRefused, match=r"^/trade-tick of A, B, C, D, E and 1 more: code invalid"):
            await api.latest_trades(["A", "B", "C", "D", "E", "F"], family="other")
