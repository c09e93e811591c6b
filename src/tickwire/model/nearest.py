"""Which code somebody may have meant by a name that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .form import SUFFIXES

LONG = 5
"""Letters from which on another letter is a slip of the pen; shorter ones may be another company's."""
SHORT = 3
"""Of fewer letters nothing is said but what differs in form."""
_SEPARATORS = re.compile(r"[-_/:.\s]")
_ZEROS = re.compile(r"\A0+(?=\d+\Z)")
_SIGNS = frozenset(suffix[1:] for suffix in SUFFIXES)


def nearest(name: str, codes: Iterable[str]) -> str | None:
    """The code that is meant by an unknown name; None rather than what is of another company.

    It differs in case, separators or leading zeros only; else in the sign of its market, if no other code
    does; else it is of the same market, and one letter is missing, too many, another, or has changed places
    with its neighbour.

    >>> codes = ("700.HK", "300700.SZ", "AAPL.US", "APP.US", "BTCUSDT")
    >>> [nearest(name, codes) for name in ("00700.hk", "BTC-USDT", "aapl", "APPL.US", "300701.SZ")]
    ['700.HK', 'BTCUSDT', 'AAPL.US', 'AAPL.US', None]
    """
    body, sign = _split(name)
    elsewhere, alike = [], []
    for code in codes:
        if code == name:
            continue
        its_body, its_sign = _split(code)
        if its_body == body:
            if its_sign == sign or its_body + its_sign == body:
                return code
            elsewhere.append(code)
        elif its_body + its_sign == body:
            return code
        elif its_sign == sign and not body.isdigit() and _one_slip(body, its_body):
            alike.append((code, its_body))
    if elsewhere and sign not in _SIGNS:
        return elsewhere[0] if len(elsewhere) == 1 else None
    same_letters = [code for code, its_body in alike if set(its_body) == set(body)]
    if same_letters:
        return same_letters[0]
    return alike[0][0] if len(alike) == 1 and len(body) >= LONG else None


def searches(name: str) -> list[list[str]]:
    """Texts to search for in codes, in rounds, so that `nearest` finds a code among what a round finds."""
    body, sign = _split(name)
    rounds = [[f"{body}.{sign}" if sign in _SIGNS else body]]
    if not body.isdigit():
        middle = len(body) // 2
        rounds.append([f".{sign}"] if sign in _SIGNS else [body[:middle], body[middle:]])
    return [found for texts in rounds if (found := [text for text in texts if len(text) > 1])]


def _split(name: str) -> tuple[str, str]:
    """A name without what is easily mistaken, and the sign of its market, "" if it has none."""
    body, dot, sign = name.upper().rpartition(".")
    if not (dot and body):
        body, sign = sign, ""
    return _ZEROS.sub("", _SEPARATORS.sub("", body)), sign


def _one_slip(one: str, other: str) -> bool:
    """Whether a letter was left out, added or changed, or two neighbours have changed places."""
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < SHORT:
        return False
    begin, most = 0, min(len(one), len(other))
    while begin < most and one[begin] == other[begin]:
        begin += 1
    end = 0
    while end < most - begin and one[-1 - end] == other[-1 - end]:
        end += 1
    left, right = one[begin : len(one) - end], other[begin : len(other) - end]
    return max(len(left), len(right)) == 1 or (len(left) == 2 and left == right[::-1])
