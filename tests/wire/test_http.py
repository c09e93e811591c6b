"""Requests and answers over HTTP, without HTTP (section 3)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tickwire.model import Book, Level, Trade
from tickwire.store import load_catalogue
from tickwire.wire import CODE_INVALID, Refused, Report, Ret, Want, to_json
from tickwire.wire.http import book_entries, failure, read_query, static_entry, success, trade_entries
from tickwire.wire.messages import StaticInfoList, TickList
from tickwire.wire.reader import Reader, Request
from tickwire.wire.ret import (
    DATA_INVALID,
    HEADER_INVALID,
    METHOD_INVALID,
    QUERY_INVALID,
    TOKEN_INVALID,
    TOKEN_REQUIRED,
)

CATALOGUE = load_catalogue()
LENIENT, STRICT = Reader(), Reader(strict=True)
BOTH = pytest.mark.parametrize("reader", [LENIENT, STRICT], ids=["lenient", "strict"])
ASKED = {"symbol_list": [{"code": "700.HK"}]}


def want(code: str) -> Want:
    return Want(code, CATALOGUE[code], CATALOGUE[code].levels)


# Queries.
@BOTH
def test_a_documented_query_is_read(reader: Reader) -> None:
    text = json.dumps({"trace": "it's", "data": ASKED})
    assert read_query(text, reader, Report()) == Request(trace="it's", data=ASKED)


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "hello",
        "{",
        "{'",
        "'",
        '{"trace":',
        "%7B%7D",
        "[" * 100_000,
        "'" + "[" * 100_000,
        "NaN",
    ],
    ids=lambda text: repr(text)[:14],
)
def test_a_query_that_is_missing_or_no_json_is_invalid(reader: Reader, text: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read_query(text, reader, Report())
    assert refused.value.ret == QUERY_INVALID


@BOTH
@pytest.mark.parametrize("text", ["[]", "5", '"x"', "null", "true"])
def test_a_query_that_is_json_but_no_object_has_a_bad_header(reader: Reader, text: str) -> None:
    assert read_query(text, reader, Report()) == Request(refusal=HEADER_INVALID)


def test_single_quotes_are_read_unless_strict() -> None:
    text = str({"trace": "t", "data": ASKED})
    assert "'" in text
    assert read_query(text, LENIENT, Report()) == Request(trace="t", data=ASKED)
    with pytest.raises(Refused) as refused:
        read_query(text, STRICT, Report())
    assert refused.value.ret == QUERY_INVALID


def test_a_bad_header_in_a_query_keeps_what_could_be_read() -> None:
    found = read_query('{"trace":5,"data":{"symbol_list":[]}}', LENIENT, Report())
    assert found == Request(trace="", data={"symbol_list": []}, refusal=HEADER_INVALID)


# Bodies.
def test_a_success_has_its_four_keys_in_order() -> None:
    body = success(TickList([]), "跟踪")
    assert body.decode() == '{"ret":200,"msg":"ok","trace":"跟踪","data":{"tick_list":[]}}'


@pytest.mark.parametrize(
    ("ret", "code", "status", "msg"),
    [
        (HEADER_INVALID, 400, 400, "request header param invalid"),
        (DATA_INVALID, 400, 400, "request data param invalid"),
        (TOKEN_REQUIRED, 401, 401, "token is required"),
        (TOKEN_INVALID, 401, 401, "token invalid"),
        (QUERY_INVALID, 402, 402, "query invalid"),
        (METHOD_INVALID, 402, 405, "query invalid"),
        (CODE_INVALID, 600, 200, "code invalid"),
    ],
)
def test_a_failure_says_what_the_error_table_says_and_has_no_data(
    ret: Ret, code: int, status: int, msg: str
) -> None:
    assert ret.status == status
    assert json.loads(failure(ret, "t")) == {"ret": code, "msg": msg, "trace": "t"}


def test_an_unknown_trace_is_an_empty_string_in_the_vendor_s_key_order() -> None:
    assert failure(TOKEN_REQUIRED) == b'{"msg":"token is required","trace":"","ret":401}'
    assert failure(TOKEN_INVALID) == b'{"msg":"token invalid","trace":"","ret":401}'


def test_ticks_have_string_identifiers_and_an_integer_direction() -> None:
    trade = Trade("700.HK", 1788509282465, Decimal("442.8"), Decimal(3877600))
    book = Book("700.HK", 1788509282465, (Level(Decimal("442.8"), Decimal(100)),), ())
    ticks: list[dict[str, Any]] = json.loads(to_json(trade_entries([(want("700.HK"), trade, 5)])))
    books: list[dict[str, Any]] = json.loads(to_json(book_entries([(want("700.HK"), book, 6)])))
    assert [(tick["seq"], tick["tick_time"]) for tick in ticks + books] == [
        ("5", "1788509282465"),
        ("6", "1788509282465"),
    ]
    assert ticks[0]["trade_direction"] == 0
    assert books[0]["asks"] == [{"price": "0.000000", "volume": "0"}] * 10


def test_entries_go_under_the_name_that_was_asked_for() -> None:
    trade = Trade("GOLD", 1, Decimal(1), Decimal(1))
    book = Book("GOLD", 1, (), ())
    alias = Want("XAUUSD", CATALOGUE["GOLD"], 1)
    assert trade_entries([(alias, trade, 1)])[0].code == "XAUUSD"
    assert book_entries([(alias, book, 1)])[0].code == "XAUUSD"


# Static facts.
KEYS = (
    "symbol name_cn name_en name_hk exchange board currency lot_size total_shares circulating_shares "
    "hk_shares eps eps_ttm bps dividend_yield"
).split()


@pytest.mark.parametrize("code", ["700.HK", "AAPL.US", "600519.SH", "000001.SH"])
def test_static_facts_are_fifteen_strings(code: str) -> None:
    entry = json.loads(to_json(static_entry(CATALOGUE[code])))
    assert [*entry] == KEYS
    assert len(KEYS) == 15
    assert {type(value) for value in entry.values()} == {str}
    assert entry["symbol"] == code


def test_static_facts_are_those_of_the_catalogue() -> None:
    entry = static_entry(CATALOGUE["700.HK"])
    assert (entry.name_cn, entry.currency, entry.exchange, entry.lot_size) == (
        "腾讯控股",
        "HKD",
        "SEHK",
        "100",
    )
    body = json.loads(success(StaticInfoList([entry]), ""))
    assert body["data"]["static_info_list"][0]["symbol"] == "700.HK"
