"""Importing bars: what comes in, what is rolled up from it, and what is refused."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tickwire.errors import InputError
from tickwire.klines import Grid
from tickwire.machine import REAL
from tickwire.market import importer
from tickwire.market.importer import Reading, import_bars
from tickwire.model import Kline, KlineType
from tickwire.store import SqliteKlineStore, load_catalogue

from ..serving import OTHER_HTTP, Script, serving, trade
from ..stores import opened

CATALOGUE = load_catalogue()
NOW = REAL.millis()
HEADER = "code,timestamp_s,open,high,low,close\n"
STRICT = Reading(strict=True)
FRIDAY = 1_398_988_800  # 2014-05-02 00:00 UTC


@pytest.fixture
def store() -> Iterator[SqliteKlineStore]:
    with opened(SqliteKlineStore, None) as made:
        yield made


def everything(
    store: SqliteKlineStore, code: str = "GOLD", source: str = "desk"
) -> dict[KlineType, list[Kline]]:
    return {kline_type: store.read(source, code, kline_type, count=10_000) for kline_type in KlineType}


def minutes(count: int, begin: int = FRIDAY) -> str:
    rows = (
        f"GOLD,{begin + 60 * n},{n + 2}.5,{n + 3},{n + 1}.25,{n + 2},{n}.5,{n * 10}" for n in range(count)
    )
    return "code,timestamp_s,open,high,low,close,volume,turnover\n" + "\n".join(rows) + "\n"


def write(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_minutes_are_rolled_up_to_all_types(tmp_path: Path, store: SqliteKlineStore) -> None:
    report = import_bars([write(tmp_path, minutes(12))], "desk", store, CATALOGUE, now=NOW)
    assert (report.bars, report.bad_lines, [*report.types]) == (12, 0, ["GOLD"])
    found = everything(store)
    assert [len(bars) for bars in found.values()] == [12, 3, 1, 1, 1, 1, 1, 1, 1, 1]
    second = found[KlineType.MINUTES_5][1]
    assert (second.time, second.open, second.high) == (FRIDAY + 300, Decimal("7.5"), Decimal(12))
    assert (second.low, second.close) == (Decimal("6.25"), Decimal(11))
    assert (second.volume, second.turnover) == (Decimal("37.5"), Decimal(350))
    assert found[KlineType.DAY][0].volume == sum(bar.volume for bar in found[KlineType.MINUTE])
    assert found[KlineType.MONTH][0].time == FRIDAY - 86400


def test_importing_again_changes_nothing(tmp_path: Path, store: SqliteKlineStore) -> None:
    path = write(tmp_path, minutes(400))
    first = import_bars([path], "desk", store, CATALOGUE, now=NOW)
    before = everything(store)
    assert import_bars([path], "desk", store, CATALOGUE, now=NOW) == first
    assert everything(store) == before


def test_two_halves_give_what_the_whole_gives(tmp_path: Path, store: SqliteKlineStore) -> None:
    whole = write(tmp_path, minutes(400), "whole.csv")
    lines = minutes(400).splitlines(keepends=True)
    halves = [
        write(tmp_path, "".join([lines[0], *part]), f"{n}.csv")
        for n, part in enumerate((lines[200:], lines[1:200]))
    ]
    import_bars([whole], "whole", store, CATALOGUE, now=NOW)
    import_bars(halves, "halves", store, CATALOGUE, now=NOW)
    assert everything(store, source="halves") == everything(store, source="whole")


def test_daily_bars_make_weeks_and_months(tmp_path: Path, store: SqliteKlineStore) -> None:
    rows = (f"GOLD,{FRIDAY + 86400 * n},{n + 1},{n + 1},{n + 1},{n + 1}\n" for n in range(40))
    import_bars([write(tmp_path, HEADER + "".join(rows))], "desk", store, CATALOGUE, now=NOW)
    found = everything(store)
    assert [len(found[one]) for one in (KlineType.MINUTE, KlineType.HOUR)] == [0, 0]
    assert len(found[KlineType.DAY]) == 40 - 6  # what is said of Sundays belongs to Mondays
    assert [bar.close for bar in found[KlineType.MONTH]] == [Decimal(30), Decimal(40)]


def test_a_stocks_day_opens_at_midnight_of_its_exchange(tmp_path: Path, store: SqliteKlineStore) -> None:
    midnight = 1_381_118_400  # 2013-10-07 00:00 in New York
    import_bars([write(tmp_path, HEADER + f"IBM.US,{midnight},2,3,1,2\n")], "desk", store, CATALOGUE, now=NOW)
    found = everything(store, "IBM.US")
    assert [kline_type for kline_type, bars in found.items() if bars] == [
        KlineType.DAY,
        KlineType.WEEK,
        KlineType.MONTH,
    ]


BAD = [
    f"GOLD,{FRIDAY},1,1,1",
    f"GOLD,{FRIDAY + 1},2,3,1,2",
    f"GOLD,{FRIDAY},2,1,1,2",
    f"GOLD,{FRIDAY},2,3,2.5,2",
    f"GOLD,{FRIDAY},0,0,0,0",
    f"GOLD,{FRIDAY},2,3,0,2",
    f"GOLD,{FRIDAY},NaN,3,1,2",
    f"GOLD,{FRIDAY},1e15,3,1,2",
    f"GOLD,{FRIDAY},2,3,1e-13,2",
    "GOLD,-60,2,3,1,2",
    "GOLD,60,2,3,1,2",
    "GOLD,4102444740,2,3,1,2",
    f"NO.SUCH,{FRIDAY},2,3,1,2",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_skipped_or_stops(tmp_path: Path, store: SqliteKlineStore, bad: str) -> None:
    path = write(tmp_path, f"{HEADER}GOLD,{FRIDAY + 60},2,3,1,2\n{bad}\n")
    report = import_bars([path], "desk", store, CATALOGUE, now=NOW)
    assert (report.bars, report.bad_lines) == (1, 1)
    with pytest.raises(InputError, match=r"bars\.csv, line 3: "):
        import_bars([path], "desk", store, CATALOGUE, now=NOW, reading=STRICT)


def test_a_bad_line_names_its_field(tmp_path: Path, store: SqliteKlineStore) -> None:
    path = write(tmp_path, f"{HEADER}GOLD,{FRIDAY},2,3,one,2\n")
    with pytest.raises(InputError, match="line 2: low is 'one', expected a number from 0 to below"):
        import_bars([path], "desk", store, CATALOGUE, now=NOW, reading=STRICT)


def test_numbers_as_pandas_writes_small_ones_are_exact(tmp_path: Path, store: SqliteKlineStore) -> None:
    columns = "code,timestamp_s,open,high,low,close,volume\n"
    path = write(tmp_path, f"{columns}SHIBUSDT,{FRIDAY},1.04e-05,1.05E-05,1.03e-05,1.04e-05,1e+6\n")
    import_bars([path], "desk", store, CATALOGUE, now=NOW, reading=STRICT)
    (bar,) = everything(store, "SHIBUSDT")[KlineType.DAY]
    assert (bar.low, bar.high, bar.volume) == (Decimal("0.0000103"), Decimal("0.0000105"), Decimal(1_000_000))


def test_a_column_that_is_there_twice_is_named(tmp_path: Path, store: SqliteKlineStore) -> None:
    path = write(tmp_path, f"code,timestamp_s,open,high,low,close,low\nGOLD,{FRIDAY},2,3,1,2,1\n")
    with pytest.raises(InputError, match="line 1: the column low is there twice"):
        import_bars([path], "desk", store, CATALOGUE, now=NOW)


@pytest.mark.parametrize("text", ["", "a,b\n", "code,tick_time_ms,price,volume\n"])
def test_other_files_are_refused(tmp_path: Path, store: SqliteKlineStore, text: str) -> None:
    with pytest.raises(InputError, match="expected code,timestamp,open,high,low,close"):
        import_bars([write(tmp_path, text)], "desk", store, CATALOGUE, now=NOW)


def test_parquet_gives_what_csv_gives(tmp_path: Path, store: SqliteKlineStore) -> None:
    rows = [line.split(",") for line in minutes(30).splitlines()]
    columns = {name: [row[n] for row in rows[1:]] for n, name in enumerate(rows[0])}
    columns["timestamp_s"] = [int(text) for text in columns["timestamp_s"]]  # type: ignore[misc]
    columns["high"] = [float(text) for text in columns["high"]]  # type: ignore[misc]
    columns["low"] = [Decimal(text) for text in columns["low"]]  # type: ignore[misc]
    parquet.write_table(pyarrow.table(columns), tmp_path / "bars.parquet")
    import_bars([tmp_path / "bars.parquet"], "parquet", store, CATALOGUE, now=NOW)
    import_bars([write(tmp_path, minutes(30))], "csv", store, CATALOGUE, now=NOW)
    assert everything(store, source="parquet") == everything(store, source="csv")


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, store: SqliteKlineStore) -> None:
    with pytest.raises(InputError, match=r"Cannot read .*bars\.parquet"):
        import_bars([write(tmp_path, "nothing", "bars.parquet")], "desk", store, CATALOGUE, now=NOW)


def test_bad_parquet_values_are_skipped(tmp_path: Path, store: SqliteKlineStore) -> None:
    table = {"code": ["GOLD"] * 3, "timestamp_s": [FRIDAY, FRIDAY + 60, FRIDAY + 120]}
    table |= {name: [float("nan"), 1e300, 2.0] for name in ("open", "high", "low", "close")}
    parquet.write_table(pyarrow.table(table), tmp_path / "bars.parquet")
    report = import_bars([tmp_path / "bars.parquet"], "desk", store, CATALOGUE, now=NOW)
    assert (report.bars, report.bad_lines) == (1, 2)


async def test_a_server_answers_what_was_imported_and_makes_no_past(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(minutes(30).encode()))
    with opened(SqliteKlineStore, tmp_path / "tickwire.db") as store:
        import_bars([path], "simulator", store, CATALOGUE, now=NOW)
    async with serving(tmp_path, codes=["GOLD"]) as served:
        query = {
            "code": "GOLD",
            "kline_type": 1,
            "query_kline_num": 500,
            "kline_timestamp_end": FRIDAY + 3600,
        }
        reply = await served.get(f"{OTHER_HTTP}/kline", {"data": query})
        bars = reply.json()["data"]["kline_list"]
        assert [bar["timestamp"] for bar in bars] == [str(FRIDAY + 60 * n) for n in range(30)]
        assert bars[1]["open_price"] == "3.50"


@pytest.mark.parametrize("factor", [1, 1000, 10**6, 10**9])
def test_times_are_read_in_any_unit_and_order(tmp_path: Path, store: SqliteKlineStore, factor: int) -> None:
    lines = [f"GOLD,{(FRIDAY + 60 * n) * factor},1,2,1,2" for n in (3, 1, 2)]
    path = write(tmp_path, "\n".join(["code,time,open,high,low,close", *lines]))
    import_bars([path], "desk", store, CATALOGUE, now=NOW)
    found = everything(store)[KlineType.MINUTE]
    assert [bar.time for bar in found] == [FRIDAY + 60 * n for n in (1, 2, 3)]
    with pytest.raises(InputError, match="line 3: the bar opens before the one of GOLD above it"):
        import_bars([path], "desk", store, CATALOGUE, now=NOW, reading=STRICT)


@pytest.mark.parametrize("kline_type", KlineType)
def test_what_was_written_is_measured_and_read_back(
    tmp_path: Path, store: SqliteKlineStore, kline_type: KlineType
) -> None:
    for code in ("GOLD", "AAPL.US", "700.HK", "BTCUSDT"):
        grid = Grid(CATALOGUE[code])
        if kline_type not in grid.types:
            continue
        times = [grid.open_time(kline_type, FRIDAY)]
        while len(times) < 30:
            times.append(grid.open_time(kline_type, grid.end(kline_type, times[-1])))
        rows = "".join(f"{code},{at},2,3,1,2\n" for at in times)
        report = import_bars([write(tmp_path, HEADER + rows)], "desk", store, CATALOGUE, now=NOW)
        assert (report.types, report.bars) == ({code: kline_type}, 30)
        found = everything(store, code)
        assert [bar.time for bar in found[kline_type]] == times
        assert not any(bars for one, bars in found.items() if one < kline_type)


def test_more_lines_than_are_held_in_memory(
    tmp_path: Path, store: SqliteKlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH", 50)
    monkeypatch.setattr(importer, "MOST_WAITING", 70)
    monkeypatch.setattr(importer, "WINDOW", 86_400)
    lines = minutes(4000).splitlines(keepends=True)
    path = write(tmp_path, "".join([lines[0], *reversed(lines[1:])]))
    import_bars([path], "small", store, CATALOGUE, now=NOW)
    monkeypatch.undo()
    import_bars([write(tmp_path, minutes(4000))], "whole", store, CATALOGUE, now=NOW)
    assert everything(store, source="small") == everything(store, source="whole")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("code,time,open,high,low,close\nXAUUSD,1788255000,2,3,1,2", "XAUUSD is another name of GOLD"),
        ("code,time,open,high,low,close\nGOLD,178825500,2,3,1,2", "time is 178825500, which is not between"),
        ("code,timestamp_ms,open,high,low,close\nGOLD,1788255000,2,3,1,2", "it looks like seconds"),
        ("code,time,open,high,low,close\nGOLD,1979-01-02,2,3,1,2", "'1979-01-02', which is not between 1990"),
        ("time,open,high,low,close\n1788255000,2,3,1,2", "expected code,timestamp,open"),
        (
            "code,time,open,high,low,close\nGOLD,1788255000,2,3,1,2\nGOLD,1788255180,2,3,1,2",
            "lie 180 seconds apart at the least, which no type does",
        ),
        (
            "code,time,open,high,low,close\n"
            + "\n".join(f"GOLD,{1788256800 + step},2,3,1,2" for step in (0, 3600, 9000)),
            "the bars of GOLD are of type HOUR, but one opens at 2026-09-01T12:30:00Z",
        ),
    ],
)
def test_what_cannot_be_used_is_said(
    tmp_path: Path, store: SqliteKlineStore, lines: str, reason: str
) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        import_bars([write(tmp_path, lines)], "desk", store, CATALOGUE, now=NOW, reading=STRICT)


async def test_a_running_server_counts_on_from_what_was_imported(tmp_path: Path, script: Script) -> None:
    """Larger bars that form hold the minutes that were imported into them."""
    opened_at = NOW // 86_400_000 * 86_400
    now = opened_at + 10 * 3600
    text = "code,timestamp,open,high,low,close,volume\n" + "".join(
        f"BTCUSDT,{now - 60 * n},50,60,40,55,2\n" for n in (3, 2, 1)
    )
    async with serving(tmp_path, script) as served:

        async def day() -> dict[str, str]:
            query = {"code": "BTCUSDT", "kline_type": 8, "query_kline_num": 1, "kline_timestamp_end": 0}
            reply = await served.get(f"{OTHER_HTTP}/kline", {"data": query})
            bars: list[dict[str, str]] = reply.json()["data"]["kline_list"]
            return bars[0] if bars else {}

        script.emit(trade("BTCUSDT", "100", volume="1", at=now * 1000))
        while (await day()).get("volume") != "1.00000":
            pass
        with opened(SqliteKlineStore, tmp_path / "tickwire.db") as store:
            import_bars([write(tmp_path, text)], "script", store, CATALOGUE, now=now * 1000)
        while (bar := await day())["volume"] != "7.00000":
            pass
        assert (bar["open_price"], bar["high_price"], bar["low_price"]) == ("50.00", "100.00", "40.00")
        script.emit(trade("BTCUSDT", "101", volume="1", at=now * 1000 + 1))
        while (bar := await day())["volume"] != "8.00000":
            pass
        assert (bar["open_price"], bar["close_price"]) == ("50.00", "101.00")
