"""Waits so that requests over HTTP keep within a plan."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
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
        self._of_endpoint = rates.endpoint, _paced(rates.endpoint)
        special = {"batch-kline": rates.batch_kline, "suspension": rates.suspension}
        self._special = {name: (rate, _paced(rate)) for name, rate in special.items()}
        self._all = _paced(rates.http)
        self._wall = wall
        self._day = self._today = 0
        self._queues: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def turn(self, endpoint: str) -> None:
        """Waits until a request may be sent to that endpoint at once: `kline`, `suspension/sse`.

        Raises TooManyRequests when those of the day are used up, which is too long to wait for.
        """
        async with self.request(endpoint):
            pass

    @asynccontextmanager
    async def request(self, endpoint: str) -> AsyncIterator[Callable[[], None]]:
        """The turn of a request, see `turn`. What it gives is called when it has left, and from then on it
        counts, be it that a connection had to be made first: a server counts what arrives. Until then, or
        until it never will leave, the next one to that endpoint waits."""
        (_, pace), queue = self._limit(endpoint), self._queues[endpoint]
        with ExitStack() as held:
            self.waiting += 1
            try:
                await queue.acquire()
                held.callback(queue.release)
                while (free := max(pace.free_at(endpoint), self._all.free_at(""))) > (
                    came := self._clock.time()
                ):
                    await sleep(self._clock, free - came)
                self._count()
            finally:
                self.waiting -= 1
            pace.take(endpoint, came)
            self._all.take("", came)
            if not pace.seconds:  # nobody behind it has to know when it leaves
                held.close()

            def left() -> None:
                nonlocal came
                before, came = came, self._clock.time()
                pace.move(endpoint, before, came)
                self._all.move("", before, came)
                held.close()

            yield left

    def _limit(self, endpoint: str) -> tuple[Times | None, Pace]:
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
            rate, pace = self._limit(endpoint)
            if rate is not None:
                found.append(Quota(endpoint, *rate, pace.left(endpoint, now)))
        return found

    def _count(self) -> None:
        wall = self._wall()
        day = int(wall // DAY)
        if day > self._day:
            self._day, self._today = day, 0
        if (most := self._rates.per_day) is not None and self._today >= most:
            wait = (self._day + 1) * DAY - wall
            raise TooManyRequests("the requests that the plan allows in a day are used up", retry_after=wait)
        self._today += 1

    def hold(self, endpoint: str, seconds: float) -> None:
        """The server asked for so many seconds without requests to that endpoint."""
        self._limit(endpoint)[1].hold(endpoint, self._clock.time() + seconds)


def _paced(times: Times | None) -> Pace:
    return Pace(0.0) if times is None else Pace(times[1] + MARGIN, times[0])
