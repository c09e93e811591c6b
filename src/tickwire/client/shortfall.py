"""Why a download has no bars, or bars that begin later than was asked: in words, with how deep they go.

Without I/O: a page is asked for through a callable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ..model import Kline, KlineType, moment, trading_date
from .errors import ClientError
from .history import PAGE, Page, Read
from .intervals import INTERVAL_OF, LENGTHS

LOOK = 10.0
"""Seconds in which it is looked for how far bars go back."""


class HistoryWarning(UserWarning):
    """A download has no bars, they begin later than was asked, or they lack what a recording holds."""


async def shortfall(
    page: Page, code: str, kline_type: KlineType, start: int | None, end: int | None, read: Read
) -> str:
    """What is lacking of what was read between two times, in milliseconds; empty if nothing is."""
    bars = f"{INTERVAL_OF[kline_type]} bars"
    if read.bars:
        if start is None or not read.over or read.bars[0].time * 1000 - start < LENGTHS[kline_type]:
            return ""
        return f"{code}: the {bars} begin with {shown(read.bars[0])}, later than asked: there are none before"
    if not read.over:
        last = f", the last of {shown(read.older)}" if read.older else ""
        return f"{code}: there are no {bars} in that time, though there are older ones{last}"
    if end is None:
        return f"{code}: there are no {bars}"
    first, surely = await _oldest(page, -(-end // 1000) - 1, LENGTHS[kline_type] // 1000)
    if first is None:
        return f"{code}: there are no {bars}" if surely else f"{code}: there are no {bars} in that time"
    at_least = "" if surely else " or earlier"
    return f"{code}: there are no {bars} in that time: they begin with {shown(first)}{at_least}"


def recorded_shortfall(
    code: str, kline_type: KlineType, start: int | None, bars: Sequence[Kline], begin: int
) -> str:
    """What is lacking of the bars of a recording that begins then, in milliseconds, from a time on; empty if
    nothing is."""
    name, opened = f"{INTERVAL_OF[kline_type]} bars", f"{moment(begin):%Y-%m-%dT%H:%MZ}"
    if not bars:
        found = f"which begins at {opened}" if begin else "in which nothing is"
        return f"{code}: there are no {name} in that time in the recording, {found}"
    first = bars[0]
    if start is None or begin <= start or first.time * 1000 - start < LENGTHS[kline_type]:
        return ""
    return f"{code}: the {name} begin with {shown(first)}, later than asked: the recording begins at {opened}"


def shown(bar: Kline) -> str:
    """When a bar opens, as people say it: the trading date of days, weeks and months, else the time."""
    opened = bar.time * 1000
    if bar.kline_type >= KlineType.DAY:
        return trading_date(opened).isoformat()
    return f"{moment(opened):%Y-%m-%dT%H:%MZ}"


async def _oldest(page: Page, none_until: int, length: int) -> tuple[Kline | None, bool]:
    """The first bar there is, as far as it is found in time, and whether it surely is that; none opens up to
    `none_until`, in seconds."""
    first: Kline | None = None
    with suppress(ClientError, TimeoutError):
        async with asyncio.timeout(LOOK):
            until = 0  # the latest
            while True:
                got = await page(PAGE, until)
                bars = [one for one in got if not until or one.time <= until]
                if got and not bars:  # it gives the latest ones whatever it is asked for
                    return first, True
                if bars:
                    first = min(bars, key=lambda one: one.time)
                elif first is None:
                    return None, True
                else:
                    none_until = until
                if 0 < len(bars) < PAGE or first.time - none_until <= length:
                    return first, True
                until = (none_until + first.time) // 2
    return first, False
