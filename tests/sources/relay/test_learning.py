"""What is learned of an instrument, and how it grows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tickwire.client import InstrumentInfo
from tickwire.model import Book, Kline, KlineType, Level, Market, Trade
from tickwire.sources.relay.learning import LONGEST, described, guessed, named, widened
from tickwire.wire import StaticInfo

TOLD: dict[str, Any] = {
    "code": "GBPMXN",
    "aliases": (),
    "family": "other",
    "market": "forex",
    "calendar": "forex",
    "state": "open",
    "name_en": "USD/MXN",
    "name_cn": "",
    "name_hk": "",
    "exchange": "",
    "currency": "MXN",
    "lot_size": "",
    "depth_levels": 1,
    "price_decimals": 5,
    "volume_decimals": 2,
    "turnover_decimals": 3,
}


@pytest.mark.parametrize(
    ("code", "market", "decimals", "levels", "unit", "calendar"),
    [
        ("510050.SH", Market.CN_STOCK, (6, 0, 6), 5, 100, "XSHG"),
        ("000905.SH", Market.INDEX, (6, 0, 6), 0, 100, "XSHG"),
        ("2442.HK", Market.HK_STOCK, (6, 0, 6), 10, 1, "XHKG"),
        (".INX.US", Market.INDEX, (6, 0, 6), 0, 1, "XNYS"),
        ("GBPMXN", Market.FOREX, (0, 0, 0), 1, 1, "forex"),
        ("XPTEUR", Market.FOREX, (0, 0, 0), 1, 1, "metals"),
        ("XMRUSDT", Market.CRYPTO, (0, 0, 0), 5, 1, "crypto"),
        ("NAS100", Market.CFD_INDEX, (0, 0, 0), 1, 1, ""),
    ],
)
def test_what_the_form_of_a_code_says(
    code: str, market: Market, decimals: tuple[int, int, int], levels: int, unit: int, calendar: str
) -> None:
    one = guessed(code, "alltick")
    assert (one.market, one.levels, one.volume_unit, one.calendar) == (market, levels, unit, calendar)
    assert (one.price_decimals, one.volume_decimals, one.turnover_decimals) == decimals
    assert one.learned == "alltick"


def test_a_tickwire_says_all() -> None:
    one = described(InstrumentInfo(**TOLD), "alltick:up")
    assert one is not None
    assert (one.price_decimals, one.volume_decimals, one.turnover_decimals) == (5, 2, 3)
    assert (one.market, one.calendar, one.name_en, one.learned) == (
        Market.FOREX,
        "forex",
        "USD/MXN",
        "alltick:up",
    )


@pytest.mark.parametrize(
    "lie",
    [
        {"market": "moon"},
        {"price_decimals": 13},
        {"volume_decimals": -1},
        {"depth_levels": 10**9},
        {"code": "a,b"},
        {"code": "x" * 33},
    ],
)
def test_what_cannot_be_is_not_learned(lie: dict[str, Any]) -> None:
    assert described(InstrumentInfo(**(TOLD | lie)), "alltick") is None


def test_texts_are_bounded_and_an_unknown_calendar_is_none() -> None:
    one = described(InstrumentInfo(**(TOLD | {"name_en": "x" * 10_000, "calendar": "lunar"})), "alltick")
    assert one is not None
    assert (len(one.name_en), one.calendar) == (LONGEST, "")
    info = StaticInfo(*("y" * 10_000 for _ in StaticInfo.__struct_fields__))
    assert len(named(guessed("2442.HK", "alltick"), info).name_cn) == LONGEST


def test_decimals_and_levels_grow_and_never_shrink() -> None:
    one = guessed("GBPMXN", "alltick")
    one = widened(one, Trade("GBPMXN", 0, Decimal("18.1234"), Decimal("1.50"), Decimal("27.2")))
    assert (one.price_decimals, one.volume_decimals, one.turnover_decimals, one.levels) == (4, 2, 1, 1)
    assert widened(one, Trade("GBPMXN", 0, Decimal(18), Decimal(1), Decimal(18))) is one
    level = Level(Decimal("18.12345"), Decimal("0.123"))
    one = widened(one, Book("GBPMXN", 0, (level, level, level), ()))
    assert (one.price_decimals, one.volume_decimals, one.levels) == (5, 3, 3)
    bar = Kline("GBPMXN", KlineType.MINUTE, 0, *(Decimal(18),) * 2, Decimal("18.123456"), *(Decimal(18),) * 3)
    assert widened(one, bar).price_decimals == 6
    assert widened(one, Trade("GBPMXN", 0, Decimal("1E-18"), Decimal("1E+3"))).price_decimals == 12
