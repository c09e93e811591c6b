"""`tickwire kline`: bars for people, for pipes and into files."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import parquet

from tickwire.client import Api

from ..client.alltick_stub import TOKEN, alltick
from ..serving import Program
from .commands import DONE, FAILED, NAMED, SHARED, WRONG, at, environment, tickwire


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


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
    assert (rows[0]["code"], rows[0]["time"]) == ("GOLD", "2026-01-01")
    table = parquet.read_table(named[1]).to_pylist()
    assert [str(row["close"]) for row in table] == [row["close"] for row in rows]
    assert [row["timestamp_s"] for row in table] == [int(row["timestamp_s"]) for row in rows]
    files = [str(path) for path in named]
    done = await tickwire(tmp_path, "import", *files, "--strict-input", "--data-dir", str(tmp_path / "d"))
    assert done.out.startswith(f"{2 * len(bars)} bars (day) of 1 code imported")


@SHARED
async def test_bars_for_people_and_for_pipes(market: Program, tmp_path: Path) -> None:
    period = ("--type", "1d", "--to", "2026-06-03", "--num", "2")
    shown = await tickwire(tmp_path, *at(market, "kline", "GOLD", *period))
    piped = await tickwire(tmp_path, *at(market, "kline", "GOLD", *period, "--json"))
    header, *rows = shown.out.splitlines()
    assert header.split() == ["DATE", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TURNOVER"]
    names = ("open", "high", "low", "close", "volume", "turnover")
    assert [row.split()[1:] for row in rows] == [[one[name] for name in names] for one in piped.records]
    assert [row.split()[0] for row in rows] == ["2026-06-01", "2026-06-02"]
    assert [one["trading_date"] for one in piped.records] == ["2026-06-01", "2026-06-02"]
    assert [(one["event"], one["interval"]) for one in piped.records] == [("kline", "1d")] * 2


@SHARED
async def test_no_bar_and_an_unknown_code_leave_the_file_that_was_there(
    market: Program, tmp_path: Path
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("before")
    none = await tickwire(tmp_path, *at(market, "kline", "GOLD", "--to", "1999-01-01", "-o", str(path)))
    assert none[:2] == (FAILED, "")
    begun = (
        r"tickwire: GOLD: there are no 1m bars in that time: they begin with 20\d\d-\d\d-\d\dT\d\d:\d\dZ.\n"
    )
    assert re.fullmatch(begun, none.err)
    assert files_in(tmp_path) == {"gold.csv"}
    assert path.read_text() == "before"


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
            async with asyncio.timeout(120):
                out, _ = await process.communicate()
            shown = terminal.read(65536).decode()
    assert (process.returncode, len(out.splitlines())) == (DONE, 1300)
    assert "GOLD" in shown
    assert "%" in shown


@SHARED
async def test_times_beyond_all_bars_and_the_wrong_way_round(market: Program, tmp_path: Path) -> None:
    asked = ("kline", "GOLD", "--type", "1d", "--num", "2", "--json")
    now = await tickwire(tmp_path, *at(market, *asked))
    for beyond in (
        ("--from", "0001-01-01"),
        ("--to", "9999-12-31"),
        ("--from", "1800-01-01", "--to", "2999-01-01"),
    ):
        done = await tickwire(tmp_path, *at(market, *asked, *beyond))
        assert (done.status, done.err) == (DONE, "")
        assert [one["time"] for one in done.records] == [one["time"] for one in now.records]
    done = await tickwire(tmp_path, *at(market, *asked, "--from", "2026-11-20", "--to", "2026-11-16"))
    assert (done.status, done.out) == (WRONG, "")
    assert done.err == "tickwire: --to: the end, 2026-11-16, lies before the start, 2026-11-20.\n"
