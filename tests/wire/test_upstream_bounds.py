"""What a server sends that cannot be, or is too much of it."""

from __future__ import annotations

import time

import pytest

from tickwire.wire import Bad, Pushed
from tickwire.wire.upstream import read

from .test_upstream import BOOK, KLINE, LEFT_OUT, TRADE, bad, changed, text


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
