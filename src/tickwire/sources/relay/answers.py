"""How codes stand, asked for over HTTP when nobody has subscribed to them yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ...client import ClientError, Clock, Http
from ...model import Family, Kind
from ...wire import Pushed
from .demand import Group

MOST_CODES = 50
"""Codes of one request where the plan has no limit: a URL may not grow for ever (protocol, section 4)."""
FRESH = 1.0
"""Seconds for which an answer is fresh."""
PATIENCE = 15.0
"""Seconds that a code waits for its turn: then nobody waits for it."""


class Answer(NamedTuple):
    """What upstream said of these codes: events of some of them, or why there are none."""

    group: Group
    codes: tuple[str, ...]
    events: Sequence[Pushed]
    error: ClientError | None = None


class Answers:
    """Asks for the last trades and books of codes: those that are wanted in the same turn of the event loop,
    or while a request waits for its own turn, in one request. `most` codes are in one, None for no limit.
    """

    def __init__(self, http: Http, most: int | None, clock: Clock, told: Callable[[Answer], None]) -> None:
        self._http = http
        self._most = most or MOST_CODES
        self._clock = clock
        self._told = told
        self._waiting: dict[Group, dict[str, float]] = {
            (family, kind): {} for family in Family for kind in (Kind.TRADE, Kind.DEPTH)
        }
        self._asked: dict[Group, set[str]] = {group: set() for group in self._waiting}
        self._answered: dict[tuple[Group, str], float] = {}
        self._some = {group: asyncio.Event() for group in self._waiting}

    def ask(self, group: Group, code: str) -> bool:
        """Asks for a code, unless it was just answered. Returns whether an answer will come."""
        now = self._clock.time()
        if self.asks(group, code):
            return True
        if now - self._answered.get((group, code), -FRESH) < FRESH:
            return False
        self._waiting[group][code] = now
        self._some[group].set()
        return True

    def asks(self, group: Group, code: str) -> bool:
        """Whether a code is asked for, or about to be."""
        return code in self._asked[group] or code in self._waiting[group]

    def heard(self, answer: Answer) -> None:
        """Takes what upstream said when it was asked for something else."""
        self._tell(answer)

    async def run(self) -> None:
        """Sends the requests. Never ends; begun again, it asks anew for what it was about to hear of."""
        now = self._clock.time()
        for group, codes in self._asked.items():
            if codes:
                self._waiting[group].update(dict.fromkeys(codes, now))
                self._some[group].set()
                codes.clear()
        async with asyncio.TaskGroup() as tasks:
            for group in self._waiting:
                tasks.create_task(self._serve(group))

    async def _serve(self, group: Group) -> None:
        family, kind = group
        waiting, some = self._waiting[group], self._some[group]
        ask = self._http.trades if kind is Kind.TRADE else self._http.books
        while True:
            await some.wait()
            since = self._clock.time() - PATIENCE
            self._tell(Answer(group, tuple(code for code, at in waiting.items() if at < since), ()))
            codes = tuple(waiting)[: self._most]
            self._asked[group].update(codes)
            self._forget(waiting, codes)
            if not waiting:
                some.clear()
            if not codes:
                continue
            try:
                self._tell(Answer(group, codes, await ask(family, codes)))
            except ClientError as error:
                self._tell(Answer(group, codes, (), error))

    def _tell(self, answer: Answer) -> None:
        group, now = answer.group, self._clock.time()
        self._forget(self._waiting[group], answer.codes)
        self._asked[group].difference_update(answer.codes)
        self._answered.update(((group, code), now) for code in answer.codes)
        if answer.codes:
            self._told(answer)

    @staticmethod
    def _forget(waiting: dict[str, float], codes: Iterable[str]) -> None:
        for code in codes:
            waiting.pop(code, None)
