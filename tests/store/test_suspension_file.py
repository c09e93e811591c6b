"""Files of suspensions: what is read from them, and how a mistake is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire.errors import InputError
from tickwire.model import Suspension, SuspensionList
from tickwire.store import read_suspensions, suspension_of
from tickwire.wire.suspension import suspension_page

NYSE, NASDAQ = SuspensionList.NYSE, SuspensionList.NASDAQ
CLGN = Suspension(
    exchange=NYSE,
    symbol="CLGN",
    symbol_name="CollPlant, Ltd",
    halt_reason=("News Pending", "T1"),
    halt_date="2026-09-03",
    halt_time="19:50:00",
    publish_date="2026-09-03 19:50:00",
)
HEADER = "symbol,symbolName,haltReason,haltDate,haltTime,publishDate\n"
ROW = 'CLGN,"CollPlant, Ltd",News Pending; T1,2026-09-03,19:50:00,2026-09-03 19:50:00\n'
LEAST = {"symbol": "X", "publishDate": "2026-09-03"}


def read(folder: Path, text: str | bytes, exchange: str | None = None) -> list[Suspension | str]:
    """What is read; of what is wrong the text, its place before it."""
    path = folder / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_suspensions(path, exchange)
    return [
        f"{where.removeprefix(str(path))}: {one}" if isinstance(one, str) else one for where, one in found
    ]


def refused(folder: Path, text: str | bytes, *words: str, exchange: str | None = "nyse") -> None:
    with pytest.raises(InputError) as told:
        read(folder, text, exchange)
    for word in (str(folder / "file"), *words):
        assert word in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROW,
        "\ufeff" + HEADER + ROW,
        (HEADER + ROW).replace("\n", "\r\n"),
        HEADER.replace(",", " , ") + "\n" + ROW.replace("CLGN", " CLGN "),
    ],
)
def test_csv(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text, "nyse") == [CLGN]


def test_an_empty_cell_says_nothing(tmp_path: Path) -> None:
    least = Suspension(exchange=NYSE, symbol="X", publish_date="2026-09-03")
    assert read(tmp_path, HEADER + "X,,,,,2026-09-03\n", "nyse") == [least]


def test_each_line_may_name_its_exchange(tmp_path: Path) -> None:
    text = "publishDate,exchange,symbol\n2026-09-03,NASDAQ,A\n2026-09-03,sse,600000\n2026-09-03,,B\n"
    found = read(tmp_path, text)
    assert [one.exchange for one in found[:2] if isinstance(one, Suspension)] == ["nasdaq", "sse"]
    assert found[2] == ", line 4: exchange is '', expected one of sse, nyse, nasdaq."
    assert read(tmp_path, text, "nasdaq")[1:2] == [
        ", line 3: exchange is 'sse', but the file is said to be of 'nasdaq'."
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CLGN,,,2026-13-01,,2026-09-03", ["haltDate is '2026-13-01'", "YYYY-MM-DD"]),
        ("CLGN,,,,9:50,2026-09-03", ["haltTime is '9:50'", "HH:MM:SS"]),
        ("CLGN,,,,,", ["publishDate is ''"]),
        (",,,,,2026-09-03", ["symbol"]),
        ("CLGN.US,,,,,2026-09-03", ["symbol is 'CLGN.US'", "'CLGN'"]),
        ("CLGN,,,,2026-09-03", ["5 fields", "6"]),
        ('"CLGN"x,,,,,2026-09-03', ["expected after"]),
        ("CLGN,\0,,,,2026-09-03", ["symbolName is '\\x00'", "control"]),
        (f"CLGN,{'x' * 200_000},,,,2026-09-03", ["field larger than"]),
    ],
)
def test_a_bad_line_is_told_of_and_the_others_are_read(tmp_path: Path, line: str, words: list[str]) -> None:
    found = read(tmp_path, f"{HEADER}{line}\n{ROW}", "nyse")
    assert found[1:] == [CLGN]
    assert isinstance(found[0], str)
    for word in [", line 2: ", *words]:
        assert word in found[0]


def test_a_quote_without_an_end(tmp_path: Path) -> None:
    found = read(tmp_path, f'{HEADER}{ROW}X,"no end,\nY,,,,,2026-09-03\n', "nyse")
    assert found == [CLGN, ", line 3: unexpected end of data."]


def test_a_cell_of_two_lines_is_told_of_where_it_begins(tmp_path: Path) -> None:
    found = read(tmp_path, f'{HEADER}X,"two\nlines",,,,2026-09-03\nY,,,,,\n{ROW}', "nyse")
    assert [str(one)[:30] for one in found[:2]] == [
        ", line 2: symbolName is 'two\\n",
        ", line 4: publishDate is '', e",
    ]
    assert found[2:] == [CLGN]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("symbol,publishDate,haltreason", ["line 1", "'haltreason'", "haltReason"]),
        ("symbol;publishDate", ["line 1", "unknown column"]),
        ("symbol,publishDate,symbol", ["symbol is there twice"]),
        ("symbol,symbolName", ["publishDate is missing"]),
        ("publishDate", ["symbol is missing"]),
        ('"symbol"x,publishDate', ["line 1", "expected after"]),
        ("", ["no suspensions"]),
        ("\n\n", ["no suspensions"]),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, header: str, words: list[str]) -> None:
    refused(tmp_path, f"{header}\nX,2026-09-03\n" if header.strip() else header, *words)


def test_a_table_of_no_exchange(tmp_path: Path) -> None:
    refused(tmp_path, HEADER + ROW, "--exchange", exchange=None)


@pytest.mark.parametrize("exchange", SuspensionList)
@pytest.mark.parametrize("paged", [False, True])
def test_an_answer_of_ours(tmp_path: Path, exchange: SuspensionList, paged: bool) -> None:
    known = {"sse": {"halt_period": "全天"}, "nyse": {}, "nasdaq": {"pause_threshold_price": "145.50"}}
    one = msgspec.structs.replace(CLGN, exchange=exchange, **known[exchange])
    other = Suspension(exchange=exchange, symbol="X", publish_date="2025-01-01", resume_date="-")
    body = suspension_page("2026-09-04T10:30:00", 2, [one, other], *((1, 20) if paged else ()))
    assert read(tmp_path, body, exchange) == [one, other]


def test_a_list_that_names_its_exchanges(tmp_path: Path) -> None:
    both = [CLGN, msgspec.structs.replace(CLGN, exchange=NASDAQ, halt_reason=("a; b", "c"))]
    assert read(tmp_path, msgspec.json.encode(both)) == both


def test_bad_entries_are_told_of_and_the_others_are_read(tmp_path: Path) -> None:
    entries: list[Any] = [
        LEAST | {"haltTime": "noon"},
        LEAST | {"symbol": 600000},
        LEAST | {"symbol": None},
        LEAST | {"haltReason": [1]},
        {"symbol": "X"},
        "X",
        LEAST | {"exchange": "tse"},
        LEAST | {"unknown": {}},
    ]
    found = read(tmp_path, json.dumps({"data": entries}), "nyse")
    for number, (one, word) in enumerate(
        zip(
            found,
            ["haltTime is 'noon'", "$.symbol", "$.symbol", "$.haltReason", "publishDate", "object", "'tse'"],
            strict=False,
        ),
        1,
    ):
        assert isinstance(one, str)
        assert one.startswith(f", entry {number}: ")
        assert word in one
    assert found[7:] == [Suspension(exchange=NYSE, symbol="X", publish_date="2026-09-03")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["not JSON"]),
        ("[1,]", ["not JSON"]),
        ("[" * 100_000, ["not JSON"]),
        ('{"success": false, "error": "Too many requests"}', ["no suspensions", '"data"']),
        ('{"ret":401,"msg":"token invalid"}', ["no suspensions"]),
        ('{"data": {}}', ["no suspensions"]),
        (b"\xff\xfe", ["not UTF-8", "byte 0"]),
    ],
)
def test_a_file_that_is_no_answer(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    refused(tmp_path, text, *words)


def test_an_answer_of_no_exchange(tmp_path: Path) -> None:
    refused(tmp_path, json.dumps([LEAST]), "--exchange", exchange=None)
    assert read(tmp_path, "[]") == []


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(read_suspensions(tmp_path / "missing.csv", "nyse"))
    with pytest.raises(InputError, match=r"directory|Permission"):
        list(read_suspensions(tmp_path, "nyse"))


@pytest.mark.parametrize(
    ("fields", "halt"),
    [
        ({"haltDateTime": "2026-09-03 19:50:00"}, ("2026-09-03", "19:50:00")),
        ({"haltDateTime": "2026-09-03"}, ("2026-09-03", None)),
        ({"haltDateTime": "2026-09-03 19:50:00", "haltDate": "-"}, ("2026-09-03", "19:50:00")),
        ({"haltDateTime": "2026-09-03 19:50:00", "haltDate": "2026-09-01"}, ("2026-09-01", None)),
        ({"haltDateTime": "-", "haltDate": "-"}, ("-", None)),
        ({"haltDateTime": None}, (None, None)),
    ],
)
def test_date_and_time_in_one(fields: dict[str, Any], halt: tuple[str | None, str | None]) -> None:
    one = suspension_of(LEAST | fields, "nyse")
    assert (one.halt_date, one.halt_time) == halt
    renamed = {name.replace("halt", "resume"): value for name, value in fields.items()}
    one = suspension_of(LEAST | renamed, "nyse")
    assert (one.resume_date, one.resume_time) == halt


@pytest.mark.parametrize(
    ("exchange", "published"),
    [("sse", "2026-09-04 02:30:01"), ("nyse", "2026-09-03 14:30:01"), ("nasdaq", "2026-09-03 14:30:01")],
)
def test_it_is_published_now_in_the_time_of_the_exchange(exchange: str, published: str) -> None:
    now = datetime(2026, 9, 3, 18, 30, 1, tzinfo=UTC)
    assert suspension_of({"symbol": "X"}, exchange, now=now).publish_date == published
    assert suspension_of(LEAST, exchange, now=now).publish_date == "2026-09-03"
    with pytest.raises(InputError, match="publishDate"):
        suspension_of({"symbol": "X"}, exchange)
