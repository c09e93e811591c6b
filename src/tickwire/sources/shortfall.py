"""Whether a source that makes its data up makes as much of it as it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from .health import Health

LATE = 1.0
"""Seconds by which ticks come late before that is told."""
SETTLED = 30.0
"""Seconds without such a tick after which it is over."""
COUNTED = 1.0
"""Seconds over which steps are counted before that is told, at the least."""
WINDOW = 5.0
"""Seconds over which they are counted from then on."""

log = structlog.get_logger()


class Shortfall:
    """Says once in the log, and as the reason of a source that is up, that a machine does not keep up; and
    once that it does again."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._marks: tuple[tuple[float, int], ...] = ()  # when how many steps had been made, lately
        self._since: float | None = None
        self._last = 0.0
        self._skipped = 0

    def look(self, now: float, late: float, made: int, asked: Callable[[], float]) -> None:
        """At a moment of a monotonic clock ticks come late by so many seconds, and so many steps have been
        made; `asked` says how many are asked for in a second."""
        if not self._marks:
            self._marks = ((now, made),)
        elif now - self._marks[-1][0] >= WINDOW:
            self._marks = (self._marks[-1], (now, made))
            if self._since is not None:
                self._tell(now, late, made, asked)
        if late > LATE:
            self._last = now
            if self._since is None and now - self._marks[0][0] >= COUNTED:
                self._since, self._skipped = now, self._health.dropped
                log.warning("the simulator does not keep up", reason=self._tell(now, late, made, asked))
        elif self._since is not None and now - self._last > SETTLED:
            log.info(
                "the simulator keeps up again",
                seconds=round(now - self._since, 1),
                left_out=self._health.dropped - self._skipped,
            )
            self._since, self._health.reason = None, ""

    def _tell(self, now: float, late: float, made: int, asked: Callable[[], float]) -> str:
        (began, before), *_ = self._marks
        a_second = (made - before) / max(now - began, 0.001)
        self._health.reason = f"{late:.1f} s late: it makes {a_second:.0f} of {asked():.0f} steps a second"
        return self._health.reason
