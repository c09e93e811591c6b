"""What a team sees of the account upstream that it shares, through the server that relays it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire import HistoryWarning
from tickwire.cli.checking.finding import Verdict
from tickwire.cli.checking.told import sharing
from tickwire.client import Api, Http, Incomplete, Rates, account
from tickwire.model import Family, KlineType
from tickwire.sources.relay import Relay, UpstreamPlan

from ...client.alltick_stub import NOW, AllTick, alltick
from ...client.alltick_stub import TOKEN as VENDOR_TOKEN
from ...server.bench import issue, usage_of
from ...server.test_metrics import Scrape
from ...serving import OTHER_HTTP, OTHER_WS, STOCK_HTTP, TRADE, Link, Script, Served, serving, until
from .bench import CATALOGUE, MACHINE, QUICK, fresh

FIRST = ["BTCUSDT", "GOLD", "EURUSD", "AAPL.US", "700.HK"]


@contextlib.asynccontextmanager
async def relayed(folder: Path, url: str, plan: UpstreamPlan) -> AsyncIterator[Served]:
    relay = Relay(CATALOGUE, url, token=lambda: VENDOR_TOKEN, plan=plan, options=QUICK, **MACHINE)
    async with serving(folder, relay) as served:
        yield served


@contextlib.asynccontextmanager
async def subscribed(folder: Path) -> AsyncIterator[tuple[AllTick, Served, Link]]:
    """A client that is subscribed to BTCUSDT, up to the upstream."""
    async with (
        alltick() as stub,
        relayed(folder, stub.url, UpstreamPlan()) as served,
        served.link() as link,
    ):
        await link.subscribe(TRADE, "BTCUSDT")
        await until(lambda: "BTCUSDT" in stub.wanted(TRADE))
        yield stub, served, link


async def bars(served: Served, code: str, count: int = 100, kline_type: int = 1) -> tuple[str, list[int]]:
    """What the answer says it lacks, and the times of its bars."""
    base = STOCK_HTTP if code.endswith((".US", ".HK")) else OTHER_HTTP
    query = {"code": code, "kline_type": kline_type, "query_kline_num": count, "adjust_type": 0}
    answer = await served.get(f"{base}/kline", {"trace": "", "data": query})
    assert answer.json()["ret"] == 200
    found = [int(one["timestamp"]) for one in answer.json()["data"]["kline_list"]]
    return answer.headers.get("tickwire-partial", ""), found


# First answers.
async def test_first_answers_wait_for_their_turn_and_are_whole(tmp_path: Path) -> None:
    async with (
        alltick() as stub,
        relayed(tmp_path, stub.url, UpstreamPlan(rates=Rates((1, 0.3)))) as served,
    ):
        asked = [(code, 1) for code in FIRST] + [(code, 2) for code in FIRST]
        found = await asyncio.gather(*(bars(served, code, 60, kline_type) for code, kline_type in asked))
        for (_, kline_type), (lacks, times) in zip(asked, found, strict=True):
            assert lacks == ""
            step, last = (60, NOW - 60) if kline_type == 1 else (300, NOW - NOW % 300)  # by upstream's clock
            assert times == [*range(last - 59 * step, last + 1, step)]
        assert sorted(_asked(stub)[: len(FIRST)]) == sorted((code, 1) for code in FIRST)
        await until(lambda: {kline_type for _, kline_type in _asked(stub)} == {1, 5, 8})


def _asked(stub: AllTick) -> list[tuple[str, int]]:
    """Codes and types of the bars that were asked for."""
    return [(data["code"], data["kline_type"]) for endpoint, data in stub.asked if endpoint == "kline"]


async def test_an_answer_that_lacks_something_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tickwire.market.missing.backfill.PATIENCE", 1.0)
    monkeypatch.setattr("tickwire.market.supply.FIRST_EVENT_WAIT", 0.1)  # none comes
    plan = UpstreamPlan(rates=Rates((1, 3600.0)))
    async with alltick() as stub, relayed(tmp_path, stub.url, plan) as served:
        assert (await bars(served, "BTCUSDT"))[0] == ""
        with capture_logs() as logs:
            found = await asyncio.gather(bars(served, "GOLD"), bars(served, "EURUSD"))
        assert [lacks for lacks, _ in found] == ["upstream"] * 2
        assert [one["event"] for one in logs].count("bars are answered in part") == 1
        pairs = [{"code": code, "kline_type": 1, "query_kline_num": 2} for code in ("BTCUSDT", "GOLD")]
        body = {"trace": "", "data": {"data_list": pairs}}
        batch = await served.request("POST", f"{OTHER_HTTP}/batch-kline", params={"token": "t"}, json=body)
        assert batch.headers["tickwire-partial"] == "upstream"
        async with Http(served.url, "t") as http:  # as a relay of the relay asks
            with pytest.raises(Incomplete):
                await http.klines(Family.OTHER, "GOLD", KlineType.MINUTE, whole=True)
        monkeypatch.setattr("tickwire.client.api.TRIES", 2)
        with caplog.at_level("WARNING", "tickwire.client"):
            async with Api(served.url, token="t") as api:
                with pytest.warns(HistoryWarning, match="GOLD: there are no 1m bars"):
                    await api.klines("GOLD", "1m", 10)
        assert [one.message for one in caplog.records if one.name == "tickwire.client"] == [
            "/kline of GOLD: the server can only give a part of its bars now"
        ]
        scrape = Scrape((await served.request("GET", "/metrics")).text)
        name = served.engine.market.source.name
        assert (scrape.get("source_partial_answers_total", source=name) or 0) >= 3
        assert scrape.get("upstream_quota_left_requests", source=name, limit="kline") == 0


# Numbers and times of upstream.
async def test_trades_of_an_upstream_that_counts_anew_all_come_and_the_gap_is_told(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as (stub, served, link):
        began = fresh().time
        with capture_logs() as logs:
            for number in range(80):
                if number == 40:
                    stub.count_from(5)
                await stub.trade("BTCUSDT", at=began + number)
            found = [(await link.push())["data"] for _ in range(80)]
        assert [one["tick_time"] for one in found] == [*range(began, began + 80)]
        assert [one["code"] for one in logs if one["event"] == "upstream counts anew"] == ["BTCUSDT"]
        await until(lambda: served.engine.market.source.health.renumbered == 1)
        gaps: list[dict[str, Any]] = []
        async with asyncio.timeout(120):
            while not gaps:
                gaps = (await served.get("/v1/gaps")).json()["data"]["gap_list"]
        assert (gaps[0]["codes"], gaps[0]["reason"]) == (["BTCUSDT"], "upstream counts anew")


async def test_one_wrong_time_costs_no_right_trade_when_upstream_counts_anew(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as (stub, served, link):
        began = fresh().time
        for number in range(20):
            if number == 10:
                await stub.trade("BTCUSDT", at=began + 7_200_000)
                stub.count_from(5)
            await stub.trade("BTCUSDT", at=began + number)
        found = [(await link.push())["data"] for _ in range(20)]
        assert [one["tick_time"] for one in found] == [*range(began, began + 20)]
        await until(lambda: served.engine.market.source.health.renumbered == 1)
        assert (served.engine.market.source.health.bad, served.engine.market.source.health.dropped) == (1, 0)


async def test_what_is_dropped_for_its_number_is_counted_and_said_once(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as (stub, served, link):
        began = fresh().time
        await stub.trade("BTCUSDT", at=began)
        await link.push()
        stub.count_from(5)
        with capture_logs() as logs:
            for _ in range(3):  # of the very same millisecond
                await stub.trade("BTCUSDT", at=began)
            await until(lambda: served.engine.market.source.health.dropped == 3)
            await stub.trade("BTCUSDT", at=began + 1)
            assert (await link.push())["data"]["tick_time"] == began + 1
        events = [one["event"] for one in logs]
        assert events.count("upstream sends numbers of before: such events are dropped") == 1
        assert [one["dropped"] for one in logs if one["event"] == "upstream counts anew"] == [3]
        assert served.engine.market.source.health.dropped == 3


async def test_no_bar_stands_in_the_future_when_upstream_jumps_by_hours(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as (stub, served, link):
        sent = 0
        for number in range(120):
            jumped = 20 <= number < 100
            await stub.trade("BTCUSDT", str(1000 + number), at=fresh().time + jumped * 3 * 3_600_000)
            sent += not jumped
        prices = [float((await link.push())["data"]["price"]) for _ in range(sent)]
        assert prices == [*range(1000, 1020), *range(1100, 1120)]
        await until(lambda: served.engine.market.source.health.bad == 80)
        now = fresh().time
        assert abs(served.engine.market.source.market_time() - now) < 60_000
        for kline_type in range(1, 8):
            _, times = await bars(served, "BTCUSDT", 5, kline_type)
            assert times
            assert times[-1] * 1000 <= now + 60_000


async def test_an_upstream_that_was_always_ahead_is_heard_and_counted_in_no_bar(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as (stub, served, link):
        await until(lambda: served.engine.market.source.market_time() != 0)
        with capture_logs() as logs:
            for number in range(40):
                await stub.trade("BTCUSDT", str(1000 + number), at=fresh().time + 3 * 3_600_000)
            prices = [float((await link.push())["data"]["price"]) for _ in range(25)]
            assert prices == [*range(1015, 1040)]
            assert served.engine.market.source.health.bad == 15
            await stub.trade("BTCUSDT", "2000", at=fresh().time)
            assert float((await link.push())["data"]["price"]) == 2000
        told = [one["event"] for one in logs if "upstream's time" in one["event"]]
        assert told == [
            "upstream's time is ahead of ours: its trades are in no bar",
            "upstream's time is ours",
        ]
        _, times = await bars(served, "BTCUSDT", 5)
        assert 0 <= fresh().time // 1000 - times[-1] < 120
        assert abs(served.engine.market.source.market_time() - fresh().time) < 60_000


async def _next_price(link: Link) -> float:
    return float((await link.push())["data"]["price"])


async def test_codes_that_are_scarce_are_shared_among_tokens_and_told(tmp_path: Path, script: Script) -> None:
    folder = tmp_path / "down"
    plan = UpstreamPlan(connections=1, codes=4, rates=Rates(per_day=1000, http=(60, 60.0)))
    async with serving(tmp_path / "up", script) as up:
        folder.mkdir()
        early, late = issue(folder, "early"), issue(folder, "late")
        boss = issue(folder, "boss", admin=True)
        async with relayed(folder, up.url, plan) as served:
            codes = ["BTCUSDT", "GOLD", "EURUSD", "USOIL"]
            async with served.link(OTHER_WS, early) as first:
                assert (await first.subscribe(TRADE, *codes))["ret"] == 200
                with capture_logs() as logs:
                    async with served.link(OTHER_WS, late) as second:
                        for _ in range(2):
                            answer = await second.subscribe(TRADE, "ETHUSDT", "GOLD", "Silver", "SOLUSDT")
                            assert answer["ret"] == 200
                        wanted = {"BTCUSDT", "ETHUSDT", "GOLD", "EURUSD"}  # by turns; GOLD is of both
                        await until(lambda: _codes(up) == wanted)
                        script.emit(fresh("ETHUSDT", "7"), fresh("GOLD", "8"))
                        assert [await _next_price(second) for _ in range(2)] == [7, 8]
                        assert await _next_price(first) == 8
                        mine = await usage_of(served, early)
                        assert [one["token"] for one in mine["token_list"]] == ["early"]
                        assert mine["token_list"][0] | {"pushes": 0, "requests": 0} == {
                            "token": "early",
                            "connections": 1,
                            "codes": 4,
                            "without": 1,
                            "requests": 0,
                            "refused": 0,
                            "pushes": 0,
                        }
                        told = await sharing(account(served.url, boss))
                        assert [one.check for one in told[:3]] == ["upstream", "upstream", "token use"]
                        assert told[2].verdict is Verdict.WARN
                        assert "2 codes have no place upstream" in str(told)
                shared = "the room of the upstream plan is shared among tokens"
                assert [one["tokens"] for one in logs if one["event"] == shared] == [2]
                await until(lambda: len(served.engine.gateway.callers) == 1)
                await until(lambda: _renewed(served) and _codes(up) >= {*codes})
                everybody = (await usage_of(served, boss))["token_list"]
                assert {one["token"]: one["pushes"] for one in everybody}["late"] == 2
                assert [one["without"] for one in everybody if one["token"] == "early"] == [0]
                use = (await usage_of(served, boss))["upstream_list"][0]
                assert {
                    one["name"]: one["requests"] for one in use["quotas"] if one["name"] in ("day", "http")
                } == {"day": 1000, "http": 60}
                assert {"family": "other", "kind": "trade", "used": 4, "most": 4} in use["codes"]
                head = {"Authorization": f"Bearer {boss}"}
                scrape = Scrape((await served.request("GET", "/metrics", headers=head)).text)
                labels = {"source": served.engine.market.source.name, "family": "other"}
                assert scrape.get("upstream_codes", **labels, kind="trade") == 4
                assert scrape.get("upstream_codes_limit", **labels, kind="trade") == 4
                assert scrape.get("upstream_connections", **labels) == 1
                assert scrape.get("token_pushes_total", token="late") == 2
                assert scrape.get("token_requests_total", token="early") == 1
                assert scrape.get("token_codes", token="early") == 4


def _renewed(served: Served) -> bool:
    """Does what is done every half minute."""
    served.engine.gateway.sharing.renew()
    return True


def _codes(up: Served) -> set[str]:
    return {one.code for instruments in up.engine.gateway.hub.wanted().values() for one in instruments}


async def test_any_token_that_is_let_in_is_named_nowhere(tmp_path: Path, script: Script) -> None:
    async with (
        serving(tmp_path / "up", script) as up,
        relayed(tmp_path / "down", up.url, UpstreamPlan()) as served,
        served.link(OTHER_WS, "s3cret") as link,
    ):
        await link.subscribe(TRADE, "BTCUSDT")
        usage = await served.get("/v1/usage", token="another")
        (only,) = usage.json()["data"]["token_list"]
        assert (only["token"], only["connections"], only["codes"]) == ("", 1, 1)
        metrics = (await served.request("GET", "/metrics")).text
        assert "s3cret" not in metrics + usage.text


async def test_codes_without_room_stay_silent_until_there_is_some_again(
    tmp_path: Path, script: Script
) -> None:
    folder = tmp_path / "down"
    folder.mkdir()
    desk = issue(folder, "desk")
    async with (
        serving(tmp_path / "up", script) as up,
        relayed(folder, up.url, UpstreamPlan(connections=1, codes=3)) as served,
        served.link(OTHER_WS, desk) as first,
    ):
        assert (await first.subscribe(TRADE, "BTCUSDT", "GOLD"))["ret"] == 200
        async with served.link(OTHER_WS, desk) as second:
            assert (await second.subscribe(TRADE, "EURUSD", "USOIL", "GOLD"))["ret"] == 200
            await until(lambda: _codes(up) == {"BTCUSDT", "GOLD", "EURUSD"})
            (use,) = (await usage_of(served, desk))["token_list"]
            assert (use["codes"], use["without"]) == (4, 1)
            assert (await second.subscribe(TRADE, "ETHUSDT", "EURUSD", "USOIL"))["ret"] == 200
            await until(lambda: _codes(up) == {"BTCUSDT", "GOLD", "ETHUSDT"})  # in the order of the list
            assert (await first.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
            await until(lambda: _codes(up) == {"BTCUSDT", "ETHUSDT", "EURUSD"})
            assert (await first.ask(22006, {"cancel_type": 0}))["ret"] == 200
            await until(lambda: _renewed(served) and _codes(up) == {"USOIL", "ETHUSDT", "EURUSD"})
            script.emit(fresh("USOIL", "7"))
            assert await _next_price(second) == 7
            assert (await first.subscribe(TRADE, "BTCUSDT"))["ret"] == 603
            (use,) = (await usage_of(served, desk))["token_list"]
            assert (use["codes"], use["without"]) == (3, 0)
