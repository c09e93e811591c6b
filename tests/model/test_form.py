"""What the form of a code says."""

from __future__ import annotations

import pytest

from tickwire.model import Family, Market, family_of, looks_like, market_of
from tickwire.store import load_catalogue


def test_every_code_of_the_catalogue_looks_like_its_family() -> None:
    for one in load_catalogue():
        other = Family.OTHER if one.family is Family.STOCK else Family.STOCK
        assert looks_like(one.family, one.code)
        assert not looks_like(other, one.code)
        assert family_of(one.code) is one.family


def test_the_market_of_nearly_every_code_shows() -> None:
    wrong = [one for one in load_catalogue() if market_of(one.code) is not one.market]
    stocks = [one.code for one in wrong if one.market in (Market.HK_STOCK, Market.CN_STOCK, Market.US_STOCK)]
    assert not stocks
    assert not [one.code for one in wrong if one.market in (Market.FOREX, Market.CRYPTO, Market.INDEX)]


@pytest.mark.parametrize(
    "code",
    [
        "",
        ".US",
        "..US",
        "A" * 33 + ".US",
        "a b.US",
        "A,B.US",
        "A.US\n",
        "700.HK\x00",
        "\u817e\u8baf.HK",
        "700.hk",
    ],
)
def test_what_is_no_code_of_a_stock(code: str) -> None:
    assert not looks_like(Family.STOCK, code)


@pytest.mark.parametrize(
    "code", ["", "A", "A.B", "A B", "GOLD\n", "-GOLD", "A" * 33, "\u9ec4\u91d1", "A&B", "A%20"]
)
def test_what_is_no_code_of_the_others(code: str) -> None:
    assert not looks_like(Family.OTHER, code)
