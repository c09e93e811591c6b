"""Exact decimals. No float touches a price, a volume or a sum."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

MAX_DECIMALS = 12
"""The most decimals that a price or a volume may have."""

EXACT = Context(prec=80, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Wide enough that the product of two inputs, and a year of sums of them, is never rounded."""

QUANTA = tuple(Decimal(1).scaleb(-n) for n in range(MAX_DECIMALS + 1))
"""The smallest unit with n decimals, by n."""
_POINT = tuple(slice(-1 - n, -n) for n in range(MAX_DECIMALS + 1))  # where it stands before n decimals


def fixed(value: Decimal, decimals: int) -> str:
    """The value with exactly that many decimals, rounded half up, never in exponent form.

    >>> fixed(Decimal("4415.3"), 2), fixed(Decimal("0"), 6), fixed(Decimal("0.00000095"), 8)
    ('4415.30', '0.000000', '0.00000095')
    >>> fixed(Decimal("-37.63"), 3), fixed(Decimal("-0.001"), 2)
    ('-37.630', '0.00')
    """
    text = str(value)
    # Most have these decimals already. str() is three times as fast as format(), but writes 9.5E-7.
    if text[_POINT[decimals]] != "." if decimals else not text.isdigit():
        text = str(EXACT.quantize(value, QUANTA[decimals]))
    if "E" not in text and text[0] != "-":
        return text
    return format(EXACT.quantize(value, QUANTA[decimals]), "zf")


def decimals_of(text: str) -> int:
    """How many decimals a plain decimal number is written with, trailing zeros not counted.

    >>> decimals_of("182"), decimals_of("1284.065"), decimals_of("13.940")
    (0, 3, 2)
    """
    _, _, fraction = text.partition(".")
    return len(fraction.rstrip("0"))
