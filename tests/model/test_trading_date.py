"""Trading dates, beside the grids that bars really have."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tickwire.klines import Grid
from tickwire.model import KlineType, earliest_open, trading_date
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
WEDNESDAYS = [date(2026, 1, 7) + timedelta(weeks=week) for week in range(52)]  # over both changes of clocks


@pytest.mark.parametrize("code", ["AAPL.US", ".DJI.US", "700.HK", "600519.SH", "BTCUSDT", "EURUSD", "GOLD"])
def test_a_bar_has_the_date_of_its_exchange(code: str) -> None:
    grid = Grid(CATALOGUE[code])
    for day in WEDNESDAYS:
        noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=grid.zone).timestamp())
        opens = [grid.open_time(one, noon) * 1000 for one in (KlineType.DAY, KlineType.WEEK, KlineType.MONTH)]
        monday, first = day - timedelta(days=2), day.replace(day=1)
        assert [trading_date(one) for one in opens] == [day, monday, first]
        assert earliest_open(day) <= opens[0] < earliest_open(day + timedelta(days=1))


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Asia/Tokyo", "Europe/London", "America/Los_Angeles"])
def test_it_is_so_wherever_an_exchange_lies(zone: str) -> None:
    for day in WEDNESDAYS:
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
        assert trading_date(int(midnight.timestamp() * 1000)) == day
