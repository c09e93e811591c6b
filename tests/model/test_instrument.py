"""Instruments: ticks, and what a code may be."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tickwire.model import RULES, Family, Instrument, Market, tick_size


def instrument(market: Market, *, price_decimals: int = 6, code: str = "X") -> Instrument:
    return Instrument(
        code=code,
        market=market,
        price_decimals=price_decimals,
        volume_decimals=0,
        turnover_decimals=6,
        levels=1,
    )


# HKEX, second part of the spread table's revision, August 2025: [from, to) and the tick.
HK_BANDS = [
    ("0.01", "0.25", "0.001"),
    ("0.25", "0.5", "0.005"),
    ("0.5", "20", "0.01"),
    ("20", "50", "0.02"),
    ("50", "100", "0.05"),
    ("100", "200", "0.1"),
    ("200", "500", "0.2"),
    ("500", "1000", "0.5"),
    ("1000", "2000", "1"),
    ("2000", "5000", "2"),
    ("5000", "9995", "5"),
]


@pytest.mark.parametrize(("low", "high", "tick"), HK_BANDS)
def test_a_hong_kong_tick_holds_from_the_lower_bound_up_to_the_upper(low: str, high: str, tick: str) -> None:
    stock = instrument(Market.HK_STOCK)
    assert tick_size(stock, Decimal(low)) == Decimal(tick)
    assert tick_size(stock, Decimal(high) - Decimal(tick)) == Decimal(tick)


@pytest.mark.parametrize(("low", "high", "tick"), HK_BANDS)
def test_hong_kong_bands_begin_and_end_on_their_own_tick(low: str, high: str, tick: str) -> None:
    step = tick_size(instrument(Market.HK_STOCK), Decimal(low))
    assert Decimal(low) % step == Decimal(high) % step == 0


@pytest.mark.parametrize("market", [Market.US_STOCK, Market.CN_STOCK, Market.INDEX])
@pytest.mark.parametrize("price", ["0.5", "3", "357.34", "3930.12"])
def test_other_stocks_and_indices_move_by_a_cent(market: Market, price: str) -> None:
    assert tick_size(instrument(market), Decimal(price)) == Decimal("0.01")


@pytest.mark.parametrize(
    "market", [Market.FOREX, Market.METALS, Market.ENERGY, Market.CFD_INDEX, Market.CRYPTO]
)
@pytest.mark.parametrize(("decimals", "tick"), [(0, "1"), (2, "0.01"), (8, "0.00000001")])
def test_all_else_moves_by_one_unit_of_the_last_decimal(market: Market, decimals: int, tick: str) -> None:
    for price in ("0.01", "79317.7"):
        assert tick_size(instrument(market, price_decimals=decimals), Decimal(price)) == Decimal(tick)


def test_every_market_has_a_rule_and_a_family() -> None:
    assert set(RULES) == set(Market)
    stock = {Market.INDEX, Market.US_STOCK, Market.HK_STOCK, Market.CN_STOCK}
    assert {market for market in Market if instrument(market).family is Family.STOCK} == stock


@pytest.mark.parametrize(
    "code", ["", "A B", "A,B", "A\tB", "A\n", "黄金", "é", "\x7f", "X" * 33], ids=lambda code: repr(code)
)
def test_a_code_is_at_most_32_visible_ascii_characters_without_a_comma(code: str) -> None:
    fields = msgspec.structs.asdict(instrument(Market.CRYPTO)) | {"code": code}
    with pytest.raises(msgspec.ValidationError, match="code"):
        msgspec.convert(fields, Instrument)


@pytest.mark.parametrize("code", [".DJI.US", "700.HK", "BRK-B.US", "X" * 32, "a&b%c/d?e", "!~"])
def test_other_codes_are_taken_as_they_are(code: str) -> None:
    fields = msgspec.structs.asdict(instrument(Market.CRYPTO)) | {"code": code}
    assert msgspec.convert(fields, Instrument).code == code


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_decimals", -1),
        ("price_decimals", 13),
        ("volume_decimals", 13),
        ("turnover_decimals", 13),
        ("levels", -1),
        ("levels", 1001),
        ("volume_unit", 0),
    ],
)
def test_numbers_out_of_bounds_are_refused(field: str, value: int) -> None:
    fields = msgspec.structs.asdict(instrument(Market.CRYPTO)) | {field: value}
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert(fields, Instrument)
