"""When markets trade: sessions, holidays and states. Pure; the tables are package data."""

from .calendar import ALWAYS, KEYS, Calendar, load
from .session import Day, Session, SessionKind, State, Timetable

__all__ = ["ALWAYS", "KEYS", "Calendar", "Day", "Session", "SessionKind", "State", "Timetable", "load"]
