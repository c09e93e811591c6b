"""Numbers of a server that cannot be, and those that can."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickwire.model import EXACT, Trade
from tickwire.wire import Pushed, number
from tickwire.wire.upstream import read

from .test_upstream import BOOK, KLINE, TRADE, bad, changed, text


@pytest.mark.parametrize(
    "number",
    [
        "--1",
        "-",
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
        None,
    ],
)
@pytest.mark.parametrize("name", ["price", "volume"])
def test_a_number_that_cannot_be_is_bad(name: str, number: object) -> None:
    assert bad(text(changed(TRADE, **{name: number})))
    assert bad(text(changed(BOOK, bids=[{"price": "1", "volume": "1"} | {name: number}])))


@pytest.mark.parametrize("volume", ["-1", "-0.00", -5, -0.5])
def test_a_volume_below_zero_is_bad(volume: object) -> None:
    assert bad(text(changed(TRADE, volume=volume)))
    assert bad(text(changed(BOOK, bids=[{"price": "1", "volume": volume}])))


@pytest.mark.parametrize(
    ("price", "read_as"),
    [("-37.63", "-37.63"), ("-0.00", "0"), (-5, "-5"), (-0.5, "-0.5"), ("-1E-18", "-1E-18")],
)
def test_a_price_below_zero_is_read(price: object, read_as: str) -> None:
    (found,) = read(text(changed(TRADE, price=price, turnover=price)))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)
    assert (str(found.event.price), str(found.event.turnover)) == (read_as, read_as)


@pytest.mark.parametrize("turnover", ["--1", "NaN", "-NaN", "1E+41", "-1E+41", "1" * 61])
def test_a_turnover_that_cannot_be_is_bad(turnover: str) -> None:
    assert bad(text(changed(TRADE, turnover=turnover)))


def test_a_turnover_may_be_the_largest_price_times_the_largest_volume() -> None:
    largest = "999999999999999.999999999999"
    turnover = f"{EXACT.multiply(Decimal(largest), Decimal(largest)):f}"
    (found,) = read(text(changed(TRADE, turnover=turnover)))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)
    assert str(found.event.turnover) == turnover


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
