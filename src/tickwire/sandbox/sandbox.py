"""The sandbox: scenarios at work on a stream of ticks and on clients. Pure: time is an argument.

Times are in seconds of a monotonic clock, those of ticks in milliseconds since the epoch.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator
from decimal import Decimal
from math import inf
from typing import NamedTuple, TypeVar, cast

from ..calendars import State
from ..errors import InputError
from ..model import Book, Catalogue, Event, Instrument, price_limits
from .running import Active, Client, PreviousClose, Run, within
from .shaping import SILENT, STATES, Shaped, Way, at_limit, factor, price_of, with_prices_moved, within_limits
from .steps import (
    Answer,
    Burst,
    Delay,
    Disconnect,
    Duplicate,
    ExpireToken,
    Halt,
    Jump,
    Late,
    LimitUp,
    OnClient,
    OnMarket,
    OutOfOrder,
    Refuse,
    Resume,
    Scenario,
    Step,
)

MOST_RUNS = 100
MOST_TIMES = 1_000
"""How often a tick comes at the most, however many bursts there are."""
MOST_LATE = 100_000
"""Ticks that wait to be late at the most; beyond it they come on time."""

ROUNDING = 1e-6
"""Seconds by which a moment is later that was counted from another one, at the most."""

ClientT = TypeVar("ClientT", bound=OnClient)


class Condition(NamedTuple):
    """What scenarios make of an instrument, and why."""

    state: State
    reason: str = ""


class Followed(NamedTuple):
    """A scenario that runs elsewhere under a number since so many seconds, on dice of that seed."""

    number: int
    scenario: Scenario
    seconds: float
    seed: int


class Sandbox:
    """The scenarios that run, and what they do."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self._runs: dict[int, Run] = {}
        self._active: list[Active] = []
        self.shapes_ticks = False
        """Whether ticks must be given to `shape` at all."""
        self._effects: dict[str, tuple[Active, ...]] = {}  # by code, while nothing changes
        self._late: list[tuple[float, int, Event]] = []  # a heap
        self._late_numbers = itertools.count()

    @property
    def runs(self) -> tuple[Run, ...]:
        """The scenarios that run, oldest first."""
        return tuple(self._runs.values())

    @property
    def busy(self) -> bool:
        """Whether something is to be done sooner or later."""
        return bool(self._runs or self._late or self._active)

    @property
    def cuts(self) -> bool:
        """Whether connections must be shown to `cut`."""
        return any(isinstance(one.step, Disconnect) for one in self._active)

    def begin(self, scenario: Scenario, now: float, catalogue: Catalogue) -> Run:
        """Starts a scenario; its steps are at work after the next `advance`.

        Raises InputError if it names an unknown code, or if too many run already.
        """
        codes = (code for step in scenario.steps if isinstance(step, OnMarket) for code in step.codes)
        if unknown := [code for code in codes if code not in catalogue]:
            raise InputError(f"Scenario {scenario.name}: the code {unknown[0]!r} is unknown to this server.")
        if len(self._runs) >= MOST_RUNS:
            raise InputError(f"{MOST_RUNS} scenarios run already. Stop one first.")
        run = Run(next(self._numbers), scenario, now, self._seed)
        self._runs[run.number] = run
        return run

    def stop(self, number: int) -> Run | None:
        """Ends a scenario; what it did is undone after the next `advance`. None if there is no such."""
        return self._runs.pop(number, None)

    def advance(self, now: float) -> list[Step] | None:
        """Begins and ends steps; returns those that have begun, None if nothing has changed."""
        begun = [active for run in self._runs.values() for active in run.advance(now)]
        for number in [number for number, run in self._runs.items() if run.over]:
            del self._runs[number]
        before, self._active = self._active, [one for run in self._runs.values() for one in run.active]
        for one in begun:
            if isinstance(one.step, Resume):
                for halt in self._active:
                    if isinstance(halt.step, Halt) and halt.began <= one.began:
                        halt.resumed.append(one.step)
        self._active = [one for one in self._active if not one.over]
        self.shapes_ticks = any(isinstance(one.step, OnMarket) for one in self._active)
        if not begun and before == self._active:
            return None
        self._effects.clear()
        return [one.step for one in begun]

    def follow(self, runs: Collection[Followed], now: float) -> list[Step] | None:
        """Runs what another sandbox runs, and nothing else; as `advance`."""
        self._runs = {one.number: self._runs.get(one.number) or _run_of(one, now) for one in runs}
        for one in runs:  # as the other one counts, who has said which steps have begun
            self._runs[one.number].began = now - one.seconds
        return self.advance(now + ROUNDING)

    # What becomes of ticks.
    def concerned(self, catalogue: Catalogue) -> Collection[Instrument]:
        """The instruments that scenarios may put into another state: those that they name, or all."""
        kinds = tuple(kind for kind, _ in STATES)
        steps = [one.step for one in self._active if isinstance(one.step, kinds)]
        if all(isinstance(step, OnMarket) and step.codes and not step.markets for step in steps):
            return [catalogue[code] for step in steps if isinstance(step, OnMarket) for code in step.codes]
        return catalogue

    def condition(self, instrument: Instrument) -> Condition | None:
        """What scenarios make of an instrument, if anything."""
        effects = self._effects_on(instrument)
        for kind, state in STATES:
            for active in effects:
                if isinstance(step := active.step, kind):
                    return Condition(state, step.reason if isinstance(step, Halt) else "")
        return None

    def shape(self, event: Event, instrument: Instrument, now: float, close: PreviousClose) -> list[Shaped]:
        """What a tick becomes: nothing, itself or another, once or many times; some of it comes late. The
        exchange's limits count from the previous close that `close` tells."""
        effects = self._effects_on(instrument)
        if not effects:
            return [Shaped(event)]
        if any(isinstance(active.step, SILENT) for active in effects):
            return []
        jumps = [factor(active.step.percent) for active in effects if isinstance(active.step, Jump)]
        for by in jumps:
            event = with_prices_moved(event, by, instrument)
        if jumps and (before := close(instrument)) is not None:
            limits = price_limits(instrument, before)
            event = event if limits is None else within_limits(event, limits, instrument)
        event = self._limited(event, instrument, close)
        way, times, late = Way.ONCE, 1, None
        for active in effects:
            match active.step:
                case Burst() as step:
                    times *= step.times
                case Duplicate(chance=chance) if active.ticks.random() < chance:
                    way = Way.TWICE
                case OutOfOrder(chance=chance) if active.ticks.random() < chance:
                    way = Way.BEHIND_THE_NEXT
                case Late(chance=chance) as step if active.ticks.random() < chance:
                    late = within(step.by, active.ticks)
        times = min(times, MOST_TIMES)
        if late is None or len(self._late) + times > MOST_LATE:
            return [Shaped(event, way)] * times
        for _ in range(times):
            heapq.heappush(self._late, (now + late, next(self._late_numbers), event))
        return []

    def limit_from(self, price: Decimal, instrument: Instrument, close: PreviousClose) -> None:
        """Limits that have just begun count from that price, not from that of the next tick."""
        for active in self._effects_on(instrument):
            active.limit(price, instrument, close)

    def limit_book(self, book: Book, instrument: Instrument, close: PreviousClose) -> Book:
        """A book as it is at the limit, where there is one."""
        return cast(Book, self._limited(book, instrument, close))

    def late(self, now: float) -> Iterator[Event]:
        """The late ticks whose time has come."""
        while self._late and self._late[0][0] <= now:
            yield heapq.heappop(self._late)[2]

    def _effects_on(self, instrument: Instrument) -> tuple[Active, ...]:
        found = self._effects.get(instrument.code)
        if found is None:
            found = tuple(active for active in self._active if active.concerns(instrument))
            self._effects[instrument.code] = found
        return found

    def _limited(self, event: Event, instrument: Instrument, close: PreviousClose) -> Event:
        for active in self._effects_on(instrument):
            limit = active.limit(price_of(event), instrument, close)
            if limit is not None:
                event = at_limit(event, limit, instrument, up=isinstance(active.step, LimitUp))
        return event

    # What becomes of clients.
    def refusal(self, client: Client) -> Refuse | None:
        """Why the upgrade of a new connection is refused, if it is."""
        meeting = self._meeting(Refuse, client)
        return next((step for active, step in meeting if active.happens(step.chance, client)), None)

    def answer(self, client: Client, request: int | str) -> Answer | None:
        """What a request is answered with in place of the truth; it is named by `cmd_id` or path."""
        for active, step in self._meeting(Answer, client):
            wanted = step.requests
            if (not wanted or request in wanted) and active.happens(step.chance, client):
                return step
        return None

    def delay(self, client: Client) -> float:
        """Seconds by which an answer comes late: of a connection always the same, over HTTP thrown anew."""
        total = 0.0
        for active, step in self._meeting(Delay, client):
            thrown, number = active.thrown if client.connection else {}, client.connection
            if number not in thrown:
                dice = active.throw(client)
                thrown[number] = within(step.by, dice) if dice.random() < step.chance else 0.0
            total += thrown[number]
        return total

    def expired(self, client: Client) -> bool:
        """Whether the client's token counts as expired."""
        return any(True for _ in self._meeting(ExpireToken, client))

    def meet(self, client: Client, now: float) -> None:
        """A new connection: what will become of it is thrown now, so that its number counts however short
        it is."""
        self.cut(client, now)
        self.delay(client)

    def cut(self, client: Client, now: float) -> Disconnect | None:
        """How a connection ends now, if it does."""
        for active, step in self._meeting(Disconnect, client):
            thrown, number = active.thrown, client.connection
            if number not in thrown:
                dice = active.throw(client)
                due = max(client.opened, active.began) + within(step.after, dice)
                thrown[number] = due if dice.random() < step.chance else inf
            if thrown[number] <= now:
                return step
        return None

    def forget(self, connection: int) -> None:
        """A connection is gone."""
        for active in self._active:
            active.thrown.pop(connection, None)

    def _meeting(self, kind: type[ClientT], client: Client) -> Iterator[tuple[Active, ClientT]]:
        """The steps of a kind at work that are about a client."""
        for active in self._active:
            if isinstance(active.step, kind) and active.meets(client):
                yield active, active.step


def _run_of(followed: Followed, now: float) -> Run:
    return Run(followed.number, followed.scenario, now - followed.seconds, followed.seed)
