"""Replaying a recording, from its files to a client of a real server."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from tickwire.machine import REAL
from tickwire.model import Book, Level, Trade
from tickwire.sources import Again, Csv, Health, QuoteTrades, Recording, Reel, Replay, Status, decimals_in
from tickwire.sources.recording import QuoteLine, Scan
from tickwire.store import load_catalogue

from ..serving import DEPTH, DEPTH_PUSH, OTHER_HTTP, TRADE, TRADE_PUSH, Link, serving, until

CATALOGUE = load_catalogue()
TRADES = "code,tick_time_ms,price,volume\n"
QUOTES = "code,tick_time_ms,bid,bid_volume,ask,ask_volume\n"
START = 1_398_988_800_000


def csv_of(*paths: Path, quote_trades: QuoteTrades = QuoteTrades.BID, traded: tuple[str, ...] = ()) -> Csv:
    return Csv(Recording(paths, CATALOGUE), CATALOGUE, traded, quote_trades)


async def gold(path: Path, **options: Any) -> Replay:
    """A replay of a file of gold that begins at START."""
    replay = Replay(
        "t", lambda _: Reel(["GOLD"], START, csv_of(path).moments), health=Health(wall=REAL.millis), **options
    )
    assert await replay.prepare() == ()
    return replay


QUOTE = QuoteLine("GOLD", 7, "1284.06", "", "1284.41", "2.50")
ONE_SIDED = QuoteLine("GOLD", 7, "", "", "1284.41", "")


def test_a_quote_is_a_book_and_a_trade_without_volume() -> None:
    book, trade = csv_of().made_of(QUOTE)
    assert book == Book(
        "GOLD", 7, (Level(Decimal("1284.06"), Decimal(0)),), (Level(Decimal("1284.41"), Decimal("2.50")),)
    )
    assert trade == Trade("GOLD", 7, Decimal("1284.06"), Decimal(0))


def test_trades_of_quotes_may_come_from_the_mid_or_not_at_all() -> None:
    _, trade = csv_of(quote_trades=QuoteTrades.MID).made_of(QUOTE)
    assert isinstance(trade, Trade)
    assert trade.price == Decimal("1284.235")
    assert [type(event) for event in csv_of(quote_trades=QuoteTrades.NONE).made_of(QUOTE)] == [Book]
    assert [type(event) for event in csv_of(traded=("GOLD",)).made_of(QUOTE)] == [Book]


@pytest.mark.parametrize("quote_trades", list(QuoteTrades))
def test_a_quote_without_a_bid_makes_no_trade(quote_trades: QuoteTrades) -> None:
    assert csv_of(quote_trades=quote_trades).made_of(ONE_SIDED) == [
        Book("GOLD", 7, (), (Level(Decimal("1284.41"), Decimal(0)),))
    ]


def test_quotes_of_an_index_make_no_book() -> None:
    events = csv_of().made_of(QuoteLine("000001.SH", 7, "3930.12", "", "3930.13", ""))
    assert [type(event) for event in events] == [Trade]


def test_more_decimals_than_the_catalogues_are_those_that_all_can_be_written_in() -> None:
    scan = Scan(decimals={"GOLD": (3, 0), "EURUSD": (5, 2)})
    (gold,) = CATALOGUE.wider(decimals_in(scan, QuoteTrades.BID))
    assert (gold.code, gold.price_decimals, gold.volume_decimals) == ("GOLD", 3, 2)
    assert decimals_in(scan, QuoteTrades.MID)["GOLD"] == (4, 0)
    scan.traded.add("GOLD")
    assert decimals_in(scan, QuoteTrades.MID)["GOLD"] == (3, 0)


CLOCKS: dict[str, Any] = {"monotonic": REAL.monotonic, "wall": REAL.millis}


async def test_as_recorded_takes_as_long_as_recorded(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    # The last one is so far off that nothing which comes at all has waited for it.
    path.write_text(TRADES + f"GOLD,{START},1,1\nGOLD,{START + 3000},2,1\nGOLD,{START + 10**7},3,1\n")
    replay = await gold(path, speed=10, **CLOCKS)
    began = time.monotonic()
    async with asyncio.timeout(120), contextlib.aclosing(replay.events()) as events:  # type: ignore[type-var]
        came = [await anext(events) for _ in range(2)]
    assert [None if isinstance(event, Again) else event.time for event in came] == [START, START + 3000]
    assert time.monotonic() - began >= 0.3


async def test_rebased_times_begin_now_and_keep_their_distances(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TRADES + f"GOLD,{START},1,1\nGOLD,{START + 3000},2,1\n")
    replay = await gold(path, speed=0, rebase=True, **CLOCKS)
    before = time.time_ns() // 1_000_000
    first, second = [event.time async for event in replay.events() if not isinstance(event, Again)]
    assert before <= first <= time.time_ns() // 1_000_000
    assert second - first == 3000


def quotes_file(folder: Path, count: int) -> Path:
    """Quotes of gold in three decimals, every one different."""
    path = folder / "gold.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(QUOTES)
        for n in range(count):
            file.write(f"GOLD,{START + n * 40},{1284 + n / 1000:.3f},,{1285 + n / 1000:.3f},\n")
    return path


async def test_flat_out_a_client_gets_every_quote_once_in_order(tmp_path: Path) -> None:
    path = quotes_file(tmp_path, 30_000)
    async with (
        serving(tmp_path, source="replay", file=[path], speed=0, hold=True) as served,
        served.link(max_queue=8) as link,
    ):
        assert (await served.request("GET", "/readyz")).json()["ready"] is True
        await link.subscribe(TRADE, "GOLD")
        await link.subscribe(DEPTH, "GOLD")
        while len(link.pushes) < 60_000:
            await link.recv()
        await link.nothing()
        with gzip.open(path, "rt") as file:
            recorded = [(int(row["tick_time_ms"]), row["bid"], row["ask"]) for row in csv.DictReader(file)]
        books = [push["data"] for push in link.pushes if push["cmd_id"] == DEPTH_PUSH]
        trades = [push["data"] for push in link.pushes if push["cmd_id"] == TRADE_PUSH]
        assert [(b["tick_time"], b["bids"][0]["price"], b["asks"][0]["price"]) for b in books] == recorded
        assert [(t["tick_time"], t["price"], t["volume"]) for t in trades] == [
            (r[0], r[1], "0.00") for r in recorded
        ]
        for pushed in (books, trades):
            assert [one["seq"] - pushed[0]["seq"] for one in pushed] == list(range(30_000))
        reply = await served.get(f"{OTHER_HTTP}/trade-tick", {"data": {"symbol_list": ["GOLD"]}})
        assert reply.json()["data"]["tick_list"][0]["seq"] == str(trades[-1]["seq"])


async def test_a_held_replay_waits_for_a_subscription_not_for_a_request(tmp_path: Path) -> None:
    path = quotes_file(tmp_path, 3)
    async with serving(tmp_path, source="replay", file=[path], speed=0, hold=True) as served:
        reply = await served.get(f"{OTHER_HTTP}/trade-tick", {"data": {"symbol_list": ["GOLD"]}})
        assert reply.json()["data"] == {"tick_list": []}
        assert served.engine.market.events == 0
        async with served.link() as link:
            await link.subscribe(DEPTH, "GOLD")
            assert (await link.push())["data"]["bids"][0]["price"] == "1284.000"


async def read_on(link: Link) -> None:
    """Takes what comes, or a replay would wait for it, and the end of the connection for ten seconds."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await link.recv()


@pytest.mark.parametrize("loop", [False, True])
async def test_a_file_that_breaks_ends_the_replay_with_its_reason(tmp_path: Path, loop: bool) -> None:
    path = quotes_file(tmp_path, 6_000)
    with capture_logs() as logged:
        async with (
            serving(tmp_path, source="replay", file=[path], speed=0, hold=True, loop=loop) as served,
            served.link() as link,
        ):
            path.write_bytes(path.read_bytes()[:-5000])  # read whole at the start, and damaged since
            await link.subscribe(DEPTH, "GOLD")
            assert (await link.push())["data"]["bids"][0]["price"] == "1284.000"
            reading = asyncio.create_task(read_on(link))
            health = served.engine.market.source.health
            await until(lambda: health.status is Status.DOWN)
            assert f"Cannot read {path} after line" in health.reason
            assert served.engine.market.events > 3_000
            reply = await served.get(f"{OTHER_HTTP}/trade-tick", {"data": {"symbol_list": ["GOLD"]}})
            assert len(reply.json()["data"]["tick_list"]) == 1
        await reading
    assert (
        len([entry for entry in logged if entry["event"] == "source failed, its last state is served on"])
        == 1
    )


async def test_a_loop_begins_again_and_seq_goes_on(tmp_path: Path) -> None:
    path = quotes_file(tmp_path, 3)
    async with (
        serving(tmp_path, source="replay", file=[path], speed=100, hold=True, loop=True) as served,
        served.link() as link,
    ):
        await link.subscribe(DEPTH, "GOLD")
        pushed = [(await link.push())["data"] for _ in range(8)]
        assert [one["bids"][0]["price"] for one in pushed] == ["1284.000", "1284.001", "1284.002"] * 2 + [
            "1284.000",
            "1284.001",
        ]
        assert [one["seq"] - pushed[0]["seq"] for one in pushed] == list(range(8))
