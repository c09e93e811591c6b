"""Who comes next where several want more than there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace


def in_turn(wishes: Iterable[Iterable[str]]) -> list[str]:
    """Codes by turns: the next one is the first that is lacking to the list that has the fewest, the
    earlier one of several. A code counts for all lists it is in. So wherever one stops, no list that still
    wants some has less than another, but for one code, unless the other has it from those who share it.

    >>> in_turn([["A", "B", "C", "D"], ["B", "E"]])
    ['A', 'B', 'E', 'C', 'D']
    """
    lists = [dict.fromkeys(one) for one in wishes]
    wanting: defaultdict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(lists):
        for code in one:
            wanting[code].append(place)
    found: dict[str, None] = {}
    there, rest = [0] * len(lists), [iter(one) for one in lists]
    turns = [(0, place) for place in range(len(lists))]
    heapify(turns)
    while turns:
        count, place = turns[0]
        if count < there[place]:
            heapreplace(turns, (there[place], place))
            continue
        following = next((code for code in rest[place] if code not in found), None)
        if following is None:
            heappop(turns)
            continue
        found[following] = None
        for each in wanting[following]:
            there[each] += 1
    return [*found]
