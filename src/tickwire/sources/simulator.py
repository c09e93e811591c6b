"""The simulator: every code of the catalogue, round the clock."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from random import Random

from ..model import Catalogue, Event
from .simulated_market import SimulatedMarket

DEFAULT_CODES = (
    "BTCUSDT ETHUSDT BNBUSDT SOLUSDT XRPUSDT DOGEUSDT ADAUSDT LTCUSDT TRXUSDT "
    "GOLD Silver Platinum COPPER USOIL UKOIL NGAS "
    "EURUSD USDJPY GBPUSD AUDUSD USDCAD USDCHF USDCNH USDHKD EURJPY "
    "US500 NAS100 US30 GER30 JPN225 HK50 USDX "
    "AAPL.US MSFT.US NVDA.US GOOG.US AMZN.US META.US TSLA.US IBM.US JPM.US KO.US BABA.US SPY.US "
    "700.HK 9988.HK 5.HK 1299.HK 939.HK 3690.HK 1810.HK 388.HK "
    "000001.SZ 600519.SH 300750.SZ 002594.SZ 600036.SH 601318.SH "
    "000001.SH 000300.SH HSI.HK .DJI.US .SPX.US .IXIC.US"
).split()
"""What runs without being asked for: well-known codes of all markets."""

FORGET_AFTER = 300_000
"""Milliseconds after which a code that runs on request, and that nobody asks for any more, stops."""
LAG_LIMIT = 5_000
"""Milliseconds behind the clock (a sleeping machine) after which the time that was missed is skipped."""
BATCH = 200
"""Steps after which the event loop gets its turn."""


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Simulator:
    """Trades and books of simulated markets.

    `rate` is in steps per second and code; a step is a trade and the book after it. The same seed, and a
    clock that shows the same times, give the same events.
    """

    name = "simulator"
    simulated = True
    patient = False

    def __init__(
        self,
        catalogue: Catalogue,
        codes: Iterable[str],
        *,
        seed: int,
        rate: float,
        clock: Callable[[], int] = wall_clock,
    ) -> None:
        self._catalogue = catalogue
        self.codes: Collection[str] = frozenset(codes)
        self._seed = seed
        self._rate = rate
        self._clock = clock
        self._pauses = Random(f"{seed}:pauses")
        self._markets: dict[str, SimulatedMarket] = {}
        self._due: list[tuple[int, str]] = []  # a heap: when each running market steps next
        self._running: set[str] = set()
        self._wanted: dict[str, int] = {}  # codes that run on request, and when they were last asked for
        self._opening: list[Event] = []
        self._wake = asyncio.Event()

    async def events(self) -> AsyncIterator[Event]:
        """The stream; it never ends."""
        for code in sorted(self.codes):
            self._start(code)
        while True:
            for count, event in enumerate(self._now(), 1):
                yield event
                if count % BATCH == 0:
                    await asyncio.sleep(0)
            self._wake.clear()
            ahead = (self._due[0][0] - self._clock()) / 1000 if self._due else 60.0
            try:
                async with asyncio.timeout(max(0.0, ahead)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def want(self, codes: Collection[str], *, subscribed: bool) -> bool:
        """Starts those that do not run yet."""
        fresh = [code for code in codes if code not in self._running]
        now = self._clock()
        self._wanted.update((code, now) for code in codes if code not in self.codes)
        for code in fresh:
            self._start(code)
        if fresh:
            self._wake.set()
        return bool(fresh)

    def _start(self, code: str) -> None:
        now = self._clock()
        market = self._markets.get(code)
        if market is None:
            market = SimulatedMarket(self._catalogue[code], self._seed, self._rate)
            self._markets[code] = market
            self._opening += market.open(now)
        self._running.add(code)
        heapq.heappush(self._due, (now + self._pause(), code))

    def _pause(self) -> int:
        """Milliseconds to a market's next step: even enough that no market seems dead."""
        return max(1, round(1000 / self._rate * self._pauses.uniform(0.4, 1.6)))

    def _now(self) -> Iterable[Event]:
        """All events that are due."""
        opening, self._opening = self._opening, []
        yield from opening
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            at, code = self._due[0]
            if code not in self.codes and now - self._wanted[code] > FORGET_AFTER:
                heapq.heappop(self._due)
                self._running.discard(code)
                continue
            if now - at > LAG_LIMIT:
                at = now
            heapq.heapreplace(self._due, (at + self._pause(), code))
            yield from self._markets[code].advance(at)
