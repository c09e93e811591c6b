"""What a plan upstream leaves room for."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple, TypeVar

from .events import Kind
from .instrument import Family

T = TypeVar("T")


class Room(NamedTuple):
    """How many codes of a family and kind a source subscribes to: `most` (None: no limit), among them always
    the `kept`, and none of those that upstream has `refused`."""

    source: str
    family: Family
    kind: Kind
    most: int | None
    kept: frozenset[str]
    refused: frozenset[str]


def with_room(codes: Iterable[T], most: int | None, kept: Set[T], refused: Set[T]) -> list[T]:
    """Those of these that can be subscribed to if nothing else is, the first ones; see `Room`.

    >>> with_room(["A", "B", "C", "D", "E"], 3, {"D"}, {"B"})
    ['A', 'C', 'D']
    """
    staying = set(kept - refused)
    found = []
    for code in dict.fromkeys(codes):
        if code in staying:
            found.append(code)
        elif code not in refused and (most is None or len(staying) < most):
            staying.add(code)
            found.append(code)
    return found
