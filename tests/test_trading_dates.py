"""Dates of days, weeks and months through every front door: those of the exchange, wherever it lies."""

from __future__ import annotations

import asyncio
import csv
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

import tickwire as sdk
from tickwire.client import HistoryWarning

from .cli.commands import DONE, at, tickwire
from .serving import Program, Script, program, serving, trade

pandas = pytest.importorskip("pandas")

CODES = {"AAPL.US": "America/New_York", "700.HK": "Asia/Hong_Kong", "GOLD": "UTC"}
DAYS = [date(2026, 11, day) for day in (12, 13, 16, 17, 18, 19, 20)]
ASKED = [date(2026, 11, day) for day in (16, 17, 18, 19)]
SPAN = {"start": "2026-11-16", "end": "2026-11-20"}
SHARED = pytest.mark.asyncio(loop_scope="module")


def midnight(code: str, day: date) -> int:
    """Milliseconds since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(CODES[code])).timestamp() * 1000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dates")


@pytest.fixture(scope="module")
def ticks(folder: Path) -> Path:
    """A trade at noon of each day, for which the price stands."""
    path = folder / "ticks.csv"
    lines = [f"{code},{midnight(code, day) + 12 * 3_600_000},{day.day},1" for day in DAYS for code in CODES]
    path.write_text("\n".join(["code,tick_time_ms,price,volume", *lines]), "utf-8")
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path, ticks: Path) -> AsyncIterator[Program]:
    """A server that has these days, and nothing else."""
    path = folder / "days.csv"
    lines = [f"{code},{day},{day.day},{day.day},{day.day},{day.day},1" for day in DAYS for code in CODES]
    path.write_text("\n".join(["code,Date,Open,High,Low,Close,Volume", *lines]), "utf-8")
    done = await tickwire(
        folder, "import", str(path), "--source", "publish", "--data-dir", str(folder / "data")
    )
    assert done.status == DONE, done.err
    async with program(folder, "--source", "publish") as running:
        yield running


async def download(*asked: Any, **named: Any) -> Any:
    """In a thread of its own, as in a script."""
    return await asyncio.to_thread(partial(sdk.download, *asked, progress=False, **named))


def dates(frame: Any) -> list[date]:
    return [one.date() for one in frame.index]


STARTS = [
    ("2026-11-16", "2026-11-20"),
    (ASKED[0], date(2026, 11, 20)),
    (datetime(2026, 11, 16), datetime(2026, 11, 20)),  # noqa: DTZ001
    (pandas.Timestamp("2026-11-16"), pandas.Timestamp("2026-11-20")),
]


@SHARED
@pytest.mark.parametrize(("start", "end"), STARTS)
@pytest.mark.parametrize("recorded", [False, True])
async def test_a_download_has_the_trading_dates_that_are_asked_for(
    server: Program, ticks: Path, start: Any, end: Any, recorded: bool
) -> None:
    where: dict[str, Any] = {"recording": ticks} if recorded else {"url": server.url}
    frame = await download([*CODES], start=start, end=end, interval="1d", **where)
    assert dates(frame) == ASKED
    for code in CODES:
        assert [*frame["Close"][code]] == [day.day for day in ASKED]
    source = "ticks.csv" if recorded else "publish"
    assert frame.attrs["source"] == dict.fromkeys(CODES, source)


@SHARED
@pytest.mark.parametrize("recorded", [False, True])
async def test_a_datetime_with_a_zone_is_a_moment(server: Program, ticks: Path, recorded: bool) -> None:
    where: dict[str, Any] = {"recording": ticks} if recorded else {"url": server.url}
    span = {"start": datetime(2026, 11, 16, tzinfo=UTC), "end": "2026-11-20T00:00Z"}
    assert dates(await download("AAPL.US", interval="1d", **span, **where)) == ASKED
    later = [day + timedelta(days=1) for day in ASKED]  # of which the first begins at 16:00 of the day before
    assert dates(await download("700.HK", interval="1d", **span, **where)) == later


@SHARED
async def test_of_less_than_a_day_a_time_without_a_zone_is_utc(server: Program, ticks: Path) -> None:
    span: dict[str, Any] = {"start": "2026-11-16", "end": "2026-11-17"}
    frame = await download(["700.HK", "AAPL.US"], interval="1h", recording=ticks, **span)
    assert [str(one) for one in frame.index] == ["2026-11-16 04:00:00+00:00", "2026-11-16 17:00:00+00:00"]
    with pytest.warns(HistoryWarning, match=r"GOLD: there are no 1h bars"):
        await download("GOLD", interval="1h", url=server.url, **span)


@SHARED
async def test_so_has_the_api_and_each_bar_tells_its_own(server: Program) -> None:
    async with sdk.Api(server.url) as api:
        for code in CODES:
            bars = await api.klines(code, "1d", **SPAN)  # type: ignore[arg-type]
            assert [one.trading_date for one in bars] == ASKED
            assert [one.time_ms for one in bars] == [midnight(code, day) for day in ASKED]
            assert [one.date() for one in bars.to_pandas()["trading_date"].map(pandas.Timestamp)] == ASKED
            weeks = await api.klines(code, "1w", start="2026-11-16")
            assert [(one.trading_date, int(one.close)) for one in weeks] == [(ASKED[0], 20)]
            months = await api.klines(code, "1mo", start=date(2026, 11, 1))
            assert [(one.trading_date, int(one.close)) for one in months] == [(date(2026, 11, 1), 20)]
            assert bars.source == "publish"
            assert bars.gaps is not None


@SHARED
async def test_so_has_the_command_line(server: Program, folder: Path, tmp_path: Path) -> None:
    asked = ("--type", "1d", "--from", "2026-11-16", "--to", "2026-11-20")
    for code in CODES:
        done = await tickwire(folder, *at(server, "kline", code, *asked))
        assert (done.status, done.err) == (DONE, "")
        header, *rows = done.out.splitlines()
        assert header.split()[0] == "DATE"
        assert [row.split()[0] for row in rows] == [str(day) for day in ASKED]
        file = tmp_path / f"{code}.csv"
        done = await tickwire(folder, *at(server, "kline", code, *asked, "-o", str(file)))
        assert done.err == f"tickwire: 4 bars of publish, 2026-11-16 to 2026-11-19, in {file}.\n"
        rows_of = [*csv.DictReader(file.read_text("utf-8").splitlines())]
        assert [one["time"] for one in rows_of] == [str(day) for day in ASKED]
        assert [int(one["timestamp_s"]) for one in rows_of] == [midnight(code, day) // 1000 for day in ASKED]
        done = await tickwire(
            folder, "import", str(file), "--strict-input", "--data-dir", str(tmp_path / "d")
        )
        assert done.out.startswith("4 bars (day) of 1 code imported"), done.err


# What is not there.
@SHARED
@pytest.mark.parametrize("recorded", [False, True])
async def test_a_download_that_begins_later_than_asked_says_how_far_the_bars_go(
    server: Program, ticks: Path, recorded: bool
) -> None:
    where: dict[str, Any] = {"recording": ticks} if recorded else {"url": server.url}
    text = "700.HK: the 1d bars begin with 2026-11-12, later than asked"
    with pytest.warns(HistoryWarning, match=text) as told:
        frame = await download("700.HK", start="2026-11-02", interval="1d", **where)
    assert dates(frame) == DAYS
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dates(await download("700.HK", start="2026-11-12", interval="1d", **where)) == DAYS


@SHARED
@pytest.mark.parametrize("recorded", [False, True])
async def test_an_empty_download_says_so_and_how_far_the_bars_go(
    server: Program, ticks: Path, recorded: bool
) -> None:
    where: dict[str, Any] = {"recording": ticks} if recorded else {"url": server.url}
    begin = "the recording, which begins at 2026-11-12T" if recorded else "they begin with 2026-11-12"
    with pytest.warns(HistoryWarning, match=rf"700.HK: there are no 1d bars in that time.*{begin}"):
        frame = await download("700.HK", start="2026-01-01", end="2026-02-01", interval="1d", **where)
    assert (len(frame), [*frame.columns]) == (0, ["Open", "High", "Low", "Close", "Volume"])


@SHARED
async def test_the_command_line_says_it_on_standard_error(server: Program, folder: Path) -> None:
    asked = ("kline", "700.HK", "--type", "1d")
    done = await tickwire(folder, *at(server, *asked, "--from", "2026-11-02", "--json"))
    assert [one["trading_date"] for one in done.records] == [str(day) for day in DAYS]
    assert done.err == (
        "tickwire: 700.HK: the 1d bars begin with 2026-11-12, later than asked: there are none before.\n"
    )
    done = await tickwire(folder, *at(server, *asked, "--from", "2026-01-01", "--to", "2026-02-01"))
    assert (done.status, done.out) == (1, "")
    assert done.err == "tickwire: 700.HK: there are no 1d bars in that time: they begin with 2026-11-12.\n"


async def test_a_download_carries_what_its_source_missed(tmp_path: Path) -> None:
    source, begin = Script(), midnight("GOLD", ASKED[0]) + 60_000
    source.now = begin
    async with serving(tmp_path, source, codes=["GOLD"]) as served:
        source.emit(trade("GOLD", at=begin), trade("GOLD", at=begin + 3_600_000))
        while served.engine.market.events < 2:
            await served.get("/healthz")
        gaps = served.engine.market.gaps
        gaps.end(gaps.open("script", "metals", ["GOLD"], begin + 60_000, "a lost line"), begin + 120_000)
        gaps.open("script", "metals", ["GOLD"], begin - 86_400_000 * 9, "long ago")
        (long_ago,) = (one for one in gaps.open_gaps("script") if one.reason == "long ago")
        gaps.end(long_ago.number, begin - 86_400_000 * 8)
        frame = await download("GOLD", start="2026-11-16", interval="1d", url=served.url)
        async with sdk.Api(served.url) as api:
            bars = await api.klines("GOLD", "1d", start="2026-11-16")
        done = await tickwire(tmp_path, "kline", "GOLD", "--from", "2026-11-16", "--url", served.url)
    unfilled = [one for one in bars.gaps or () if one.filled is None]
    assert done.err.splitlines()[-1] == (
        f"tickwire: Gaps of the source in that time that are not filled: {len(unfilled)}. "
        "/v1/gaps tells of them."
    )
    (gap,) = [one for one in frame.attrs["gaps"]["GOLD"] if one["reason"] == "a lost line"]
    assert gap == {
        "source": "script",
        "codes": ["GOLD"],
        "begin": "2026-11-16T00:02:00+00:00",
        "end": "2026-11-16T00:03:00+00:00",
        "reason": "a lost line",
        "filled": None,
    }
    assert "long ago" not in {one["reason"] for one in frame.attrs["gaps"]["GOLD"]}
    assert frame.attrs["source"] == {"GOLD": "script"}
    assert bars.gaps is not None
    assert "a lost line" in {one.reason for one in bars.gaps}
    frame.to_parquet(tmp_path / "frame.parquet")  # attrs and all
    assert pandas.read_parquet(tmp_path / "frame.parquet").attrs == frame.attrs


# What people write.
@SHARED
async def test_several_codes_may_stand_in_a_text(server: Program) -> None:
    for text in ("AAPL.US 700.HK", " AAPL.US,700.HK", "AAPL.US, 700.HK"):
        frame = await download(text, interval="1d", url=server.url)
        assert [*frame["Close"].columns] == ["AAPL.US", "700.HK"]
    frame = await download(" GOLD ", interval="1d", url=server.url)
    assert [*frame.columns] == ["Open", "High", "Low", "Close", "Volume"]


@pytest.mark.parametrize("codes", [[], "", " ", ()])
def test_a_download_of_nothing_is_answered_in_words(codes: Any) -> None:
    with pytest.raises(ValueError, match="no code is named"):
        sdk.download(codes)


def test_a_number_is_no_time() -> None:
    with pytest.raises(
        ValueError, match=r"1788525000 is no time such as 2026-09-04.*datetime\.fromtimestamp"
    ):
        sdk.download("GOLD", start=1788525000)  # type: ignore[arg-type]
