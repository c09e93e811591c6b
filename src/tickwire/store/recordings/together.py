"""Several recordings as one: by when their events came, page by page."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc

from ...model import Kind
from .page import Page, integers, places
from .schema import ARRIVAL


class _Reading:
    """What was read of a recording and not given yet: a page at a time."""

    def __init__(self, found: Iterator[Page]) -> None:
        self._found = found
        self._latest = 0
        self.page: Page | None = None
        self.order: list[int] = []
        """The places of the page's events, which rise."""
        self.came: list[int] = []
        """When each of them came: not before those in front of it, whatever our clock did."""

    def fill(self) -> bool:
        """Returns whether there is something to give."""
        while not self.order:
            if (page := next(self._found, None)) is None:
                return False
            self.page = page
            each = [
                zip(places(table), integers(table["received"]), strict=True) for table in page.tables.values()
            ]
            rows = [*heapq.merge(*each, key=itemgetter(0))]
            self.order = [place for place, _ in rows]
            self.came = [*accumulate((came for _, came in rows), max, initial=self._latest)][1:]
        return True

    def take(self, before: int) -> tuple[Page, list[int]]:
        """What came before that, and when each of it did."""
        assert self.page is not None  # noqa: S101  # it was filled
        count = bisect_left(self.came, before)
        end = self.order[count] if count < len(self.order) else self.page.following
        taken, self.page = self.page.split(end)
        came = self.came[:count]
        self._latest = max(self._latest, *came, 0)
        self.order, self.came = self.order[count:], self.came[count:]
        return taken, came


def together(readings: Sequence[Iterator[Page]]) -> Iterator[tuple[Page, dict[int, int]]]:
    """The pages of several readings as pages of all, in a new order: by when their events came, those of a
    reading as they are. With each goes, of the readings of which something is in it, by number, what follows
    in them."""
    if len(readings) == 1:
        yield from ((page, {0: page.following}) for page in readings[0])
        return
    each = [_Reading(found) for found in readings]
    while some := [(number, one) for number, one in enumerate(each) if one.fill()]:
        # All of the page that ends first; what came at its last moment may go on in the next page. At one
        # moment the first reading goes before the others.
        last, ending = min((one.came[-1], number) for number, one in some)
        taken = {number: one.take(last + (number <= ending)) for number, one in some}
        yield _joined(taken), {number: page.following for number, (page, _) in taken.items()}


def _joined(parts: dict[int, tuple[Page, list[int]]]) -> Page:
    """One page of them, whose places are new."""
    rows = []
    for number, (page, came) in parts.items():
        order = heapq.merge(*map(places, page.tables.values()))
        rows += [(at, number, place) for at, place in zip(came, order, strict=True)]
    rows.sort()
    new = {(number, place): rank for rank, (_, number, place) in enumerate(rows)}
    tables: dict[Kind, list[pa.Table]] = {}
    for number, (page, _) in parts.items():
        for kind, table in page.tables.items():
            ranks = pa.array([new[number, place] for place in places(table)], pa.int64())
            column = table.schema.get_field_index(ARRIVAL)
            tables.setdefault(kind, []).append(table.set_column(column, ARRIVAL, ranks))
    whole = {}
    for kind, some in tables.items():
        table = pa.concat_tables(some)
        whole[kind] = table.take(pc.sort_indices(table[ARRIVAL]))
    return Page(whole, len(rows))
