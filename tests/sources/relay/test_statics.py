"""/static_info of upstream: kept for a day, and marked where it is made up."""

from __future__ import annotations

from pathlib import Path

from tickwire.sources.relay import UpstreamPlan

from ...client.alltick_stub import AllTick
from ...serving import STOCK_HTTP, serving, until
from .discovering import relaying, symbols


async def test_static_info_is_upstreams_for_a_day(tmp_path: Path, stub: AllTick) -> None:
    stub.static["700.HK"] = {"name_en": "Tencent", "eps_ttm": "20.1", "total_shares": "9000000000"}
    async with relaying(tmp_path / "down", stub.url, UpstreamPlan(), probe=False) as relayed:
        for _ in range(2):
            answer = (await relayed.get(f"{STOCK_HTTP}/static_info", symbols("700.HK", "AAPL.US"))).json()
            told, own = answer["data"]["static_info_list"]
            assert (told["symbol"], told["eps_ttm"], told["total_shares"]) == ("700.HK", "20.1", "9000000000")
            assert (own["symbol"], own["name_en"], own["eps_ttm"]) == ("AAPL.US", "Apple, Inc.", "")
        asked = [data["symbol_list"] for endpoint, data in stub.asked if endpoint == "static_info"]
        assert asked.count([{"code": "700.HK"}, {"code": "AAPL.US"}]) == 1


async def test_figures_that_upstream_makes_up_are_marked_here_too(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "up") as simulated,
        relaying(tmp_path / "down", simulated.url, UpstreamPlan()) as relayed,
    ):
        await until(lambda: relayed.engine.market.source.simulated)
        asked, marked = symbols("700.HK"), "tickwire-simulated"
        answer, told = [await one.get(f"{STOCK_HTTP}/static_info", asked) for one in (simulated, relayed)]
        assert told.json() == answer.json()
        assert (answer.headers[marked], told.headers[marked]) == ("1", "1")
        index = await relayed.get(f"{STOCK_HTTP}/static_info", symbols("HSI.HK"))
        assert marked not in index.headers
