"""The catalogue: codes, aliases, widening, and the instruments that ship."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tickwire.errors import InputError
from tickwire.model import RULES, Catalogue, Family, Instrument, Market, decimals_of, fixed, tick_size
from tickwire.sources import DEFAULT_CODES
from tickwire.store import load_catalogue

SHIPPED = load_catalogue()


def gold(code: str = "GOLD", **fields: int) -> Instrument:
    one = Instrument(
        code=code, market=Market.METALS, price_decimals=2, volume_decimals=2, turnover_decimals=2, levels=1
    )
    return msgspec.structs.replace(one, **fields)


# Aliases.
@pytest.mark.parametrize(("alias", "code"), [("XAUUSD", "GOLD"), ("XAGUSD", "Silver")])
def test_an_alias_stands_for_its_code_in_its_family_only(alias: str, code: str) -> None:
    found = SHIPPED.find(Family.OTHER, alias)
    assert found is SHIPPED[code]
    assert SHIPPED.find(Family.STOCK, alias) is None
    assert SHIPPED.find(Family.OTHER, alias, aliases=False) is None
    assert alias not in SHIPPED


def test_without_aliases_codes_are_still_known() -> None:
    assert SHIPPED.find(Family.OTHER, "GOLD", aliases=False) is SHIPPED["GOLD"]


def test_an_alias_gives_way_to_an_instrument_of_that_code() -> None:
    catalogue = Catalogue([gold(), gold("XAUUSD")])
    found = catalogue.find(Family.OTHER, "XAUUSD")
    assert found is not None
    assert found.code == "XAUUSD"


def test_an_alias_of_a_code_that_is_not_there_is_unknown() -> None:
    assert Catalogue([gold()]).find(Family.OTHER, "XAGUSD") is None


@pytest.mark.parametrize("name", ["gold", "SILVER", "Gold", "xauusd", "0700.HK", "", "GOLD "])
def test_codes_are_case_sensitive_and_taken_literally(name: str) -> None:
    assert SHIPPED.find(Family.OTHER, name) is None
    assert SHIPPED.find(Family.STOCK, name) is None


@pytest.mark.parametrize(
    ("code", "family"),
    [
        ("700.HK", Family.STOCK),
        ("000001.SH", Family.STOCK),
        ("BTCUSDT", Family.OTHER),
        ("US500", Family.OTHER),
    ],
)
def test_a_code_is_unknown_in_the_other_family(code: str, family: Family) -> None:
    other = Family.OTHER if family is Family.STOCK else Family.STOCK
    assert SHIPPED.find(family, code) is SHIPPED[code]
    assert SHIPPED.find(other, code) is None


# Learning.
def test_a_new_instrument_is_known_from_then_on() -> None:
    catalogue = Catalogue([gold()])
    catalogue.add(gold("MYIDX"))
    assert [one.code for one in catalogue] == ["GOLD", "MYIDX"]
    assert catalogue.find(Family.OTHER, "MYIDX") is catalogue["MYIDX"]
    assert catalogue.find(Family.STOCK, "MYIDX") is None


def test_the_other_name_of_a_new_instrument_is_known_too() -> None:
    catalogue = Catalogue([])
    catalogue.add(gold())
    assert catalogue.find(Family.OTHER, "XAUUSD") is catalogue["GOLD"]


def test_a_name_that_is_an_instrument_of_its_own_stays_one() -> None:
    catalogue = Catalogue([gold("XAUUSD")])
    catalogue.add(gold())
    assert catalogue.find(Family.OTHER, "XAUUSD") is catalogue["XAUUSD"]


@pytest.mark.parametrize("code", ["GOLD", "XAUUSD"])
def test_what_a_name_stands_for_never_changes(code: str) -> None:
    catalogue = Catalogue([gold()])
    with pytest.raises(InputError, match=f"The code {code} is in use: it stands for GOLD"):
        catalogue.add(gold(code, price_decimals=5))
    assert catalogue["GOLD"] == gold()
    assert len(catalogue) == 1


# Widening.
def test_what_is_wider_has_the_larger_of_both_decimals_and_what_is_as_wide_is_not_named() -> None:
    catalogue = Catalogue([gold(), gold("Silver", price_decimals=3, volume_decimals=3), gold("Copper")])
    wider = catalogue.wider({"GOLD": (4, 1), "Silver": (3, 5), "Copper": (2, 2)})
    assert [(one.code, one.price_decimals, one.volume_decimals) for one in wider] == [
        ("GOLD", 4, 2),
        ("Silver", 3, 5),
    ]
    assert [one.turnover_decimals for one in wider] == [2, 2]
    assert catalogue["GOLD"] == gold()
    with pytest.raises(KeyError):
        catalogue.wider({"NOSUCH": (9, 9)})


def test_a_copy_learns_what_the_first_one_does_not() -> None:
    before = Catalogue([gold()])
    after = before.copy()
    after.add(gold("Silver"))
    assert [one.code for one in after] == ["GOLD", "Silver"]
    assert [one.code for one in before] == ["GOLD"]
    assert after.find(Family.OTHER, "XAUUSD") is before["GOLD"]


def test_an_instrument_in_other_numbers_keeps_its_place_and_its_other_name() -> None:
    known = load_catalogue()
    codes, finer = [one.code for one in known], gold(price_decimals=7)
    known.redefine(msgspec.structs.replace(finer, name_en="Nugget"))
    assert [one.code for one in known] == codes
    found = known.find(Family.OTHER, "XAUUSD")
    assert found is not None
    assert found.price_decimals == 7
    assert [one.code for one in known.listed(search="nugget")] == ["GOLD"]
    with pytest.raises(KeyError):
        known.redefine(gold("NOSUCH"))


def test_what_a_copy_learns_the_other_one_does_not_have() -> None:
    before = load_catalogue()
    after = before.copy()
    after.add(gold("NEW"))
    after.redefine(gold(price_decimals=7))
    assert "NEW" not in before
    assert before["GOLD"].price_decimals == 2
    assert len(after) == len(before) + 1


# What ships.
def test_thousands_of_codes_of_all_markets_ship_each_once() -> None:
    codes = [one.code for one in SHIPPED]
    assert len(codes) == len(set(codes)) == len(SHIPPED) > 6_500
    assert {one.market for one in SHIPPED} == set(Market)


@pytest.mark.parametrize("market", Market)
def test_shipped_instruments_are_sane(market: Market) -> None:
    for one in SHIPPED:
        if one.market is market:
            check(one)


def check(one: Instrument) -> None:
    price = one.reference_price
    assert price > 0
    assert price % tick_size(one, price) == 0, "the reference price is on its tick"
    assert Decimal(fixed(price, one.price_decimals)) == price, "the reference price has no more decimals"
    assert decimals_of(f"{tick_size(one, price):f}") <= one.price_decimals, "the tick can be written"
    rules = RULES[one.market]
    assert one.levels == rules.levels
    assert one.family is rules.family
    if rules.price_decimals is not None:
        assert (one.price_decimals, one.volume_decimals, one.turnover_decimals) == (6, 0, 6)
    assert one.turnover_decimals == one.price_decimals
    lots = one.market is Market.CN_STOCK or (one.market is Market.INDEX and one.currency == "CNY")
    assert one.volume_unit == (100 if lots else 1)
    assert one.name_en or one.name_cn
    assert one.currency
    assert one.calendar


LEVELS = {
    Market.INDEX: 0,
    Market.US_STOCK: 1,
    Market.HK_STOCK: 10,
    Market.CN_STOCK: 5,
    Market.FOREX: 1,
    Market.METALS: 1,
    Market.ENERGY: 1,
    Market.CFD_INDEX: 1,
    Market.CRYPTO: 5,
}


def test_books_are_as_deep_as_the_protocol_says() -> None:
    assert {one.market: one.levels for one in SHIPPED} == LEVELS


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("GOLD", (2, 2, 2)), ("USOIL", (3, 3, 3)), ("BTCUSDT", (2, 5, 2)), ("700.HK", (6, 0, 6))],
)
def test_decimals_are_those_that_the_protocol_names(code: str, decimals: tuple[int, int, int]) -> None:
    one = SHIPPED[code]
    assert (one.price_decimals, one.volume_decimals, one.turnover_decimals) == decimals


@pytest.mark.parametrize("suffix", ["US", "HK", "SH", "SZ"])
def test_codes_with_the_suffix_of_an_exchange_are_stocks_or_indices(suffix: str) -> None:
    found = [one for one in SHIPPED if one.code.endswith(f".{suffix}")]
    assert found
    assert {one.family for one in found} == {Family.STOCK}


def test_hong_kong_codes_have_no_leading_zeros() -> None:
    codes = [one.code for one in SHIPPED if one.market is Market.HK_STOCK]
    assert codes
    assert not [code for code in codes if code.startswith("0")]


def test_the_simulator_runs_nothing_that_does_not_exist() -> None:
    assert len(DEFAULT_CODES) == len(set(DEFAULT_CODES))
    assert [code for code in DEFAULT_CODES if code not in SHIPPED] == []
    assert {SHIPPED[code].market for code in DEFAULT_CODES} == set(Market)


def test_what_is_declared_is_known_in_all_copies() -> None:
    first = load_catalogue()
    second = first.copy()
    third = second.copy()
    new = msgspec.structs.replace(first["BTCUSDT"], code="NEWUSDT")
    second.declare(new)
    assert [one["NEWUSDT"] for one in (first, second, third)] == [new] * 3
    third.add(msgspec.structs.replace(new, code="LEARNED"))
    assert "LEARNED" not in first
    assert [first.knows_of(name) for name in ("LEARNED", "XAUUSD", "NEWUSDT", "OTHER")] == [True] * 3 + [
        False
    ]
