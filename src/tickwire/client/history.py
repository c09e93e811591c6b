"""Reads bars back in time, page by page. Without I/O: a page is asked for through a callable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple, TypeAlias

from ..model import Kline

PAGE = 500
"""Bars of one answer at the most (section 3)."""
ALL = 2**62
"""More bars than there are."""

Page: TypeAlias = Callable[[int, int], Awaitable[Sequence[Kline]]]
"""Asks for so many bars up to a time in seconds, 0 for now."""


class Progress(NamedTuple):
    """How far a download is: bars of a code that are there, and which part of it is done, from 0 to 1."""

    code: str
    bars: int
    part: float


def milliseconds(when: str | date | None) -> int | None:
    """Milliseconds since the epoch of a date, a datetime or a text of ISO 8601; without a zone it is UTC.

    Raises ValueError for what is none.

    >>> milliseconds("2026-09-04 12:30"), milliseconds(date(2026, 9, 4))
    (1788525000000, 1788480000000)
    """
    if when is None:
        return None
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            raise ValueError(f"{when!r} is no time such as 2026-09-04 or 2026-09-04T12:30Z") from None
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day, tzinfo=UTC)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


async def history(
    page: Page,
    code: str,
    most: int,
    start: int | None,
    end: int | None,
    progress: Callable[[Progress], object] = lambda _: None,
) -> list[Kline]:
    """The last `most` bars that open from `start` on and before `end`, in milliseconds; they ascend.

    It ends where a page brings nothing older: history is over, or the server gives the latest bars
    whatever it is asked for, as the vendor's does for stocks.
    """
    found: list[Kline] = []  # descending
    oldest = None if end is None else -(-end // 1000)
    until = 0 if oldest is None else max(oldest - 1, 1)
    newest: int | None = None
    while len(found) < most:
        got = await page(min(most - len(found), PAGE), until)
        bars = [one for one in got if oldest is None or one.time < oldest]
        if not bars:
            break
        bars.sort(key=lambda one: one.time, reverse=True)
        newest = bars[0].time if newest is None else newest
        oldest = bars[-1].time
        found += [one for one in bars if start is None or one.time * 1000 >= start]
        progress(Progress(code, len(found), _part(len(found), most, newest, oldest, start)))
        if start is not None and oldest * 1000 <= start:
            break
        until = oldest - 1
    progress(Progress(code, len(found[:most]), 1.0))
    return found[:most][::-1]


def _part(found: int, most: int, newest: int, oldest: int, start: int | None) -> float:
    """Which part is done, by number or by time."""
    by_number = found / most
    if start is None or newest * 1000 <= start:
        return min(by_number, 1.0)
    return min(max(by_number, (newest - oldest) / (newest - start / 1000)), 1.0)
