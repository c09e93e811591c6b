"""How upstream is, as far as its connections and its answers over HTTP show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from ...client import ClientError, Clock, Http, Incomplete, Unauthorized, Unavailable, Unreadable
from ...client.clock import sleep
from ...model import Family
from ..health import Status
from ..judge import Judge
from .line import Line
from .market_time import MarketTime
from .token_file import Secret

FIRST_GREETING = 1.0
"""Seconds after which it is asked to let us in."""
GREETING = 15.0
"""Seconds between two tries to be let in, while nobody wants anything."""
WELL_KNOWN = "AAPL.US"
"""What is asked for to be let in: no other request of ours is of the kind, so none has to wait for it."""
WORSE = (Status.UP, Status.CONNECTING, Status.STALE, Status.DOWN)

log = structlog.get_logger()


@dataclass(eq=False, repr=False)
class Standing:
    """Keeps the health of the source: it is as the worst of all connections is.

    `https` are what asks over HTTP; `changed` is called when `tell` has something new to tell.
    """

    name: str
    lines: Mapping[tuple[Family, int], Line]
    https: Collection[Http]
    judge: Judge
    time: MarketTime
    secret: Secret
    changed: Callable[[], None]

    def __post_init__(self) -> None:
        self._let_in = False
        self._said_ahead = False
        self._http_fails = ""
        self._stamped = -math.inf  # when that event came which the lag was told of

    def tell(self) -> None:
        """Says how it is now."""
        if (ahead := self.time.market.runs_ahead) is not self._said_ahead:
            self._said_ahead = ahead
            if ahead:
                log.warning("upstream's time is ahead of ours: its trades are in no bar", source=self.name)
            else:
                log.info("upstream's time is ours", source=self.name)
        every = self.lines.values()
        lines = [line for line in every if line.open]
        standings = [line.standing() for line in lines]
        self._let_in = self._let_in or any(status is Status.UP for status, _ in standings)
        if self._let_in:  # a connection more, that is not there yet, is nothing to worry about
            standings = [one for one in standings if one[0] is not Status.CONNECTING]
        if not standings and self._http_fails:
            standings = [(Status.DOWN, self._http_fails)]
        elif not standings:
            standings = [(Status.UP if self._let_in else Status.CONNECTING, "")]
        health = self.judge.health
        health.tell(*max(standings, key=lambda one: WORSE.index(one[0])))
        health.dropped = sum(line.dropped for line in every)
        health.renumbered = sum(line.renumbered for line in every)
        health.bad = self.judge.bad + sum(one.bad for one in self.https) + sum(line.bad for line in every)
        last = max(lines, key=lambda line: line.reception.heard, default=None)
        if last is not None and last.reception.lag is not None:
            if not self.time.is_real:
                health.lag = health.skew = None
            elif last.reception.heard > self._stamped:
                self._stamped = last.reception.heard
                health.stamped(last.reception.lag)
                health.lag = max(0, last.reception.lag)

    def answered(self, error: ClientError | None) -> None:
        """Upstream answered over HTTP, or did not."""
        fails = isinstance(error, (Unauthorized, Unavailable, Unreadable)) and not isinstance(
            error, Incomplete
        )
        reason = self.secret.plain(f"HTTP: {error}") if fails else ""
        if reason and not self._http_fails:
            log.warning("upstream does not answer over HTTP", source=self.name, reason=reason)
        self._http_fails = reason
        self._let_in = self._let_in or not fails
        self.changed()

    async def greet(self, http: Http, clock: Clock) -> None:
        """Asks until upstream lets us in, where no connection shows it: a wrong token is told before anybody
        waits for data."""
        await sleep(clock, FIRST_GREETING)
        while not self._let_in:
            if not any(line.open for line in self.lines.values()):
                try:
                    await http.static_info([WELL_KNOWN])
                    self.answered(None)
                except ClientError as error:
                    self.answered(error)
            await sleep(clock, GREETING)
