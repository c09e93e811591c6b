"""The sources of a server, each with what belongs to it, and which of them a code comes from."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .bars import Bars
from .model import Instrument
from .sources import Source

if TYPE_CHECKING:
    from .backfill import Backfill
    from .outages import Outages
    from .store.recordings import Recorder


class Feed:
    """A source with its bars and its recording. Data of different sources never mix."""

    outages: Outages
    """Set by the engine that the feed belongs to, like `backfill` where the source has a history."""

    def __init__(
        self,
        source: Source,
        bars: Bars,
        codes: Collection[str] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """`codes` are those that it owns; None: all that it serves."""
        self.source = source
        self.bars = bars
        self.recorder = recorder
        self.backfill: Backfill | None = None
        self.events = 0
        self._codes = codes

    def serves(self, instrument: Instrument) -> bool:
        """Whether that instrument may come from here."""
        return (self._codes is None or instrument.code in self._codes) and self.source.serves(instrument)


class Switch(NamedTuple):
    """A code that comes from another source now."""

    code: str
    before: Feed
    now: Feed


class Rivals:
    """The sources of one code, the preferred one first. `now` is in seconds of a monotonic clock."""

    def __init__(self, feeds: Sequence[Feed], patience: float, now: float) -> None:
        self.feeds = feeds
        self.active = self.told = 0
        self._patience = patience
        self._heard = [now] * len(feeds)

    def passes(self, feed: Feed, now: float) -> bool:
        """Whether an event of that source goes to clients.

        A better source is gone back to when two of its events came within the time that it may be silent.
        """
        place = self.feeds.index(feed)
        recovered = now - self._heard[place] < self._patience
        self._heard[place] = now
        if place < self.active and recovered:
            self.active = place
        return place == self.active

    def look(self, now: float) -> None:
        """Goes over to the best source that is not silent, if the active one is."""
        if now - self._heard[self.active] >= self._patience:
            fit = (place for place, heard in enumerate(self._heard) if now - heard < self._patience)
            self.active = next(fit, self.active)


class Feeds:
    """All feeds of a server, in the order of preference.

    A code comes from the first feed that serves it; when that one is silent for `patience` seconds while
    another one is not, from the other, until it is back. `patience` 0 never changes over.
    """

    def __init__(
        self, feeds: Sequence[Feed], patience: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._feeds = tuple(feeds)
        self._patience = patience
        self._clock = clock
        self._rivals: dict[str, Rivals] = {}

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._feeds)

    @property
    def first(self) -> Feed:
        """The preferred one, whose clock is the server's."""
        return self._feeds[0]

    @property
    def name(self) -> str:
        """What people see."""
        return " + ".join(feed.source.name for feed in self._feeds)

    @property
    def simulated(self) -> bool:
        """Whether some of the data is made up."""
        return any(feed.source.simulated for feed in self._feeds)

    @property
    def codes(self) -> set[str]:
        """What is yielded without being asked for."""
        return {code for feed in self._feeds for code in feed.source.codes}

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any of them."""
        return any(feed.serves(instrument) for feed in self._feeds)

    def of(self, instrument: Instrument) -> Feed:
        """The feed that an instrument comes from now."""
        if len(self._feeds) == 1:
            return self._feeds[0]
        rivals = self._of(instrument)
        return rivals.feeds[rivals.active]

    def all_of(self, instrument: Instrument) -> Sequence[Feed]:
        """The feeds that an instrument may come from."""
        return self._feeds if len(self._feeds) == 1 else self._of(instrument).feeds

    def passes(self, feed: Feed, instrument: Instrument) -> bool:
        """Whether an event of that feed goes to clients."""
        if len(self._feeds) == 1:
            return True
        rivals = self._of(instrument)
        if len(rivals.feeds) == 1:
            return rivals.feeds[0] is feed
        return feed in rivals.feeds and rivals.passes(feed, self._clock())

    def look(self) -> list[Switch]:
        """Goes over to other sources where one is silent; returns what has changed since the last look."""
        now, switches = self._clock(), []
        for code, rivals in self._rivals.items():
            if len(rivals.feeds) > 1:
                rivals.look(now)
                if rivals.active != rivals.told:
                    before, rivals.told = rivals.feeds[rivals.told], rivals.active
                    switches.append(Switch(code, before, rivals.feeds[rivals.active]))
        return switches

    def _of(self, instrument: Instrument) -> Rivals:
        found = self._rivals.get(instrument.code)
        if found is None:
            feeds = [feed for feed in self._feeds if feed.serves(instrument)] or [self.first]
            if not self._patience:
                feeds = feeds[:1]
            found = self._rivals[instrument.code] = Rivals(feeds, self._patience, self._clock())
        return found
