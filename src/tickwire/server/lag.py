"""How late the event loop is, and what holds it up."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from types import FrameType

import structlog

from ..model import Histogram

BEAT = 0.05
"""Seconds between two looks."""
BLOCKED = 0.1
"""Seconds by which the loop is late when it counts as blocked."""
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds: the upper bounds of the histogram."""
DEEPEST = 8
"""Functions that a line of the log names, the innermost first."""
MOST_PLACES, SAY_AGAIN = 10, 600.0
"""Places that are said in so many seconds, each once."""

log = structlog.get_logger()


class LoopLag:
    """Measures by how much the loop comes late to a timer, and says where it stands when that is too much.

    The loop cannot say so while it is blocked, so a thread looks at it. One that was late itself looks again
    after a moment: then the whole process was paused, and the loop is about to go on.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` is a clock in seconds."""
        self._monotonic = monotonic
        self._due = 0.0
        self.lags = Histogram(BOUNDS)
        """Seconds by which it was late."""
        self.blocked = 0
        """How often the loop was blocked."""
        self._said: dict[str, float] = {}

    async def run(self) -> None:
        """Measures. Never ends."""
        ended = threading.Event()
        self._due = self._monotonic() + BEAT
        watch = (asyncio.get_running_loop(), threading.get_ident(), ended)
        threading.Thread(target=self._watch, args=watch, name="loop lag", daemon=True).start()
        try:
            while True:
                self._due = self._monotonic() + BEAT
                await asyncio.sleep(BEAT)
                self.lags.add(max(0.0, self._monotonic() - self._due))
        finally:
            ended.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, ident: int, ended: threading.Event) -> None:
        """What the thread does."""
        said_of, looked = 0.0, self._monotonic()
        while not ended.wait(BEAT):
            due, before, looked = self._due, looked, self._monotonic()
            if looked - due <= BLOCKED or due == said_of:
                continue
            if looked - before > 2 * BEAT and (ended.wait(BEAT) or due != self._due):
                continue
            said_of = due
            self.blocked += 1
            if (frame := sys._current_frames().get(ident)) is not None:
                self._say(asyncio.current_task(loop), frame)

    def _say(self, task: asyncio.Task[object] | None, frame: FrameType | None) -> None:
        places: list[str] = []
        while frame is not None and len(places) < DEEPEST:
            code = frame.f_code
            places.append(f"{code.co_qualname} ({code.co_filename.rpartition('/')[2]}:{frame.f_lineno})")
            frame = frame.f_back
        now = self._monotonic()
        self._said = {place: at for place, at in self._said.items() if now - at < SAY_AGAIN}
        if places[0] in self._said or len(self._said) >= MOST_PLACES:
            return
        self._said[places[0]] = now
        log.warning(
            "the event loop is blocked",
            seconds=round(now - self._due, 3),
            task="" if task is None else task.get_name(),
            at=" < ".join(places),
        )
