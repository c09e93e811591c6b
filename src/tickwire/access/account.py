"""What one token has used of its plan. Pure: time is an argument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import NamedTuple, Protocol

from ..model import Ending, Family
from .plan import Plan, Rate
from .window import DayQuota, Standing, Window


class Policy(NamedTuple):
    """A limit as the RateLimit headers tell of it: so many requests in so many seconds."""

    name: str
    requests: int
    seconds: int


class Verdict(NamedTuple):
    """Whether a request over HTTP passes: `wait` is 0, or the seconds until it would.

    `limits` are those that concern it, in the order of the headers; none if the plan has none.
    """

    wait: float
    limits: tuple[tuple[Policy, Standing], ...] = ()


PASSED = Verdict(0.0)
UNKNOWN_CODES = Rate(1_000, 60)
"""Codes that nobody knows, and that upstream is asked about for one token, in a minute."""


class Seated(Protocol):
    """A connection, as far as limits know it."""

    last_heard: float
    """When something last came from it, in seconds of the monotonic clock."""

    def close(self, code: int, reason: str, why: Ending = Ending.ERROR) -> None:
        """Begins to close it with a close frame (RFC 6455)."""


class Full(Exception):
    """No more connections; after `wait` seconds there may be room, None if that is not known."""

    def __init__(self, wait: float | None = None) -> None:
        self.wait = wait


class Account:
    """The use of one token. `now` is in seconds of a monotonic clock, `wall` in seconds since the epoch."""

    def __init__(self, plan: Plan, day_reset: int = 0) -> None:
        """`day_reset` is when the day begins, in seconds after midnight UTC."""
        self.plan = plan
        self.requests = self.refused = self.pushes = 0
        """Requests over HTTP that passed and that did not, and pushes to connections that are gone."""
        self._endpoints: dict[str, Window] = {}
        self._http = Window(plan.http) if plan.http else None
        self._day = DayQuota(plan.per_day, day_reset) if plan.per_day else None
        self._interfaces: dict[Hashable, Window] = {}
        self._unknown = Window(UNKNOWN_CODES)
        self._seats: defaultdict[Family, dict[Seated, None]] = defaultdict(dict)
        self._connected: dict[Family, float] = {}

    def change(self, plan: Plan, day_reset: int) -> None:
        """Another plan from now on. What was used counts in it, and connections stay, however many it
        allows."""
        self.plan = plan
        self._endpoints = {
            name: _changed(window, rate)
            for name, window in self._endpoints.items()
            if (rate := plan.rate_of(name)) is not None
        }
        self._http = _changed(self._http, plan.http) if plan.http else None
        for window in self._interfaces.values():
            if plan.subscriptions is not None:
                window.change(plan.subscriptions)
        if plan.per_day is None:
            self._day = None
        elif self._day is None:
            self._day = DayQuota(plan.per_day, day_reset)
        else:
            self._day.change(plan.per_day, day_reset)

    @property
    def in_use(self) -> bool:
        """Whether it has open connections."""
        return any(self._seats.values())

    @property
    def used(self) -> bool:
        """Whether anything came of it."""
        return bool(self.requests or self.refused or self.pushes)

    def add(self, other: Account) -> None:
        """Another one, which is given up, has used this too."""
        self.requests += other.requests
        self.refused += other.refused
        self.pushes += other.pushes

    def request(self, endpoint: str | None, now: float, wall: float) -> Verdict:
        """A request over HTTP; it counts only if it passes. None is a path that there is not."""
        verdict = self._judge(endpoint, now, wall)
        if verdict.wait:
            self.refused += 1
        else:
            self.requests += 1
        return verdict

    def _judge(self, endpoint: str | None, now: float, wall: float) -> Verdict:
        plan = self.plan
        if not plan.meters_http:
            return PASSED
        windows: list[tuple[str, Rate, Window]] = []
        if endpoint is not None and (rate := plan.rate_of(endpoint)) is not None:
            window = self._endpoints.get(endpoint)
            if window is None:
                window = self._endpoints[endpoint] = Window(rate)
            windows.append(("endpoint", rate, window))
        if plan.http and self._http:
            windows.append(("http", plan.http, self._http))
        wait = max([window.wait(now) for _, _, window in windows], default=0.0)
        if self._day:
            wait = max(wait, self._day.wait(wall))
        if not wait:
            for _, _, window in windows:
                window.take(now)
            if self._day:
                self._day.take(wall)
        limits = [(Policy(name, *rate), window.standing(now)) for name, rate, window in windows]
        if plan.per_day and self._day:
            limits.append((Policy("day", plan.per_day, 86_400), self._day.standing(wall)))
        return Verdict(wait, tuple(limits))

    def subscribe(self, interface: Hashable, now: float) -> bool:
        """A subscription on one interface (a family's 22002, its 22004 …): whether it passes."""
        rate = self.plan.subscriptions
        return rate is None or self._interfaces.setdefault(interface, Window(rate)).passes(now)

    def seek(self, now: float) -> bool:
        """Upstream is to be asked about a code that nobody knows: whether that passes."""
        return self._unknown.passes(now)

    def seat(self, newcomer: Seated, family: Family, now: float, patience: float) -> Seated | None:
        """Lets a new connection in. Raises Full if there is no room.

        Where there is none, the connection from which nothing came for the longest time gives way, if that
        is at least `patience` seconds: it is returned, to be closed.
        """
        seats, spacing = self._seats[family], self.plan.connection_spacing
        last = self._connected.get(family)
        if last is not None and (since := now - last) < spacing:
            raise Full(spacing - since)
        dead = None
        if self.plan.connections is not None and len(seats) >= self.plan.connections:
            dead = min(seats, key=lambda one: one.last_heard)
            if (quiet := now - dead.last_heard) < patience:
                raise Full(patience - quiet)
            del seats[dead]
        seats[newcomer] = None
        if spacing:
            self._connected[family] = now
        return dead

    def place(self, newcomer: Seated, family: Family) -> None:
        """Lets a new connection in that has its place elsewhere."""
        self._seats[family][newcomer] = None

    def count(self, verdict: Verdict) -> None:
        """A request over HTTP was judged elsewhere."""
        if verdict.wait:
            self.refused += 1
        else:
            self.requests += 1

    def leave(self, connection: Seated, family: Family) -> None:
        """A connection is gone."""
        self._seats[family].pop(connection, None)


def _changed(window: Window | None, rate: Rate) -> Window:
    """A window at another rate; a new one if there is none yet."""
    if window is None:
        return Window(rate)
    window.change(rate)
    return window
