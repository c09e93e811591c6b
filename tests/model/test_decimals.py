"""Exact decimals: what is written is what was meant, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.model import EXACT, MAX_DECIMALS, QUANTA, decimals_of, fixed


def rounded_half_up(value: Decimal, decimals: int) -> str:
    """The same by whole numbers only: an oracle that knows nothing of the decimal module's rounding."""
    scaled = abs(Fraction(value)) * 10**decimals
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    sign = "-" if value.is_signed() else ""
    digits = str(units).rjust(decimals + 1, "0")
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        ("4415.3", 2, "4415.30"),
        ("0.5", 0, "1"),
        ("1.5", 0, "2"),
        ("2.5", 0, "3"),
        ("0.005", 2, "0.01"),
        ("0.0049999999999999", 2, "0.00"),
        ("9.995", 2, "10.00"),
        ("283.164189", 2, "283.16"),
        ("1E+3", 2, "1000.00"),
        ("1E+15", 0, "1000000000000000"),
    ],
)
def test_halves_are_rounded_up(value: str, decimals: int, text: str) -> None:
    assert fixed(Decimal(value), decimals) == text


@pytest.mark.parametrize("decimals", range(MAX_DECIMALS + 1))
@pytest.mark.parametrize("zero", ["0", "0.0", "0E-20", "0E+20"])
def test_zero_has_all_its_decimals(zero: str, decimals: int) -> None:
    assert fixed(Decimal(zero), decimals) == ("0." + "0" * decimals if decimals else "0")


@pytest.mark.parametrize("decimals", range(1, MAX_DECIMALS + 1))
def test_the_smallest_unit_is_never_in_exponent_form(decimals: int) -> None:
    assert fixed(QUANTA[decimals], decimals) == "0." + "0" * (decimals - 1) + "1"
    assert fixed(QUANTA[decimals], MAX_DECIMALS) == ("0." + "0" * (decimals - 1) + "1").ljust(
        MAX_DECIMALS + 2, "0"
    )


def test_what_is_below_half_a_unit_is_zero_in_plain_form() -> None:
    assert fixed(Decimal("4E-13"), 12) == "0.000000000000"
    assert fixed(Decimal("5E-13"), 12) == "0.000000000001"


@settings(max_examples=200)
@given(
    st.decimals(min_value=0, max_value=10**15, allow_nan=False, allow_infinity=False),
    st.integers(0, MAX_DECIMALS),
)
def test_fixed_agrees_with_whole_number_arithmetic(value: Decimal, decimals: int) -> None:
    value = abs(value)
    assert fixed(value, decimals) == rounded_half_up(value, decimals)


@settings(max_examples=200)
@given(st.integers(0, 10**16), st.integers(0, MAX_DECIMALS), st.integers(0, MAX_DECIMALS))
def test_exact_halves_agree_with_whole_number_arithmetic(units: int, written: int, decimals: int) -> None:
    value = Decimal(10 * units + 5).scaleb(-written)
    assert fixed(value, decimals) == rounded_half_up(value, decimals)


INPUTS = st.builds(
    lambda whole, fraction: Decimal(f"{whole}.{fraction:012d}"),
    st.integers(0, 10**15 - 1),
    st.integers(0, 10**12 - 1),
)
"""Any number that a recording may hold: 15 digits before the point and 12 after it."""


@settings(max_examples=200)
@given(INPUTS, INPUTS, st.sampled_from([1, 100]))
def test_a_product_of_two_inputs_is_exact(price: Decimal, volume: Decimal, unit: int) -> None:
    product = EXACT.multiply(EXACT.multiply(price, volume), Decimal(unit))
    assert Fraction(product) == Fraction(price) * Fraction(volume) * unit


def test_a_year_of_the_largest_products_is_summed_exactly() -> None:
    largest = Decimal("9" * 15 + "." + "9" * 12)
    product = EXACT.multiply(EXACT.multiply(largest, largest), Decimal(100))
    ticks = 1000 * 86400 * 366
    total = EXACT.multiply(product, Decimal(ticks))
    assert Fraction(EXACT.add(total, product)) == Fraction(largest) ** 2 * 100 * (ticks + 1)


def test_the_largest_product_is_written_to_the_last_digit() -> None:
    largest = Decimal("9" * 15 + "." + "9" * 12)
    product = EXACT.multiply(largest, largest)
    assert fixed(product, MAX_DECIMALS) == rounded_half_up(product, MAX_DECIMALS)


@pytest.mark.parametrize(
    ("text", "decimals"),
    [("0", 0), ("182", 0), ("1200", 0), ("182.", 0), ("13.940", 2), ("13.000", 0), ("0.000001", 6), ("", 0)],
)
def test_trailing_zeros_are_no_decimals(text: str, decimals: int) -> None:
    assert decimals_of(text) == decimals


@settings(max_examples=100)
@given(INPUTS)
def test_as_many_decimals_as_counted_lose_nothing(value: Decimal) -> None:
    assert Decimal(fixed(value, decimals_of(f"{value:f}"))) == value
