"""An exchange behind a whole server: what clients see of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.serving import DEPTH, OTHER_HTTP, TRADE, Served, serving
from tickwire.machine import REAL

from .binance import binance

pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")
CODE = {"code": "BTCUSDT"}


async def ask(served: Served, path: str, data: dict[str, Any]) -> Any:
    answer = (await served.get(OTHER_HTTP + path, {"trace": "t", "data": data})).json()
    assert answer["ret"] == 200, answer
    return answer["data"]


async def test_clients_get_trades_books_and_bars(tmp_path: Path) -> None:
    async with binance(REAL.millis) as venue:
        hour = int(time.time()) // 3600 * 3600
        for interval, span in (("1m", 60), ("1h", 3600), ("1d", 86_400)):
            start = int(time.time()) // span * span
            ends = [start * 1000, "158635.41000000", 3, "1", "1", "0"]
            prices = ["79317.00", "79319.00", "79316.50", "79317.70"]
            venue.pairs["BTCUSDT"].bars[interval] = [
                [(start - n * span) * 1000, *prices, "2.00000000", *ends] for n in range(30, -1, -1)
            ]
        last = await venue.trade("BTCUSDT", "79317.60", "0.25000")
        async with serving(
            tmp_path, source=["exchange:binance"], exchanges={"binance": venue.options}
        ) as served:
            tick = await ask(served, "/trade-tick", {"symbol_list": [CODE]})
            assert tick["tick_list"][0]["tick_time"] == str(last["T"])
            book = await ask(served, "/depth-tick", {"symbol_list": [CODE]})
            assert book["tick_list"][0]["bids"][0] == {"price": "79317.40", "volume": "0.50000"}
            async with served.link() as link:
                assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
                await venue.subscribed("btcusdt@trade")
                await venue.trade("BTCUSDT", "79317.70", "0.50000")
                while (pushed := (await link.push())["data"])["price"] != "79317.70":
                    pass
                assert (pushed["volume"], pushed["turnover"]) == ("0.50000", "39658.85")
                assert (await link.subscribe(DEPTH, "BTCUSDT"))["ret"] == 200
                await venue.delta("BTCUSDT", [("79317.50", "3.00000000")])
                while (await link.push())["data"].get("bids", [{}])[0].get("price") != "79317.50":
                    pass
            query = {"kline_timestamp_end": 0, "query_kline_num": 3, "adjust_type": 0}
            bars = await ask(served, "/kline", CODE | query | {"kline_type": 5})
            closed = [bar for bar in bars["kline_list"] if int(bar["timestamp"]) < hour]
            assert len(closed) >= 2
            assert {(bar["close_price"], bar["volume"], bar["turnover"]) for bar in closed} == {
                ("79317.70", "2.00000", "158635.41")
            }
