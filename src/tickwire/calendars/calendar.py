"""When a market trades, and what it does at a moment; the calendars by their keys."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import date
from functools import cache, cached_property, lru_cache
from typing import NamedTuple

from ..errors import InputError
from .exchange import exchanges
from .session import Day, Session, SessionKind, State, Timetable
from .week import WEEKS, Always, Week

EXCHANGES = ("XHKG", "XSHG", "XNYS")
ALWAYS = "crypto"
KEYS = (*EXCHANGES, ALWAYS, *WEEKS)
"""The calendars there are, by the names that an instrument's `calendar` may have."""
DAY_MS = 86_400_000
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
CACHED_DAYS = 4096
SEARCHED_DAYS = 40
"""No market is closed, or open, for longer than that and changes after all."""


class Changes(NamedTuple):
    """What a market does from when on during a day of UTC; the first moment is that day's begin."""

    moments: tuple[int, ...]
    states: tuple[State, ...]


class Calendar:
    """The sessions and holidays of a market.

    Moments are milliseconds since the epoch. Dates are trading dates: those of the exchange's zone; for the
    other family those of UTC, with Sunday's trading counted to Monday as in the daily bars (protocol,
    section 3, "K-lines"), where sessions that go on over midnight are two that touch.
    """

    def __init__(self, key: str, timetable: Timetable, *, regular: bool = False) -> None:
        """With `regular`, without what is pre- or post-market."""
        self.key = key
        self.zone = timetable.zone
        """The zone whose dates are the trading dates."""
        self.horizon = timetable.horizon
        """The last date whose holidays are official. Beyond it the expected ones hold."""
        self._timetable = timetable
        self._day = lru_cache(CACHED_DAYS)(self._regular_day if regular else timetable.day)
        self._changes: dict[int, Changes] = {}

    def __repr__(self) -> str:
        return f"Calendar({self.key!r})"

    @cached_property
    def regular(self) -> Calendar:
        """The same without pre- and post-market: pre-open during the first, closed during the second."""
        return Calendar(self.key, self._timetable, regular=True)

    def known(self, day: date) -> bool:
        """Whether the official tables reach as far as that day. Where they do not, expected holidays hold, if
        there are some, and other weekdays count as open."""
        return self._timetable.first <= day <= self._timetable.horizon

    def sessions(self, day: date) -> tuple[Session, ...]:
        """The sessions of a trading date in order; none if it has no trading."""
        return self._day(day).sessions

    def session(self, ms: int) -> Session | None:
        """The session that the moment lies in."""
        today = ms // DAY_MS + EPOCH_ORDINAL
        for number in (today, today + 1, today - 1):
            for one in self._day(date.fromordinal(number)).sessions:
                if one.open <= ms < one.close:
                    return one
        return None

    def state(self, ms: int) -> State:
        """What the market does at the moment: open during sessions of any kind."""
        number = ms // DAY_MS
        moments, states = self._changes.get(number) or self._changes_of(number)
        return states[bisect_right(moments, ms) - 1]

    def is_open(self, ms: int) -> bool:
        """Whether the moment lies in a session of any kind."""
        return self.state(ms) is State.OPEN

    def next_open(self, ms: int) -> int | None:
        """The first moment after this one at which the market opens; None if it does so no more.

        From one session into another that it touches nothing opens.
        """
        return self._next(ms, opening=True)

    def next_close(self, ms: int) -> int | None:
        """The first moment after this one at which the market closes or a break begins.

        None if it does so no more. From one session into another that it touches nothing closes.
        """
        return self._next(ms, opening=False)

    def open_between(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """From when to when the market is open between two moments, ascending; what touches is one."""
        opened = closed = begin
        first, last = begin // DAY_MS + EPOCH_ORDINAL - 1, (end - 1) // DAY_MS + EPOCH_ORDINAL + 1
        for number in range(first, last + 1):
            for one in self._day(date.fromordinal(number)).sessions:
                opens, closes = max(one.open, begin), min(one.close, end)
                if opens >= closes:
                    continue
                if opens != closed:
                    if opened < closed:
                        yield opened, closed
                    opened = opens
                closed = closes
        if opened < closed:
            yield opened, closed

    def last_open(self, ms: int) -> int | None:
        """The last moment up to this one, included, at which the market was open; None if there was none for
        long."""
        today = ms // DAY_MS + EPOCH_ORDINAL
        for number in range(today + 1, max(1, today - SEARCHED_DAYS), -1):
            for one in reversed(self._day(date.fromordinal(number)).sessions):
                if one.open <= ms:
                    return min(ms, one.close - 1)
        return None

    def holidays(self, first: date, last: date) -> tuple[date, ...]:
        """The weekdays known to have no trading, from the first day to the last, both included."""
        known = self._timetable.holidays
        return tuple(known[bisect_left(known, first) : bisect_right(known, last)])

    def expected(self, first: date, last: date) -> tuple[date, ...]:
        """The weekdays on which no trading is expected, though it is not official yet."""
        return tuple(day for day in self._timetable.expected if first <= day <= last)

    @property
    def expected_horizon(self) -> date:
        """The last date of which it is known or expected whether it is a holiday."""
        return self._timetable.expected_horizon

    def _next(self, ms: int, *, opening: bool) -> int | None:
        was_open = self.is_open(ms)
        today = ms // DAY_MS
        for number in range(today, today + SEARCHED_DAYS):
            for moment, state in zip(*(self._changes.get(number) or self._changes_of(number)), strict=True):
                if moment > ms and (is_open := state is State.OPEN) is not was_open:
                    if is_open is opening:
                        return moment
                    was_open = is_open
        return None

    def _regular_day(self, day: date) -> Day:
        """What was pre-market is pre-open."""
        full = self._timetable.day(day)
        sessions = tuple(one for one in full.sessions if one.kind is SessionKind.REGULAR)
        if sessions == full.sessions:
            return full
        return Day(sessions, full.sessions[0].open if full.pre_open is None else full.pre_open)

    def _changes_of(self, number: int) -> Changes:
        """The changes of the day of UTC that begins so many days after the epoch."""
        begin, end = number * DAY_MS, (number + 1) * DAY_MS
        within = {begin: State.CLOSED}
        for ordinal in range(number + EPOCH_ORDINAL - 1, number + EPOCH_ORDINAL + 2):
            for moment, state in _phases(self._day(date.fromordinal(ordinal))):
                if moment < end:
                    within[max(moment, begin)] = state
        if len(self._changes) >= CACHED_DAYS:
            self._changes.clear()
        found = self._changes[number] = Changes(tuple(within), tuple(within.values()))
        return found


def _phases(day: Day) -> list[tuple[int, State]]:
    """From when on the market is in which state. Of several at the same moment the last one holds."""
    found: list[tuple[int, State]] = []
    if not day.sessions:
        return found
    if day.pre_open is not None:
        found.append((day.pre_open, State.PRE_OPEN))
    for one in day.sessions:
        found += [(one.open, State.OPEN), (one.close, State.BREAK)]
    if day.break_until is not None:
        found.append((day.break_until, State.CLOSED))
    else:
        found[-1] = (day.sessions[-1].close, State.CLOSED)
    return found


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
