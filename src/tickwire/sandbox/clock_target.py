"""The moment to which a scenario moves the market's time. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..errors import InputError

MOMENT = 'a text such as "2026-11-28T12:00:00Z" (1970 to 2199) or "saturday 12:00" (UTC)'
"""What `to` may be, for people."""
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
ABSOLUTE = re.compile(r"(?:19[7-9][0-9]|2[01][0-9]{2})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z")
"""Up to 2199: time zones and calendars fail at the end of what Python counts."""
WEEKLY = re.compile(rf"({'|'.join(WEEKDAYS)}) ([01][0-9]|2[0-3]):([0-5][0-9])", re.IGNORECASE | re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
WEEK = 7 * DAY
SINCE_MONDAY = 3 * DAY
"""The epoch was a Thursday."""


def clock_target(to: str, now_ms: int) -> int:
    """What `to` means when the market's time is `now_ms`, both in milliseconds since the epoch.

    A weekday and a time mean the next such moment after now; an absolute moment is itself, even if past.
    Raises InputError if `to` is neither.

    >>> [clock_target(to, 0) for to in ("2026-11-28T12:00Z", "thursday 00:00", "Friday 01:00")]
    [1795867200000, 604800000, 90000000]
    """
    if weekly := WEEKLY.fullmatch(to):
        weekday, hour, minute = weekly.groups()
        into_week = WEEKDAYS.index(weekday.lower()) * DAY + (int(hour) * 60 + int(minute)) * MINUTE
        since_last = (now_ms + SINCE_MONDAY - into_week) % WEEK
        return now_ms - since_last + WEEK
    if ABSOLUTE.fullmatch(to):
        try:
            return (datetime.fromisoformat(to) - EPOCH) // MILLISECOND
        except ValueError:  # a day that its month does not have
            pass
    raise InputError(f"The clock cannot be moved to {to!r}: expected {MOMENT}.")
