"""Which code is meant by a name that there is not."""

from __future__ import annotations

import pytest

from tickwire.model import nearest, searches
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
MEANT = {
    "0700.HK": "700.HK",
    "00700.HK": "700.HK",
    "00700.hk": "700.HK",
    "700HK": "700.HK",
    "1.SZ": "000001.SZ",
    "btcusdt": "BTCUSDT",
    "BTC-USDT": "BTCUSDT",
    "btc/usdt": "BTCUSDT",
    "silver": "Silver",
    "EUR/USD": "EURUSD",
    "xauusd": "XAUUSD",
    "BRK-B.US": "BRK.B.US",
    "AAPL": "AAPL.US",
    "AAPL.O": "AAPL.US",
    "600519": "600519.SH",
    "600519.SS": "600519.SH",
    "APPL.US": "AAPL.US",
    "MSTF.US": "MSFT.US",
    "BIM.US": "IBM.US",
    "GOOGLE.US": "GOOGL.US",
    "BTCUSTD": "BTCUSDT",
    "platnum": "Platinum",
}
NOTHING = ["300701.SZ", "7000.HK", "000001", "IBN.US", "5.US", "nonsense", "", ".", "中国", "A" * 32]


@pytest.mark.parametrize(("name", "code"), MEANT.items())
def test_what_is_meant(name: str, code: str) -> None:
    assert CATALOGUE.nearest(name) == code


@pytest.mark.parametrize("name", NOTHING)
def test_no_suggestion_rather_than_another_company(name: str) -> None:
    assert CATALOGUE.nearest(name) is None


@pytest.mark.parametrize(("name", "code"), [one for one in MEANT.items() if one[0] != "xauusd"])
def test_a_search_finds_what_is_meant(name: str, code: str) -> None:
    """A client that searches a server's instruments comes to the same."""
    for texts in searches(name):
        listed = [one.code for text in texts for one in CATALOGUE.listed(search=text)]
        if (found := nearest(name, listed)) is not None:
            assert found == code
            return
    pytest.fail("not found")
