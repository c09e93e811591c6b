"""Numbers of a server that cannot be, and those that can."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickwire.model import Trade
from tickwire.wire import Pushed, number
from tickwire.wire.upstream import read

from .test_upstream import BOOK, KLINE, TRADE, bad, changed, text


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


def test_what_is_remembered_of_numbers_is_bounded() -> None:
    for one in range(2 * number.MOST_KNOWN):
        number.learn(f"{one}.25")
    assert len(number._known) <= number.MOST_KNOWN
    assert number.known("0.25") in (None, Decimal("0.25"))
