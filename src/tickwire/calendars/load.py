"""Calendars by the keys of the catalogue."""

from __future__ import annotations

from functools import cache

from ..errors import InputError
from .calendar import Calendar
from .exchange import exchanges
from .session import Timetable
from .week import WEEKS, Always, Week

EXCHANGES = ("XHKG", "XSHG", "XNYS")
ALWAYS = "crypto"
KEYS = (*EXCHANGES, ALWAYS, *WEEKS)
"""The calendars there are, by the names that an instrument's `calendar` may have."""


@cache
def load(key: str) -> Calendar:
    """The calendar of that key, always the same one. Raises InputError for an unknown key."""
    timetable: Timetable
    if key in EXCHANGES:
        timetable = exchanges()[key]
    elif key in WEEKS:
        timetable = Week(WEEKS[key])
    elif key == ALWAYS:
        timetable = Always()
    else:
        raise InputError(f"Calendar {key!r} is none of {', '.join(KEYS)}.")
    return Calendar(key, timetable)
