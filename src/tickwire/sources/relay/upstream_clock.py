"""The market's clock of a server that we only hear. Pure: time is an argument."""

from __future__ import annotations

AHEAD = 60_000
"""Milliseconds that an event may lie ahead of all clocks."""
AGREEING = 16
"""So many events in a row further ahead, and of about one time, are believed of an upstream that never showed
our time."""
NEAR = 60_000
"""Milliseconds from the wall clock within which the upstream runs on it."""
RECENT = 86_400_000
"""Milliseconds for which nothing may be traded though a market is open."""
QUIET = 10 * 86_400_000
"""Milliseconds for which no market is closed at a stretch."""
SPAN = 30.0
"""Seconds for which an event counts at least, if others come after it."""


class UpstreamClock:
    """What the market's time is where the events come from: that of the newest one, and what passed since.

    So a delayed market or a replay has its own time, a quiet one goes on, and nothing runs backwards; where
    upstream goes slower than time, or starts again, the clock stands still until it is overtaken. An upstream
    that showed our time once is not believed when it jumps ahead. One that never did may be right, yet what
    lies ahead moves no clock, so that no bar stands in the future. Both hold unless its data is made up.
    Times of events and `wall` are in milliseconds since the epoch, `now` is in seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self.sure = False
        """Whether it runs; before, it shows 0."""
        self.replayed = False
        """Whether upstream plays a recording, whose time is not guessed from the wall clock's."""
        self.made_up = False
        """Whether upstream says that its data is made up or recorded, so that its time may be any."""
        self.runs_ahead = False
        """Whether events are believed though they lie ahead of our time."""
        self._newest = self._older = 0  # how far ahead of `now` events were: lately, and before that
        self._since = 0.0
        self.shown = 0
        """What it showed when it was read last."""
        self._state: int | None = None  # the same of the newest state, while nothing better is known
        self._closed = False
        self._far = self._agreeing = 0
        self._agreed = False  # whether it ever showed our time
        self._ours = 0  # how far ahead of `now` our time was, when it was shown or guessed last

    def read(self, now: float) -> int:
        """What it shows."""
        if self.sure:
            self.shown = max(self.shown, int(now * 1000) + max(self._newest, self._older))
        return self.shown

    def read_at(self, moment: float) -> int:
        """What it showed at an earlier moment, as far as can be known now."""
        return min(int(moment * 1000) + max(self._newest, self._older), self.shown)

    def happened(self, time: int, now: float, wall: int) -> bool:
        """An event came, fresh from the market. False: its time lies so far ahead that it is not believed."""
        if not self._believes(time, now, wall):
            return False
        if not self.is_ahead(time, now, wall):
            self._take(time - int(now * 1000), now)
        return True

    def latest(self, now: float, wall: int) -> int:
        """The latest time that is believed at once. A wall clock that is set back makes no future of now."""
        if self.made_up:
            return max(wall, self.read(now)) + AHEAD
        return max(wall, int(now * 1000) + self._ours) + AHEAD

    def is_ahead(self, time: int, now: float, wall: int) -> bool:
        """Whether a time lies ahead of our time: what happened then is counted in no bar."""
        return not self.made_up and time > self.latest(now, wall)

    def stood(self, time: int, now: float, wall: int, *, closed: bool) -> bool:
        """A code was shown as it stands, and that is of this time: the market's time is later.

        `closed` says that its market is closed by the wall clock. False: as above.
        """
        if not self._believes(time, now, wall):
            return False
        ahead = time - int(now * 1000)
        if self.is_ahead(time, now, wall):
            return True
        if self.sure:
            if time > self.read(now):
                self._take(ahead, now)
        elif self._state is None or ahead > self._state:
            self._state = ahead
            self._closed = closed and 0 <= wall - time < QUIET
            if abs(wall - time) <= NEAR:
                self._take(wall - int(now * 1000), now)
        return True

    def settle(self, now: float, wall: int, *, patient: bool = False) -> None:
        """Nothing fresh came for a while, so the time is guessed: it is that of the wall clock, unless what
        was shown of an open market is days old, as a recording is. `patient` waits on where upstream may
        just be delayed: what was shown of an open market is minutes old.
        """
        if self.sure:
            return
        age = 0 if self._state is None else wall - int(now * 1000) - self._state
        if self._state is not None and (self.replayed or (age >= RECENT and not self._closed)):
            self._take(self._state, now)
        elif not self.replayed and (self._state is None or self._closed or not patient):
            self._ours = wall - int(now * 1000)
            self._take(self._ours, now)

    def _take(self, ahead: int, now: float) -> None:
        if not self.sure:
            self.sure, self._newest, self._older, self._since = True, ahead, ahead, now
        elif now - self._since < SPAN:
            self._newest = max(self._newest, ahead)
        else:
            self._older, self._newest, self._since = self._newest, ahead, now

    def _believes(self, time: int, now: float, wall: int) -> bool:
        if time <= self.latest(now, wall):
            self._agreeing = 0
            if abs(time - wall) <= NEAR:
                self._ours = wall - int(now * 1000)
                self._agreed, self.runs_ahead = True, False
            return True
        ahead = time - int(now * 1000)
        self._agreeing = self._agreeing + 1 if abs(ahead - self._far) <= AHEAD and self._agreeing else 1
        self._far = ahead
        if self._agreeing < AGREEING or (self._agreed and not self.made_up):
            return False
        self.runs_ahead = not self.made_up
        return True
