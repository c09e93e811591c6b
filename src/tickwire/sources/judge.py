"""What of a source's data is fit to be served, and what became of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ..model import (
    Book,
    Catalogue,
    Correction,
    Entrance,
    Event,
    Fault,
    Instrument,
    Kline,
    Rule,
    event_fault,
    is_crossed,
)
from .health import Health

log = structlog.get_logger()


@dataclass(eq=False, repr=False)
class Judge:
    """Lets through what the rules allow (model/fitness.py) and counts what they do not.

    The log says the first refusal for each rule, and then each tenth, hundredth and so on. `learn` is
    called with a learned instrument and what it is shown in; it returns what it is by now.
    """

    source: str
    entrance: Entrance
    catalogue: Catalogue
    health: Health
    learn: Callable[[Instrument, Event | Kline], Instrument] = lambda one, _: one

    def __post_init__(self) -> None:
        self.bad = 0
        """How much was refused."""
        self._times: Counter[Rule] = Counter()

    def instrument(self, shown: Event | Kline) -> Instrument:
        """The instrument that an event or a bar of a known code is judged by."""
        found = self.catalogue[shown.code]
        return self.learn(found, shown) if found.learned else found

    def passes(self, event: Event | Correction, now: int | None = None) -> bool:
        """Whether an event of a known code is fit. `now` is the wall clock in milliseconds."""
        shown = event.was if isinstance(event, Correction) else event
        fault = event_fault(event, self.instrument(shown), self.entrance, now)
        if fault is not None:
            self.refuse(event.code, fault)
            return False
        if type(event) is Book and is_crossed(event):
            self.health.crossed += 1
        return True

    def refuse(self, code: str, fault: Fault) -> None:
        """Something of a code is unfit."""
        self.bad += 1
        self.health.bad += 1
        self._times[fault.rule] += 1
        times = self._times[fault.rule]
        if set(str(times)[1:]) <= {"0"} and str(times)[0] == "1":
            log.warning(
                "data refused",
                source=self.source,
                code=code,
                reason=fault.text,
                rule=str(fault.rule),
                times=times,
            )
