"""When markets trade: sessions, holidays and states. Pure; the tables are package data."""

from .calendar import ALWAYS, EXCHANGES, KEYS, Calendar, load
from .session import Day, Session, SessionKind, State, Timetable

__all__ = [
    "ALWAYS",
    "EXCHANGES",
    "KEYS",
    "Calendar",
    "Day",
    "Session",
    "SessionKind",
    "State",
    "Timetable",
    "load",
]
