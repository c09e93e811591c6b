"""The daily limits of A-shares: which board has which, and how they are rounded."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tickwire.model import limit_percent, price_limits
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
MOUTAI = CATALOGUE["600519.SH"]


@pytest.mark.parametrize(
    ("code", "percent"),
    {
        "600519.SH": 10,
        "000001.SZ": 10,
        "002594.SZ": 10,
        "300750.SZ": 20,
        "301001.SZ": 20,
        "688981.SH": 20,
        "000007.SZ": 5,  # *ST全新
        "000005.SZ": 5,  # ST星源
        "688272.SH": 20,  # *ST富吉, on STAR
        "000001.SH": None,  # an index
        "700.HK": None,
        "AAPL.US": None,
        "GOLD": None,
    }.items(),
)
def test_the_board_and_the_name_say_how_far(code: str, percent: int | None) -> None:
    assert limit_percent(CATALOGUE[code]) == percent


def test_beijing_has_thirty_percent() -> None:
    assert limit_percent(msgspec.structs.replace(MOUTAI, code="830799.BJ")) == 30


@pytest.mark.parametrize(
    ("close", "down", "up"),
    [
        ("10.00", "9.00", "11.00"),
        ("10.05", "9.05", "11.06"),  # 9.045 and 11.055: half up, both of them
        ("10.04", "9.04", "11.04"),  # 9.036 and 11.044
        ("1418.60", "1276.74", "1560.46"),
        ("0.04", "0.03", "0.05"),  # a tick at the least
        ("0.01", "0.01", "0.02"),
    ],
)
def test_limits_are_rounded_half_up_to_a_tick(close: str, down: str, up: str) -> None:
    assert price_limits(MOUTAI, Decimal(close)) == (Decimal(down), Decimal(up))


def test_others_have_none() -> None:
    assert price_limits(CATALOGUE["AAPL.US"], Decimal(100)) is None
