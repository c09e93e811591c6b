"""What is wanted by name and by pattern."""

from __future__ import annotations

from tickwire.wire import Wanted, matches


class One:
    def __init__(self, name: str) -> None:
        self.name = name
        self.implied = False


def wanted(*names: str) -> Wanted[One]:
    found: Wanted[One] = Wanted()
    for name in names:
        found.want(name, lambda name=name: One(name))  # type: ignore[misc]
    return found


def imply(names: Wanted[One], name: str) -> str | None:
    """By which pattern a name is implied."""
    one = names.imply(name, lambda pattern: One(pattern.name))
    return None if one is None else one.name


def test_star_stands_for_any_text() -> None:
    assert [code for code in ("700.HK", ".HK", "700.HKX", "HK") if matches("*.HK", code)] == ["700.HK", ".HK"]
    assert matches("*", "")
    assert matches("a*b*c", "abxbc")
    assert not matches("ab*ba", "aba")


def test_what_a_pattern_means_is_wanted_from_its_first_event_on() -> None:
    names = wanted("GOLD", "*USDT", "BTC*")
    assert names.patterns == ["*USDT", "BTC*"]
    assert imply(names, "EURUSD") is None
    assert imply(names, "BTCUSDT") == "*USDT"
    assert names["BTCUSDT"].implied
    names.drop("*USDT")
    assert "BTCUSDT" in names  # the other one means it still
    names.drop("BTC*")
    assert [*names] == ["GOLD"]


def test_what_is_named_outlives_its_pattern_and_the_other_way_round() -> None:
    names = wanted("*USDT")
    imply(names, "BTCUSDT")
    assert names.drop("BTCUSDT") is None  # nobody wanted it by that name
    one = names["BTCUSDT"]
    assert names.want("BTCUSDT", lambda: One("another")) is one
    assert names.drop("BTCUSDT") is one
    assert names["BTCUSDT"].implied
    names.want("BTCUSDT", lambda: One("another"))
    names.drop("*USDT")
    assert [*names] == ["BTCUSDT"]


def test_a_pattern_is_no_name_that_another_one_means() -> None:
    names = wanted("*", "*.HK")
    names.drop("*.HK")
    assert [*names] == ["*"]


def test_bars_are_of_one_type() -> None:
    names: Wanted[One] = Wanted()
    names.want(("*", 1), lambda: One("minutes"))
    assert names.imply(("GOLD", 5), lambda pattern: pattern) is None
    assert names.imply("GOLD", lambda pattern: pattern) is None
    assert names.imply(("GOLD", 1), lambda _: One("GOLD")) is not None
