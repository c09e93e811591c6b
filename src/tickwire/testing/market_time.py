"""The market's time, in the hands of a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

SECOND = 1000
"""In milliseconds. Scenarios move the clock to full seconds."""
EARLIEST, LATEST = 10**11, 7_258_118_399_000
"""March 1973, before which a number is rather in seconds, and the end of 2199."""

Step: TypeAlias = Callable[[int], dict[str, Any]]
"""The fields of a clock's step, from the market's time in milliseconds."""


def milliseconds(name: str, value: int) -> int:
    """The value, if it is a time in milliseconds since the epoch. Raises TypeError or ValueError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r} must be whole milliseconds since the epoch.")
    if not EARLIEST <= value <= LATEST:
        raise ValueError(f"{name}={value!r} must be milliseconds since the epoch, such as 1788530573000.")
    return value


def moment(ms: int) -> str:
    """A time in milliseconds since the epoch as scenarios write it, rounded up to a second.

    >>> moment(1_788_530_573_001)
    '2026-09-04T14:02:54Z'
    """
    return datetime.fromtimestamp(-(-ms // SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class MarketTime:
    """The clock of simulated markets: `server.time`.

    Bars close by it, and ticks bear it. Heartbeats and limits do not know it: they run on a clock of their
    own that nothing moves. From the first change on, bars are kept in memory. A server of another source
    raises InputError.
    """

    def __init__(self, now: Callable[[], int], run: Callable[[Step], object]) -> None:
        """`run` takes a step that is made when it begins, so that no time passes in between."""
        self._now = now
        self._run = run

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self._now()

    def freeze(self) -> None:
        """Lets it stand still: no more ticks but those of the test."""
        self.speed(0)

    def resume(self) -> None:
        """Lets it go on, from where it is, as fast as any clock."""
        self.speed(1)

    def speed(self, times: float) -> None:
        """Lets it go so many times as fast as any clock, up to 1000. Raises InputError."""
        self._run(lambda _: {"speed": times})

    def move(self, to: int | str | datetime | None = None, *, by: float | None = None) -> int:
        """Sets it forward, to a moment or by so many seconds; it goes on, or stands still, as before.

        `to` is in milliseconds since the epoch, a datetime with a time zone, or a text: "saturday 12:00",
        "2026-11-28T12:00:00Z". The clock is set to full seconds: parts of one are rounded up. What would
        have been traded in between is skipped. Returns the time that it is then. Raises TypeError,
        ValueError, and InputError for what is past.
        """
        if (to is None) == (by is None):
            raise ValueError("Either to= or by= says where the clock is moved.")
        if by is not None:
            if not 1 <= by <= LATEST / SECOND:
                raise ValueError(f"by={by!r}: the clock goes forward, by a second at least.")
            ahead = round(by * SECOND)
            self._run(lambda now: {"to": moment(now + ahead)})
            return self._now()
        if isinstance(to, datetime):
            if to.tzinfo is None:
                raise ValueError(f"{to!r} has no time zone.")
            to = round(to.timestamp() * SECOND)
        text = to if isinstance(to, str) else moment(milliseconds("to", to))  # type: ignore[arg-type]
        self._run(lambda _: {"to": text})
        return self._now()
