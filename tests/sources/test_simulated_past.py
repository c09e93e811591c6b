"""The simulator's past: enough bars of every type, all of one story, which ends where the stream begins."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from functools import cache
from itertools import pairwise

import pytest

from tickwire.calendars import load
from tickwire.klines import Grid
from tickwire.model import QUANTA, Instrument, Kline, KlineType, Market, tick_size
from tickwire.sources.simulated_past import simulated_past
from tickwire.store import load_catalogue

from ..calendars.moments import at

CATALOGUE = load_catalogue()
CODES = ("BTCUSDT", "GOLD", "700.HK", "AAPL.US", "600519.SH", "000001.SH")
FIRST = at("2026-03-18 15:47") // 1000
MOMENTS = {
    "a Wednesday": FIRST,
    "a Sunday evening": at("2026-03-22 22:01") // 1000,
    "the first minute of a month and a day": at("2026-04-01 00:00") // 1000,
    "a Monday that begins a month": at("2026-06-01 00:03") // 1000,
    "after New York's clocks have changed": at("2026-03-09 13:31") // 1000,
}
Past = dict[KlineType, list[Kline]]
MADE_OF = {
    KlineType.MINUTES_5: KlineType.MINUTE,
    KlineType.MINUTES_15: KlineType.MINUTES_5,
    KlineType.MINUTES_30: KlineType.MINUTES_15,
    KlineType.HOUR: KlineType.MINUTES_30,
    KlineType.HOURS_2: KlineType.HOUR,
    KlineType.HOURS_4: KlineType.HOURS_2,
    KlineType.WEEK: KlineType.DAY,
    KlineType.MONTH: KlineType.DAY,
}


def first_bar(code: str, time: int = FIRST) -> Kline:
    price = CATALOGUE[code].reference_price
    return Kline(code, KlineType.MINUTE, time, price, price, price, price, Decimal(1), price)


@cache
def past(code: str, time: int = FIRST, seed: int = 1, calendar: str = "") -> Past:
    hours = load(calendar) if calendar else None
    return simulated_past(CATALOGUE[code], first_bar(code, time), hours, seed=seed, rate=2.0)


each_code = pytest.mark.parametrize("code", CODES)
each_moment = pytest.mark.parametrize("time", MOMENTS.values(), ids=MOMENTS)


@each_code
@each_moment
def test_there_are_bars_enough_of_every_type_and_none_of_another(code: str, time: int) -> None:
    made = past(code, time)
    assert sorted(made) == list(Grid(CATALOGUE[code]).types)
    for kline_type, bars in made.items():
        enough = {KlineType.DAY: 365, KlineType.WEEK: 104, KlineType.MONTH: 36}.get(kline_type, 500)
        assert len(bars) >= enough
        assert {(bar.code, bar.kline_type) for bar in bars} == {(code, kline_type)}


@each_code
@each_moment
def test_bars_lie_on_the_grid_without_hole_or_double_up_to_the_first(code: str, time: int) -> None:
    grid = Grid(CATALOGUE[code])
    for kline_type, bars in past(code, time).items():
        for bar, following in pairwise(bars):
            assert grid.open_time(kline_type, grid.begin(kline_type, bar.time)) == bar.time
            assert grid.end(kline_type, bar.time) == grid.begin(kline_type, following.time)
        last = bars[-1]
        assert grid.begin(kline_type, last.time) < time <= grid.end(kline_type, last.time)
        assert last.last < time * 1000


@each_code
@each_moment
def test_there_is_no_jump_within_and_none_to_the_first_bar(code: str, time: int) -> None:
    first = first_bar(code, time)
    for bars in past(code, time).values():
        assert [bar.close for bar in bars] == [*(bar.open for bar in bars[1:]), first.open]


def rolled_up(
    instrument: Instrument, kline_type: KlineType, bars: list[Kline]
) -> dict[int, tuple[object, ...]]:
    groups = defaultdict(list)
    for bar in bars:
        groups[Grid(instrument).open_time(kline_type, bar.time)].append(bar)
    return {
        opened: (
            parts[0].open,
            max(one.high for one in parts),
            min(one.low for one in parts),
            parts[-1].close,
            sum(one.volume for one in parts),
            sum(one.turnover for one in parts),
            parts[0].first,
            parts[-1].last,
        )
        for opened, parts in groups.items()
    }


@each_code
@each_moment
def test_larger_bars_are_their_smaller_ones_rolled_up(code: str, time: int) -> None:
    instrument, made = CATALOGUE[code], past(code, time)
    made_of = MADE_OF | {KlineType.DAY: KlineType.HOURS_4 if KlineType.HOURS_4 in made else KlineType.HOUR}
    for kline_type in Grid(instrument).types[1:]:
        small = made[made_of[kline_type]]
        rolled = rolled_up(instrument, kline_type, small)
        bars = {
            one.time: (one.open, one.high, one.low, one.close, one.volume, one.turnover, one.first, one.last)
            for one in made[kline_type]
        }
        assert len(rolled) > 3
        assert {opened: bars.get(opened) for opened in rolled} == rolled


@each_code
def test_prices_and_volumes_are_such_as_the_market_has(code: str) -> None:
    instrument = CATALOGUE[code]
    lot = Decimal(100) if instrument.market is Market.HK_STOCK else QUANTA[instrument.volume_decimals]
    for bars in past(code).values():
        for bar in bars:
            assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            assert not any(price % tick_size(instrument, price) for price in (bar.open, bar.high, bar.low))
            assert bar.volume > 0
            assert bar.volume % lot == 0
            assert bar.turnover > 0
            assert bar.turnover == round(bar.turnover, instrument.turnover_decimals)
            assert not bar.incomplete


@each_code
def test_a_bars_turnover_is_that_of_its_volume_at_its_prices(code: str) -> None:
    instrument = CATALOGUE[code]
    unit = QUANTA[instrument.turnover_decimals]
    for bar in past(code)[KlineType.MINUTE]:
        shares = bar.volume * instrument.volume_unit
        if instrument.levels:
            assert bar.low * shares - unit <= bar.turnover <= bar.high * shares + unit


@each_code
def test_the_price_stays_within_reach(code: str) -> None:
    """Three years of a market that is drawn back to where it begins."""
    reference = CATALOGUE[code].reference_price
    lowest = min(bar.low for bar in past(code)[KlineType.MONTH])
    highest = max(bar.high for bar in past(code)[KlineType.MONTH])
    assert reference / 2 < lowest < reference < highest < reference * 2


@each_code
def test_the_same_seed_gives_the_same_past_and_another_another(code: str) -> None:
    again = simulated_past(CATALOGUE[code], first_bar(code), None, seed=1, rate=2.0)
    assert again == past(code)
    assert past(code, seed=2)[KlineType.DAY] != again[KlineType.DAY]


@pytest.mark.parametrize("code", ["GOLD", "700.HK", "AAPL.US", "600519.SH", "000001.SH"])
@pytest.mark.parametrize("moment", ["2026-03-20 15:47", "2026-03-23 02:00", "2026-03-23 14:01"])
def test_with_a_calendar_there_are_as_many_bars_and_none_where_the_market_was_closed(
    code: str, moment: str
) -> None:
    instrument = CATALOGUE[code]
    grid, calendar = Grid(instrument), load(instrument.calendar)
    made = past(code, at(moment) // 1000, calendar=instrument.calendar)
    for kline_type, bars in made.items():
        enough = {KlineType.DAY: 365, KlineType.WEEK: 104, KlineType.MONTH: 36}.get(kline_type, 500)
        assert len(bars) >= enough
        assert [bar.close for bar in bars[:-1]] == [bar.open for bar in bars[1:]]
        for bar in bars:
            begin, end = (edge(kline_type, bar.time) * 1000 for edge in (grid.begin, grid.end))
            opens = calendar.next_open(begin)
            assert calendar.is_open(begin) or (opens is not None and opens < end)
