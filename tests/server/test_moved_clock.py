"""A scenario that moves the market's clock, on a real server: ticks, bars, states, and what is kept."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tickwire.config import DATABASE
from tickwire.model import Kline, KlineType
from tickwire.store import SqliteKlineStore

from ..serving import DEPTH, OTHER_HTTP, STOCK_WS, TRADE, Link
from ..staging import Feed, Stage, push, staged
from ..stores import opened

KLINE = 28004
MINUTE, DAY = 60_000, 86_400_000


def text(ms: int) -> str:
    """A moment as scenarios write it."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def wall() -> int:
    return time.time_ns() // 1_000_000


async def klines(stage: Stage, count: int = 500) -> list[dict[str, Any]]:
    """The minute bars of BTCUSDT, as /kline answers them."""
    query = {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": count}
    found: list[dict[str, Any]] = (await stage.get(f"{OTHER_HTTP}/kline", query))["data"]["kline_list"]
    return found


def stored(folder: Path) -> list[Kline]:
    """The minute bars of BTCUSDT that the file holds."""
    with opened(SqliteKlineStore, folder / DATABASE) as store:
        return store.read("simulator", "BTCUSDT", KlineType.MINUTE, count=1000)


async def closed(link: Link) -> dict[str, Any]:
    """The next push of a bar that has closed."""
    while (data := await push(link))["state"] != "closed":
        pass
    return data


async def test_ticks_bars_and_markets_go_by_the_moved_clock_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"codes": ["BTCUSDT"], "rate": 20, "kline_push_interval": 0.02}
    to = (wall() // 60_000 + 3 * 1440) * 60_000 + 30_000  # in the middle of a minute, three days on
    async with (
        staged(tmp_path, **settings) as stage,
        stage.served.link() as ticks,
        stage.served.link() as bars,
    ):
        await ticks.subscribe(TRADE, "BTCUSDT")
        await bars.ask(KLINE, {"symbol_list": [{"code": "BTCUSDT", "kline_type": 1}]})
        before = await push(ticks)
        assert abs(before["tick_time"] - wall()) < 2000
        first = await push(bars)
        await klines(stage)  # makes the past, and keeps it
        assert await stage.served.engine.market.feeds.first.batches.write()

        await stage.begin({"do": "clock", "to": text(to)})
        moved = wall()
        while (data := await push(ticks))["tick_time"] < to:
            before = data
        assert data["tick_time"] - to < 1000
        assert data["seq"] == before["seq"] + 1
        assert int((await closed(bars))["timestamp"]) >= int(first["timestamp"])  # without waiting for it
        assert before["tick_time"] <= moved
        (market,) = [
            one
            for one in (await stage.get("/v1/markets"))["data"]["market_list"]
            if one["calendar"] == "crypto"
        ]
        assert 0 <= market["time"] - to < 5000
        answered = await klines(stage)
        assert int(answered[-1]["timestamp"]) >= to // 60_000 * 60 > int(answered[-2]["timestamp"])
        assert await stage.served.engine.market.feeds.first.batches.write()
    kept = [bar.time for bar in stored(tmp_path)]
    assert kept
    assert kept[-1] * 1000 <= moved

    async with staged(tmp_path, **settings) as stage:
        times = [int(bar["timestamp"]) for bar in await klines(stage)]
        assert times[-1] <= wall() // 1000
        assert {*kept[-400:]} <= {*times}


async def test_what_was_traded_before_the_clock_was_moved_is_kept_to_the_last_trade(tmp_path: Path) -> None:
    to = wall() + DAY
    async with staged(tmp_path, codes=["BTCUSDT"], rate=100) as stage, stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        for _ in range(20):
            await push(link)
        await stage.begin({"do": "clock", "to": text(to)})
        while (await push(link))["tick_time"] < to // 1000 * 1000:
            pass
        before = [bar for bar in await klines(stage) if int(bar["timestamp"]) * 1000 < to - DAY // 2]
    kept = {bar.time: bar for bar in stored(tmp_path)}
    assert int(before[-1]["timestamp"]) in kept
    assert str(kept[int(before[-1]["timestamp"])].volume) == before[-1]["volume"]


async def test_a_fast_clock_closes_bars_without_a_wait(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"codes": ["BTCUSDT"], "rate": 2, "kline_push_interval": 0.02}
    async with staged(tmp_path, **settings) as stage, stage.served.link() as link:
        began = time.monotonic()
        await stage.begin({"do": "clock", "speed": 120})
        await link.ask(KLINE, {"symbol_list": [{"code": "BTCUSDT", "kline_type": 1}]})
        times: list[int] = []
        behind = MINUTE
        async with asyncio.timeout(120):
            while len(times) < 3 or behind >= MINUTE:  # for once: the machine may be busy otherwise
                times.append(int((await closed(link))["timestamp"]))
                behind = stage.served.engine.market.source.market_time() - (times[-1] + 60) * 1000
        assert times == [times[0] + 60 * n for n in range(len(times))]
        assert time.monotonic() - began > 0.4


async def test_a_frozen_clock_stops_the_market_and_heartbeats_go_on(tmp_path: Path) -> None:
    async with staged(tmp_path, codes=["BTCUSDT"], rate=50) as stage, stage.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await push(link)
        number = await stage.begin({"do": "clock", "speed": 0})
        await link.ask(22000)
        frozen = stage.served.engine.market.source.market_time()
        await asyncio.sleep(0.2)  # ten ticks otherwise
        await link.nothing()
        assert stage.served.engine.market.source.market_time() == frozen
        # It was over at once, and to stop it would not set the clock back.
        assert number not in [run.number for run in stage.served.engine.market.scenarios.running]
        await stage.begin({"do": "clock", "speed": 1})
        assert 0 <= (await push(link))["tick_time"] - frozen < 2000


async def test_a_weekend_closes_what_keeps_hours_and_crypto_goes_on(tmp_path: Path) -> None:
    codes = ["BTCUSDT", "AAPL.US", "GOLD"]
    async with (
        staged(tmp_path, codes=codes, rate=20) as stage,
        stage.served.link() as other,
        stage.served.link(STOCK_WS) as stock,
    ):
        await other.subscribe(DEPTH, "BTCUSDT", "GOLD")
        await stock.subscribe(DEPTH, "AAPL.US")
        await push(stock)
        answer = await stage.client.post("/admin/scenario", json={"name": "weekend"})
        assert answer.status_code == 200
        assert [await stage.state(code) for code in codes] == ["open", "closed", "closed"]
        await stock.ask(22000)
        await other.ask(22000)
        pushes = [await push(other) for _ in range(20)]
        assert {data["code"] for data in pushes} == {"BTCUSDT"}
        now = datetime.fromtimestamp(pushes[-1]["tick_time"] / 1000, UTC)
        assert (now.weekday(), now.hour, now.minute) == (5, 12, 0)
        await stock.nothing()


async def test_a_code_on_request_goes_on_after_a_step_of_the_clock(tmp_path: Path) -> None:
    async with staged(tmp_path, codes=["BTCUSDT"], rate=20) as stage, stage.served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        await push(link)
        await stage.begin({"do": "clock", "to": text(wall() + DAY)})
        async with asyncio.timeout(120):
            while (await push(link))["tick_time"] < wall() + DAY - 5000:
                pass


@pytest.mark.parametrize("to", ["2020-01-01T00:00:00Z", "1970-01-01T00:00Z"])
async def test_the_clock_does_not_go_back(tmp_path: Path, to: str) -> None:
    async with staged(tmp_path, codes=["BTCUSDT"]) as stage:
        answer = await stage.client.post(
            "/admin/scenario", json={"step": [{"do": "gap"}, {"do": "clock", "to": to}]}
        )
        assert (answer.status_code, "forward" in answer.json()["error"]) == (400, True)
        assert stage.served.engine.market.scenarios.running == ()  # nothing of it has begun
        assert abs(stage.served.engine.market.source.market_time() - wall()) < 2000


async def test_a_step_that_lies_behind_when_its_time_comes_moves_nothing(tmp_path: Path) -> None:
    far, near = wall() + 2 * DAY, wall() + DAY
    async with staged(tmp_path, codes=["BTCUSDT"]) as stage:
        await stage.begin({"do": "clock", "to": text(far)}, {"do": "clock", "at": 0.01, "to": text(near)})
        async with asyncio.timeout(120):
            while stage.served.engine.market.scenarios.running:
                await stage.client.get("/healthz")
        assert 0 <= stage.served.engine.market.source.market_time() - far // 1000 * 1000 < 5000


async def test_only_a_simulator_has_a_clock_to_move(tmp_path: Path) -> None:
    file = tmp_path / "gold.csv"
    file.write_text("code,tick_time_ms,price,volume\nGOLD,1788530573000,1,1\nGOLD,1788530574000,2,1\n")
    async with (
        staged(tmp_path / "replay", source="replay", file=[file]) as replay,
        staged(tmp_path / "script", Feed()) as script,
    ):
        for stage in (replay, script):
            for step in ({"speed": 2}, {"to": "2030-01-01T00:00:00Z"}, {"hours": True}):
                answer = await stage.client.post("/admin/scenario", json={"step": [{"do": "clock", **step}]})
                assert answer.status_code == 400
                assert stage.served.engine.market.source.name in answer.json()["error"]
            assert stage.served.engine.market.scenarios.running == ()
