"""What has been made of the past of a code."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec

from ...klines import Past, Reach
from ...model import KlineType

WHOLE = ("imported", "made")
"""Notes of what was imported, and of what an earlier Tickwire made: nothing is added to that."""


class Made(msgspec.Struct):
    """How the past of a code was begun, and between which moments the bars of a type are there.

    `first` is the open time of the first minute that was traded, `key` that of its `Past`. All times are in
    seconds. `price` is what the first minute opened at; None in older notes, whose days were made at once.
    It is kept as a note.
    """

    first: int
    key: str
    spans: dict[KlineType, list[tuple[int, int]]]
    price: Decimal | None = None

    @staticmethod
    def read(note: str) -> Made | None:
        """The one that a note holds; None if nothing is added to what there is."""
        return None if note in WHOLE else msgspec.json.decode(note, type=Made)

    def note(self) -> str:
        """As a note."""
        return msgspec.json.encode(self).decode()

    def missing(self, reach: Reach) -> list[Reach]:
        """What of that is not there yet."""
        found, at = [], reach.begin
        for begin, end in self.spans.get(reach.kline_type, ()):
            if at < min(begin, reach.end):
                found.append(reach._replace(begin=at, end=min(begin, reach.end)))
            at = max(at, end)
        if at < reach.end:
            found.append(reach._replace(begin=at))
        return found

    def add(self, reach: Reach) -> None:
        """That is there now."""
        spans = sorted([*self.spans.get(reach.kline_type, ()), (reach.begin, reach.end)])
        joined = spans[:1]
        for begin, end in spans[1:]:
            if begin <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((begin, end))
        self.spans[reach.kline_type] = joined

    def forget(self, kline_type: KlineType, before: int) -> None:
        """The bars of a type that open before that are there no more."""
        spans = self.spans.get(kline_type, ())
        self.spans[kline_type] = [(max(begin, before), end) for begin, end in spans if end > before]


class MadePast:
    """The past of one code, as far as it was made."""

    def __init__(self, past: Past, made: Made) -> None:
        self.past = past
        self.made = made
        self._enough = Counter[KlineType]()

    def missing(self, kline_type: KlineType, count: int, end: int | None) -> list[Reach]:
        """What is to be made for the latest `count` bars up to `end`."""
        latest = end is None or end >= self.made.first
        if latest and count <= self._enough[kline_type]:
            return []
        reaches = self.past.reach(kline_type, self.made.first, count, end)
        if self.made.price is None:
            reaches = [reach for reach in reaches if reach.made_of is not None]
        found = [one for reach in reaches for one in self.made.missing(reach)]
        if latest and not found:
            self._enough[kline_type] = count
        return found

    def forget(self, kline_type: KlineType, before: int) -> None:
        """The bars of a type that open before that are there no more, and are made again when asked for."""
        self.made.forget(kline_type, before)
        self._enough.clear()
