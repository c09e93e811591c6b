"""When markets are open upstream, and what their time is: from what it says, and how long it says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ...calendars import KEYS, load
from ...client import Clock
from ...client.clock import sleep
from ...model import Catalogue
from .upstream_clock import NEAR, UpstreamClock

SETTLE, GRACE = 1.0, 3.0
"""Seconds in which upstream can say what its time is, before it is guessed: at first where that is easy."""
PATIENCE = 10.0
"""Seconds that anybody waits for it."""


@dataclass(eq=False, repr=False)
class MarketTime:
    """The market's time. `wall` is in milliseconds since the epoch; `found` is called once it is known."""

    clock: Clock
    wall: Callable[[], int]
    catalogue: Catalogue
    found: Callable[[], None]

    def __post_init__(self) -> None:
        self.market = UpstreamClock()
        """Upstream's clock."""
        self.round_the_clock = False
        """Whether all markets are open at any time, whatever their calendars say."""
        self._spoke = asyncio.Event()
        self._sure = asyncio.Event()

    def read(self) -> int:
        """In milliseconds since the epoch; 0 while it is not known."""
        return self.market.read(self.clock.time())

    def is_open(self, code: str, at: int) -> bool | None:
        """Whether the market of a code is open at that moment; None if nobody knows."""
        if self.round_the_clock:
            return True
        key = self.catalogue[code].calendar
        return load(key).is_open(at) if key in KEYS else None

    def believed(self) -> int:
        """The latest time that is believed of a single event."""
        return self.market.latest(self.clock.time(), self.wall())

    @property
    def is_real(self) -> bool:
        """Whether upstream runs on the wall clock."""
        return abs(self.read() - self.wall()) <= NEAR

    def spoke(self) -> None:
        """Upstream has said something."""
        self._spoke.set()
        if self.market.sure:
            self._sure.set()

    def stood(self, code: str, at: int) -> bool:
        """A code was shown as it stood at that moment. False: that lies too far ahead to be believed."""
        wall = self.wall()
        closed = self.is_open(code, wall) is False
        return self.market.stood(at, self.clock.time(), wall, closed=closed)

    async def find(self) -> None:
        """Guesses it, if upstream does not say it."""
        await self._spoke.wait()
        began = self.clock.time()
        while not self.market.sure:
            await sleep(self.clock, SETTLE)
            now = self.clock.time()
            self.market.settle(now, self.wall(), patient=now - began < GRACE)
        self._sure.set()
        self.found()

    async def known(self) -> bool:
        """Waits until it is known; False if that takes too long."""
        if not self.market.sure:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._sure.wait()
        return self.market.sure
