"""Numbers as a server writes them, hostile until read: exact, finite, of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Any

YEAR_1990, YEAR_2100 = 631_152_000, 4_102_444_800
"""Between these times, in seconds since the epoch, all data must be."""
UNREADABLE = (ValueError, ArithmeticError, RecursionError)
"""What reading raises: no JSON, no UTF-8, a wrong shape; an impossible number; nesting without end."""

_EXACT = Context(prec=36, Emin=-18, Emax=20, traps=[InvalidOperation, Inexact, Overflow, Subnormal, Clamped])
_ZERO = Decimal(0)
_decimal = _EXACT.create_decimal  # checks all bounds on its way, and takes no underscores as Decimal() does
_SUMS = Context(prec=60, Emin=-18, Emax=40, traps=[InvalidOperation, Inexact, Overflow, Subnormal, Clamped])
_sum = _SUMS.create_decimal


def number(text: str) -> Decimal:
    """The decimal of a text: from 0 to below 10^21, at most 36 digits. Raises one of UNREADABLE."""
    if not "." <= text < ":":  # begins with a dot or a digit: no sign, and neither NaN nor Infinity
        raise ValueError("a number is negative or none")
    return _decimal(text)


def amount(text: str) -> Decimal:
    """As `number`, for turnovers and sums of volumes: below 10^41, at most 60 digits."""
    if not "." <= text < ":":
        raise ValueError("a number is negative or none")
    return _sum(text)


def signed(text: str, read: Callable[[str], Decimal] = number) -> Decimal:
    """The same for a number that may be below 0; zero has no sign."""
    return read(text) if text[:1] != "-" else read(text[1:]).copy_negate() or _ZERO


# Prices come again and again; `known(text) or learn(text)` takes a third of the time for those.
MOST_KNOWN, LONGEST_KNOWN = 2**14, 64
_known: dict[str, Decimal] = {}
known = _known.get
"""The decimal of a text that came before, else None."""


def learn(text: str) -> Decimal:
    """The decimal of a text that may be below 0, remembered. Raises one of UNREADABLE."""
    value = signed(text)
    if len(text) <= LONGEST_KNOWN:  # a million zeros and a one is a number too
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[text] = value
    return value


def whole(value: Any) -> int:
    """A whole number from 0 to 2^63 - 1, of a number or its text; 0 of null. Raises ValueError."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str)) or len(str(value)) > 20:
        raise ValueError("not a whole number")
    found = int(value)
    if not 0 <= found < 2**63:
        raise ValueError("a whole number out of range")
    return found


def seconds(value: Any) -> int:
    """A plausible time in seconds since the epoch, of a number or its text. Raises ValueError."""
    time = whole(value)
    if not YEAR_1990 <= time < YEAR_2100:
        raise ValueError("a time out of range")
    return time


def millis(value: Any) -> int:
    """A plausible time in milliseconds since the epoch, of a number or its text. Raises ValueError."""
    time = whole(value)
    if not YEAR_1990 * 1000 <= time < YEAR_2100 * 1000:
        raise ValueError("a time out of range")
    return time
