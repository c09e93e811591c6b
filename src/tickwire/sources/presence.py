"""Which publishers are there, and what is missing because one is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from ..calendars import KEYS, Calendar, load
from ..model import Catalogue
from .source import Began, Broke

HELD_UP = 5.0
"""Seconds between two looks from which on we were held up, rather than the publishers."""


class Present:
    """A publisher, and the codes that it has published, by calendar. `at` is when it was heard last, in
    seconds of a monotonic clock, `wall` the same in milliseconds since the epoch."""

    def __init__(self, name: str, at: float, wall: int) -> None:
        self.name = name
        self.at, self.wall = at, wall
        self.codes: defaultdict[str, set[str]] = defaultdict(set)


class Presence:
    """Publishers, as they are heard. One that is silent for too long while a market of its codes is open is
    gone: of these trades are missing until it is heard again, unless another one publishes them.

    What has bars of an earlier run, and was not published in this one, is missing while nobody at all is
    heard. `now` is in seconds of a monotonic clock, `wall` in milliseconds since the epoch.
    """

    def __init__(self, catalogue: Catalogue, silence: float) -> None:
        """`silence` is in seconds."""
        self._catalogue = catalogue
        self._silence = silence
        self._publishers: dict[str, Present] = {}
        self._unclaimed = Present("", 0.0, 0)
        self._missing: set[str] = set()
        self._silent: set[Present] = set()  # as of the last look
        self._looked = 0.0
        self.gone: list[str] = []
        """Those that are, each with how long it has been silent."""

    def restore(self, codes: Iterable[str], wall: int) -> None:
        """These have bars of an earlier run, of which the last was at the latest at that time."""
        self._unclaimed.wall = wall
        for code in codes:
            if code in self._catalogue:
                self._unclaimed.codes[self._catalogue[code].calendar].add(code)

    def heard(self, name: str, codes: Collection[str], now: float, wall: int) -> Began | None:
        """A publisher has sent something, prices of these codes among it. Returns what is back by that."""
        found = self._publishers.get(name)
        if found is None:
            found = self._publishers[name] = Present(name, now, wall)
        found.at, found.wall = now, wall
        for code in codes:
            calendar = self._catalogue[code].calendar
            found.codes[calendar].add(code)
            self._unclaimed.codes[calendar].discard(code)
        self._unclaimed.at, self._unclaimed.wall = now, wall
        if not self._missing:
            return None
        back = self._missing.intersection(codes)
        for one in self._silent.intersection((found, self._unclaimed)):
            back.update(*(self._missing & its for its in one.codes.values()))
            self._silent.remove(one)
        self._missing -= back
        return Began(tuple(sorted(back)), wall) if back else None

    def look(self, now: float, wall: int) -> list[Broke]:
        """What is missing since the last look."""
        held_up, self._looked = now - self._looked > HELD_UP, now
        everybody = [*self._publishers.values(), self._unclaimed]
        if held_up:  # what they sent waits in their sockets
            for one in everybody:
                one.at = now
        self._silent = {one for one in everybody if now - one.at >= self._silence}
        there = set[str]()
        if self._silent:
            others = (one for one in self._publishers.values() if one not in self._silent)
            there.update(*(codes for one in others for codes in one.codes.values()))
        gone: dict[str, None] = {}
        broke: list[Broke] = []
        for one in [one for one in everybody if one in self._silent]:
            for since, codes in self._open(one, wall):
                lost = codes - there
                reason = f"{one.name or 'every publisher'} has been silent for {self._silence:g} s"
                if lost:
                    gone[reason] = None
                if fresh := lost - self._missing:
                    self._missing |= fresh
                    broke.append(Broke(tuple(sorted(fresh)), since, reason))
        self.gone = [*gone]
        return broke

    def _open(self, one: Present, wall: int) -> Iterator[tuple[int, set[str]]]:
        """Codes of a publisher whose markets have been open for long enough, and since when nothing came."""
        for calendar, codes in one.codes.items():
            since = one.wall
            if calendar in KEYS:
                if not load(calendar).is_open(wall):
                    continue
                if not codes <= self._missing:
                    since = _opened(load(calendar), one.wall, wall)
            if codes and wall - since >= self._silence * 1000:
                yield since, codes


def _opened(hours: Calendar, since: int, now: int) -> int:
    """Since when a market that is open has been so, as far as that lies behind `since`."""
    at = since if hours.is_open(since) else hours.next_open(since)
    while at is not None and (closes := hours.next_close(at)) is not None and closes <= now:
        at = hours.next_open(closes)
    return now if at is None else at
