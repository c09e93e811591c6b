"""The simulator on market hours: closed markets stand still, and their bars show it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tickwire.calendars import load
from tickwire.klines import Grid
from tickwire.model import KlineType
from tickwire.sources import Simulator
from tickwire.sources.simulated_markets import SimulatedMarkets
from tickwire.store import load_catalogue

from ..serving import OTHER_HTTP, STOCK_HTTP, serving

CATALOGUE = load_catalogue()
CODES = ["BTCUSDT", "GOLD", "EURUSD", "700.HK", "AAPL.US", "600519.SH"]
SATURDAY = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("code", CODES)
def test_a_closed_market_opens_with_its_last_moment_and_then_stands_still(code: str) -> None:
    some = SimulatedMarkets(CATALOGUE, [code], seed=1, rate=2, hours=True)
    calendar = load(CATALOGUE[code].calendar)
    now = SATURDAY * 1000
    some.open(now)
    opening = list(some.due(now))
    assert {event.time for event in opening} == {calendar.last_open(now)}
    assert calendar.is_open(opening[0].time)
    weekend = [event for hour in range(1, 60) for event in some.due(now + hour * 3_600_000)]
    assert weekend
    assert all(calendar.is_open(event.time) for event in weekend)
    assert [event.time for event in weekend] == sorted(event.time for event in weekend)


def test_last_open_is_the_end_of_friday() -> None:
    forex = load("forex")
    last = forex.last_open(SATURDAY * 1000)
    assert last is not None
    friday = datetime.fromtimestamp(last / 1000, UTC)
    assert (friday.weekday(), friday.hour, friday.minute, friday.second) == (4, 21, 59, 59)
    monday = SATURDAY * 1000 + 2 * 86_400_000
    assert forex.last_open(monday) == monday


@pytest.mark.parametrize("code", CODES)
async def test_bars_across_a_weekend_join_friday_to_the_next_session(tmp_path: Path, code: str) -> None:
    tuesday = (SATURDAY + 3 * 86_400) * 1000
    feed = Simulator(CATALOGUE, [code], seed=1, rate=0.1, hours=True, clock=lambda: tuesday)
    instrument = CATALOGUE[code]
    calendar, grid = load(instrument.calendar), Grid(instrument)
    base = STOCK_HTTP if instrument.family == "stock" else OTHER_HTTP
    async with serving(tmp_path, feed) as served:
        for kline_type in (KlineType.MINUTE, KlineType.HOUR, KlineType.DAY):
            query = {"code": code, "kline_type": int(kline_type), "query_kline_num": 500}
            reply = await served.get(f"{base}/kline", {"data": query})
            times = [int(bar["timestamp"]) for bar in reply.json()["data"]["kline_list"]]
            assert len(times) == 500
            for before, after in pairwise(times):
                begin, end = grid.begin(kline_type, after), grid.end(kline_type, before)
                missing = [at for at in range(end, begin, 3600) if calendar.is_open(at * 1000)]
                assert not missing
                opens = calendar.next_open(begin * 1000 - 1)
                assert calendar.is_open(begin * 1000) or (opens or 0) < grid.end(kline_type, after) * 1000


@pytest.mark.parametrize("code", CODES[1:])
async def test_no_start_counts_the_last_trade_of_a_closed_market_again(tmp_path: Path, code: str) -> None:
    base = STOCK_HTTP if CATALOGUE[code].family == "stock" else OTHER_HTTP
    seen = []
    for _ in range(3):
        feed = Simulator(CATALOGUE, [code], seed=1, rate=2, hours=True, clock=lambda: SATURDAY * 1000)
        async with serving(tmp_path, feed) as served:
            symbols = {"data": {"symbol_list": [{"code": code}]}}
            ticks = (await served.get(f"{base}/trade-tick", symbols)).json()["data"]["tick_list"]
            bars = [
                (await served.get(f"{base}/kline", {"data": {"code": code, "kline_type": one}})).json()
                for one in (KlineType.MINUTE, KlineType.DAY)
            ]
            assert [len(bar["data"]["kline_list"]) for bar in bars] == [1, 1]
            (told,) = (await served.get("/readyz")).json()["sources"]
            assert told["late"] == 0
            seen.append((ticks[0]["tick_time"], ticks[0]["price"], ticks[0]["volume"], bars))
    assert seen[0] == seen[1] == seen[2]
