"""`tickwire import`: what it says of files and sources that are not what was meant."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pyarrow
import pytest
from pyarrow import parquet

from tickwire.model import Kline, KlineType
from tickwire.store import SqliteKlineStore

from ..stores import opened
from .commands import DONE, FAILED, WRONG, Ended, tickwire

HEADER = "code,timestamp_s,open,high,low,close\n"
BAR = "GOLD,1788529080,1,2,1,2\n"


async def imported(folder: Path, text: str, *arguments: str) -> Ended:
    """The command on a file of that text."""
    (folder / "bars.csv").write_text(text)
    file = str(folder / "bars.csv")
    return await tickwire(folder, "import", file, "--data-dir", str(folder / "data"), *arguments)


async def test_bars_are_imported_for_a_source(tmp_path: Path) -> None:
    done = await imported(tmp_path, HEADER + BAR, "--source", "exchange:binance")
    assert done.status == DONE
    assert done.out.startswith(
        "1 bars (minute) of 1 code imported for exchange:binance, 9 larger ones rolled up, 0 "
    )


async def test_a_file_of_which_nothing_is_left_fails(tmp_path: Path) -> None:
    done = await imported(tmp_path, f"{HEADER}NOSUCH,1788529080,1,2,1,2\n")
    assert (done.status, done.out) == (FAILED, "")
    assert "unknown code 'NOSUCH'" in done.err
    assert "Nothing was imported: 1 lines skipped" in done.err


@pytest.mark.parametrize("source", ["", "simulater", "GOLD"])
async def test_a_source_that_there_is_not_is_refused(tmp_path: Path, source: str) -> None:
    done = await imported(tmp_path, HEADER + BAR, "--source", source)
    assert (done.status, done.out) == (WRONG, "")
    assert f"--source '{source}' names no source: /readyz shows its name" in done.err
    assert not (tmp_path / "data").exists()


# Files that people have.
def stored(folder: Path, code: str) -> dict[KlineType, list[Kline]]:
    """What the data directory holds of a code."""
    with opened(SqliteKlineStore, folder / "data" / "tickwire.db") as store:
        found = {one: store.read("simulator", code, one, count=10_000) for one in KlineType}
    return {one: bars for one, bars in found.items() if bars}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


async def importing(folder: Path, data: bytes, *arguments: str, name: str = "bars.csv") -> Ended:
    (folder / name).write_bytes(data)
    return await tickwire(
        folder, "import", str(folder / name), "--data-dir", str(folder / "data"), *arguments
    )


YFINANCE = b"""Price,Close,High,Low,Open,Volume
Ticker,AAPL,AAPL,AAPL,AAPL,AAPL
Date,,,,,
2024-01-02,184.08193969726562,186.86532487486213,182.3334465536389,185.57814339943542,82488700
2024-01-03,182.70355224609375,184.31239391440593,181.87943104456116,182.6647567563087,58414500
"""
MT5 = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
    "2024.01.02\t00:00:00\t1.10414\t1.10427\t1.10386\t1.10417\t1034\t0\t5\r\n"
    "2024.01.02\t01:00:00\t1.10417\t1.10450\t1.10400\t1.10445\t900\t0\t5\r\n"
)
BINANCE = b"""1704067200000,42283.58,42554.57,42261.02,42475.23,1271.68108,1704070799999,53957248.97,1,2,3,0
1704070800000,42475.23,42775.00,42431.65,42613.56,1196.37856,1704074399999,50984230.2,1,2,3,0
"""
TRADINGVIEW = b"""time;open;high;low;close;Volume
2024-01-02T09:30:00-05:00;1;2;1;2;
2024-01-02T09:31:00-05:00;1;2;1;2;5
"""


async def test_what_yfinance_writes(tmp_path: Path) -> None:
    done = await importing(tmp_path, YFINANCE, "--format", "yfinance", "--code", "AAPL.US")
    assert done.status == DONE, done.err
    assert "2 bars (day) of 1 code" in done.out
    assert "8 numbers were rounded" in done.out
    days = stored(tmp_path, "AAPL.US")[KlineType.DAY]
    assert [bar.time for bar in days] == [at("2024-01-02T05:00Z"), at("2024-01-03T05:00Z")]
    assert (days[0].close, days[0].volume) == (Decimal("184.081940"), Decimal(82488700))


async def test_what_metatrader_writes(tmp_path: Path) -> None:
    arguments = ("--format", "mt5", "--code", "EURUSD", "--tz", "Europe/Athens")
    done = await importing(tmp_path, MT5.encode("utf-16"), *arguments)
    assert done.status == DONE, done.err
    found = stored(tmp_path, "EURUSD")
    assert KlineType.MINUTE not in found
    hours = found[KlineType.HOUR]
    assert [(bar.time, bar.volume) for bar in hours] == [
        (at("2024-01-01T22:00Z"), Decimal(1034)),
        (at("2024-01-01T23:00Z"), Decimal(900)),
    ]
    assert [bar.volume for bar in found[KlineType.DAY]] == [Decimal(1934)]


async def test_what_binance_writes_in_a_zip(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("BTCUSDT-1h.csv", BINANCE)
    arguments = ("--format", "binance", "--code", "BTCUSDT")
    done = await importing(tmp_path, packed.getvalue(), *arguments, name="bars.zip")
    assert done.status == DONE, done.err
    hours = stored(tmp_path, "BTCUSDT")[KlineType.HOUR]
    assert [bar.time for bar in hours] == [1704067200, 1704070800]
    assert (hours[0].close, hours[0].volume) == (Decimal("42475.23"), Decimal("1271.68108"))


async def test_what_tradingview_writes(tmp_path: Path) -> None:
    done = await importing(tmp_path, TRADINGVIEW, "--code", "AAPL.US")
    assert done.status == DONE, done.err
    minutes = stored(tmp_path, "AAPL.US")[KlineType.MINUTE]
    assert [(bar.time, bar.volume) for bar in minutes] == [
        (at("2024-01-02T14:30Z"), Decimal(0)),
        (at("2024-01-02T14:31Z"), Decimal(5)),
    ]


async def test_columns_times_and_zones_that_are_named(tmp_path: Path) -> None:
    text = b"Day,Close,Adj Close,Open,High,Low\n02/01/2024 09:30,9,2,1,3,1\n02/01/2024 10:00,9,2,1,3,1\n"
    arguments = ["--map", 'timestamp=Day,close="Adj Close"', "--time-format", "%d/%m/%Y %H:%M"]
    done = await importing(tmp_path, text, *arguments, "--tz", "America/New_York", "--code", "AAPL.US")
    assert done.status == DONE, done.err
    bars = stored(tmp_path, "AAPL.US")[KlineType.MINUTES_30]
    assert [(bar.time, bar.close) for bar in bars] == [
        (at("2024-01-02T14:30Z"), Decimal(2)),
        (at("2024-01-02T15:00Z"), Decimal(2)),
    ]


async def test_months_and_halves_of_days_are_read_in_words(tmp_path: Path) -> None:
    text = b'time,open,high,low,close\n"Sep 14, 2026 09:30 AM",1,2,1,2\n"Sep 14, 2026 01:30 PM",1,2,1,2\n'
    form = ("--time-format", "%b %d, %Y %I:%M %p", "--tz", "America/New_York", "--interval", "1m")
    done = await importing(tmp_path, text, *form, "--code", "AAPL.US")
    assert done.status == DONE, done.err
    assert [bar.time for bar in stored(tmp_path, "AAPL.US")[KlineType.MINUTE]] == [
        at("2026-09-14T13:30Z"),
        at("2026-09-14T17:30Z"),
    ]


async def test_a_table_of_pandas_whose_index_has_no_name(tmp_path: Path) -> None:
    text = b",Open,High,Low,Close\n2026-09-14,1,2,1,2\n2026-09-15,1,2,1,2\n"
    days = [at("2026-09-14T04:00Z"), at("2026-09-15T04:00Z")]
    assert (await importing(tmp_path, text, "--code", "AAPL.US")).status == DONE
    assert [bar.time for bar in stored(tmp_path, "AAPL.US")[KlineType.DAY]] == days
    names = ["Open", "High", "Low", "Close", "__index_level_0__"]
    times = [datetime(2026, 9, 14), datetime(2026, 9, 15)]  # noqa: DTZ001  # as pandas writes dates
    table = pyarrow.table([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [2.0, 2.0], times], names=names)
    parquet.write_table(table, tmp_path / "bars.parquet")
    arguments = ("--data-dir", str(tmp_path / "data"), "--code", "MSFT.US")
    done = await tickwire(tmp_path, "import", str(tmp_path / "bars.parquet"), *arguments)
    assert done.status == DONE, done.err
    assert [bar.time for bar in stored(tmp_path, "MSFT.US")[KlineType.DAY]] == days


async def test_a_column_of_parquet_that_is_there_twice_is_named(tmp_path: Path) -> None:
    names = ["code", "timestamp", "open", "high", "low", "close", "Close"]
    table = pyarrow.table([["GOLD"], [1788529080], [1.0], [3.0], [1.0], [2.0], [3.0]], names=names)
    parquet.write_table(table, tmp_path / "bars.parquet")
    done = await tickwire(
        tmp_path, "import", str(tmp_path / "bars.parquet"), "--data-dir", str(tmp_path / "data")
    )
    assert (done.status, "the column close is there twice" in done.err) == (FAILED, True)


async def test_days_of_forex_that_open_the_evening_before(tmp_path: Path) -> None:
    """A day of forex opens at 17:00 in New York, Monday's on Sunday."""
    lines = [f"2026-11-{day}T22:00:00Z,{day},{day},{day},{day},1" for day in range(15, 20)]
    done = await importing(
        tmp_path, "\n".join(["time,open,high,low,close,volume", *lines]).encode(), "--code", "EURUSD"
    )
    assert done.status == DONE, done.err
    assert [(bar.time, bar.open) for bar in stored(tmp_path, "EURUSD")[KlineType.DAY]] == [
        (at(f"2026-11-{day + 1}T00:00Z"), Decimal(day)) for day in range(15, 20)
    ]


# What is there twice, and what does not belong together.
async def test_a_bar_that_stands_there_twice_counts_once_the_later_one(tmp_path: Path) -> None:
    first, second, other = (
        "GOLD,1788529080,1,2,1,2,5\n",
        "GOLD,1788529140,2,2,2,2,5\n",
        "GOLD,1788529080,1,3,1,2,6\n",
    )
    text = "code,timestamp,open,high,low,close,volume\n" + first + second + first
    done = await imported(tmp_path, text)
    assert done.status == DONE
    assert "1 lines were taken in place of earlier ones" in done.out
    assert "another bar of that time" not in done.err
    assert [bar.volume for bar in stored(tmp_path, "GOLD")[KlineType.DAY]] == [Decimal(10)]
    done = await imported(tmp_path, text + other)
    assert "line 5: GOLD has another bar of that time in line 4" in done.err
    assert [bar.volume for bar in stored(tmp_path, "GOLD")[KlineType.MINUTE]] == [Decimal(6), Decimal(5)]
    done = await imported(
        tmp_path, "code,timestamp,open,high,low,close,volume\n" + first * 2, "--strict-input"
    )
    assert (done.status, "line 3: the bar opens with the one of GOLD above it" in done.err) == (FAILED, True)


DAY, HOUR = 86_400, 3_600
T0 = 1788220800
"""2026-09-01 00:00 UTC."""


@pytest.mark.parametrize(
    ("times", "types"),
    [
        ([0, HOUR, 2 * HOUR, 2 * HOUR + 60, 2 * HOUR + 120], "MINUTE and HOUR"),
        ([*range(0, 10 * DAY, DAY), *range(10 * DAY, 11 * DAY, 60)], "MINUTE and DAY"),
        ([*range(0, 30 * DAY, DAY), *range(30 * DAY, 31 * DAY, HOUR)], "HOUR and DAY"),
        ([*range(0, 3 * HOUR, HOUR), *range(0, 3 * HOUR, 60)], "MINUTE and HOUR"),
        ([*range(-DAY, 41 * DAY, 7 * DAY), *range(42 * DAY, 60 * DAY, DAY)], "DAY and WEEK"),
    ],
)
async def test_bars_of_several_types_are_refused(tmp_path: Path, times: list[int], types: str) -> None:
    text = HEADER + "".join(f"BTCUSDT,{T0 + one},1,2,1,2\n" for one in times)
    done = await imported(tmp_path, text)
    assert (done.status, f"BTCUSDT are of several types, {types}." in done.err) == (FAILED, True), done.err
    assert not stored(tmp_path, "BTCUSDT")


async def test_minutes_in_which_little_was_traded_are_minutes(tmp_path: Path) -> None:
    random = Random(1)
    times = sorted(random.sample(range(0, 30 * DAY, 60), 4_000))
    text = HEADER + "".join(f"BTCUSDT,{T0 + one},1,2,1,2\n" for one in times)
    done = await imported(tmp_path, text)
    assert done.status == DONE, done.err
    assert done.out.startswith("4000 bars (minute) of 1 code")


async def test_times_that_a_clock_never_showed_or_showed_twice_are_skipped(tmp_path: Path) -> None:
    hours = (
        "2026-03-08 01:30",
        "2026-03-08 02:30",
        "2026-03-08 03:00",
        "2026-11-01 01:30",
        "2026-11-01 02:30",
    )
    text = "time,open,high,low,close\n" + "".join(f"{one},1,2,1,2\n" for one in hours)
    zone = ("--tz", "America/New_York", "--code", "BTCUSDT", "--interval", "30m")
    done = await importing(tmp_path, text.encode(), *zone)
    assert "line 3: time is 2026-03-08 02:30:00, which there was not in America/New_York" in done.err
    assert "line 5: time is 2026-11-01 01:30:00, which there was twice in America/New_York" in done.err
    assert [bar.time for bar in stored(tmp_path, "BTCUSDT")[KlineType.MINUTES_30]] == [
        at("2026-03-08T06:30Z"),
        at("2026-03-08T07:00Z"),
        at("2026-11-01T07:30Z"),
    ]


# The cases that failed.
async def test_days_at_midnight_utc_are_those_dates_of_the_exchange(tmp_path: Path) -> None:
    text = "code,timestamp_s,open,high,low,close\nAAPL.US,1788220800,2,3,1,2\nAAPL.US,1788307200,2,3,1,2\n"
    done = await importing(tmp_path, text.encode())
    found = stored(tmp_path, "AAPL.US")
    assert done.status == DONE
    assert [bar.time for bar in found[KlineType.DAY]] == [at("2026-09-01T04:00Z"), at("2026-09-02T04:00Z")]
    assert [*found] == [KlineType.DAY, KlineType.WEEK, KlineType.MONTH]


async def test_hours_are_hours(tmp_path: Path) -> None:
    lines = [f"BTCUSDT,{1788220800 + 3600 * n},100,110,90,105,10" for n in range(3)]
    done = await importing(
        tmp_path, "\n".join(["code,timestamp_s,open,high,low,close,volume", *lines]).encode()
    )
    found = stored(tmp_path, "BTCUSDT")
    assert done.status == DONE
    assert [len(found[one]) for one in (KlineType.HOUR, KlineType.HOURS_2, KlineType.DAY)] == [3, 2, 1]
    assert min(found) is KlineType.HOUR


async def test_more_decimals_than_there_are_are_refused_or_rounded_when_asked(tmp_path: Path) -> None:
    text = b"code,timestamp_s,open,high,low,close,volume\nGOLD,1788255000,1,2,1,2,0.30000000000000004\n"
    lines = b"".join(b"GOLD,%d,1,2,1,2,1\n" % (1788255000 + 60 * n) for n in range(1, 10))
    done = await importing(tmp_path, text + lines)
    assert done.status == DONE  # one line of ten
    assert "line 2: volume is 0.30000000000000004, which has more than the 2 decimals of GOLD" in done.err
    done = await importing(tmp_path, text + lines, "--round")
    assert stored(tmp_path, "GOLD")[KlineType.MINUTE][0].volume == Decimal("0.30")
    done = await importing(tmp_path, text)
    assert done.status == FAILED


async def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    for name, reason in ((".", "Is a directory"), ("no.csv", "No such file")):
        done = await tickwire(tmp_path, "import", str(tmp_path / name), "--data-dir", str(tmp_path / "data"))
        assert (done.status, reason in done.err) == (FAILED, True)
