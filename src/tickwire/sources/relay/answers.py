"""How codes stand, asked for over HTTP when nobody has subscribed to them yet, and what a failure says."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from ...client import ClientError, Clock, Http, Incomplete, RequestRefused, Unavailable, Unreadable
from ...model import Family, Instrument, Kind
from ...wire import CODE_INVALID, CODE_UNAUTHORIZED, Pushed, Ret, ret_of
from .demand import Group

MOST_CODES = 50
"""Codes of one request where the plan has no limit: a URL may not grow for ever (protocol, section 4)."""
FRESH = 1.0
"""Seconds for which an answer is fresh."""
PATIENCE = 15.0
"""Seconds that a code waits for its turn: then nobody waits for it."""
SHOWN = 3
"""Codes that a line of the log names."""
INCOMPLETE = Incomplete("upstream has not heard of all codes how they stand")
FINAL = (CODE_INVALID.code, CODE_UNAUTHORIZED.code)
"""Answers that say that upstream gives us none of the codes (protocol, section 3)."""
IN_A_ROW = 3
"""So many requests that fail one after the other say that it is upstream that fails, whatever the codes."""

log = structlog.get_logger()


def may_be_one(error: ClientError, failures: int) -> bool:
    """Whether one of the codes of a list may be why there is no answer to it, so that others of them have one
    if they are asked for apart; `failures` are those in a row, this one included."""
    if isinstance(error, RequestRefused):
        return error.ret not in FINAL
    is_fault = isinstance(error, (Unavailable, Unreadable)) and error.retry_after is None
    return is_fault and (error.status > 0 or failures < IN_A_ROW)


def halves(codes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Both halves of a list of two codes at least."""
    half = len(codes) // 2
    return [codes[:half], codes[half:]]


class Answer(NamedTuple):
    """What upstream said of these codes: events of some of them, or why there are none; it was not `asked` if
    their turn did not come in time."""

    group: Group
    codes: tuple[str, ...]
    events: Sequence[Pushed]
    error: ClientError | None = None
    asked: bool = True

    @property
    def failed(self) -> bool:
        """Whether it is not known how the codes stand."""
        return not self.asked or (self.error is not None and self.error.ret not in FINAL)


class Answers:
    """Asks for the last trades and books of codes: those that are wanted in the same turn of the event loop,
    or while a request waits for its own turn, in one request. `most` codes are in one, None for no limit. A
    list that upstream refuses or fails at is asked for in halves, while anybody may wait for it.
    """

    def __init__(
        self, http: Http, most: int | None, clock: Clock, source: str, told: Callable[[Answer], None]
    ) -> None:
        self.failed = 0
        """How many codes upstream did not say of how they stand."""
        self._http = http
        self._most = most or MOST_CODES
        self._clock = clock
        self._source = source
        self._told = told
        self._waiting: dict[Group, dict[str, float]] = {
            (family, kind): {} for family in Family for kind in (Kind.TRADE, Kind.DEPTH)
        }
        self._asked: dict[Group, set[str]] = {group: set() for group in self._waiting}
        self._answered: dict[tuple[Group, str], float] = {}
        self._failed: dict[tuple[Group, str], Ret | None] = {}
        self._none: set[tuple[Group, str]] = set()  # what upstream said it has none of
        self._untold: dict[tuple[Group, int], list[str]] = {}
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

    def failures(self, kind: Kind, instruments: Iterable[Instrument]) -> dict[str, Ret | None]:
        """The codes of those of which upstream did not say how they stand when it was asked last, nor that
        there is nothing of them, each with what it was refused with, if it was."""
        keys = (((one.family, kind), one.code) for one in instruments)
        return {key[1]: self._failed[key] for key in keys if key in self._failed}

    def has_none(self, group: Group, code: str) -> bool:
        """Whether upstream said that it has none of that for us when it was asked last."""
        return (group, code) in self._none

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
        waiting, some = self._waiting[group], self._some[group]
        parts: deque[tuple[tuple[str, ...], float]] = deque()  # asked apart, each up to a moment
        failures, is_part = 0, False
        while True:
            if not parts:
                self._say()
                await some.wait()
            now = self._clock.time()
            late = [code for code, at in waiting.items() if at < now - PATIENCE]
            self.tell(Answer(group, tuple(late), (), asked=False))
            is_part = bool(parts) and not (waiting and is_part)  # by turns
            if is_part:
                codes, until = parts.popleft()
            else:
                codes, until = tuple(waiting)[: self._most], now + PATIENCE
                self._asked[group].update(codes)
                self._forget(waiting, codes)
            if not waiting:
                some.clear()
            if now >= until:
                self.tell(Answer(group, codes, (), asked=False))
                continue
            if not codes:
                continue
            try:
                events, is_whole = await self._http.ticks(*group, codes)
            except ClientError as error:
                failures = 0 if isinstance(error, RequestRefused) else failures + 1
                if len(codes) > 1 and may_be_one(error, failures):
                    parts += ((half, until) for half in halves(codes))
                    continue
                self.tell(Answer(group, codes, (), error))
            else:
                failures = 0
                shown = {one.event.code for one in events}
                lacking = () if is_whole else tuple(code for code in codes if code not in shown)
                self.tell(Answer(group, tuple(code for code in codes if code not in lacking), events))
                self.tell(Answer(group, lacking, (), INCOMPLETE))

    def _say(self) -> None:
        """Says of which codes upstream does not say how they stand: once, until it does."""
        untold, self._untold = self._untold, {}
        for ((_, kind), ret), codes in untold.items():
            if not codes:
                continue
            log.warning(
                "upstream does not say how codes stand",
                source=self._source,
                kind=kind.name.lower(),
                codes=len(codes),
                first=codes[:SHOWN],
                ret=ret,
            )

    def tell(self, answer: Answer) -> None:
        """Takes what upstream said, be it that it was asked for something else."""
        group, codes, _, error, _ = answer
        now = self._clock.time()
        self._forget(self._waiting[group], codes)
        self._asked[group].difference_update(codes)
        keys = [(group, code) for code in codes]
        self._answered.update(dict.fromkeys(keys, now))
        if answer.failed:
            ret = 0 if error is None else error.ret
            new = [code for code in codes if (group, code) not in self._failed]
            self._untold.setdefault((group, ret), []).extend(new)
            refused = ret_of(error.ret) if isinstance(error, RequestRefused) else None
            self._failed.update(dict.fromkeys(keys, refused))
            self.failed += len(codes)
        else:
            for key in keys:
                self._failed.pop(key, None)
            (self._none.difference_update if error is None else self._none.update)(keys)
        if codes:
            self._told(answer)

    @staticmethod
    def _forget(waiting: dict[str, float], codes: Iterable[str]) -> None:
        for code in codes:
            waiting.pop(code, None)
