"""What the fields of a step must be beyond their types."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeAlias

from ..errors import InputError
from .clock_target import MOMENT, clock_target
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

Broken: TypeAlias = Iterator[tuple[Path, str]]
"""What is wrong: its path in the step, and a text that goes on where its name leaves off, "must be …"."""


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
        case LimitUp() | LimitDown():
            yield from _percent(step.percent, 0, LIMIT_MOST)
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
