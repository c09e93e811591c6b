"""Which events of a stream have come already. Pure."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ..model import Position

REMEMBERED = 32
"""Numbers of the last events that are remembered."""
MOST_STALE = 16
"""So many events in a row, all older than what is remembered, say that the server counts anew."""


class Anew(NamedTuple):
    """The server has begun to count anew: `dropped` events with such numbers were taken for outdated before
    that was clear. `since` is the time of the newest event before or of the oldest of those, in milliseconds.
    """

    dropped: int
    since: int


class Stream:
    """A stream that is wanted: how many levels of it (0 for all), which of its events have come, and up to
    where it is there. A server that says no epoch cannot be asked for what was missed.

    `seq` grows strictly per code and kind (section 2, "Push"), yet an event may come twice, as the first
    one after a reconnect often does, or behind a younger one. A server that was begun anew behind an open
    connection counts from elsewhere: a lower number with a newer time is no old event. What lies ahead of
    all clocks is judged by its like alone: else one wrong time would make all later ones look old.
    """

    __slots__ = (
        "_ahead",
        "_before",
        "_earlier",
        "_last",
        "_recent",
        "_since",
        "_stale",
        "_stale_since",
        "_stale_time",
        "_time",
        "anew",
        "depth",
        "epoch",
        "implied",
        "outdated",
    )

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.anew: Anew | None = None
        """Set where the event that passes shows that the server counts anew; who is told of it resets it."""
        self.outdated = False
        """Set where the event that does not pass is not known to have come, yet has a number that is too low
        and a time that is not newer; who is told of it resets it."""
        self.epoch = 0
        """What the server said last; 0 before."""
        self.implied = False
        """Whether it is wanted because of a pattern alone."""
        self._earlier = 0  # the epoch before
        self._since = 0  # the last event before those that were to come
        self._ahead: Stream | None = None
        self._recent: deque[int] = deque(maxlen=REMEMBERED)
        self._last = self._before = self._stale_since = self._time = self._stale_time = -1
        self._stale = 0

    def opened(self) -> None:
        """A new connection begins."""
        self._before = self._last
        if self._ahead is not None:
            self._ahead.opened()

    def goes_on(self, epoch: int, since: int) -> None:
        """The server says in which epoch it counts, and which event was the last before those to come."""
        if epoch != self.epoch:
            self._earlier = self.epoch if self._last >= 0 else 0
            self.epoch = epoch
        self._since = since

    def begin(self, position: Position, time: int) -> None:
        """What is to come goes on behind an event of that time, which came before there was this stream."""
        self.epoch = position.epoch
        if position.seq:
            self._last = self._before = position.seq
            self._time = time
            self._recent.append(position.seq)

    @property
    def position(self) -> Position | None:
        """That of the last event that came; None where the server says no epoch."""
        return self.at(max(self._last, 0 if self._ahead is None else self._ahead._last, 0))

    def at(self, seq: int) -> Position | None:
        """The position of an event that came, 0 for none; None where the server says no epoch."""
        if not self.epoch:
            return None
        seq = seq or self._since
        return Position(self._earlier if self._earlier and seq < self.epoch else self.epoch, seq)

    def passes(self, seq: int, time: int, *, ahead: bool = False) -> bool:
        """Whether the event of that number and time (in milliseconds) has not come before; 0 is no number.
        `ahead` says that the time lies ahead of all clocks."""
        if ahead:
            return self._passes_ahead(seq, time)
        if seq > self._last:
            self._last = seq
            self._recent.append(seq)
        elif seq and not self._passes_late(seq, time):
            return False
        if time > self._time:
            self._time = time
        return True

    def _passes_ahead(self, seq: int, time: int) -> bool:
        one = self._ahead = self._ahead or Stream(self.depth)
        passes = one.passes(seq, time)
        self.anew, self.outdated = one.anew, one.outdated
        one.anew, one.outdated = None, False
        return passes

    def _passes_late(self, seq: int, time: int) -> bool:
        recent, is_newer = self._recent, time > self._time
        counts_on = 0 < self.epoch <= seq  # so the server says: it has not begun anew
        if seq in recent and (counts_on or not is_newer):
            return False
        fits = len(recent) < REMEMBERED and seq > self._since  # what is to come, behind a younger one
        if (seq > recent[0] or (counts_on and fits)) and seq not in recent:
            self._recent = deque(sorted([*recent, seq]), REMEMBERED)
            return True
        if counts_on:
            self.outdated = seq > self._since  # else it was sent before it was wanted
            return False
        if self._stale_since != self._last:
            self._stale_since, self._stale, self._stale_time = self._last, 0, self._time
        is_first = self._last == self._before
        if not is_newer and not is_first and self._stale + 1 < MOST_STALE:
            self._stale += 1
            self._stale_time = min(self._stale_time, time)
            # What lies just before the first one that came was sent before it was wanted.
            self.outdated = len(recent) == REMEMBERED or recent[0] - seq > REMEMBERED
            return False
        if not is_first:
            self.anew = Anew(self._stale, self._stale_time)
        recent.clear()
        recent.append(seq)
        self._last, self._before, self._time = seq, -1, time
        self._stale_since, self._stale = -1, 0
        return True
