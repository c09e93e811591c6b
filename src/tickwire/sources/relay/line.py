"""One connection upstream: its link, what comes over it, how it is, and whether it is silent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import NamedTuple, TypeAlias

import structlog

from ...client import Buffer, Link, LinkStatus, Missed, Options, State, Told, websocket_url
from ...model import Family, Kind
from ...wire import Bad, Key, Outdated, Pace, Pushed, Refusal, Renumbered, Resumed, Spared, Subscribed
from ..health import Status
from ..judge import Judge
from ..source import Yielded
from .market_time import MarketTime
from .reception import Reception
from .token_file import Secret

REPAIR = 30.0
"""Seconds after which a connection that failed of itself is begun anew."""
MOST_PATIENCE = 600.0
"""Seconds of silence at the most after which one is, while its markets are open."""

log = structlog.get_logger()

Heard: TypeAlias = Yielded | Refusal


class Silence:
    """Watches one connection. `patience` is in seconds, 0 for ever; it doubles with every time in vain.

    `now` and `heard`, when the last live event came, are in seconds of a monotonic clock.
    """

    def __init__(self, patience: float, now: float) -> None:
        self.stale = False
        """Whether nothing came for too long, and nothing since."""
        self.patience = patience
        self._first = patience
        self._since = now

    def connected(self, now: float) -> None:
        """A new connection is there: its silence begins."""
        self._since = now

    def look(self, heard: float, now: float, *, is_open: bool) -> bool:
        """Whether the connection is to be begun anew. `is_open` says that something could come."""
        if not is_open or heard >= self._since:
            self._since = heard if is_open else now
            self.stale, self.patience = False, self._first
        if not self._first or not is_open or now - self._since < self.patience:
            return False
        self._since, self.stale = now, True
        self.patience = min(self.patience * 2, max(MOST_PATIENCE, self._first))
        return True


class Shared(NamedTuple):
    """What all connections to an upstream have in common.

    `requests` paces the subscriptions of a family, `connections` new connections. `silence` is in seconds.
    `arrived` is called when there is something to hear.
    """

    url: str
    secret: Secret
    options: Options
    requests: dict[Family, Pace]
    connections: Pace
    time: MarketTime
    dice: Random
    judge: Judge
    silence: float
    arrived: Callable[[], None]


class Line:
    """A connection of one family, which is opened when it has something to subscribe to."""

    def __init__(self, family: Family, number: int, shared: Shared) -> None:
        now = shared.time.clock.time()
        self.name = f"{family} {number + 1}"
        self.family = family
        self.open = False
        """Whether it is there, or tries to be."""
        self.bad = self.dropped = self.renumbered = 0
        self.reception = Reception(shared.time.market, shared.time.is_open, shared.judge, now)
        self._shared = shared
        self._buffer = Buffer(arrived=shared.arrived)
        self._link = Link(
            websocket_url(shared.url, family),
            shared.secret,
            self._buffer,
            shared.options,
            name=self.name,
            requests=shared.requests[family],
            connections=shared.connections,
            clock=shared.time.clock,
            random=shared.dice,
        )
        self._silence = Silence(shared.silence, now)
        self._status = Status.CONNECTING
        self._reason = ""
        self._was_refused = self._corrected = False
        self._warned: set[str] = set()  # on this connection
        self._closing = False
        self._said: set[tuple[Kind, Key]] = set()
        self._idle_since = now
        self._failed: float | None = None

    @property
    def connected(self) -> int:
        """How many connections there were."""
        return self._link.connected

    def standing(self) -> tuple[Status, str]:
        """How it is, and why."""
        if self._silence.stale and self._status is not Status.DOWN:
            return Status.STALE, f"{self.name}: nothing comes although its markets are open"
        return self._status, self._reason

    def add(self, kind: Kind, code: str) -> None:
        """Subscribes to a stream."""
        if kind is Kind.TRADE:
            self._link.add(trades=[code], corrections=[code] if self._corrected else ())
        else:
            self._link.add(books={code: 0})
        self.reception.add(kind, code, self._shared.time.clock.time())

    def remove(self, kind: Kind, code: str) -> list[Yielded]:
        """Subscribes to it no more."""
        if kind is Kind.TRADE:
            self._link.remove(trades=[code], corrections=[code])
        else:
            self._link.remove(books=[code])
        self._idle_since = self._shared.time.clock.time()
        return [*self.reception.remove(kind, [code], self._idle_since)]

    def ask_corrections(self) -> None:
        """Upstream tells corrections of trades: it is asked for those of all its codes."""
        if not self._corrected:
            self._corrected = True
            self._link.add(corrections=self.reception.trades())

    def start(self) -> None:
        """Connects, if there is something to subscribe to."""
        if not self.open and not self._closing and not self.reception.empty:
            self.open = True
            self._status, self._reason = Status.CONNECTING, ""
            self._link.start()

    def reconnect(self, reason: str) -> None:
        """Begins the connection anew."""
        if self.open:
            self._link.reconnect(reason)

    async def close(self) -> None:
        """Ends it, until it is started again."""
        self._closing = True
        try:
            await self._link.close()
        finally:
            self.open = self._closing = False

    async def keep(self, idle: float) -> None:
        """Looks after it, once a second or so: closes what was idle for so many seconds, and begins anew
        what is silent or has failed."""
        now = self._shared.time.clock.time()
        if self._failed is not None and now - self._failed >= REPAIR:
            self._failed = None
            await self.close()
        elif self.open and self.reception.empty and now - self._idle_since >= idle:
            await self.close()

    def is_silent(self) -> bool:
        """Whether nothing has come for too long, so that it is to be begun anew. Looks once."""
        codes = self.reception.codes()
        if self._status is not Status.UP or (not codes and not self.reception.empty):
            return False
        now = self._shared.time.clock.time()
        at = self._shared.time.market.read(now)
        is_open = any(self._shared.time.is_open(code, at) for code in codes)
        return self._silence.look(self.reception.heard, now, is_open=is_open)

    def hear(self) -> list[Heard]:
        """What has come: what to yield, and what upstream refuses."""
        found: list[Heard] = []
        try:
            now, wall, take = self._shared.time.clock.time(), self._shared.time.wall(), self.reception.event
            for told in self._buffer.take():
                if type(told) is Pushed:
                    event = take(told, now, wall)
                    if event is not None:
                        found.append(event)
                else:
                    found += self._told(told)
        except Exception as error:  # a mistake of ours in the link: the other connections go on
            log.error(
                "connection failed", connection=self.name, reason=self._shared.secret.plain(repr(error))
            )
            self._failed = self._shared.time.clock.time()
            self._status, self._reason = Status.DOWN, f"{self.name}: failed"
        found += self.reception.begin(self._shared.time.clock.time())
        return found

    def _told(self, told: Told) -> list[Heard]:
        now = self._shared.time.clock.time()
        if isinstance(told, State):
            return self._state(told, now)
        if isinstance(told, Subscribed):
            self._was_refused = False
            if told.kind is Kind.CORRECTION:
                return []
            return [*self.reception.subscribed(told.kind, told.keys, now), *self.reception.begin(now)]
        if isinstance(told, Refusal):
            refusal = self._refused(told)
            return [] if told.kind is Kind.CORRECTION else [refusal]
        if isinstance(told, Missed):
            self.dropped += told.events
            return [*self.reception.missed(now), *self.reception.begin(now)]
        if isinstance(told, Resumed):
            if told.gaps and told.kind is Kind.CORRECTION:
                # Mostly there was none: but of one that was killed nobody knows.
                self._say("upstream cannot give all corrections that were missed", codes=len(told.gaps))
            return [*self.reception.resumed(told, now), *self.reception.begin(now)]
        if isinstance(told, Renumbered):  # upstream was begun anew: what it did meanwhile nobody knows
            self.renumbered += 1
            self._warn(
                "upstream counts anew", kind=told.kind.name.lower(), code=told.key, dropped=told.dropped
            )
            return [*self.reception.renumbered(told, now), *self.reception.begin(now)]
        if isinstance(told, Spared):
            self.dropped += told.dropped
            self._warn(
                "upstream sends less than comes, since we are slow",
                kind=told.kind.name.lower(),
                events=told.dropped,
            )
            return [*self.reception.spared(told, now), *self.reception.begin(now)]
        if isinstance(told, Outdated):  # an event was taken for one of before: nobody is sure of that
            self.dropped += 1
            self._warn(
                "upstream sends numbers of before: such events are dropped",
                kind=told.kind.name.lower(),
                code=told.key,
            )
        if isinstance(told, Bad):
            self.bad += told.lines
            self._warn("upstream sends what cannot be read", reason=told.reason)
        return []

    def _warn(self, event: str, **fields: object) -> None:
        self._say(event, logging.WARNING, **fields)

    def _say(self, event: str, level: int = logging.INFO, **fields: object) -> None:
        """Once, until the connection is another one."""
        if event not in self._warned:
            self._warned.add(event)
            log.log(level, event, connection=self.name, **fields)

    def _state(self, state: State, now: float) -> list[Heard]:
        status, reason = state.status, self._shared.secret.plain(f"{self.name}: {state.reason}")
        if status is LinkStatus.UP:
            self._status, self._reason = Status.UP, ""
            self._warned.clear()
            self._silence.connected(now)
        elif status is LinkStatus.STALE:
            self._status, self._reason = Status.STALE, reason
        elif status is LinkStatus.DOWN:
            if state.again:  # it did not end because we wanted another, or none
                self._status, self._reason = Status.DOWN, reason
            market = self._shared.time.market
            market.read(now)
            heard = self.reception.heard if self._silence.stale else min(self._link.heard, state.since)
            return [*self.reception.lost(market.read_at(heard), reason)]
        return []

    def _refused(self, refusal: Refusal) -> Refusal:
        """Says so: once of each code, and once where it is tried again."""
        final = refusal.again is None
        fresh = [key for key in refusal.keys if (refusal.kind, key) not in self._said]
        if fresh if final else not self._was_refused:
            log.warning(
                "upstream refuses a subscription",
                connection=self.name,
                kind=refusal.kind.name.lower(),
                codes=len(refusal.keys),
                first=refusal.keys[:1],
                ret=refusal.ret,
                reason=self._shared.secret.plain(refusal.msg),
                again=refusal.again,
            )
        if final:
            self._said.update((refusal.kind, key) for key in fresh)
        self._was_refused = not final
        return refusal
