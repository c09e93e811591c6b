"""How a source is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from ..model import UpstreamUse

SMOOTHED = 64
"""Events, or what came together, over which a clock's skew is smoothed."""


class Status(StrEnum):
    """What a source has come to.

    STALE: connected, yet nothing comes although its markets are open. ENDED: all that it has was yielded.
    """

    CONNECTING = "connecting"
    UP = "up"
    STALE = "stale"
    DOWN = "down"
    ENDED = "ended"


@dataclass(eq=False, repr=False)
class Health:
    """The state of a source and its counters; the source itself keeps it up to date.

    `since` is in milliseconds since the epoch. `lag` is how long the last event took from the source's time
    to us, in milliseconds, None before the first one of a live source; how late a simulator's ticks come.
    `bad` counts what could not be read or is unfit (docs/data-rules.md), `dropped` what came faster than it
    was taken or made, or could not be told from what had come before, `renumbered` the streams that began to
    be counted anew on an open connection, `unanswered` how often upstream did not say of a code over HTTP how
    it stands, `crossed` the books that passed although their best bid was above their best ask.
    """

    status: Status = Status.CONNECTING
    _: KW_ONLY
    wall: Callable[[], int]
    """In milliseconds since the epoch."""
    upstream: Callable[[], UpstreamUse] | None = None
    """What is used of an account upstream, where the source shares one among all who are connected here."""

    def __post_init__(self) -> None:
        self.since = self.wall()
        self.reason = ""
        self.lag: int | None = None
        self.skew: float | None = None
        """Milliseconds by which our clock is ahead of the events' own, smoothed: what they take to us, and
        what the clocks differ by. Below 0 the source's clock is ahead. None as `lag`, and of a simulator."""
        self.bad = self.dropped = self.renumbered = self.unanswered = self.crossed = 0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """`changed` is called whenever the status is another one."""
        self._watchers.append(changed)

    def stamped(self, late: int) -> None:
        """The last event came so many milliseconds after its own time, by our clock."""
        self.lag = late
        self.skew = late if self.skew is None else self.skew + (late - self.skew) / SMOOTHED

    def tell(self, status: Status, reason: str = "") -> None:
        """It is so now."""
        if status is self.status:
            self.reason = reason or self.reason
            return
        self.status, self.since, self.reason = status, self.wall(), reason
        for changed in self._watchers:
            changed()
