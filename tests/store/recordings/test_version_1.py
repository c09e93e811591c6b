"""Files of version 1, whose column `arrival` is called `order`.

`tests/fixtures/recording_1` was made by the last server that wrote them, of five trades and five quotes in
two CSV files, and is never made anew.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyarrow import parquet

from tickwire.model import Book, Trade
from tickwire.store.recordings import Recordings

from .events import book, everything, recorded, sealed_files, trade

FIXTURE = Path(__file__).parents[2] / "fixtures" / "recording_1"
ARRIVED = [
    (Book, "GOLD", "4415.30"),
    (Trade, "GOLD", "4415.32"),
    (Book, "BTCUSDT", "79317.60"),
    (Trade, "BTCUSDT", "79317.70"),
    (Book, "GOLD", "4415.35"),
    (Trade, "GOLD", "4415.40"),
    (Book, "BTCUSDT", "79320.00"),
    (Trade, "BTCUSDT", "79320.10"),
    (Book, "GOLD", "4415.00"),
    (Trade, "GOLD", "4415.10"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    shutil.copytree(FIXTURE, path)
    assert all("order" in parquet.read_schema(file).names for file in sealed_files(path))
    return path


def arrived(folder: Path, **asked: object) -> list[tuple[type, str, str]]:
    """What it holds, in order: kind, code, and the price of the trade or the best bid."""
    found = []
    for one in Recordings(folder).read(**asked):  # type: ignore[arg-type]
        event = one.event
        assert isinstance(event, (Trade, Book))
        price = event.price if isinstance(event, Trade) else event.bids[0].price
        found.append((type(event), event.code, f"{price:.2f}"))
    return found


def test_it_is_read_in_the_order_of_arrival(folder: Path) -> None:
    assert arrived(folder) == ARRIVED
    assert arrived(folder, codes=["GOLD"]) == [one for one in ARRIVED if one[1] == "GOLD"]
    assert arrived(folder, start_ms=1_788_529_124_000) == ARRIVED[6:]


def test_it_is_gone_on_with_in_files_of_today(folder: Path) -> None:
    before = everything(folder)
    rows = [trade(1), book(2), trade(3)]
    recorded(folder, rows)
    assert everything(folder) == before + rows
    names = [set(parquet.read_schema(file).names) & {"order", "arrival"} for file in sealed_files(folder)]
    assert sorted(map(sorted, names)) == [["arrival"]] * 2 + [["order"]] * 4
    contents = Recordings(folder).contents()
    assert (contents.trades, contents.books) == (7, 6)
