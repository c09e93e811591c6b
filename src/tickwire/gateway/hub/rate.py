"""A view that carries no more than so many pushes a second: what comes between two of them is joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ...bus import StreamEvent
from ...model import Instrument
from .digest import Digest, Marks, Stretch, is_passing

Later: TypeAlias = Callable[[float, Callable[[], None]], object]
"""Calls something in so many seconds."""


class Rate:
    """What a view has not carried yet."""

    __slots__ = ("_clock", "_digest", "_due", "_later", "_mark", "_marks", "_release", "_seconds", "_waits")

    def __init__(
        self,
        most: int,
        newest: int,
        release: Callable[[Stretch], None],
        clock: Callable[[], float],
        later: Later,
    ) -> None:
        """`most` pushes a second; `newest` is the `seq` of the last event before. `release` carries a
        stretch, `clock` is monotonic, in seconds."""
        self._seconds = 1 / most
        self._release = release
        self._clock = clock
        self._later = later
        self._marks = Marks()
        self._digest = Digest(self._marks, newest)
        self._mark = self._marks.here()
        self._marks.hold((self._mark,))
        self._due = 0.0  # when the next push may be
        self._waits = False

    def take(self, event: StreamEvent, seq: int, instrument: Instrument) -> None:
        """The next event. One that nobody may miss is carried at once, behind what waits."""
        self._digest.add(event, seq, instrument)
        now = self._clock()
        if now >= self._due or not is_passing(event):
            self._give(now)
        elif not self._waits:
            self._waits = True
            self._later(self._due - now, self._give_late)

    def give(self) -> None:
        """Carries what waits, whether its time has come or not."""
        if self._marks.moved:
            self._give(self._clock())

    def held(self) -> Stretch:
        """What waits."""
        return self._digest.since(self._mark)

    def _give_late(self) -> None:
        self._waits = False
        self.give()

    def _give(self, now: float) -> None:
        stretch = self._digest.since(self._mark)
        self._marks.release((self._mark,))
        self._mark = self._marks.here()
        self._marks.hold((self._mark,))
        self._due = now + self._seconds
        self._release(stretch)
