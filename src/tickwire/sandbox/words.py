"""How a person is told which value was given and which is expected."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

from msgspec import inspect

LONGEST = 60
"""Characters of a text that are shown."""
INTEGERS = range(-(2**63), 2**63)
"""Beyond these a number is no use to anyone, and Python may refuse to print it."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like the one that was given."""

    word = word[:LONGEST]
    return max(known, key=lambda one: (SequenceMatcher(None, word, one).ratio(), one[:1] == word[:1]))


def shown(value: object) -> str:
    """A value on one line, as TOML and JSON write it.

    >>> shown("a\\nb"), shown(True), shown(2.5), shown(["x"])
    ('"a\\\\nb"', 'true', '2.5', 'a list of 1')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            short = value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
            return f'"{repr(short)[1:-1]}"'
        case int() if value not in INTEGERS:
            return "a number of that many digits"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "a table"
    return str(value)


def expected(kind: inspect.Type) -> str:
    """What a field takes.

    >>> expected(inspect.type_info(bool | None))
    'true or false'
    """
    match kind:
        case inspect.UnionType():
            return ", or ".join(expected(one) for one in kind.types if not isinstance(one, inspect.NoneType))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _bounds(kind)
        case inspect.FloatType():
            return "a number" + _bounds(kind)
        case inspect.DecimalType():
            return "a number"
        case inspect.StrType():
            most = kind.max_length
            return "a text" if most is None else f"a text of at most {most} characters"
        case inspect.EnumType():
            return "one of " + ", ".join(shown(one.value) for one in kind.cls)
        case inspect.VarTupleType():
            number = kind.min_length
            item = expected(kind.item_type)
            return f"a list of {number} such" if number else f"a list in brackets (each entry {item})"
    return "something else"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    least, above, most = kind.ge, kind.gt, kind.le
    if least is not None:
        return f" of at least {least}" if most is None else f" from {least} to {most}"
    if above is not None:
        return f" above {above}" + ("" if most is None else f" and at most {most}")
    return ""
