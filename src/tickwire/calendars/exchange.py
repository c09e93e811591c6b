"""The timetables of stock exchanges, from the tables that scripts/make_calendars.py writes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from .session import Day, Session, SessionKind, Timetable, minutes, moment

SATURDAY = 5


class Hours(NamedTuple):
    """The hours of a kind of day in minutes after local midnight."""

    pre_open: int | None
    sessions: tuple[tuple[int, int, SessionKind], ...]


class Exchange(Timetable):
    """An exchange's trading dates in its own zone: regular hours, special days, holidays."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.zone = ZoneInfo(table["zone"])
        self.first = table["first"]
        self.horizon = table["last"]
        self.holidays = tuple(_dates(table["holidays"]["days"]))
        expected = table.get("expected", {"last": self.horizon, "days": ()})
        self.expected = tuple(_dates(expected["days"]))
        self.expected_horizon = expected["last"]
        self._closed = frozenset((*self.holidays, *self.expected))
        self._regular: list[tuple[date, Hours]] = [(row["since"], _hours(row)) for row in table["regular"]]
        self._special = {
            day: hours
            for row in table.get("special", ())
            for hours in [_hours(row)]
            for day in _dates(row["days"])
        }

    def day(self, day: date) -> Day:
        """The hours of that date; outside of what is known, the oldest or the newest regular ones."""
        if day.weekday() >= SATURDAY or day in self._closed:
            return Day()
        regular = (hours for since, hours in reversed(self._regular) if since <= day)
        hours = self._special.get(day) or next(regular, self._regular[0][1])
        sessions = tuple(
            Session(moment(day, start, self.zone), moment(day, end, self.zone), kind)
            for start, end, kind in hours.sessions
        )
        return Day(sessions, None if hours.pre_open is None else moment(day, hours.pre_open, self.zone))


@cache
def exchanges() -> dict[str, Exchange]:
    """All exchanges of the tables, by key."""
    text = files(__package__).joinpath("exchanges.toml").read_text(encoding="utf-8")
    return {key: Exchange(table) for key, table in tomllib.loads(text).items()}


def _hours(row: dict[str, Any]) -> Hours:
    """`pre_open = "09:00"` and `sessions = ["09:30-16:00", "16:00-20:00 post-market"]` as numbers."""
    sessions = []
    for text in row["sessions"]:
        span, _, kind = text.partition(" ")
        start, _, end = span.partition("-")
        sessions.append((minutes(start), minutes(end), SessionKind(kind or SessionKind.REGULAR)))
    return Hours(minutes(row["pre_open"]) if "pre_open" in row else None, tuple(sessions))


def _dates(years: Iterable[str]) -> Iterable[date]:
    """The dates of lines such as "2026 01-01 12-25"."""
    for line in years:
        year, *days = line.split()
        yield from (date.fromisoformat(f"{year}-{day}") for day in days)
