"""The simulator's past over HTTP: a client pages back through all of it, and it is one story."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickwire.calendars import load
from tickwire.klines import Grid
from tickwire.model import Instrument, KlineType
from tickwire.sources import Simulator
from tickwire.store import load_catalogue

from ..serving import OTHER_HTTP, STOCK_HTTP, Served, serving

CATALOGUE = load_catalogue()
NOW = int(datetime(2026, 11, 25, 15, 47, tzinfo=UTC).timestamp()) * 1000
FIVE, MINUTE = KlineType.MINUTES_5, KlineType.MINUTE
Bar = dict[str, str]


def simulator(code: str, seed: int = 1) -> Simulator:
    return Simulator(CATALOGUE, [code], seed=seed, rate=2, hours=True, clock=lambda: NOW)


async def page(
    served: Served, instrument: Instrument, kline_type: KlineType, end: int, count: int = 500
) -> list[Bar]:
    base = STOCK_HTTP if instrument.family == "stock" else OTHER_HTTP
    query = {
        "code": instrument.code,
        "kline_type": int(kline_type),
        "kline_timestamp_end": end,
        "query_kline_num": count,
    }
    reply = await served.get(f"{base}/kline", {"data": query})
    bars: list[Bar] = reply.json()["data"]["kline_list"]
    return bars


async def paged(
    served: Served, instrument: Instrument, kline_type: KlineType, most: int, end: int = 0
) -> list[Bar]:
    """As many as that, page by page, each up to the oldest of the one before less one."""
    found: list[Bar] = []
    while len(found) < most and (bars := await page(served, instrument, kline_type, end)):
        found = bars + found
        end = int(bars[0]["timestamp"]) - 1
    return found


def open_times(instrument: Instrument, kline_type: KlineType, begin: int, end: int) -> list[int]:
    """When a bar opens, by the calendar."""
    grid, calendar, found = Grid(instrument), load(instrument.calendar), []
    at = begin
    while at < end:
        opened, ends = grid.open_time(kline_type, at), grid.end(kline_type, grid.open_time(kline_type, at))
        opens = calendar.next_open(opened * 1000)
        if calendar.is_open(opened * 1000) or (opens is not None and opens < ends * 1000):
            found.append(opened)
        at = ends
    return found


def rolled_up(instrument: Instrument, kline_type: KlineType, bars: list[Bar]) -> dict[int, Any]:
    groups: defaultdict[int, list[Bar]] = defaultdict(list)
    for bar in bars:
        groups[Grid(instrument).open_time(kline_type, int(bar["timestamp"]))].append(bar)
    return {opened: figures(parts) for opened, parts in groups.items()}


def figures(parts: list[Bar]) -> Any:
    return (
        parts[0]["open_price"],
        max(Decimal(one["high_price"]) for one in parts),
        min(Decimal(one["low_price"]) for one in parts),
        parts[-1]["close_price"],
        sum(Decimal(one["volume"]) for one in parts),
        sum(Decimal(one["turnover"]) for one in parts),
    )


@pytest.mark.parametrize("code", ["GOLD", "AAPL.US", "700.HK"])
async def test_fourteen_thousand_bars_of_five_minutes_are_paged_without_a_gap(
    tmp_path: Path, code: str
) -> None:
    instrument = CATALOGUE[code]
    async with serving(tmp_path, simulator(code)) as served:
        found = await paged(served, instrument, FIVE, 14_000)
        times = [int(bar["timestamp"]) for bar in found]
        assert times == open_times(instrument, FIVE, times[0], times[-1] + 300)
        assert len(found) >= 14_000
        assert [bar["close_price"] for bar in found[:-1]] == [bar["open_price"] for bar in found[1:]]
        minutes = await paged(served, instrument, MINUTE, 3000)
        hours = await paged(served, instrument, KlineType.HOUR, 300)
        for kline_type, larger, small in ((FIVE, found, minutes), (KlineType.HOUR, hours, found)):
            rolled = rolled_up(instrument, kline_type, small)
            del rolled[min(rolled)]  # which may begin within one
            bars = {int(bar["timestamp"]): figures([bar]) for bar in larger}
            both = bars.keys() & rolled.keys()
            assert len(both) > 200
            assert {at: bars[at] for at in both} == {at: rolled[at] for at in both}


async def test_a_page_from_anywhere_is_the_same_as_when_all_is_paged(tmp_path: Path) -> None:
    gold = CATALOGUE["GOLD"]
    async with serving(tmp_path / "a", simulator("GOLD")) as served:
        far = await page(served, gold, FIVE, NOW // 1000 - 60 * 86_400)
        end = int(far[-1]["timestamp"])
        minutes = await page(served, gold, MINUTE, end)
        assert len(far) == len(minutes) == 500
        assert await page(served, gold, FIVE, end) == far
    async with serving(tmp_path / "a", simulator("GOLD", seed=2)) as served:  # what is there stays
        assert await page(served, gold, FIVE, end) == far
        assert await page(served, gold, MINUTE, end) == minutes
        more = await page(served, gold, FIVE, int(far[0]["timestamp"]) - 1)
        assert more[-1]["close_price"] == far[0]["open_price"]
    async with serving(tmp_path / "b", simulator("GOLD")) as served:
        whole = await paged(served, gold, FIVE, 13_000)
        by_time = {bar["timestamp"]: bar for bar in whole}
        assert [by_time[bar["timestamp"]] for bar in far] == far
        assert await page(served, gold, MINUTE, end) == minutes


async def test_days_that_are_made_later_lead_up_to_those_that_were_made_first(tmp_path: Path) -> None:
    gold, days = CATALOGUE["GOLD"], KlineType.DAY
    async with serving(tmp_path / "a", simulator("GOLD")) as served:
        await page(served, gold, FIVE, 0)
    async with serving(tmp_path / "a", simulator("GOLD", seed=2)) as served:
        found = await paged(served, gold, days, 2_000, NOW // 1000 - 2 * 86_400)
    async with serving(tmp_path / "b", simulator("GOLD")) as served:
        assert await paged(served, gold, days, 2_000, NOW // 1000 - 2 * 86_400) == found
    assert len(found) > 700


@pytest.mark.parametrize(
    ("kline_type", "days"),
    [(MINUTE, 90), (FIVE, 365), (KlineType.MINUTES_15, 365), (KlineType.HOURS_4, 365)],
    ids=["minute", "five minutes", "fifteen minutes", "four hours"],
)
async def test_there_are_so_many_days_and_nothing_before(
    tmp_path: Path, kline_type: KlineType, days: int
) -> None:
    gold = CATALOGUE["GOLD"]
    earliest = NOW // 1000 - days * 86_400
    async with serving(tmp_path, simulator("GOLD")) as served:
        found = await paged(served, gold, kline_type, 10_000, end=earliest + 4 * 86_400)
        assert earliest - 3 * 86_400 <= int(found[0]["timestamp"]) <= earliest


@pytest.mark.parametrize("kline_type", [KlineType.HOURS_2, KlineType.HOURS_4])
async def test_stocks_have_no_bars_of_two_and_four_hours(tmp_path: Path, kline_type: KlineType) -> None:
    async with serving(tmp_path, simulator("700.HK")) as served:
        assert await page(served, CATALOGUE["700.HK"], KlineType.HOUR, 0) != []
        assert await page(served, CATALOGUE["700.HK"], kline_type, 0) == []
