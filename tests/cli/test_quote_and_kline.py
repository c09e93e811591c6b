"""Prices, K-lines, codes and markets, read from a Tickwire and from a server that is only like AllTick's."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from pyarrow import parquet

from tickwire.client import Api, Book, Trade, connect

from ..client.alltick_stub import TOKEN, alltick
from ..serving import Program, program
from .commands import DONE, FAILED, NAMED, environment, tickwire

SHARED = pytest.mark.asyncio(loop_scope="module")
CODES = ("BTCUSDT", "GOLD", ".DJI.US")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A server with simulated markets, as a process."""
    async with program(tmp_path_factory.mktemp("market"), "--codes", ",".join(CODES)) as server:
        async with connect(server.url, plan="unlimited") as feed, asyncio.timeout(20):
            await feed.subscribe(trades=CODES, books=CODES[:2])
            missing = {(Trade, code) for code in CODES} | {(Book, code) for code in CODES[:2]}
            async for event in feed:
                missing.discard((type(event), getattr(event, "code", "")))
                if not missing:
                    break
        yield server


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def at(server: Program, *arguments: str) -> tuple[str, ...]:
    return (*arguments, "--url", server.url)


@SHARED
async def test_quotes_are_trades_with_the_best_of_their_books(market: Program, tmp_path: Path) -> None:
    asked = ("quote", "GOLD", ".DJI.US", "NOPE", "GOLD", "--json")
    done = await tickwire(tmp_path, *at(market, *asked))
    gold, index, nothing = done.records
    assert (gold["event"], gold["code"], gold["time"][-1]) == ("quote", "GOLD", "Z")
    assert Decimal(gold["bid"]) < Decimal(gold["ask"])
    assert all(
        Decimal(gold[name]).as_tuple().exponent == -2 for name in ("last", "last_volume", "bid", "ask_volume")
    )
    assert index["last"]
    assert (index["bid"], index["ask"]) == (None, None)  # a stock index has no book
    assert set(nothing.values()) == {"quote", "NOPE", None}
    assert done.status == FAILED
    assert done.err == "tickwire: nothing is known of NOPE: no trade yet, or no such code.\n"


@SHARED
async def test_a_table_of_quotes_stands_in_columns(market: Program, tmp_path: Path) -> None:
    done = await tickwire(tmp_path, *at(market, "quote", "GOLD", "BTCUSDT"))
    assert (done.status, done.err) == (DONE, "")
    header, *rows = done.out.splitlines()
    assert header.split("  ")[0] == "CODE"
    end = header.index("LAST") + len("LAST")
    assert [row[:end].split()[0] for row in rows] == ["GOLD", "BTCUSDT"]
    assert all(row[end - 1].isdigit() and row[end] == " " for row in rows)
    assert "\x1b" not in done.out


@SHARED
async def test_bars_go_into_files_that_can_be_imported_and_are_exact(market: Program, tmp_path: Path) -> None:
    named = [tmp_path / name for name in ("gold.csv", "gold.parquet")]
    period = ("--type", "1d", "--from", "2026-01-01", "--to", "2026-06-01")
    for path in named:
        done = await tickwire(tmp_path, *at(market, "kline", "GOLD", *period, "-o", str(path)))
        assert (done.status, done.out) == (DONE, "")
        assert f"in {path}." in done.err
    assert files_in(tmp_path) == {path.name for path in named}
    rows = list(csv.DictReader(named[0].read_text().splitlines()))
    async with Api(market.url) as api:
        bars = await api.klines("GOLD", "1d", start="2026-01-01", end="2026-06-01")
    assert [(int(row["timestamp_s"]), row["close"]) for row in rows] == [
        (bar.time_ms // 1000, str(bar.close)) for bar in bars
    ]
    assert (rows[0]["code"], rows[0]["time"]) == ("GOLD", "2026-01-01T00:00:00.000Z")
    table = parquet.read_table(named[1]).to_pylist()
    assert [str(row["close"]) for row in table] == [row["close"] for row in rows]
    assert [row["timestamp_s"] for row in table] == [int(row["timestamp_s"]) for row in rows]
    files = [str(path) for path in named]
    done = await tickwire(tmp_path, "import", *files, "--strict-input", "--data-dir", str(tmp_path / "d"))
    assert done.out.startswith(f"{2 * len(bars)} bars of 1 codes imported")


@SHARED
async def test_bars_for_people_and_for_pipes(market: Program, tmp_path: Path) -> None:
    period = ("--type", "1d", "--to", "2026-06-03", "--num", "2")
    shown = await tickwire(tmp_path, *at(market, "kline", "GOLD", *period))
    piped = await tickwire(tmp_path, *at(market, "kline", "GOLD", *period, "--json"))
    header, *rows = shown.out.splitlines()
    assert header.split() == ["TIME", "(UTC)", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TURNOVER"]
    names = ("open", "high", "low", "close", "volume", "turnover")
    assert [row.split()[2:] for row in rows] == [[one[name] for name in names] for one in piped.records]
    assert [row[:16] for row in rows] == ["2026-06-01 00:00", "2026-06-02 00:00"]
    assert [(one["event"], one["interval"]) for one in piped.records] == [("kline", "1d")] * 2


@SHARED
async def test_no_bar_and_an_unknown_code_leave_the_file_that_was_there(
    market: Program, tmp_path: Path
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("before")
    none = await tickwire(tmp_path, *at(market, "kline", "GOLD", "--to", "1999-01-01", "-o", str(path)))
    assert none[:2] == (FAILED, "")
    assert none.err == "tickwire: There is no such bar of GOLD.\n"
    assert files_in(tmp_path) == {"gold.csv"}
    assert path.read_text() == "before"


@SHARED
async def test_codes_are_found_by_their_names(market: Program, tmp_path: Path) -> None:
    done = await tickwire(tmp_path, *at(market, "instruments", "search", "腾讯", "--json"))
    (tencent,) = done.records
    assert (tencent["code"], tencent["market"], tencent["price_decimals"]) == ("700.HK", "hk_stock", 6)
    shown = await tickwire(tmp_path, *at(market, "instruments", "search", "xauusd"))
    assert "GOLD" in shown.out
    assert "(also XAUUSD)" in shown.out


@SHARED
async def test_markets_tell_their_own_time(market: Program, tmp_path: Path) -> None:
    done = await tickwire(tmp_path, *at(market, "markets", "--json"))
    by_name = {one["calendar"]: one for one in done.records}
    assert by_name["XHKG"]["timezone"] == "Asia/Hong_Kong"
    assert by_name["crypto"]["next_close"] is None
    assert by_name["XHKG"]["next_open"].endswith(("T01:30:00.000Z", "T05:00:00.000Z", "T01:00:00.000Z"))
    shown = await tickwire(tmp_path, *at(market, "markets"))
    (hong_kong,) = [line for line in shown.out.splitlines() if line.startswith("XHKG")]
    assert any(f"{hour} " in hong_kong for hour in ("09:00", "09:30", "13:00"))
    assert "keeps no hours" in shown.err


# A server without our extensions.
async def test_of_alltick_quotes_and_bars_are_read_and_the_rest_is_refused_in_a_line(tmp_path: Path) -> None:
    async with alltick() as vendor:
        await vendor.trade("GOLD")
        await vendor.book("GOLD")
        place = ("--url", vendor.url, "--token", TOKEN, "--plan", "unlimited")
        asked = (
            ("quote", "GOLD", "--json"),
            ("kline", "GOLD", "--num", "1100", "--format", "csv"),
            ("markets",),
            ("instruments", "search", "gold"),
        )
        quote, bars, markets, codes = [await tickwire(tmp_path, *one, *place) for one in asked]
    (record,) = quote.records
    assert (quote.status, record["last"], record["bid"], record["ask"]) == (DONE, "4415.32", "4415.30", None)
    assert (bars.status, bars.err, len(bars.out.splitlines())) == (DONE, "", 1101)  # no bar in a pipe
    for done, name in ((markets, "markets"), (codes, "instruments")):
        assert done == (
            FAILED,
            "",
            f"tickwire: {vendor.url}: only a Tickwire answers /v1/{name}, and this is none.\n",
        )


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
async def test_on_a_terminal_a_long_download_shows_how_far_it_is(tmp_path: Path) -> None:
    async with alltick() as vendor:
        place = ("--url", vendor.url, "--token", TOKEN, "--plan", "unlimited")
        master, slave = os.openpty()
        with closing(os.fdopen(master, "rb", buffering=0)) as terminal:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", NAMED, "kline", "GOLD", "--num", "1300", "--json", *place),
                stdout=asyncio.subprocess.PIPE,
                stderr=slave,
                env=environment(tmp_path, TERM="xterm"),
            )
            os.close(slave)
            async with asyncio.timeout(30):
                out, _ = await process.communicate()
            shown = terminal.read(65536).decode()
    assert (process.returncode, len(out.splitlines())) == (DONE, 1300)
    assert "GOLD" in shown
    assert "%" in shown
