"""Scenarios that run: which of their steps are at work, and their dice. Pure: time is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import TypeAlias

from msgspec import UNSET

from ..model import Family, Instrument, limit_percent, price_limits
from .shaping import factor, moved
from .steps import Clock, Halt, LimitDown, LimitUp, OnClient, OnMarket, Resume, Scenario, Span, Step

LIMIT = Decimal(10)
"""Percent of a limit where neither an exchange nor the step says how far it is."""

PreviousClose: TypeAlias = Callable[[Instrument], Decimal | None]
"""What an instrument closed at the day before, None if it is not known."""


def within(span: Span, dice: Random) -> float:
    """Seconds of a span."""
    return dice.uniform(*span) if isinstance(span, tuple) else span


@dataclass(slots=True, eq=False, repr=False)
class Client:
    """A client as scenarios know it. `names` are what its token goes by; `connection` is 0 over HTTP.

    `opened` is when the connection did, in seconds of the monotonic clock. Its text shows no token.
    """

    label: str
    names: tuple[str, ...]
    family: Family | None
    connection: int
    opened: float


class Active:
    """A step that is at work since `began`; `place` is that in its scenario."""

    def __init__(self, seed: int, place: int, step: Step, began: float) -> None:
        self.step = step
        self.began = began
        self._key = f"{seed}:{place}"
        self._throws: Counter[str] = Counter()
        self.ticks = Random(self._key)
        self.resumed: list[Resume] = []
        """What ended a halt for some of the instruments that it concerns."""
        self.limits: dict[str, Decimal] = {}
        """The prices of a limit by code."""
        self.thrown: dict[int, float] = {}
        """What the dice made of each connection: the delay of its answers, or when it ends."""

    @property
    def over(self) -> bool:
        """Whether all that it halted has been resumed."""
        step = self.step
        if not isinstance(step, Halt) or not self.resumed:
            return False
        if any(not resume.codes and not resume.markets for resume in self.resumed):
            return True
        codes = {code for resume in self.resumed for code in resume.codes}
        markets = {market for resume in self.resumed for market in resume.markets}
        return bool(step.codes or step.markets) and codes >= {*step.codes} and markets >= {*step.markets}

    def limit(
        self, price: Decimal | None, instrument: Instrument, previous_close: PreviousClose
    ) -> Decimal | None:
        """The limit of an instrument, if the step sets one: an A-share's counts from its previous close,
        others from the first price there is, which stands in for a close that is not known."""
        step, code = self.step, instrument.code
        if isinstance(step, LimitUp | LimitDown) and code not in self.limits and price:
            up, base = isinstance(step, LimitUp), price
            if limit_percent(instrument) is not None:
                base = previous_close(instrument) or price
            percent = step.percent
            if percent is UNSET and (exchange := price_limits(instrument, base)) is not None:
                self.limits[code] = exchange.up if up else exchange.down
            else:
                by = LIMIT if percent is UNSET else percent
                self.limits[code] = moved(base, factor(by if up == (base > 0) else -by), instrument)
        return self.limits.get(code)

    def concerns(self, instrument: Instrument) -> bool:
        """Whether the step is about that instrument."""
        step = self.step
        if not isinstance(step, OnMarket) or not named(step, instrument):
            return False
        return not any(named(resume, instrument) for resume in self.resumed)

    def throw(self, client: Client) -> Random:
        """The next dice of a client: the n-th are the same for every client, so that a program that does the
        same things meets the same faults, whatever others do meanwhile."""
        self._throws[client.label] += 1
        return Random(f"{self._key}:{self._throws[client.label]}")

    def happens(self, chance: float, client: Client) -> bool:
        """Whether the dice let it happen to a client now."""
        return self.throw(client).random() < chance

    def meets(self, client: Client) -> bool:
        """Whether the step is about that client."""
        step = self.step
        return (
            isinstance(step, OnClient)
            and (not step.tokens or any(name in step.tokens for name in client.names))
            and (not step.connections or client.connection in step.connections)
            and (step.family is None or client.family == step.family)
        )


def named(step: OnMarket, instrument: Instrument) -> bool:
    """Whether a step names that instrument."""
    everything = not step.codes and not step.markets
    return everything or instrument.code in step.codes or instrument.market in step.markets


class Run:
    """A scenario that runs under a number, since `began`."""

    def __init__(self, number: int, scenario: Scenario, began: float, seed: int) -> None:
        self.number = number
        self.scenario = scenario
        self.began = began
        self.seed = seed if scenario.seed is None else scenario.seed
        self._ahead = sorted(enumerate(scenario.steps), key=lambda one: one[1].at)
        self.active: list[Active] = []

    @property
    def ahead(self) -> list[Step]:
        """The steps to come, the next one first."""
        return [step for _, step in self._ahead]

    @property
    def over(self) -> bool:
        """Whether nothing is at work or to come."""
        return not self._ahead and not self.active

    def advance(self, now: float) -> list[Active]:
        """Ends and begins what is due; returns what has begun, in order."""
        begun = []
        while self._ahead and self.began + self._ahead[0][1].at <= now:
            place, step = self._ahead.pop(0)
            begun.append(Active(self.seed, place, step, self.began + step.at))
        self.active = [one for one in (*self.active, *begun) if self._lasts(one, now)]
        return begun

    def _lasts(self, active: Active, now: float) -> bool:
        step = active.step
        if isinstance(step, Resume | Clock) or active.over:
            return False
        return step.lasts is None or now < active.began + step.lasts
