"""Waits so that requests over HTTP keep within a plan."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..model import Quota
from ..wire import Pace
from .clock import Clock, RealClock, sleep
from .errors import TooManyRequests

Times: TypeAlias = tuple[int, float]
"""So many requests in so many seconds."""
MARGIN = 0.05
"""Seconds by which a window is taken longer than it is: requests do not all travel equally long."""
DAY = 86_400


class Rates(NamedTuple):
    """The rates of a plan (section 4), None for no limit. Those of endpoints count for each of them apart;
    `per_day` counts all requests of a day of UTC."""

    endpoint: Times | None = None
    batch_kline: Times | None = None
    suspension: Times | None = None
    http: Times | None = None
    per_day: int | None = None


class Pacer:
    """Lets requests pass as `rates` allow, in the order in which they come; shared by all of a token.

    `wall` is in seconds since the epoch.
    """

    def __init__(
        self,
        rates: Rates | None = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock: Clock = clock or RealClock()
        self._rates = rates = rates or Rates()
        self.waiting = 0
        """Requests that wait for their turn."""
        self._of_endpoint = _paced(rates.endpoint)
        self._special = {"batch-kline": _paced(rates.batch_kline), "suspension": _paced(rates.suspension)}
        self._all = _paced(rates.http)
        self._per_day = rates.per_day
        self._wall = wall
        self._day = self._today = 0
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def turn(self, endpoint: str) -> None:
        """Waits until a request may be sent to that endpoint at once: `kline`, `suspension/sse`.

        Raises TooManyRequests when those of the day are used up, which is too long to wait for.
        """
        turn = self.request(endpoint)
        await turn.come()
        turn.over()

    def request(self, endpoint: str) -> Turn:
        """The turn of a request that may leave a while after it has come."""
        return Turn(self, endpoint)

    async def _enter(self, endpoint: str) -> float:
        """Waits for the turn of a request; returns when that came. The queue of the endpoint stands still
        from then on."""
        pace = self._pace(endpoint)
        self.waiting += 1
        try:
            await self._queues[endpoint].acquire()
            try:
                while (free := max(pace.free_at(endpoint), self._all.free_at(""))) > (
                    now := self._clock.time()
                ):
                    await sleep(self._clock, free - now)
                self._count()
            except BaseException:
                self._queues[endpoint].release()
                raise
            pace.take(endpoint, now)
            self._all.take("", now)
            if not pace.seconds:  # nobody behind it has to know when it leaves
                self._queues[endpoint].release()
            return now
        finally:
            self.waiting -= 1

    def _left(self, endpoint: str, came: float) -> float:
        """A request has left whose turn had come then; returns when."""
        now = self._clock.time()
        self._pace(endpoint).move(endpoint, came, now)
        self._all.move("", came, now)
        return now

    def _release(self, endpoint: str) -> None:
        if self._pace(endpoint).seconds:
            self._queues[endpoint].release()

    def _pace(self, endpoint: str) -> Pace:
        return self._special.get(endpoint.partition("/")[0], self._of_endpoint)

    def quotas(self) -> list[Quota]:
        """How the limits stand: those of all requests, and those of the endpoints that were asked."""
        now, rates, found = self._clock.time(), self._rates, list[Quota]()
        if rates.http is not None:
            found.append(Quota("http", *rates.http, self._all.left("", now)))
        if rates.per_day is not None:
            used = self._today if int(self._wall() // DAY) <= self._day else 0
            found.append(Quota("day", rates.per_day, DAY, rates.per_day - used))
        for endpoint in self._queues:
            special = {"batch-kline": rates.batch_kline, "suspension": rates.suspension}
            name = endpoint.partition("/")[0]
            if (rate := special.get(name, rates.endpoint)) is not None:
                left = self._special.get(name, self._of_endpoint).left(endpoint, now)
                found.append(Quota(endpoint, *rate, left))
        return found

    def _count(self) -> None:
        wall = self._wall()
        day = int(wall // DAY)
        if day > self._day:
            self._day, self._today = day, 0
        if self._per_day is not None and self._today >= self._per_day:
            wait = (self._day + 1) * DAY - wall
            raise TooManyRequests("the requests that the plan allows in a day are used up", retry_after=wait)
        self._today += 1

    def hold(self, endpoint: str, seconds: float) -> None:
        """The server asked for so many seconds without requests to that endpoint."""
        self._pace(endpoint).hold(endpoint, self._clock.time() + seconds)


def _paced(times: Times | None) -> Pace:
    return Pace(0.0) if times is None else Pace(times[1] + MARGIN, times[0])


class Turn:
    """The turn of one request. It counts from when the request has left, be it that a connection had to be
    made first: a server counts what arrives. Until then the next one to that endpoint waits."""

    def __init__(self, pacer: Pacer, endpoint: str) -> None:
        self._pacer = pacer
        self._endpoint = endpoint
        self._came: float | None = None
        self._holds = False

    async def come(self) -> None:
        """Waits for it, see `Pacer.turn`."""
        self._came = await self._pacer._enter(self._endpoint)
        self._holds = True

    def left(self) -> None:
        """The request has left."""
        if self._came is not None:
            self._came = self._pacer._left(self._endpoint, self._came)
        self.over()

    def over(self) -> None:
        """It has left, or never will."""
        if self._holds:
            self._holds = False
            self._pacer._release(self._endpoint)
