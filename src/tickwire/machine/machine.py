"""The machine that a server runs on, as one value, so that all of it can be simulated."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random, SystemRandom
from typing import NamedTuple

from .disk import Disk
from .network import Network


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

    def wall(self) -> float:
        """Seconds since the epoch: tokens and the quotas of a day go by them."""
        return self.time_ns() / 1e9

    def millis(self) -> int:
        """Milliseconds since the epoch: sources go by them."""
        return self.time_ns() // 1_000_000


REAL = Machine()
