"""Reads bars back in time, page by page. Without I/O: a page is asked for through a callable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, TypeAlias

from ..model import Kline, KlineType, earliest_open

PAGE = 500
"""Bars of one answer at the most (section 3)."""
LONGEST_SECONDS = 10
"""Digits of a Unix time in seconds."""
YEARS = (1970, 2101)
"""Those that are asked for, from and to: all bars lie between 1990 and 2100."""
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
    return None if when is None else _milliseconds(_datetime(when))


def between(
    start: str | date | None, end: str | date | None, kline_type: KlineType
) -> tuple[int | None, int | None]:
    """`opening` of both. Raises ValueError if the end lies before the start, too."""
    first, before = opening(start, kline_type), opening(end, kline_type)
    if first is not None and before is not None and before < first:
        raise ValueError(f"the end, {end}, lies before the start, {start}")
    return first, before


def opening(when: str | date | None, kline_type: KlineType) -> int | None:
    """From when on, in milliseconds since the epoch, a bar of that type opens that opens "from `when` on".

    Of days, weeks and months, what has no zone is a trading date: that of the instrument's exchange, wherever
    it is. Otherwise it is as for `milliseconds`, which see.

    >>> opening("2026-09-04", KlineType.HOUR) - opening("2026-09-04", KlineType.DAY)  # when it may open
    46800000
    """
    if when is None:
        return None
    found = _datetime(when)
    if not YEARS[0] <= found.year < YEARS[1]:
        return _milliseconds(found)
    if kline_type < KlineType.DAY or found.tzinfo is not None:
        return _milliseconds(found)
    day = found.date()
    return earliest_open(day if found.time() == time() else day + timedelta(days=1))


def _datetime(when: str | date) -> datetime:
    if isinstance(when, datetime) and when == when:  # pandas' NaT does not
        return when
    if isinstance(when, date) and not isinstance(when, datetime):
        return datetime.combine(when, time())
    try:
        if not isinstance(when, str) or (when.isdigit() and len(when) != len("20260904")):
            raise ValueError
        return datetime.fromisoformat(when)
    except ValueError:
        hint = ""
        if str(when).isdigit():
            seconds = f"{when} / 1000" if len(str(when)) > LONGEST_SECONDS else when
            hint = f"; of a Unix time make a datetime with a zone: datetime.fromtimestamp({seconds}, UTC)"
        raise ValueError(f"{when!r} is no time such as 2026-09-04 or 2026-09-04T12:30Z{hint}") from None


def _milliseconds(when: datetime) -> int:
    if not YEARS[0] <= when.year < YEARS[1]:  # before or after all bars
        when = datetime(max(YEARS[0], min(when.year, YEARS[1])), 1, 1, tzinfo=UTC)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


class Read(NamedTuple):
    """Bars that were read, ascending. Where none lie before them in that time, `over` says that there are
    none before it either; else `older` is the latest that is known to, if one is."""

    bars: list[Kline]
    over: bool
    older: Kline | None


async def history(
    page: Page,
    code: str,
    most: int,
    start: int | None,
    end: int | None,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Read:
    """The last `most` bars that open from `start` on and before `end`, in milliseconds.

    It ends where a page brings nothing older: history is over, or the server gives the latest bars
    whatever it is asked for, as the vendor's does for stocks.
    """
    found: list[Kline] = []  # descending
    oldest = None if end is None else -(-end // 1000)
    until = 0 if oldest is None else max(oldest - 1, 1)
    newest: int | None = None
    over, older = False, None
    while len(found) < most:
        got = await page(min(most - len(found), PAGE), until)
        bars = [one for one in got if oldest is None or one.time < oldest]
        if not bars:
            over = True
            break
        bars.sort(key=lambda one: one.time, reverse=True)
        newest = bars[0].time if newest is None else newest
        oldest = bars[-1].time
        found += [one for one in bars if start is None or one.time * 1000 >= start]
        progress(Progress(code, len(found), _part(len(found), most, newest, oldest, start)))
        if start is not None and oldest * 1000 <= start:
            older = next((one for one in bars if one.time * 1000 < start), None)
            break
        until = oldest - 1
    progress(Progress(code, len(found[:most]), 1.0))
    return Read(found[:most][::-1], over, older)


def _part(found: int, most: int, newest: int, oldest: int, start: int | None) -> float:
    """Which part is done, by number or by time."""
    by_number = found / most
    if start is None or newest * 1000 <= start:
        return min(by_number, 1.0)
    return min(max(by_number, (newest - oldest) / (newest - start / 1000)), 1.0)
