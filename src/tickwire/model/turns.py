"""Who comes next where several want more than there is."""

from __future__ import annotations

from collections.abc import Iterable


def in_turn(wishes: Iterable[Iterable[str]]) -> list[str]:
    """Codes by turns: of each list its next one that no other list had before. So wherever one stops, none
    was given more than one code more than another that still wants some.

    >>> in_turn([["A", "B", "C", "D"], ["B", "E"]])
    ['A', 'B', 'C', 'E', 'D']
    """
    found: dict[str, None] = {}
    lists = [iter(one) for one in wishes]
    while lists:
        for one in [*lists]:
            code = next((code for code in one if code not in found), None)
            if code is None:
                lists.remove(one)
            else:
                found[code] = None
    return [*found]
