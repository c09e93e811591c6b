"""A server that relays another one: what a client of it sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tickwire.sources.relay import Relay, UpstreamPlan

from ...serving import DEPTH, OTHER_HTTP, TRADE, Script, Served, book, serving, until
from .bench import CATALOGUE, MACHINE, QUICK, fresh, now_ms


@pytest.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """The upstream server."""
    async with serving(tmp_path / "up", script) as server:
        yield server


@pytest.fixture
async def relayed(tmp_path: Path, served: Served) -> AsyncIterator[Served]:
    """The server that relays it, on a plan with room for two codes."""
    plan = UpstreamPlan(connections=1, codes=2)
    relay = Relay(CATALOGUE, served.url, token=lambda: "t", plan=plan, options=QUICK, **MACHINE)
    async with serving(tmp_path / "down", relay) as server:
        yield server


async def test_clients_get_what_upstream_sends(served: Served, relayed: Served, script: Script) -> None:
    script.emit(fresh("GOLD", "5", ago=3000), book(at=now_ms() - 3000))
    async with relayed.link() as link, relayed.link() as other:
        assert (await link.subscribe(TRADE, "GOLD"))["ret"] == 200
        assert (await other.subscribe(DEPTH, "BTCUSDT"))["ret"] == 200
        first = await link.push()
        assert (first["data"]["code"], first["data"]["price"]) == ("GOLD", "5.00")
        assert (await other.push())["data"]["code"] == "BTCUSDT"
        script.emit(fresh("GOLD", "6"))
        assert (await link.push())["data"]["price"] == "6.00"
        assert len(served.engine.gateway.callers) == 1


async def test_a_first_question_over_http_is_answered_by_upstream(relayed: Served, script: Script) -> None:
    script.emit(fresh("EURUSD", "1.5"), fresh("GOLD", "7"))
    codes = {"symbol_list": [{"code": "EURUSD"}, {"code": "GOLD"}, {"code": "USOIL"}]}
    answer = (await relayed.get(f"{OTHER_HTTP}/trade-tick", {"trace": "", "data": codes})).json()
    assert {one["code"]: one["price"] for one in answer["data"]["tick_list"]} == {
        "EURUSD": "1.50000",
        "GOLD": "7.00",
    }


async def test_more_than_upstream_has_room_for_is_refused_and_room_is_made_by_who_leaves(
    served: Served, relayed: Served, script: Script
) -> None:
    async with relayed.link() as link:
        async with relayed.link() as other:
            await other.subscribe(TRADE, "EURUSD", "USOIL")
            assert (await link.subscribe(TRADE, "GOLD"))["ret"] == 603
        await until(lambda: len(relayed.engine.gateway.callers) == 1)
        assert (await link.subscribe(TRADE, "GOLD", "ETHUSDT"))["ret"] == 200
        script.emit(fresh("GOLD", "8"), fresh("USOIL", "9"))
        assert (await link.push())["data"]["price"] == "8.00"


async def test_bars_of_upstream_are_there_at_once(served: Served, relayed: Served, script: Script) -> None:
    minute = now_ms() // 60_000 * 60
    ago = [now_ms() - (minute - 60 * n) * 1000 for n in (5, 4, 3)]
    script.emit(*(fresh("GOLD", str(number), ago=one) for number, one in enumerate(ago, 10)))
    await until(lambda: served.engine.market.events == 3)
    query = {"code": "GOLD", "kline_type": 1, "query_kline_num": 10, "adjust_type": 0}
    answer = (await relayed.get(f"{OTHER_HTTP}/kline", {"trace": "", "data": query})).json()
    assert [one["close_price"] for one in answer["data"]["kline_list"]] == ["10.00", "11.00", "12.00"]
