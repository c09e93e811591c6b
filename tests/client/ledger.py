"""What a feed gave, and whether every hole in it was announced."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import TypeAlias

from tickwire import Book, Feed, Gap, Status, Trade
from tickwire.client import Event, family_of
from tickwire.model import Family, Kind

Stream: TypeAlias = tuple[Kind, str]
PUSHES = {22998: Kind.TRADE, 22999: Kind.DEPTH}


class Ledger:
    """Takes all that a feed gives. `other` are codes that are not looked at; `came` is told of every trade
    and book. A feed that `resumes` need announce nothing after a lost connection."""

    def __init__(
        self,
        other: Collection[str] = (),
        came: Callable[[Kind, str, int], None] = lambda *_: None,
        *,
        resumes: bool = False,
    ) -> None:
        self._resumes = resumes
        self.told: list[Gap] = []
        self.events = self.gaps = self.unreadable = self.missed = 0
        self.downs: Counter[Family] = Counter()
        self.unannounced: list[Stream] = []
        """Streams that went on after a lost connection as if nothing had been."""
        self._other = other
        self._came = came
        self._broken: set[Stream] = set()
        self._live: set[Stream] = set()

    async def drink(self, feed: Feed) -> None:
        """Takes everything, until the feed is closed or fails."""
        while batch := await feed.batch():
            for event in batch:
                self.take(event)
            await asyncio.sleep(0)

    def take(self, event: Event) -> None:
        """One event."""
        if isinstance(event, (Trade, Book)):
            if event.code not in self._other:
                self._count(Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH, event.code, event.seq)
        elif isinstance(event, Gap):
            self.gaps += 1
            self.told.append(event)
            if event.kind is None:
                self.unreadable += event.missed or 0
            else:
                self.missed += event.missed or 0
                if event.missed is None:
                    self._broken.discard((event.kind, event.code))
        elif isinstance(event, Status) and event.state == "down":
            self.downs[event.family] += 1
            if not self._resumes:
                self._broken |= {one for one in self._live if family_of(one[1]) is event.family}

    def _count(self, kind: Kind, code: str, seq: int) -> None:
        stream = kind, code
        self.events += 1
        self._live.add(stream)
        if stream in self._broken:
            self._broken.discard(stream)
            self.unannounced.append(stream)
        self._came(kind, code, seq)
