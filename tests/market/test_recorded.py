"""Bars of recordings, read over HTTP from a real server, beside what others make of the same files.

The recordings of ../shared are checked where they are; a small one of the tests' own always is.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import duckdb
import httpx
import msgspec
import pytest

from ..serving import OTHER_HTTP, STOCK_HTTP, Served, serving

SHARED = Path(__file__).parents[3] / "shared" / "data"
shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"needs the recordings in {SHARED}, which a fresh clone has not"
)
PAGE = 500
SECONDS = {1: 60, 2: 300, 3: 900, 4: 1800, 5: 3600, 8: 86_400}
NEW_YORK_MIDNIGHT = 4 * 3600
"""Seconds of UTC into the day at which a summer day of New York begins."""

SUNDAY_EVENING = 1_381_096_800
"""2013-10-06 22:00 UTC."""
COLUMNS = {
    "code,tick_time_ms,price,volume": ("code", "ms", "price", "volume"),
    "code,tick_time_ms,bid,bid_volume,ask,ask_volume": (
        "code",
        "ms",
        "price",
        "volume",
        "_ask",
        "_ask_volume",
    ),
}
"""What the reckoning calls the columns of a file: the trades of quotes come from the bid."""
TYPES = {"code": "VARCHAR", "ms": "BIGINT", "volume": "DECIMAL(12, 0)"}
RECKONING = """
    WITH trades AS (
        SELECT code, ms, price, coalesce(volume, 0) AS volume, row_number() OVER () AS n
        FROM read_csv($path, columns = $columns, header = true, parallel = false)
    )
    SELECT
        (ms // 1000 - $shift) // $span * $span + $shift AS opened,
        first(price ORDER BY ms, n), max(price), min(price), last(price ORDER BY ms, n),
        sum(volume), sum(CAST(price AS DECIMAL(18, 4)) * CAST(volume AS DECIMAL(18, 0)))
    FROM trades WHERE code = $code GROUP BY opened ORDER BY opened
"""


class Bar(NamedTuple):
    """A bar with its sums."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal


async def ended(served: Served, events: int) -> None:
    """Waits until that many events have come, which are all there are."""
    async with asyncio.timeout(120), httpx.AsyncClient(base_url=served.url, timeout=120) as client:
        while (await client.get("/readyz")).json()["events"] < events:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert served.engine.market.events == events
    assert served.engine.market.feeds.first.bars.late == 0


async def paged(served: Served, base: str, code: str, kline_type: int, page: int = PAGE) -> list[Bar]:
    """All bars, as the vendor advises: `oldest - 1` until there is nothing older."""
    found: list[dict[str, Any]] = []
    end = 0
    async with httpx.AsyncClient(base_url=served.url, timeout=120) as client:
        while True:
            asked = {
                "code": code,
                "kline_type": kline_type,
                "kline_timestamp_end": end,
                "query_kline_num": page,
                "adjust_type": 0,
            }
            query = msgspec.json.encode({"trace": "t", "data": asked}).decode()
            reply = (await client.get(f"{base}/kline", params={"token": "t", "query": query})).json()
            assert reply["ret"] == 200
            bars = reply["data"]["kline_list"]
            if not bars:
                break
            assert len(bars) <= page
            assert not end or int(bars[-1]["timestamp"]) <= end
            found[:0] = bars
            end = int(bars[0]["timestamp"]) - 1
    return [
        Bar(
            int(one["timestamp"]),
            *(
                Decimal(one[name])
                for name in ("open_price", "high_price", "low_price", "close_price", "volume", "turnover")
            ),
        )
        for one in found
    ]


def reckoned(path: Path, code: str, kline_type: int) -> list[Bar]:
    """What duckdb makes of a file; trades of one millisecond in the order of the file."""
    names, is_stock_day = COLUMNS[header(path)], kline_type == 8
    columns = {name: TYPES.get(name, "DECIMAL(12, 4)") for name in names}
    with duckdb.connect() as database:
        rows = database.execute(
            RECKONING,
            {
                "path": str(path),
                "columns": columns,
                "code": code,
                "span": SECONDS[kline_type],
                "shift": NEW_YORK_MIDNIGHT if is_stock_day else 0,
            },
        ).fetchall()
    return [Bar(*row) for row in rows]


def header(path: Path) -> str:
    return next(lines(path))


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") as file:
        yield from (line.rstrip("\n") for line in file)


def count(*paths: Path) -> int:
    """Lines but for the headers."""
    return sum(1 for path in paths for _ in lines(path)) - len(paths)


@shared
async def test_the_minutes_of_a_day_of_gold_are_those_that_the_datas_vendor_published(tmp_path: Path) -> None:
    path = SHARED / "gold-quotes-2014-05-02.csv.gz"
    with (SHARED / "gold-minutes-2014-05-02.csv").open() as file:
        published = [
            (int(row["timestamp_s"]), *(Decimal(row[name]) for name in ("open", "high", "low", "close")))
            for row in csv.DictReader(file)
        ]
    assert len(published) == 1257
    async with serving(tmp_path, source="replay", file=[path], speed=0) as served:
        await ended(served, 2 * count(path))  # a book and a trade each
        assert [bar[:5] for bar in await paged(served, OTHER_HTTP, "GOLD", 1)] == published


@shared
async def test_a_day_of_trades_gives_the_bars_that_duckdb_computes(tmp_path: Path) -> None:
    paths = {f"{code}.US": SHARED / f"{code.lower()}-trades-2013-10-07.csv.gz" for code in ("IBM", "BAC")}
    async with serving(tmp_path, source="replay", file=list(paths.values()), speed=0) as served:
        await ended(served, count(*paths.values()))
        for code, path in paths.items():
            for kline_type in SECONDS:
                expected = reckoned(path, code, kline_type)
                assert await paged(served, STOCK_HTTP, code, kline_type) == expected
            assert [bar.time for bar in expected] == [1_381_118_400]  # 00:00 in New York


# The tests' own recordings.
PAUSES = (0, 0, 0, 0, 1, 250, 30_000, 60_000, 180_000)
"""Milliseconds; many lines share one."""


def steps(seed: int, begin: int, lines: int, price: int) -> Iterator[tuple[int, int, Random]]:
    """Times and prices of a random walk, in milliseconds and in units."""
    dice = Random(seed)
    for _ in range(lines):
        yield begin, price, dice
        begin += dice.choice(PAUSES)
        price += dice.randint(-40, 40)


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quotes of a day and a half, from Sunday evening on."""
    path = tmp_path_factory.mktemp("gold") / "gold.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("code,tick_time_ms,bid,bid_volume,ask,ask_volume\n")
        for ms, price, dice in steps(1, SUNDAY_EVENING * 1000, 4000, 1_284_065):
            bid, ask = Decimal(price) / 1000, Decimal(price + dice.randint(1, 500)) / 1000
            file.write(f"GOLD,{ms},{bid},,{ask},\n")
    return path


@pytest.fixture(scope="module")
def ibm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trades of three days of New York."""
    path = tmp_path_factory.mktemp("ibm") / "ibm.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("code,tick_time_ms,price,volume\n")
        for ms, price, dice in steps(2, SUNDAY_EVENING * 1000 + 3_600_000, 4000, 1_815_200):
            file.write(f"IBM.US,{ms},{Decimal(price) / 10_000},{dice.randint(0, 900)}\n")
    return path


def test_the_own_recordings_are_worth_their_while(gold: Path, ibm: Path) -> None:
    for path, code in ((gold, "GOLD"), (ibm, "IBM.US")):
        assert len(reckoned(path, code, 1)) > 2 * PAGE
        times = [line.split(",")[1] for line in lines(path)]
        assert len(times) > 1.5 * len(set(times))
    assert len(reckoned(ibm, "IBM.US", 8)) == 3


@pytest.mark.parametrize("page", [PAGE, 7])
async def test_the_own_quotes_give_the_minutes_that_duckdb_computes(
    tmp_path: Path, gold: Path, page: int
) -> None:
    async with serving(tmp_path, source="replay", file=[gold], speed=0) as served:
        await ended(served, 2 * count(gold))
        found = await paged(served, OTHER_HTTP, "GOLD", 1, page)
    assert found == reckoned(gold, "GOLD", 1)


async def test_the_own_trades_give_the_bars_that_duckdb_computes(tmp_path: Path, ibm: Path) -> None:
    async with serving(tmp_path, source="replay", file=[ibm], speed=0) as served:
        await ended(served, count(ibm))
        for kline_type in SECONDS:
            assert await paged(served, STOCK_HTTP, "IBM.US", kline_type) == reckoned(
                ibm, "IBM.US", kline_type
            )
