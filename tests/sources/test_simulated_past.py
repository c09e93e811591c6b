"""The simulator's past: enough bars of every type, all of one story, which ends where the stream begins."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from decimal import Decimal
from functools import cache, partial
from itertools import pairwise
from random import Random

import msgspec
import pytest

from tickwire.calendars import load
from tickwire.klines import SECONDS, Grid, Reach
from tickwire.model import QUANTA, Instrument, Kline, KlineType, Market, price_limits, tick_size
from tickwire.sources.simulated_market import first_close
from tickwire.sources.simulated_past import SimulatedPast
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
Bars = dict[KlineType, list[Kline]]
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


class Made:
    """A past that is made as it is asked for."""

    def __init__(self, code: str, time: int, seed: int, calendar: str, limits: bool = True) -> None:
        instrument = CATALOGUE[code]
        self.grid = Grid(instrument)
        self.past = SimulatedPast(
            instrument, load(calendar) if calendar else None, seed=seed, rate=2.0, limits=limits
        )
        self.first = first_bar(code, time)
        self._bars: dict[KlineType, dict[int, Kline]] = defaultdict(dict)
        for kline_type, bars in self.past.begin(self.first).items():
            self._bars[kline_type] = {bar.time: bar for bar in bars}

    def bars(self, kline_type: KlineType, count: int, end: int | None = None) -> list[Kline]:
        """The latest so many that open up to `end`, as a pager gets them."""
        for reach in self.past.reach(kline_type, self.first.time, count, end):
            known = self._bars[reach.kline_type]
            made = self._make(reach)
            known.update((bar.time, bar) for bar in made if bar.time not in known)
        times = [at for at in sorted(self._bars[kline_type]) if end is None or at <= end]
        return [self._bars[kline_type][at] for at in times[-count:]]

    def known(self, kline_type: KlineType) -> dict[int, Kline]:
        """What has been made of a type, by open time."""
        return self._bars[kline_type]

    def _make(self, reach: Reach) -> list[Kline]:
        if reach.made_of is None:
            return self.past.days(reach.begin, reach.end, self.first.time, self.first.open)
        begin, ends = (partial(edge, reach.made_of) for edge in (self.grid.begin, self.grid.end))
        of = [
            bar
            for at, bar in sorted(self._bars[reach.made_of].items())
            if reach.begin <= begin(at) < reach.end and ends(at) <= self.first.time
        ]
        return self.past.make(reach.kline_type, of, self.first.time)


@cache
def past(code: str, time: int = FIRST, seed: int = 1, calendar: str = "", limits: bool = True) -> Bars:
    """A page of each type and more, asked for in some order."""
    made = Made(code, time, seed, calendar, limits)
    types = list(made.grid.types)
    Random(f"{code} {time}").shuffle(types)
    found = {one: made.bars(one, 600 if one in SECONDS else 5000) for one in types}
    return {one: found[one] for one in sorted(types)}


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
        if small[0].first > made[kline_type][0].first:
            del rolled[min(rolled)]  # which begins within one
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
    for bar in (bar for bars in past(code).values() for bar in bars):
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
    again, other = Made(code, FIRST, 1, ""), Made(code, FIRST, 2, "")
    for kline_type, bars in past(code).items():  # in another order
        assert again.bars(kline_type, len(bars)) == bars
        latest = bars[-20:]
        assert other.bars(kline_type, len(latest)) != latest


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


SUMS = {
    ("BTCUSDT", "", True): "fc089d168589f079",
    ("GOLD", "metals", True): "9e73b37c467fe7bb",
    ("700.HK", "XHKG", True): "3f80d252246a39c4",
    ("AAPL.US", "XNYS", True): "8b7afe3dd0e92b33",
    ("600519.SH", "", True): "c6e00b3cf2d04652",
    ("600519.SH", "", False): "84a7a819ed180fff",
    ("000001.SH", "XSHG", True): "600ecf72450f3877",
}
"""Of a page of each type and more, by code, calendar, and whether days keep the exchange's limits."""


@pytest.mark.parametrize(("code", "calendar", "limits"), SUMS)
@pytest.mark.skipif(sys.platform != "linux", reason="another libm may round another way")
def test_the_same_bars_as_in_every_release(code: str, calendar: str, limits: bool) -> None:
    """Bars that are kept go on with those that a later release makes."""
    time = FIRST
    if calendar and (opened := load(calendar).last_open(FIRST * 1000)):
        time = opened // 60_000 * 60
    shown = msgspec.json.encode([*past(code, time, 7, calendar, limits).values()])
    shown = shown.replace(b',"removed":false', b"")  # which a bar had not when the sums were taken
    assert hashlib.sha256(shown).hexdigest()[:16] == SUMS[code, calendar, limits]


@pytest.mark.parametrize("calendar", ["", "XSHG"])
@pytest.mark.parametrize("code", ["600519.SH", "300750.SZ", "000007.SZ", "000001.SZ"])
@pytest.mark.parametrize("moment", ["2026-03-18 02:47", "2026-03-18 01:30"])  # in a session, and as it opens
def test_days_keep_the_limits_of_their_exchange(code: str, calendar: str, moment: str) -> None:
    instrument = CATALOGUE[code]
    made = Made(code, at(moment) // 1000, 1, calendar)
    days = made.bars(KlineType.DAY, 5000)
    assert len(days) > 700
    for before, day in pairwise(days):
        limits = price_limits(instrument, before.close)
        assert limits is not None
        assert limits.down <= day.low <= day.high <= limits.up
    today = made.grid.open_time(KlineType.DAY, made.first.time)
    assert next(day.close for day in reversed(days) if day.time < today) == first_close(instrument)


@pytest.mark.parametrize("calendar", ["", "XSHG"])
def test_a_page_of_smaller_bars_makes_the_latest_days_only_and_all_are_the_same(calendar: str) -> None:
    made = Made("600519.SH", at("2026-03-18 02:47") // 1000, 1, calendar)
    page = made.bars(KlineType.MINUTES_30, 500)
    assert len(page) == 500
    latest = made.bars(KlineType.DAY, 30)
    assert len(made.known(KlineType.DAY)) < 160
    all_days = made.bars(KlineType.DAY, 5000)
    assert len(all_days) > 700
    assert all_days[-30:] == latest
    assert made.bars(KlineType.MINUTES_30, 500) == page


@pytest.mark.parametrize("code", ["700.HK", "AAPL.US", "600519.SH", "GOLD", "EURUSD"])
@pytest.mark.parametrize("end", [None, FIRST - 50 * 86_400], ids=["the latest", "the middle"])
def test_a_page_makes_hardly_more_bars_than_it_asks_for(code: str, end: int | None) -> None:
    calendar = load(CATALOGUE[code].calendar)
    opened = calendar.last_open(FIRST * 1000)
    assert opened is not None
    for kline_type in Grid(CATALOGUE[code]).types:
        made = Made(code, opened // 60_000 * 60, 1, calendar.key)
        begun = {one: len(made.known(one)) for one in KlineType}
        found = len(made.bars(kline_type, 500, end))
        assert found == 500 or kline_type >= KlineType.WEEK
        more = {one: len(made.known(one)) - begun[one] for one in KlineType}
        if kline_type in SECONDS:
            span = SECONDS[kline_type]
            longest = 24 * 3600 if span >= 3600 else 3600 if span > 60 else 300  # what is cut is cut whole
            assert more[kline_type] <= found + 2 * longest // span
        others = {one for one, count in more.items() if count and one is not kline_type}
        assert all(one > kline_type or one is KlineType.DAY for one in others)


@pytest.mark.parametrize("code", ["GOLD", "700.HK"])
def test_a_past_that_began_in_the_middle_of_an_hour_is_gone_on_with(code: str) -> None:
    """As an earlier Tickwire left it: of these types the last bar only."""
    time = at("2026-03-18 07:52") // 1000
    made, whole = Made(code, time, 1, ""), Made(code, time, 1, "")
    types = (KlineType.MINUTES_15, KlineType.MINUTES_30, KlineType.HOURS_2, KlineType.HOURS_4)
    for kline_type in (one for one in types if one in made.grid.types):
        known = made.known(kline_type)
        for opened in sorted(known)[:-1]:
            del known[opened]
        assert made.bars(kline_type, 600) == whole.bars(kline_type, 600)
