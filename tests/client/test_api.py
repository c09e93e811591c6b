"""The HTTP side: pages, tries, answers of both kinds of server, and what is given in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tickwire import Api, RequestRefused, TooManyRequests, Unauthorized, Unreadable
from tickwire.client import PLANS, GapInfo, Plan, Progress, Rates, account, family_of, kline_type_of
from tickwire.client.extensions import entries
from tickwire.client.history import ALL, history, milliseconds
from tickwire.client.plans import CAUTIOUS
from tickwire.model import Kline, KlineType
from tickwire.store import load_catalogue

from ..serving import Script, Served, serving, trade
from .alltick_stub import NOW, TOKEN, AllTick, alltick
from .heard import taken

FAST = Plan(subscribe_spacing=0.0)
MINUTE = 60


@pytest.fixture
async def vendor() -> AsyncIterator[AllTick]:
    async with alltick() as stub:
        yield stub


# Pages.
async def test_more_than_a_page_is_read_page_by_page(vendor: AllTick) -> None:
    told: list[Progress] = []
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("GOLD", "1m", 1200, progress=told.append)
    assert [one.time_ms // 1000 for one in bars] == [*range(NOW - 1199 * MINUTE, NOW + 1, MINUTE)]
    assert [data["query_kline_num"] for _, data in vendor.asked] == [500, 500, 200]
    assert [one.bars for one in told] == [500, 1000, 1200, 1200]
    assert [one.part for one in told][-1] == 1.0
    assert all(before.part <= after.part for before, after in pairwise(told))
    assert (bars[0].interval, bars[0].close, bars[0].state) == ("1m", Decimal("4415.32"), None)


async def test_all_history_ends_where_there_is_no_more(vendor: AllTick) -> None:
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("GOLD", start="2000-01-01")
    assert len(bars) == vendor.bars


async def test_a_server_that_ignores_the_end_does_not_make_it_go_round_for_ever(vendor: AllTick) -> None:
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("AAPL.US", "1m", 1200)
        assert len(bars) == 500
        assert len(vendor.asked) == 2
        end = datetime.fromtimestamp(NOW - 10 * MINUTE, UTC)
        assert (await api.klines("AAPL.US", "1m", 10, end=end))[-1:] == []


async def test_start_and_end_bound_what_opens(vendor: AllTick) -> None:
    first, last = NOW - 700 * MINUTE, NOW - 100 * MINUTE
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines(
            "GOLD",
            start=datetime.fromtimestamp(first, UTC),
            end=datetime.fromtimestamp(last, UTC).isoformat(),
        )
    assert [one.time_ms // 1000 for one in bars] == [*range(first, last, MINUTE)]


async def test_pages_that_overlap_are_no_trouble() -> None:
    one = Decimal(1)
    bars = [Kline("X", KlineType.MINUTE, n * MINUTE, one, one, one, one, one, one) for n in range(1, 30)]

    async def page(size: int, until: int) -> Sequence[Kline]:
        wanted = [one for one in bars if not until or one.time <= until + 2 * MINUTE]
        return wanted[-min(size, 7) :]

    assert await history(page, "X", ALL, None, None) == bars
    assert await history(page, "X", 7, None, None) == bars[-7:]


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


def test_gaps_have_times() -> None:
    data = {"gap_list": [GAP]}
    (found,) = entries(data, "gap_list", GapInfo)
    assert found.begin == datetime(2026, 11, 22, 16, 27, 46, 865000, UTC)
    assert (found.end, found.filled) == (None, None)


@pytest.mark.parametrize("data", [None, [], {}, {"gap_list": None}, {"gap_list": [1]}, {"gap_list": [{}]}])
def test_an_answer_that_makes_no_sense_is_unreadable(data: object) -> None:
    with pytest.raises(Unreadable):
        entries(data, "gap_list", GapInfo)


GAP = {
    "source": "alltick",
    "market": "crypto",
    "codes": ["BTCUSDT"],
    "begin": 1795364866865,
    "end": None,
    "reason": "connection lost",
    "filled": None,
}


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


@pytest.mark.parametrize("interval", ["2m", "1M", "", 0, 11])
def test_what_is_no_interval_is_refused(interval: str) -> None:
    with pytest.raises(ValueError, match="use one of 1m, 5m"):
        kline_type_of(interval)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (None, None),
        ("2026-09-04", 1788480000000),
        ("2026-09-04 12:30", 1788525000000),
        ("2026-09-04T20:30+08:00", 1788525000000),
        (date(2026, 9, 4), 1788480000000),
        (datetime(2026, 9, 4), 1788480000000),  # noqa: DTZ001
        (datetime(2026, 9, 4, tzinfo=UTC), 1788480000000),
    ],
)
def test_times_without_a_zone_are_utc(when: str | date | None, expected: int | None) -> None:
    assert milliseconds(when) == expected


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        milliseconds("yesterday")


def test_the_account_comes_from_arguments_then_the_environment_then_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TICKWIRE_URL", "TICKWIRE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert account()[:2] == ("http://127.0.0.1:8600", "local")
    with pytest.raises(Unauthorized, match=r"no token for quote\.alltick\.co"):
        account("https://quote.alltick.co")
    monkeypatch.setenv("TICKWIRE_URL", "https://quote.alltick.co")
    monkeypatch.setenv("TICKWIRE_TOKEN", "secret")
    assert account()[:3] == ("https://quote.alltick.co", "secret", PLANS["basic"])
    assert account("http://feeds.example", plan="free")[:3] == (
        "http://feeds.example",
        "secret",
        PLANS["free"],
    )
    assert account("http://feeds.example").plan is CAUTIOUS
    with pytest.raises(ValueError, match="no plan: use one of free"):
        account(plan="gold")
    with pytest.raises(ValueError, match="no address of a server"):
        account("quote.alltick.co")
