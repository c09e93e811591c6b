"""The machine that a server runs on, as one value, so that all of it can be simulated."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random, SystemRandom
from typing import NamedTuple

from .disk import Disk
from .memory import memory
from .network import Network


class VirtualTime:
    """A clock in nanoseconds since the epoch that stands at a moment until it is begun; from then on it goes
    as the monotonic clock does."""

    def __init__(self, start: int, monotonic: Callable[[], float]) -> None:
        """`start` is in milliseconds since the epoch."""
        self._start = start * 1_000_000
        self._monotonic = monotonic
        self._began: float | None = None

    def __call__(self) -> int:
        """What it shows."""
        if self._began is None:
            return self._start
        return self._start + int((self._monotonic() - self._began) * 1e9)

    def begin(self) -> None:
        """Lets it go, unless it goes already."""
        if self._began is None:
            self._began = self._monotonic()


class Machine(NamedTuple):
    """Each part of a server is handed what it needs of it. What waits and connects does so by the event loop,
    and a simulation has a loop of its own too."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds of a clock that is never set: heartbeats, limits and time-outs run on it."""
    time_ns: Callable[[], int] = time.time_ns
    """Nanoseconds since the epoch."""
    dice: Random = SystemRandom()
    disk: Disk = Disk()
    network: Network = Network()
    memory: Callable[[], int] = memory
    """Bytes that the server may use."""

    def wall(self) -> float:
        """Seconds since the epoch: tokens and the quotas of a day go by them."""
        return self.time_ns() / 1e9

    def starting(self, at: int) -> Machine:
        """The same in a virtual time that begins at a moment, in milliseconds since the epoch."""
        return self._replace(time_ns=VirtualTime(at, self.monotonic))

    def millis(self) -> int:
        """Milliseconds since the epoch: sources go by them."""
        return self.time_ns() // 1_000_000


REAL = Machine()
