"""Asking upstream about unknown codes: who may, how often, and who waits for the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.access import Rate
from tickwire.model import Kind, Market
from tickwire.sources.relay import UpstreamPlan

from ...client.alltick_stub import AllTick
from ...server.bench import issue
from ...serving import DEPTH, OTHER_HTTP, OTHER_WS, STOCK_HTTP, STOCK_WS, TRADE, until
from .bench import now_ms
from .discovering import relaying, symbols


async def test_one_tokens_flood_of_unknown_codes_holds_up_nobody_else(
    tmp_path: Path, stub: AllTick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.finder.RETRY", 0.05)
    folder = tmp_path / "down"
    folder.mkdir()
    many, few = issue(folder, "many"), issue(folder, "few")
    stub.refuse_http = 10_000
    left, stays = [[f"{name}{n}" for n in range(120)] for name in ("GONE", "NONE")]
    async with (
        relaying(folder, stub.url, UpstreamPlan(), probe=False) as relayed,
        relayed.link(OTHER_WS, many) as gone,
        relayed.link(OTHER_WS, many) as flood,
        relayed.link(OTHER_WS, few) as link,
    ):
        assert (await gone.subscribe(TRADE, *left))["ret"] == 200
        assert (await flood.subscribe(TRADE, *stays))["ret"] == 200
        assert (await link.subscribe(TRADE, "GBPMXN"))["ret"] == 200
        await gone.socket.close()
        await until(lambda: len(relayed.engine.gateway.callers) == 2)
        refused, stub.refuse_http = len(stub.asked), 0
        await until(lambda: "GBPMXN" in stub.wanted(22004))
        await until(lambda: not relayed.engine.market.discovery.waiting)
    batches = [
        [one["code"] for one in data["symbol_list"]]
        for endpoint, data in stub.asked[refused:]
        if endpoint == "trade-tick"
    ]
    assert "GBPMXN" in [*batches[0], *batches[1]]  # the first one may have been under way
    later = [code for batch in batches[1:] for code in batch]
    assert later.index(stays[-1]) < min(later.index(code) for code in left if code in later)


async def test_what_upstream_has_not_answered_yet_is_left_out_and_told(
    tmp_path: Path, stub: AllTick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.market.discovery.WAIT", 0.05)
    await stub.trade("BTCUSDT", "7", at=now_ms())
    stub.refuse_http = 10_000
    async with relaying(tmp_path / "down", stub.url, UpstreamPlan(), probe=False) as relayed:
        answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"))
        assert (answer.json()["ret"], answer.json()["data"]) == (200, {"tick_list": []})
        assert answer.headers["tickwire-partial"] == "upstream"
        query = {"code": "GBPMXN", "kline_type": 1, "query_kline_num": 2}
        bars = await relayed.get(f"{OTHER_HTTP}/kline", {"trace": "", "data": query})
        assert bars.json()["data"] == {"code": "GBPMXN", "kline_type": 1, "kline_list": []}
        assert bars.headers["tickwire-partial"] == "upstream"
        group = {"trace": "", "data": {"data_list": [query]}}
        batch = await relayed.request("POST", f"{OTHER_HTTP}/batch-kline", params={"token": "t"}, json=group)
        assert batch.json()["data"] == {"kline_list": []}
        assert relayed.engine.market.discovery.waiting == 1


async def test_codes_of_the_other_family_or_of_no_form_are_not_asked_about(
    tmp_path: Path, stub: AllTick
) -> None:
    async with relaying(tmp_path / "down", stub.url, probe=False) as relayed:
        for base, code in (
            (OTHER_HTTP, "2442.HK"),
            (STOCK_HTTP, "GBPMXN"),
            (STOCK_HTTP, "a b.HK"),
            (OTHER_HTTP, "x" * 40),
            (OTHER_HTTP, "\u7f8e\u5143"),
        ):
            assert (await relayed.get(f"{base}/trade-tick", symbols(code))).json()["ret"] == 600
        assert not [one for one in stub.asked if one[0] != "static_info"]  # by which it asks to be let in


async def test_a_token_asks_about_so_many_unknown_codes_a_minute(
    tmp_path: Path, stub: AllTick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.access.account.UNKNOWN_CODES", Rate(2, 60))
    async with relaying(tmp_path / "down", stub.url, UpstreamPlan(), probe=False) as relayed:
        with capture_logs() as logs:
            answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("NONE1", "NONE2", "NONE3"))
            assert answer.headers["tickwire-partial"] == "upstream"
            answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("NONE4"))
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
            async with relayed.link() as link:
                assert (await link.subscribe(TRADE, "NONE5"))["ret"] == 605
                assert (await link.subscribe(TRADE, "NONE6", "GOLD"))["ret"] == 200
        # What was refused before needs no question.
        assert (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("NONE1"))).json()["ret"] == 600
        assert relayed.engine.gateway.seeking.turned_away == 4
        said = [one for one in logs if "unknown codes" in one["event"]]
        assert len(said) == 1


async def test_a_list_that_was_replaced_meanwhile_is_left_alone(
    tmp_path: Path, stub: AllTick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.finder.RETRY", 0.05)
    stub.refuse_http = 10_000
    async with (
        relaying(tmp_path / "down", stub.url, UpstreamPlan(), probe=False) as relayed,
        relayed.link() as link,
        relayed.link() as other,
    ):
        assert (await link.subscribe(TRADE, "GBPMXN"))["ret"] == 200
        assert (await link.subscribe(TRADE, "GOLD"))["ret"] == 200
        assert (await other.subscribe(TRADE, "GBPMXN"))["ret"] == 200
        assert (await other.ask(22006, {"cancel_type": 0}))["ret"] == 200
        stub.refuse_http = 0
        await until(lambda: not relayed.engine.market.discovery.waiting)
        assert {one.code for one in relayed.engine.gateway.hub.wanted()[Kind.TRADE]} == {"GOLD"}


async def test_a_token_gets_only_what_it_may_read_of_what_is_learned(tmp_path: Path, stub: AllTick) -> None:
    for code in ("GBPMXN", "XMRUSDT"):
        stub.codes["other"].add(code)
        await stub.trade(code, "18.5", at=now_ms())
    crypto = issue(tmp_path / "down", "crypto", markets=frozenset({Market.CRYPTO}))
    named = issue(tmp_path / "down", "named", codes=frozenset({"GBPMXN"}))
    plan = UpstreamPlan()
    async with (
        relaying(tmp_path / "down", stub.url, plan, probe=False) as relayed,
        relayed.link(token=crypto) as link,
    ):
        answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("XMRUSDT"), token=named)
        assert answer.json()["ret"] == 600  # nobody is asked for its sake
        assert "XMRUSDT" not in relayed.engine.catalogue
        assert (await link.subscribe(TRADE, "GBPMXN", "XMRUSDT"))["ret"] == 200
        assert (await link.push())["data"]["code"] == "XMRUSDT"
        await until(lambda: not relayed.engine.market.discovery.waiting)
        assert {one.code for one in relayed.engine.gateway.hub.wanted()[Kind.TRADE]} == {"XMRUSDT"}
        answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"), token=crypto)
        assert answer.json()["ret"] == 604
        answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPMXN"), token=named)
        assert [one["code"] for one in answer.json()["data"]["tick_list"]] == ["GBPMXN"]


async def test_what_the_catalogue_has_and_upstream_has_not_is_refused_as_upstream_does(
    tmp_path: Path, stub: AllTick
) -> None:
    await stub.trade("GOLD", at=now_ms())
    with capture_logs() as logs:
        async with (
            relaying(tmp_path / "down", stub.url, UpstreamPlan(1, 5), probe=False) as relayed,
            relayed.link() as link,
            relayed.link(STOCK_WS) as stocks,
        ):
            query = {"code": "USOIL", "kline_type": 1, "query_kline_num": 2, "adjust_type": 0}
            bars = await relayed.get(f"{OTHER_HTTP}/kline", {"trace": "", "data": query})
            assert bars.json()["ret"] == 600
            for code, endpoint in (("GBPUSD", "trade-tick"), ("ETHUSDT", "depth-tick")):
                answers = [await relayed.get(f"{OTHER_HTTP}/{endpoint}", symbols(code)) for _ in range(2)]
                assert answers[-1].json()["ret"] == 600
            answer = await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPUSD", "GOLD", "USOIL"))
            assert [one["code"] for one in answer.json()["data"]["tick_list"]] == ["GOLD"]
            for kind in (TRADE, DEPTH):
                assert (await link.subscribe(kind, "GBPUSD"))["ret"] == 600
                assert (await link.subscribe(kind, "GBPUSD", "GOLD"))["ret"] == 200
            # What is subscribed to first is acknowledged, and refused from then on.
            assert (await stocks.subscribe(DEPTH, "MSFT.US"))["ret"] == 200
            microsoft = relayed.engine.catalogue["MSFT.US"]
            await until(lambda: not relayed.engine.market.feeds.serve(microsoft))
            assert (await stocks.subscribe(TRADE, "MSFT.US"))["ret"] == 600
            asked = len(stub.asked)
            assert (await relayed.get(f"{OTHER_HTTP}/trade-tick", symbols("GBPUSD"))).json()["ret"] == 600
            assert len(stub.asked) == asked
    assert "the upstream plan has no room" not in [one["event"] for one in logs]
    told = [one for one in logs if one["event"] == "upstream has no such codes"]
    assert sum(one["codes"] for one in told) == 4
