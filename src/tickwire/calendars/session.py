"""What a calendar is made of: sessions, the days that have them, and the timetables that give the days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class State(StrEnum):
    """What a market does at a moment, and from HALTED on an instrument of it, which no calendar knows.

    PRE_OPEN is the time before the first session in which orders are taken and an opening auction may
    print, without continuous trading. BREAK is a gap between two sessions of a trading date, or one that
    the vendor publishes as a daily break.
    """

    PRE_OPEN = "pre-open"
    OPEN = "open"
    BREAK = "break"
    CLOSED = "closed"
    HALTED = "halted"
    LIMIT_UP = "limit-up"
    LIMIT_DOWN = "limit-down"
    DELISTED = "delisted"


class SessionKind(StrEnum):
    """Pre- and post-market are known for US stocks only."""

    PRE_MARKET = "pre-market"
    REGULAR = "regular"
    POST_MARKET = "post-market"


class Session(NamedTuple):
    """A stretch of trading, open <= ms < close, since the epoch. A closing auction is part of it."""

    open: int
    close: int
    kind: SessionKind = SessionKind.REGULAR


class Day(NamedTuple):
    """A trading date: its sessions in order, and what lies around them, in milliseconds since the epoch.

    The market is pre-open from `pre_open` to the first session, and in a break from the last one to
    `break_until`; None where there is no such thing.
    """

    sessions: tuple[Session, ...] = ()
    pre_open: int | None = None
    break_until: int | None = None


class Timetable(Protocol):
    """Where a calendar has its days from: without more, dates of UTC for ever, and no holidays.

    The sessions of a trading date lie between the midnights (UTC) of the day before and of the second day
    after it, and overlap none of another date.
    """

    zone: ZoneInfo = ZoneInfo("UTC")
    """The zone whose dates are the trading dates."""
    first: date = date.min
    """The first date that is known."""
    horizon: date = date.max
    """The last date that is known."""
    expected_horizon: date = date.max
    """The last date of which it is known or expected whether it is a holiday."""
    holidays: tuple[date, ...] = ()
    """The weekdays without trading, ascending."""
    expected: tuple[date, ...] = ()
    """The weekdays beyond the horizon on which none is expected, ascending: statutory and lunar holidays."""

    def day(self, day: date) -> Day:
        """What is traded on that date, known or not."""
        ...


def moment(day: date, minutes: int, zone: tzinfo) -> int:
    """The moment at which clocks in the zone show so many minutes after midnight of the day.

    In milliseconds since the epoch. Minutes may be below 0 or beyond 1440.
    """
    local = datetime.combine(day, time(), zone) + timedelta(minutes=minutes)
    return (local - EPOCH) // MILLISECOND


def minutes(clock: str) -> int:
    """Minutes after midnight of a time written as HH:MM."""
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)
