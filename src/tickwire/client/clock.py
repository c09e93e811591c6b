"""The time a client runs on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that was ordered."""

    def cancel(self) -> None:
        """It is not made."""


class Clock(Protocol):
    """A monotonic clock, in seconds. Tests have one that they move."""

    def time(self) -> float:
        """What it shows."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Orders a call in so many seconds."""


class RealClock:
    """The machine's."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.time = monotonic

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """By the running loop."""
        return asyncio.get_running_loop().call_later(delay, callback)


async def sleep(clock: Clock, seconds: float) -> None:
    """Waits so long by that clock."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()
