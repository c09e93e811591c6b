"""Tables in the text files that people have."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tickwire.errors import InputError
from tickwire.files import CODE, NUMBER, TIME, Dress, read_table

SHAPES = {
    "trade": {"code": CODE, "timestamp": TIME, "price": NUMBER, "volume": f"(?:{NUMBER})?"},
    "price": {"code": CODE, "price": NUMBER},
}
TEXT = "code,timestamp,price,volume\nGOLD,1,2.50,3\nBTCUSDT,2,1e3,\n"
ROWS = [(2, ("trade", ["GOLD", "1", "2.50", "3"])), (3, ("trade", ["BTCUSDT", "2", "1000", ""]))]


def read(folder: Path, data: bytes | str, dress: Dress = Dress()) -> list[object]:  # noqa: B008
    path = folder / "table"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [*read_table(path, SHAPES, dress)]


def zipped(data: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names or ("table.csv",):
            file.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zipped])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_whatever_it_is_packed_and_encoded_with(
    tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes], end: str
) -> None:
    assert read(tmp_path, pack(TEXT.replace("\n", end).encode(encoding))) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_whatever_separates_the_fields(tmp_path: Path, delimiter: str) -> None:
    assert read(tmp_path, TEXT.replace(",", delimiter)) == ROWS
    quoted = "\n".join(
        delimiter.join(f'"{field}"' for field in line.split(",")) for line in TEXT.splitlines()
    )
    assert read(tmp_path, quoted) == ROWS
    said = read(tmp_path, f"sep={delimiter}\n" + TEXT.replace(",", delimiter))  # by Excel
    assert said == [(number + 1, row) for number, row in ROWS]


@pytest.mark.parametrize(
    "header",
    ["Symbol,Time,Last,Qty", "TICKER,<DATE>,last_price,Size", "CODE,Open Time,Trade-Price,Amount"],
)
def test_names_that_others_give(tmp_path: Path, header: str) -> None:
    assert read(tmp_path, TEXT.replace("code,timestamp,price,volume", header)) == ROWS


def test_a_column_of_ours_stands_for_no_other(tmp_path: Path) -> None:
    path = tmp_path / "symbols"
    path.write_text("name,symbol\nGOLD,XAU\n")
    with pytest.raises(InputError, match="the columns are 'name,symbol', expected code,symbol"):
        [*read_table(path, {0: {"code": CODE, "symbol": CODE}})]


def test_a_date_and_a_time_of_day_are_one_time(tmp_path: Path) -> None:
    text = "code,<DATE>,<TIME>,price,volume\nGOLD,2024.01.02,09:30,1,2\n"
    assert read(tmp_path, text) == [(2, ("trade", ["GOLD", "2024.01.02 09:30", "1", "2"]))]


def test_columns_that_are_named_and_values_of_those_that_lack(tmp_path: Path) -> None:
    dress = Dress({"price": "Adj Close"}, values={"code": "GOLD"})
    assert read(tmp_path, "close,adj close\n1,2\n", dress) == [(2, ("price", ["GOLD", "2"]))]
    with pytest.raises(InputError, match="line 1: there is no column 'Adj Close'"):
        read(tmp_path, "close\n1\n", dress)


@pytest.mark.parametrize("unknown", ["", "nan", "NaN", "null", "N/A", "-"])
def test_what_is_not_known_may_be_empty(tmp_path: Path, unknown: str) -> None:
    text = f"code,timestamp,price,volume\nGOLD,1,2,{unknown}\n"
    assert read(tmp_path, text) == [(2, ("trade", ["GOLD", "1", "2", ""]))]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GOLD,1,x,3", "price is 'x', expected a number from 0 to below 10^15 with at most 12 decimals"),
        ("GOLD,1,-2,3", "price is '-2', expected a number"),
        (
            'GOLD,1,"1.234,5",3',
            "price is '1.234,5', expected a number from 0 to below 10^15 with at most 12 decimals (a",
        ),
        ("GOLD,1,0.1234567890123,3", "price is '0.1234567890123', expected a number"),
        ("GOLD,1,2", "3 fields in place of 4"),
        ("GÖLD,1,2,3", "code is 'G\\xd6LD', expected visible ASCII"),
        ("GOLD,so$n,2,3", "timestamp is 'so$n', expected a time"),
        ("G" * 5000, "longer than 4096 characters"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    (bad, good) = read(tmp_path, f"code,timestamp,price,volume\n{line}\nGOLD,1,2,3\n")
    assert good == (3, ("trade", ["GOLD", "1", "2", "3"]))
    assert isinstance(bad, tuple)
    assert bad[0] == 2
    assert str(bad[1]).startswith(reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the columns are ''"),
        (b"a,b\n1,2\n", "line 1: the columns are 'a,b', expected code,timestamp,price,volume or code,price"),
        (b"code,price,price\n", "line 1: the column price is there twice"),
        (gzip.compress(TEXT.encode())[:-9], "Cannot read"),
        (zipped(TEXT.encode())[:-30], "Cannot read"),
        (zipped(TEXT.encode(), "a.csv", "b.csv"), "holds 2 files"),
        (zipped(b"x", "[Content_Types].xml", "xl/workbook.xml"), "is a workbook of a spreadsheet: save its"),
        (zipped(b"x", "mimetype", "content.xml"), "is a workbook of a spreadsheet"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500), "is a workbook of a spreadsheet"),
        (b"Price,Close,Close\nTicker,A,B\nDate,,\n", "holds 2 tickers side by side"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, data)
