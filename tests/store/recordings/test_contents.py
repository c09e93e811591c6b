"""What a recording holds, from the footers of its files."""

from __future__ import annotations

from pathlib import Path

from tickwire.model import Market, Trade, decimals_of
from tickwire.store.recordings import Recordings

from .conftest import all_rows
from .events import CATALOGUE, sealed_files


def test_the_codes(folder: Path) -> None:
    found = Recordings(folder).contents().codes
    assert [*found] == sorted({row[0].code for row in all_rows()})
    for code, one in found.items():
        mine = [row[0] for row in all_rows() if row[0].code == code]
        trades = [event for event in mine if isinstance(event, Trade)]
        prices = [event.price for event in trades]
        volumes = [event.volume for event in trades]
        for event in mine:
            if not isinstance(event, Trade):
                for level in (*event.bids, *event.asks):
                    prices.append(level.price)
                    volumes.append(level.volume)
        assert one.market is CATALOGUE[code].market
        assert (one.trades, one.books) == (len(trades), len(mine) - len(trades))
        assert one.price_decimals == max(decimals_of(f"{price:f}") for price in prices)
        assert one.volume_decimals == max(decimals_of(f"{volume:f}") for volume in volumes)


def test_the_contents(folder: Path) -> None:
    found = Recordings(folder).contents()
    assert (found.trades + found.books, found.sources) == (len(all_rows()), ["simulator"])
    assert found.first_time == min(row[0].time for row in all_rows())
    assert found.last_time == max(row[0].time for row in all_rows())
    assert found.bytes == sum(path.stat().st_size for path in sealed_files(folder))
    assert {day.market for day in found.days} == set(Market)
    assert sum(day.trades + day.books for day in found.days) == len(all_rows())
