"""All simulated markets together, stepped by a time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from math import inf

from ..calendars import KEYS, Calendar, load
from ..model import Catalogue, Event, Instrument
from .simulated_market import SimulatedMarket, first_close

FORGET_AFTER = 300_000
"""Milliseconds after which a code that runs on request, and that nobody asks for any more, stops."""
LAG_LIMIT = 5_000
"""Milliseconds behind the clock (a sleeping machine) after which the time that was missed is skipped."""


class SimulatedMarkets:
    """All simulated markets, in step with a time that is handed in (milliseconds since the epoch).

    Pure: the same seed and the same calls give the same events. Each market has dice of its own. With `whole`
    it trades from the moment on at which the first ones were opened, whenever it is asked for, and no step is
    ever left out: what comes of a code depends on nothing but the seed, the rate and that moment.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        codes: Collection[str],
        *,
        seed: int,
        rate: float,
        hours: bool = False,
        whole: bool = False,
    ) -> None:
        """`hours` keeps the sessions and holidays of each market's calendar."""
        self.hours = hours
        self.forget_after: float = inf if whole else FORGET_AFTER
        self.whole = whole
        self.made = 0
        """Steps so far."""
        self.skipped = 0
        """Those that were left out since they came too late."""
        self._catalogue = catalogue
        self._codes = codes
        self._seed = seed
        self._rate = rate
        self._markets: dict[str, SimulatedMarket] = {}
        self._queue: list[tuple[int, str]] = []  # a heap: when each market steps next, in microseconds
        self._last_wanted: dict[str, int] = {}  # of the codes that run on request
        self._opening: deque[Event] = deque()
        self._origin: int | None = None
        self._step: int | None = None  # the one that is being yielded
        self._behind: set[str] = set()
        self._closed: set[str] = set()

    def open(self, now: int) -> None:
        """Starts what runs without being asked for; what has run on request goes on."""
        if self.whole:
            self._origin = now if self._origin is None else self._origin
            codes = {code for code in self._codes if code not in self._markets}
        else:
            self._queue.clear()
            codes = {*self._codes, *self._last_wanted}
        for code in sorted(codes):
            self._start(code, now if self._origin is None else self._origin)

    def want(self, codes: Iterable[str], now: int) -> list[str]:
        """Starts those that do not run, and keeps them running. Returns those that it started."""
        fresh = []
        for code in codes:
            if code in self._codes:
                continue
            if code not in self._last_wanted:
                self._start(code, now if self._origin is None else self._origin)
                fresh.append(code)
                if self._origin is not None and self._origin < now:
                    self._behind.add(code)
            self._last_wanted[code] = now
        return fresh

    def knows(self, code: str) -> bool:
        """Whether a code has run."""
        return code in self._markets

    @property
    def catching_up(self) -> Collection[str]:
        """The codes that have begun late, and what they yield now is of long before."""
        return self._behind

    @property
    def closed(self) -> Collection[str]:
        """The codes that have begun while their markets were closed, and have not traded since."""
        return self._closed

    def begins_before(self, code: str) -> bool:
        """Whether what a code begins with is of before: it catches up, or its market was closed."""
        return code in self._behind or code in self._closed

    def previous_close(self, instrument: Instrument) -> Decimal:
        """What an instrument closed at the day before."""
        market = self._markets.get(instrument.code)
        return first_close(instrument) if market is None else market.previous_close

    def position(self, now: int) -> int:
        """Up to when all has been yielded: now, or before the next event that is due."""
        ahead = self._queue[0][0] // 1000 if self._queue else now
        return min(now, ahead, now if self._step is None else self._step)

    def begin_anew(self, now: int, *, stands: bool, moved: bool) -> None:
        """The clock or the hours have changed: what runs is looked at again, and counts as just wanted.

        If the clock was `moved`, what lies before it is left out. Where it stands, nothing is traded at the
        moment that it was set to.
        """
        if moved:
            self._origin = None if self._origin is None else now
            self._behind.clear()
        self._last_wanted = dict.fromkeys(self._last_wanted, now)
        upcoming = []
        for at, code in self._queue:
            later = now * 1000 + self._markets[code].pause()
            if now - at // 1000 > LAG_LIMIT and (moved or not self.whole):
                at = now * 1000
            upcoming.append((later if stands else min(at, later), code))
        self._queue = upcoming
        heapq.heapify(self._queue)

    def next_time(self) -> int | None:
        """When the next market steps."""
        return self._queue[0][0] // 1000 if self._queue else None

    def asked(self, now: int) -> float:
        """Steps a second of the markets that are to trade soon."""
        soon = now * 1000 + 10_000_000 / self._rate
        return self._rate * sum(at < soon for at, _ in self._queue)

    def due(self, now: int, most: float = inf) -> Iterator[Event]:
        """All events up to now, those of so many steps at the most."""
        self._step = None
        end = self.made + most
        while True:
            while self._opening:
                yield self._opening.popleft()
            if self.made >= end or not self._queue or (at := self._queue[0][0] // 1000) > now:
                return
            moment, code = self._queue[0]
            if now - self._last_wanted.get(code, now) > self.forget_after:
                heapq.heappop(self._queue)
                del self._last_wanted[code]
                continue
            if now - at > LAG_LIMIT and not self.whole:
                self.skipped += int((now - at) / 1000 * self._rate)
                moment, at = now * 1000, now
            if (opens := self._opens(code, at)) > at:
                heapq.heapreplace(self._queue, (opens * 1000, code))
                self._behind.discard(code)
                continue
            upcoming = moment + self._markets[code].pause()
            heapq.heapreplace(self._queue, (upcoming, code))
            if self._behind and upcoming // 1000 > now:
                self._behind.discard(code)
            self._step = at
            self._closed.discard(code)
            yield from self._markets[code].advance(at)
            self._step = None
            self.made += 1

    def _start(self, code: str, now: int) -> None:
        market = self._markets.get(code)
        if market is None:
            market = self._markets[code] = SimulatedMarket(self._catalogue[code], self._seed, self._rate)
            calendar = self._calendar(code)
            opened = now if calendar is None else calendar.last_open(now) or now
            self._opening += market.open(opened)
            if opened < now:
                self._closed.add(code)
        heapq.heappush(self._queue, (now * 1000 + market.pause(), code))

    def _calendar(self, code: str) -> Calendar | None:
        """The calendar that a code keeps, if it keeps one."""
        key = self._catalogue[code].calendar
        return load(key) if self.hours and key in KEYS else None

    def _opens(self, code: str, at: int) -> int:
        """When the market is open next, which may be at once."""
        calendar = self._calendar(code)
        if calendar is None or calendar.is_open(at):
            return at
        return calendar.next_open(at) or at
