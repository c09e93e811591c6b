"""What a server sends that cannot be, or is too much of it."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from tickwire.model import Trade
from tickwire.wire import Bad, Pushed, number, read

from .test_upstream import BOOK, KLINE, LEFT_OUT, TRADE, bad, changed, text


@pytest.mark.parametrize(
    "number",
    [
        "-1",
        "-0.00",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1E+21",
        "1E-19",
        "0E-9999999",
        "1E+9999999",
        "1_000",
        " 1",
        "",
        "abc",
        "0x10",
        "1" * 41,
        "1." + "1" * 38,
        True,
        [1],
        {"a": 1},
        -5,
        -0.5,
        None,
    ],
)
@pytest.mark.parametrize("name", ["price", "volume"])
def test_a_number_that_cannot_be_is_bad(name: str, number: object) -> None:
    assert bad(text(changed(TRADE, **{name: number})))
    assert bad(text(changed(BOOK, bids=[{"price": "1", "volume": "1"} | {name: number}])))


@pytest.mark.parametrize("turnover", ["-1", "NaN", "1E+21"])
def test_a_turnover_that_cannot_be_is_bad(turnover: str) -> None:
    assert bad(text(changed(TRADE, turnover=turnover)))


@pytest.mark.parametrize("number", ["1E-18", "99999999999999999999", "9.5e-7", "0.000000000001"])
def test_a_number_may_be_small_or_large(number: str) -> None:
    (found,) = read(text(changed(TRADE, price=number)))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)
    assert found.event.price == Decimal(number)


@pytest.mark.parametrize(
    "when",
    [0, -1, 631_151_999_999, 4_102_444_800_000, 1788530573, 2**80, "", "soon", "1788530573", None, 1.5],
)
def test_a_time_that_cannot_be_is_bad(when: object) -> None:
    assert bad(text(changed(TRADE, tick_time=when)))
    assert bad(text(changed(BOOK, tick_time=when)))


@pytest.mark.parametrize("when", ["0", "-1", "631151999", "4102444800", "1795364820000", "soon"])
def test_the_time_of_a_bar_that_cannot_be_is_bad(when: str) -> None:
    assert bad(text(changed(KLINE, timestamp=when)))


@pytest.mark.parametrize("seq", [-1, 2**63, 2**90, "x", "1" * 30, 1.5, [1], True])
def test_a_seq_that_cannot_be_is_bad(seq: object) -> None:
    assert bad(text(changed(TRADE, seq=seq)))


@pytest.mark.parametrize(
    "fields", [{"kline_type": 0}, {"kline_type": 11}, {"state": "open"}, {"state": None}]
)
def test_a_bar_of_no_kind_is_bad(fields: dict[str, object]) -> None:
    assert bad(text(changed(KLINE, **fields)))


@pytest.mark.parametrize("code", ["", "x" * 65, None, True, ["GOLD"]])
def test_a_code_that_cannot_be_is_bad(code: object) -> None:
    assert bad(text(changed(TRADE, code=code)))


def test_a_book_has_a_bound_and_both_sides() -> None:
    level = {"price": "1", "volume": "1"}
    (found,) = read(text(changed(BOOK, bids=[level] * 1000)))
    assert isinstance(found, Pushed)
    assert bad(text(changed(BOOK, bids=[level] * 1001)))
    assert bad(text(changed(BOOK, bids=LEFT_OUT)))
    assert bad(text(changed(BOOK, bids=[["1", "1"]])))


@pytest.mark.parametrize(
    "frame",
    [
        b"x" * 10_000_000,
        b"{}\n" * 3_000_000,
        b"\n" * 10_000_000,
        b'{"cmd_id":22998,"data":{"price":"' + b"9" * 10_000_000 + b'"}}',
        b'{"cmd_id":22998,"data":{"price":' + b"9" * 10_000_000 + b"}}",
        b'{"cmd_id":22998,"data":{"price":"' + b"\\u0031" * 1_500_000 + b'"}}',
    ],
    ids=["text", "lines", "empty lines", "string", "number", "escapes"],
)
def test_ten_megabytes_are_read_in_proportion(frame: bytes) -> None:
    began = time.process_time()
    assert bad(frame)
    assert time.process_time() - began < 2


def test_of_too_many_lines_the_first_are_read() -> None:
    found = read(text(*[TRADE] * 12_000))
    assert len(found) == 10_001
    assert isinstance(found[-1], Bad)


def test_what_is_remembered_of_numbers_is_bounded() -> None:
    for one in range(2 * number.MOST_KNOWN):
        number.learn(f"{one}.25")
    assert len(number._known) <= number.MOST_KNOWN
    assert number.known("0.25") in (None, Decimal("0.25"))
