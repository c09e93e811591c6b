"""Moments written as text, and sessions as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from tickwire.calendars import Calendar


def at(text: str, zone: str = "UTC") -> int:
    """Milliseconds since the epoch of "2026-11-26 09:30" by the zone's clocks."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def shown(ms: int | None, zone: str = "UTC") -> str:
    """The inverse of `at`, with the weekday in front."""
    return "never" if ms is None else f"{datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"


def clocks(calendar: Calendar, day: str, zone: str | None = None) -> list[str]:
    """The sessions of a trading date as "09:30-16:00" by the clocks of its zone or another."""
    there = ZoneInfo(zone) if zone else calendar.zone
    return [
        "-".join(f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone(there):%H:%M}" for ms in one[:2])
        for one in calendar.sessions(date.fromisoformat(day))
    ]
