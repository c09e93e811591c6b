"""What the fields of a step must be beyond their types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from ..errors import InputError
from .places import Path
from .steps import Answer, Clock, Delay, Disconnect, Jump, Late, LimitDown, LimitUp, Span, Step
from .words import shown

REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, section 5.5)."""
CLOSE_CODES = (range(1000, 1004), range(1007, 1015), range(3000, 5000))
"""What may stand in a close frame (RFC 6455, section 7.4, and the registry of IANA)."""
JUMP_ABOVE, JUMP_MOST, LIMIT_MOST = -100, 1000, 50
PERCENT_DECIMALS = 30
"""Enough for any float. Without a bound, a number of a few characters fills the memory when written out."""
SUCCESS = 200
BODILESS = (204, 205, 304)
LONGEST_DELAY = 25
"""Seconds: a heartbeat counts when it is looked at, and after 30 s without one a client is closed."""
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

Broken: TypeAlias = Iterator[tuple[Path, str]]
"""What is wrong: its path in the step, and a text that goes on where its name leaves off, "must be …"."""


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


def broken_rules(step: Step) -> Broken:
    """What is wrong with a step whose fields are of the right types."""
    match step:
        case Late():
            yield from _span("by", step.by)
        case Delay():
            yield from _span("by", step.by)
            longest = step.by[-1] if isinstance(step.by, tuple) else step.by
            if longest > LONGEST_DELAY:
                yield ("by",), f"must be at most {LONGEST_DELAY} seconds, not {longest:g}"
        case Disconnect():
            yield from _span("after", step.after)
            yield from _close(step)
        case LimitUp(percent=Decimal() as percent) | LimitDown(percent=Decimal() as percent):
            yield from _percent(percent, 0, LIMIT_MOST)
        case Jump():
            yield from _percent(step.percent, JUMP_ABOVE, JUMP_MOST)
        case Answer():
            yield from _answer(step)
        case Clock():
            yield from _clock(step)


def _span(field: str, span: Span) -> Broken:
    if isinstance(span, tuple) and span[0] > span[1]:
        yield (field,), f"must have its smaller number first: [{span[1]:g}, {span[0]:g}]"


def _percent(percent: Decimal, above: int, most: int) -> Broken:
    exponent = percent.as_tuple().exponent
    if not isinstance(exponent, int) or not above < percent <= most:
        given = shown(str(percent))[1:-1]
        yield ("percent",), f"must be a number above {above} and at most {most}, not {given}"
    elif exponent < -PERCENT_DECIMALS:
        yield ("percent",), f"must have at most {PERCENT_DECIMALS} decimals"


def _close(step: Disconnect) -> Broken:
    if not any(step.code in codes for codes in CLOSE_CODES):
        ranges = ", ".join(f"{codes[0]} to {codes[-1]}" for codes in CLOSE_CODES)
        yield (
            ("code",),
            f"must be one that a close frame may carry ({ranges}), not {step.code}; "
            "for an end without a frame, which clients report as 1006, write reset = true instead",
        )
    if len(step.reason.encode()) > REASON_BYTES:
        yield ("reason",), f"must fit into {REASON_BYTES} bytes of UTF-8"


def _answer(step: Answer) -> Broken:
    if step.status in BODILESS:
        yield ("status",), f"must be one whose answer has a body, not {step.status}"
    if step.ret == SUCCESS:
        yield ("ret",), "must be that of an error, such as 605: 200 means success, which needs no step"
    for place, request in enumerate(step.requests):
        if isinstance(request, str) and not request.startswith("/"):
            yield (
                ("requests", place),
                f'must be a cmd_id (22004) or a path ("/kline"), not {shown(request)}',
            )


def _clock(step: Clock) -> Broken:
    if step.to is None and step.speed is None and step.hours is None:
        yield (), "does not say what becomes of the clock: add to, speed or hours"
    if step.to is not None:
        try:
            clock_target(step.to, 0)
        except InputError:
            yield ("to",), f"must be {MOMENT}, not {shown(step.to)}"
