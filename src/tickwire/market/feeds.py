"""The sources of a server, each with what belongs to it, and which of them a code comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..model import Instrument
from ..sources import Source
from ..store.recordings import Recorder
from .bars import Bars, Batches, Pasts, Retention
from .missing import Missing


class Feed:
    """A source with its bars and its recording. Data of different sources never mix."""

    def __init__(
        self,
        source: Source,
        bars: Bars,
        batches: Batches,
        pasts: Pasts,
        retention: Retention,
        missing: Missing,
        recorder: Recorder | None = None,
        codes: Collection[str] | None = None,
    ) -> None:
        """`codes` are those that it owns; None: all that it serves."""
        self.source = source
        self.bars = bars
        self.batches = batches
        self.pasts = pasts
        self.retention = retention
        self.missing = missing
        self.recorder = recorder
        self.events = 0
        self._codes = codes

    def owns(self, code: str) -> bool:
        """Whether that code is to come from here, if the source has it."""
        return self._codes is None or code in self._codes

    def serves(self, instrument: Instrument) -> bool:
        """Whether that instrument may come from here."""
        codes = self._codes
        return (codes is None or instrument.code in codes) and self.source.serves(instrument)


class Switch(NamedTuple):
    """A code that comes from another source now."""

    code: str
    before: Feed
    now: Feed


class Rivals:
    """The sources of one code, the preferred one first. `now` is in seconds of a monotonic clock."""

    def __init__(self, feeds: Sequence[Feed], patience: float, now: float) -> None:
        self.feeds = feeds
        self.active = 0
        self.told = feeds[0]
        """The one that people were told of last."""
        self._patience = patience
        self._heard = [now] * len(feeds)

    @property
    def chosen(self) -> Feed:
        """The one that the code comes from now."""
        return self.feeds[self.active]

    def passes(self, feed: Feed, now: float) -> bool:
        """Whether an event of that source goes to clients.

        A better source is gone back to when two of its events came within the time that it may be silent.
        """
        if len(self.feeds) == 1:
            return self.feeds[0] is feed
        if feed not in self.feeds:
            return False
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
    another one is not, from the other, until it is back. `patience` 0 never changes over. `clock` is
    monotonic, in seconds.
    """

    def __init__(self, feeds: Sequence[Feed], patience: float, clock: Callable[[], float]) -> None:
        self._feeds = tuple(feeds)
        self._patience = patience
        self._clock = clock
        self._rivals: dict[str, Rivals] = {}
        self._contested: dict[str, Rivals] = {}  # those of several sources, or of another one than was told

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
        return self.first.serves(instrument) or any(one.serves(instrument) for one in self._feeds[1:])

    def of(self, instrument: Instrument) -> Feed:
        """The feed that an instrument comes from now."""
        if len(self._feeds) == 1:
            return self._feeds[0]
        if instrument.code not in self._rivals:  # it is only read of
            return next((feed for feed in self._feeds if feed.serves(instrument)), self.first)
        return self._rivals_of(instrument).chosen

    def used(self, instruments: Iterable[Instrument]) -> Iterator[tuple[Feed, dict[str, Instrument]]]:
        """Each feed with those of the instruments, by code, that come from it, or may when others are
        silent."""
        for feed in self._feeds:
            served = {one.code: one for one in instruments if feed.serves(one)}
            if len(self._feeds) > 1:
                served = {code: one for code, one in served.items() if feed in self._rivals_of(one).feeds}
            yield feed, served

    def passes(self, feed: Feed, instrument: Instrument) -> bool:
        """Whether an event of that feed goes to clients."""
        if len(self._feeds) == 1:
            return True
        rivals = self._rivals.get(instrument.code)
        if rivals is not None and rivals.passes(feed, self._clock()):
            return True
        chosen_anew = self._rivals_of(instrument)
        return chosen_anew is not rivals and chosen_anew.passes(feed, self._clock())

    def look(self) -> list[Switch]:
        """Goes over to other sources where one is silent; returns what has changed since the last look."""
        now, switches = self._clock(), []
        for code, rivals in [*self._contested.items()]:
            rivals.look(now)
            if rivals.chosen is not rivals.told:
                before, rivals.told = rivals.told, rivals.chosen
                switches.append(Switch(code, before, rivals.chosen))
            if len(rivals.feeds) == 1:
                del self._contested[code]
        return switches

    def _rivals_of(self, instrument: Instrument) -> Rivals:
        """The sources of an instrument; chosen anew when the one that it comes from has it no more."""
        code = instrument.code
        found = self._rivals.get(code)
        if found is not None and found.chosen.serves(instrument):
            return found
        serving = [feed for feed in self._feeds if feed.serves(instrument)]
        feeds = serving if self._patience else serving[:1]
        made = Rivals(feeds or [self.first], self._patience, self._clock())
        if found is not None:
            made.told = found.told
        self._rivals[code] = made
        if len(made.feeds) > 1 or made.chosen is not made.told:
            self._contested[code] = made
        else:
            self._contested.pop(code, None)
        return made
