"""Half days through the front door: which bars the closing auction counts in, and what the market does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickwire.model import KlineType

from ..calendars.moments import at
from ..serving import STOCK_HTTP, Script, Served, serving, trade
from .klines import wrapped

HK, NY = "Asia/Hong_Kong", "America/New_York"
MINUTE, M5, HOUR, DAY = KlineType.MINUTE, KlineType.MINUTES_5, KlineType.HOUR, KlineType.DAY


async def bars(served: Served, code: str, kline_type: KlineType) -> list[tuple[int, str, str]]:
    """Open time in milliseconds, close and volume."""
    query = {"code": code, "kline_type": int(kline_type), "query_kline_num": 500}
    answer = await served.get(f"{STOCK_HTTP}/kline", wrapped(query))
    found = answer.json()["data"]["kline_list"]
    return [(int(one["timestamp"]) * 1000, one["close_price"], one["volume"]) for one in found]


async def states(served: Served, code: str, calendar: str) -> tuple[str, str]:
    """Of the instrument and of its market."""
    asked = await served.request("GET", "/v1/instruments", params={"token": "t", "codes": code})
    (one,) = asked.json()["data"]["instrument_list"]
    markets = (await served.get("/v1/markets")).json()["data"]["market_list"]
    return one["state"], next(market["state"] for market in markets if market["calendar"] == calendar)


@pytest.mark.parametrize(
    ("code", "calendar", "zone", "day", "clocks", "minutes", "of_12_or_13", "ends"),
    [
        (
            "700.HK",
            "XHKG",
            HK,
            "2026-12-24",
            ["09:30:05", "11:59:58", "12:08:31"],  # the last is the closing auction
            ["09:30", "11:59", "12:00"],
            ["12:00", "3"],
            {"12:09:59": "open", "12:10:00": "closed", "13:30:00": "closed"},
        ),
        (
            "AAPL.US",
            "XNYS",
            NY,
            "2026-11-27",
            ["09:30:05", "12:59:58", "13:00:02"],  # the last is the closing print
            ["09:30", "12:59", "13:00"],
            ["13:00", "3"],
            {"12:59:59": "open", "16:59:59": "open", "17:00:00": "closed"},  # post-market from 13:00 on
        ),
    ],
)
async def test_what_closes_a_half_day_counts_in_that_day(
    tmp_path: Path,
    code: str,
    calendar: str,
    zone: str,
    day: str,
    clocks: list[str],
    minutes: list[str],
    of_12_or_13: list[str],
    ends: dict[str, str],
) -> None:
    source = Script()
    source.round_the_clock, source.codes = False, (code,)
    async with serving(tmp_path, source, codes=[code]) as served:
        for number, clock in enumerate(clocks, 1):
            when = source.now = at(f"{day} {clock}", zone)
            source.emit(trade(code, f"{100 + number}.5", str(number), at=when))
            while served.engine.market.events < number:
                await served.get("/healthz")
            assert await states(served, code, calendar) == ("open", "open")
        made = [
            (at(f"{day} {clock}", zone), f"{100 + number}.500000", str(number))
            for number, clock in enumerate(minutes, 1)
        ]
        assert await bars(served, code, MINUTE) == made
        clock, volume = of_12_or_13
        assert (await bars(served, code, M5))[-1] == (at(f"{day} {clock}", zone), "103.500000", volume)
        assert (await bars(served, code, HOUR))[-1] == (at(f"{day} {clock}", zone), "103.500000", volume)
        assert await bars(served, code, DAY) == [(at(day, zone), "103.500000", "6")]
        for clock, state in ends.items():
            source.now = at(f"{day} {clock}", zone)
            assert await states(served, code, calendar) == (state, state)
