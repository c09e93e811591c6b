"""The timetables of what is traded by the week: the hours that the vendor publishes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .session import Day, Session, Timetable, minutes, moment

DAY_MINUTES = 1440
WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONDAY, FRIDAY, SATURDAY = 1, 5, 6
"""Days of a week that begins on Sunday."""
SOME_SUMMER_DAY = datetime(2025, 7, 1, tzinfo=UTC)


class Hours(NamedTuple):
    """A week as the vendor publishes it: in UTC, as it is in summer.

    `breaks` and `nights` are the daily gaps; during the first the market is in a break, during the second it
    is closed. `follows` is the zone whose daylight saving moves the hours: by its clocks they stay the same.
    """

    follows: str
    begin: str
    end: str
    breaks: tuple[str, ...] = ()
    nights: tuple[str, ...] = ()


class Stretch(NamedTuple):
    """Trading in minutes after Sunday's midnight by the clocks that the hours follow."""

    start: int
    end: int
    break_until: int | None


class Week(Timetable):
    """The same week for ever, without holidays: the vendor publishes none.

    A trading date is a weekday of UTC; Sunday counts to Monday, Saturday to Friday.
    """

    def __init__(self, hours: Hours) -> None:
        self._clock = ZoneInfo(hours.follows)
        self._stretches = _stretches(hours, self._clock)
        self._known: tuple[date, list[tuple[int, int, int | None]]] = date.min, []  # the last week asked for

    def day(self, day: date) -> Day:
        """What of the week falls on that date."""
        weekday = day.isoweekday() % 7
        if not MONDAY <= weekday <= FRIDAY:
            return Day()
        begin = moment(day, -DAY_MINUTES if weekday == MONDAY else 0, UTC)
        end = moment(day, DAY_MINUTES * (2 if weekday == FRIDAY else 1), UTC)
        sessions: list[Session] = []
        break_until = None
        for starts, ends, breaks in self._moments(day - timedelta(days=weekday)):
            opened = max(starts, begin)
            if opened < min(ends, end):
                sessions.append(Session(opened, min(ends, end)))
                break_until = breaks if ends < end else None
        return Day(tuple(sessions), None, break_until)

    def _moments(self, sunday: date) -> list[tuple[int, int, int | None]]:
        """Of each stretch of the week when it starts and ends, and until when there is a break then."""
        known, found = self._known
        if known != sunday:
            clock = self._clock
            found = [
                (
                    moment(sunday, one.start, clock),
                    moment(sunday, one.end, clock),
                    None if one.break_until is None else moment(sunday, one.break_until, clock),
                )
                for one in self._stretches
            ]
            self._known = sunday, found
        return found


class Always(Timetable):
    """Trading without end, by days of UTC."""

    def day(self, day: date) -> Day:
        """The whole day."""
        return Day((Session(moment(day, 0, UTC), moment(day, DAY_MINUTES, UTC)),))


def _stretches(hours: Hours, clock: ZoneInfo) -> tuple[Stretch, ...]:
    """The week cut at its daily gaps, and moved from UTC to the clock's summer."""
    summer = SOME_SUMMER_DAY.astimezone(clock).utcoffset() or timedelta()
    shift = summer // timedelta(minutes=1)
    begin, end = _of_week(hours.begin), _of_week(hours.end)
    gaps = []
    for text, is_break in [(gap, True) for gap in hours.breaks] + [(gap, False) for gap in hours.nights]:
        start, stop = map(minutes, text.split("-"))
        length = (stop - start) % DAY_MINUTES
        gaps += [(day * DAY_MINUTES + start, length, is_break) for day in range(len(WEEKDAYS))]
    found: list[Stretch] = []
    for start, length, is_break in sorted(gaps):
        if begin < start and start + length < end:
            break_until = start + length + shift if is_break else None
            found.append(Stretch(begin + shift, start + shift, break_until))
            begin = start + length
    return (*found, Stretch(begin + shift, end + shift, None))


def _of_week(text: str) -> int:
    """Minutes after Sunday's midnight of a time such as "Fri 21:00"."""
    weekday, _, clock = text.partition(" ")
    return WEEKDAYS.index(weekday) * DAY_MINUTES + minutes(clock)


NEW_YORK, LONDON = "America/New_York", "Europe/London"
WEEKS: dict[str, Hours] = {
    # Over-the-counter currencies and metals, and what follows CME, ICE US and Cboe: the day ends at 17:00
    # in New York or at a time close to it.
    "forex": Hours(NEW_YORK, "Sun 21:00", "Fri 21:00"),
    "metals": Hours(NEW_YORK, "Sun 22:00", "Fri 21:00", breaks=("21:00-22:00",)),
    "usoil": Hours(NEW_YORK, "Sun 22:00", "Fri 20:45", breaks=("21:00-22:00",)),
    "ngas": Hours(NEW_YORK, "Sun 22:00", "Fri 21:00"),
    "us-index": Hours(NEW_YORK, "Sun 22:00", "Fri 20:45"),
    "us500": Hours(NEW_YORK, "Sun 22:00", "Fri 21:00"),
    "vix": Hours(NEW_YORK, "Mon 07:15", "Fri 20:15", nights=("20:15-07:15",)),
    "ixic": Hours(NEW_YORK, "Mon 13:30", "Fri 20:00", nights=("20:00-13:30",)),
    # Published as "Sun 22:00 - 20:59", taken as every day's end.
    "usdx": Hours(NEW_YORK, "Sun 22:00", "Fri 20:59", breaks=("20:59-22:00",)),
    # Frankfurt's index, but with the begin and end of the New York day.
    "ger30": Hours(NEW_YORK, "Sun 22:06", "Fri 20:58"),
    # No hours published for these.
    "cfd-index": Hours(NEW_YORK, "Sun 22:00", "Fri 20:45"),
    # London Metal Exchange, ICE Futures Europe (Brent) and the FTSE future: by London's clocks.
    "base-metals": Hours(LONDON, "Mon 01:00", "Fri 18:00", breaks=("18:00-01:00",)),
    "nickel": Hours(LONDON, "Mon 00:00", "Fri 18:00", breaks=("18:00-00:00",)),
    "ukoil": Hours(LONDON, "Mon 00:00", "Fri 20:45", breaks=("21:00-00:00",)),
    "uk100": Hours(LONDON, "Mon 00:00", "Fri 20:00", nights=("20:00-00:00",)),
    # By the clocks of exchanges without daylight saving: the same in winter.
    "hk50": Hours(
        "Asia/Hong_Kong",
        "Mon 01:15",
        "Fri 19:00",
        breaks=("04:00-05:00", "08:30-09:15"),
        nights=("19:00-01:15",),
    ),
    "cha50": Hours("Asia/Singapore", "Mon 01:00", "Fri 20:45", nights=("20:45-01:00",)),
    "kospi": Hours("Asia/Seoul", "Mon 00:00", "Fri 06:30", nights=("06:30-00:00",)),
}
