"""The simulator: every code of the catalogue, round the clock, on a clock that may be moved."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from random import Random

import structlog

from ..calendars import ALWAYS, KEYS, Calendar, load
from ..klines import Past
from ..model import Catalogue, Event, Instrument, Kind
from .health import Health, Status
from .simulated_market import SimulatedMarket, with_figures
from .simulated_past import SimulatedPast
from .source import Source

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
LOOK = 1.0
"""Seconds after which the clock is looked at anyhow: it may have been set."""
BATCH = 200
"""Steps after which the event loop gets its turn."""

STEP = 5_000
"""Milliseconds by which the wall clock must jump for that to count as a step rather than as a late look."""

log = structlog.get_logger()


class SteadyClock:
    """A clock of milliseconds that never goes back, over a wall clock that may.

    A step back is left out: from then on it runs ahead of the wall clock by so much, until that is set
    forward again. A small one lets it stand still. A step forward is followed. `stepped` is called with each
    step, in milliseconds.
    """

    def __init__(self, wall: Callable[[], int], stepped: Callable[[int], None]) -> None:
        self._wall = wall
        self._stepped = stepped
        self._ahead = 0
        self._shown: int | None = None

    def __call__(self) -> int:
        """What it shows."""
        wall = self._wall()
        before = wall if self._shown is None else self._shown
        step = wall + self._ahead - before
        if step < -STEP:
            self._ahead -= step
        elif step > STEP:
            self._ahead = max(0, self._ahead - step)
        self._shown = max(before, wall + self._ahead)
        if abs(step) > STEP:
            self._stepped(step)
        return self._shown


class MarketClock:
    """A clock in milliseconds since the epoch that may be set forward, run faster, or stand still."""

    def __init__(self, wall: Callable[[], int]) -> None:
        self._wall = wall
        self._from = self._to = 0  # what the wall clock showed when this one was moved, and to where
        self.speed = 1.0
        """How many milliseconds pass for one of the wall clock; 0 if it stands still."""

    def __call__(self) -> int:
        """What it shows."""
        return self._to + int((self._wall() - self._from) * self.speed)

    def move(self, to: int | None, speed: float | None) -> None:
        """Sets it, or its speed, or both."""
        self._to = self() if to is None else to
        self._from = self._wall()
        if speed is not None:
            self.speed = speed


class SimulatedMarkets:
    """All simulated markets, in step with a time that is handed in (milliseconds since the epoch).

    Pure: the same seed and the same calls give the same events.
    """

    def __init__(
        self, catalogue: Catalogue, codes: Collection[str], *, seed: int, rate: float, hours: bool = False
    ) -> None:
        """`hours` keeps the sessions and holidays of each market's calendar."""
        self.hours = hours
        self.forget_after: float = FORGET_AFTER
        self._catalogue = catalogue
        self._codes = codes
        self._seed = seed
        self._rate = rate
        self._pauses = Random(f"{seed}:pauses")
        self._markets: dict[str, SimulatedMarket] = {}
        self._queue: list[tuple[int, str]] = []  # a heap: when each running market steps next
        self._last_wanted: dict[str, int] = {}  # of the codes that run on request
        self._opening: list[Event] = []

    def open(self, now: int) -> None:
        """Starts what runs without being asked for; what has run on request goes on."""
        self._queue.clear()
        for code in sorted({*self._codes, *self._last_wanted}):
            self._start(code, now)

    def want(self, codes: Iterable[str], now: int) -> list[str]:
        """Starts those that do not run, and keeps them running. Returns those that it started."""
        fresh = []
        for code in codes:
            if code in self._codes:
                continue
            if code not in self._last_wanted:
                self._start(code, now)
                fresh.append(code)
            self._last_wanted[code] = now
        return fresh

    def knows(self, code: str) -> bool:
        """Whether a code has run."""
        return code in self._markets

    def begin_anew(self, now: int, *, stands: bool) -> None:
        """The clock or the hours have changed: what runs is looked at again, and counts as just wanted.

        Where the clock stands, nothing is traded at the moment that it was set to.
        """
        self._last_wanted = dict.fromkeys(self._last_wanted, now)
        upcoming = [(at, now + self._pause(), code) for at, code in self._queue]
        self._queue = [(later if stands else min(at, later), code) for at, later, code in upcoming]
        heapq.heapify(self._queue)

    def next_time(self) -> int | None:
        """When the next market steps."""
        return self._queue[0][0] if self._queue else None

    def due(self, now: int) -> Iterator[Event]:
        """All events up to now."""
        opening, self._opening = self._opening, []
        yield from opening
        while self._queue and self._queue[0][0] <= now:
            at, code = self._queue[0]
            if now - self._last_wanted.get(code, now) > self.forget_after:
                heapq.heappop(self._queue)
                del self._last_wanted[code]
                continue
            if now - at > LAG_LIMIT:
                at = now
            if (opens := self._opens(code, at)) > at:
                heapq.heapreplace(self._queue, (opens, code))
                continue
            heapq.heapreplace(self._queue, (at + self._pause(), code))
            yield from self._markets[code].advance(at)

    def _start(self, code: str, now: int) -> None:
        market = self._markets.get(code)
        if market is None:
            market = self._markets[code] = SimulatedMarket(self._catalogue[code], self._seed, self._rate)
            calendar = self._calendar(code)
            self._opening += market.open(now if calendar is None else calendar.last_open(now) or now)
        heapq.heappush(self._queue, (now + self._pause(), code))

    def _calendar(self, code: str) -> Calendar | None:
        """The calendar that a code keeps, if it keeps one."""
        key = self._catalogue[code].calendar
        return load(key) if self.hours and key in KEYS else None

    def _opens(self, code: str, at: int) -> int:
        """When the market is open next, which may be at once."""
        calendar = self._calendar(code)
        if calendar is None or calendar.is_open(at):
            return at
        return calendar.next_open(at) or at

    def _pause(self) -> int:
        """Milliseconds to a market's next step: even enough that no market seems dead."""
        return max(1, round(1000 / self._rate * self._pauses.uniform(0.4, 1.6)))


class Simulator(Source):
    """Trades and books of simulated markets, round the clock.

    `rate` is in steps per second and code; a step is a trade and the book after it. `clock` is in
    milliseconds since the epoch.
    """

    name = "simulator"
    simulated = True

    def __init__(
        self,
        catalogue: Catalogue,
        codes: Iterable[str],
        *,
        seed: int,
        rate: float,
        hours: bool = False,
        clock: Callable[[], int],
    ) -> None:
        self.codes: Collection[str] = frozenset(codes)
        self.health = Health(Status.UP, wall=clock)
        self._catalogue = catalogue
        self._markets = SimulatedMarkets(catalogue, self.codes, seed=seed, rate=rate, hours=hours)
        self._seed = seed
        self._rate = rate
        self._clock = MarketClock(SteadyClock(clock, self._stepped))
        self._has_stepped = False
        self._wake = asyncio.Event()

    async def events(self) -> AsyncIterator[Event]:
        """The stream; it never ends."""
        self.health.tell(Status.UP)
        self._markets.open(self._clock())
        while True:
            self._wake.clear()
            now = self._clock()
            if self._has_stepped:
                self._has_stepped = False
                self._markets.begin_anew(now, stands=not self._clock.speed)
            for count, event in enumerate(self._markets.due(now), 1):
                yield event
                if count % BATCH == 0:
                    await asyncio.sleep(0)
            next_time, speed = self._markets.next_time(), self._clock.speed
            ahead = None
            if next_time is not None and speed:
                ahead = min(LOOK, max(0.0, (next_time - self._clock()) / 1000 / speed))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ahead):
                    await self._wake.wait()

    def _stepped(self, by: int) -> None:
        """The wall clock was set, by so many milliseconds."""
        if by < 0:
            log.warning("the clock was set back, the simulator goes on ahead of it", seconds=-by // 1000)
        else:
            log.warning("the clock went ahead, what lies between is not simulated", seconds=by // 1000)
        self._has_stepped = True

    def market_time(self) -> int:
        """The wall clock, unless that was set back or this one was moved."""
        return self._clock()

    @property
    def round_the_clock(self) -> bool:
        """Whether markets keep no hours."""
        return not self._markets.hours

    def move_clock(self, to: int | None, speed: float | None, hours: bool | None) -> None:
        """Sets the market's time, in milliseconds since the epoch, its speed, and whether markets keep their
        hours; None leaves it as it is. What would have been traded in between is skipped."""
        self._clock.move(to, speed)
        # Those who ask do so in real time.
        self._markets.forget_after = FORGET_AFTER * max(1.0, self._clock.speed)
        if hours is not None:
            self._markets.hours = hours
        self._markets.begin_anew(self._clock(), stands=not self._clock.speed)
        self._wake.set()

    def past(self, instrument: Instrument, key: str | None = None) -> Past:
        """A plausible one, that leads up to the first bar without a jump. Its key is the calendar that it
        keeps, if any, and the seed: what is made later must fit what was made first."""
        if key is None:
            key = instrument.calendar if self._markets.hours else ""
        name, _, seed = key.partition("@")  # older keys have no seed
        calendar = load(name) if name in KEYS and name != ALWAYS else None
        return SimulatedPast(instrument, calendar, seed=int(seed or self._seed), rate=self._rate)

    def described(self, instrument: Instrument) -> Instrument:
        """The instrument with what its company could be like."""
        return with_figures(instrument, self._seed)

    def serves(self, instrument: Instrument) -> bool:
        """All of the catalogue."""
        return instrument.code in self._catalogue

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """Starts those that do not run yet."""
        fresh = [code for code in codes if not self._markets.knows(code)]
        if self._markets.want(codes, self._clock()):
            self._wake.set()
        return fresh
