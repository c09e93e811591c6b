"""Reading recordings: what is good, what is skipped, what stops."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import InputError
from tickwire.sources import Recording
from tickwire.sources.recording import LOGGED_LINES, QuoteLine, TradeLine
from tickwire.store import load_catalogue

TRADES = "code,tick_time_ms,price,volume\n"
QUOTES = "code,tick_time_ms,bid,bid_volume,ask,ask_volume\n"
KNOWN = load_catalogue()


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(*paths: Path, only: set[str] | None = None) -> list[TradeLine | QuoteLine]:
    return list(Recording(paths, KNOWN, only=only).lines())


def test_trades_and_quotes_are_told_by_their_columns(tmp_path: Path) -> None:
    trades = write(tmp_path, "t.csv", TRADES + "IBM.US,1000000001000,181.52,283\n")
    quotes = write(tmp_path, "q.csv", QUOTES + "GOLD,1000000002000,1284.065,,1284.405,\n")
    assert lines(trades, quotes) == [
        TradeLine("IBM.US", 1000000001000, "181.52", "283"),
        QuoteLine("GOLD", 1000000002000, "1284.065", "", "1284.405", ""),
    ]


def test_columns_in_any_order_and_others_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "venue,volume,price,tick_time_ms,code\nX,5,1.5,1000000000009,GOLD\n")
    assert lines(path) == [TradeLine("GOLD", 1000000000009, "1.5", "5")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timestamp_s", "1788529064"),
        ("timestamp_us", "1788529064000000"),
        ("timestamp_ns", "1788529064000000000"),
        ("Date_Time", "2026-09-04 13:37:44"),
        ("Unix", "1788529064"),
    ],
)
def test_times_have_the_names_that_bars_have(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path, "t.csv", f"code,{name},price,volume\nGOLD,{text},1.5,5\n")
    (line,) = lines(path)
    assert line.tick_time_ms == 1788529064000


def test_gzip_is_told_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", gzip.compress((TRADES + "GOLD,1000000000009,1.5,5\n").encode()))
    assert lines(path) == [TradeLine("GOLD", 1000000000009, "1.5", "5")]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TRADES + "GOLD,1000000000009,1.5,5\n",
        (TRADES + "GOLD,1000000000009,1.5,5").replace("\n", "\r\n"),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, text: str) -> None:
    assert lines(write(tmp_path, "t.csv", text)) == [TradeLine("GOLD", 1000000000009, "1.5", "5")]


def test_files_are_merged_by_time_and_ties_go_by_the_order_of_the_files(tmp_path: Path) -> None:
    one = write(
        tmp_path, "1.csv", TRADES + "GOLD,1000000000001,1,1\nGOLD,1000000000005,2,1\nGOLD,1000000000009,3,1\n"
    )
    two = write(tmp_path, "2.csv", TRADES + "EURUSD,1000000000002,4,1\nEURUSD,1000000000005,5,1\n")
    assert [line[2] for line in lines(one, two)] == ["1", "4", "2", "5", "3"]


BAD = [
    "GOLD,1000000000009,1.5",
    "GOLD,1000000000009,1.5,5,6",
    "GOLD,nine,1.5,5",
    "GOLD,1000000000009,-1.5,5",
    "GOLD,1000000000009,1.5,-5",
    "GOLD,9,NaN,5",
    "GOLD,9,Infinity,5",
    "GOLD,1000000000009,1e15,5",
    "GOLD,1000000000009,1e-13,5",
    "GOLD,1000000000009,0,5",
    "GOLD,1000000000009,0.000,0",
    "GOLD,600000000000,1.5,5",
    "GOLD,1000000000,1.5,5",
    "GOLD,4102444800000,1.5,5",
    "GOLD,1000000000009,1,500,5",
    "GOLD,9,,5",
    "GOLD,99999999999999999999,1.5,5",
    f"GOLD,1000000000009,{'9' * 30},5",
    f"GOLD,1000000000009,1.{'9' * 30},5",
    ",1000000000009,1.5,5",
    "G\x00LD,1000000000009,1.5,5",
    "黄金,1000000000009,1.5,5",
    "NO.SUCH,1000000000009,1.5,5",
    f"GOLD,1000000000009,1.5,5{' ' * 5000}",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_named_counted_and_skipped(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path, "t.csv", f"{TRADES}GOLD,1000000000001,1,1\n{bad}\nGOLD,1000000000003,3,1\n")
    with capture_logs() as logged:
        scan = Recording([path], KNOWN).scan()
    assert (scan.lines, scan.bad_lines) == (2, 1)
    assert [(entry["file"], entry["line"]) for entry in logged] == [(str(path), 3)]
    assert [line.tick_time_ms for line in lines(path)] == [1000000000001, 1000000000003]


@pytest.mark.parametrize("bad", BAD)
def test_strict_input_stops_at_a_bad_line(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path, "t.csv", f"{TRADES}GOLD,1000000000001,1,1\n{bad}\n")
    with pytest.raises(InputError, match=r"t\.csv, line 3: .*--strict-input"):
        Recording([path], KNOWN).scan(strict=True)


def test_bytes_that_are_no_text_are_one_bad_line(tmp_path: Path) -> None:
    path = write(
        tmp_path, "t.csv", TRADES.encode() + b"\xff\xfe\x00GOLD,1000000000001,1,1\nGOLD,1000000000002,2,2\n"
    )
    assert [line.tick_time_ms for line in lines(path)] == [1000000000002]


def test_many_bad_lines_do_not_flood_the_log(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", TRADES + "bad\n" * 500 + "GOLD,1000000000003,3,1\n")
    with capture_logs() as logged:
        scan = Recording([path], KNOWN).scan()
    assert scan.bad_lines == 500
    assert len(logged) == LOGGED_LINES + 1
    assert logged[-1]["lines"] == 500


def test_empty_lines_are_no_news(tmp_path: Path) -> None:
    scan = Recording([write(tmp_path, "t.csv", TRADES + "\nGOLD,1000000000003,3,1\n\n")], KNOWN).scan(
        strict=True
    )
    assert (scan.lines, scan.bad_lines) == (1, 0)


@pytest.mark.parametrize(
    "header", ["", "a,b,c\n", "code,tick_time_ms,price\n", "\x00\x01\n", "GOLD,1000000000001,1,1\n"]
)
def test_a_file_without_the_columns_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(InputError, match=r"t\.csv, line 1: .*expected code,tick_time_ms,price,volume"):
        Recording([write(tmp_path, "t.csv", header)], KNOWN).scan()


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="Cannot read"):
            Recording([path], KNOWN).scan()


@pytest.mark.parametrize("spoil", [lambda data: data[:-20], lambda data: data[:40] + b"\0" * 20 + data[60:]])
def test_a_broken_gzip_file_is_refused(tmp_path: Path, spoil: object) -> None:
    whole = gzip.compress(
        (TRADES + "".join(f"GOLD,{1000000000000 + n},{n + 1}.5,1\n" for n in range(500))).encode()
    )
    assert callable(spoil)
    with pytest.raises(InputError, match=r"Cannot read .*t\.csv\.gz after line"):
        Recording([write(tmp_path, "t.csv.gz", spoil(whole))], KNOWN).scan()


def test_a_scan_finds_decimals_times_and_what_is_traded(tmp_path: Path) -> None:
    trades = write(
        tmp_path, "t.csv", TRADES + "IBM.US,1000000005000,13.940,100\nIBM.US,1000000006000,13.9401,1.5\n"
    )
    quotes = write(
        tmp_path, "q.csv", QUOTES + "GOLD,1000000003000,1.25,,1.255,0.125\nIBM.US,1000000007000,1,1,2,2\n"
    )
    scan = Recording([trades, quotes], KNOWN).scan()
    assert scan.decimals == {"IBM.US": (4, 1), "GOLD": (3, 3)}
    assert scan.traded == {"IBM.US"}
    assert (scan.first_time, scan.lines) == (1000000003000, 4)


def test_codes_that_are_not_asked_for_are_passed_over(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "t.csv",
        TRADES + "GOLD,1000000000001,1,1\nIBM.US,1000000000002,2,2\nNO.SUCH,1000000000003,3,3\n",
    )
    assert [line.code for line in lines(path, only={"IBM.US"})] == ["IBM.US"]
    assert Recording([path], KNOWN, only={"IBM.US"}).scan(strict=True).bad_lines == 0
