"""The simulator: every code of the catalogue, round the clock, on a clock that may be moved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from decimal import Decimal

import structlog

from ..calendars import ALWAYS, KEYS, load
from ..klines import Past
from ..machine import VirtualTime
from ..model import Catalogue, Event, Instrument, Kind, Trade
from .health import Health, Status
from .replay import HOLD_GRACE
from .shortfall import Shortfall
from .simulated_clock import MarketClock, SteadyClock
from .simulated_market import with_figures
from .simulated_markets import FORGET_AFTER, SimulatedMarkets
from .simulated_past import LIMITS, SimulatedPast
from .source import Snapshot, Source

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

BEAT = 0.05
"""Seconds in which steps are made together: the loop would wake for each."""
LOOK = 1.0
"""Seconds after which the clock is looked at anyhow: it may have been set."""
BATCH = 200
"""Events after which the event loop gets its turn."""
STEPS = 100
"""Steps after which the clock is looked at: where there are too many, what comes too late is left out."""

log = structlog.get_logger()


class Simulator(Source):
    """Trades and books of simulated markets, round the clock.

    `rate` is in steps per second and code; a step is a trade and the book after it. `clock` is in
    milliseconds since the epoch. If it is that of a `virtual` time, the stream is the same whatever the
    machine's speed: it begins at the moment at which that stands, and what comes late is not left out. `hold`
    lets that time stand until the first subscription.
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
        virtual: VirtualTime | None = None,
        hold: bool = False,
    ) -> None:
        self.codes: Collection[str] = frozenset(codes)
        self.health = Health(Status.UP, wall=clock)
        self.counted: Collection[str] = ()
        """Codes that have bars of an earlier run."""
        self._catalogue = catalogue
        self._markets = SimulatedMarkets(
            catalogue, self.codes, seed=seed, rate=rate, hours=hours, whole=virtual is not None
        )
        self._shortfall = Shortfall(self.health)
        self._seed = seed
        self._rate = rate
        self._clock = MarketClock(SteadyClock(clock, self._stepped) if virtual is None else clock)
        self._virtual = virtual
        self._released = asyncio.Event()
        if not hold:
            self._released.set()
        self._has_stepped = False
        self._wake = asyncio.Event()

    async def events(self) -> AsyncIterator[Event | Snapshot]:
        """The stream; it never ends."""
        self.health.tell(Status.UP)
        if not self._released.is_set():
            await self._released.wait()
            await asyncio.sleep(HOLD_GRACE)
        self._markets.open(self._clock())
        if self._virtual is not None:
            self._virtual.begin()
        while True:
            self._wake.clear()
            now = self._clock()
            if self._has_stepped:
                self._has_stepped = False
                self._markets.begin_anew(now, stands=not self._clock.speed, moved=True)
            for count, event in enumerate(self._markets.due(now, STEPS), 1):
                yield self._shown(event) if event.code in self._markets.closed else event
                if count % BATCH == 0:
                    await asyncio.sleep(0)
            self._look()
            next_time, speed = self._markets.next_time(), self._clock.speed
            if next_time is not None and next_time <= now:
                await asyncio.sleep(0)
                continue
            ahead = None
            if next_time is not None and speed:
                ahead = min(LOOK, max(BEAT, (next_time - self._clock()) / 1000 / speed))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ahead):
                    await self._wake.wait()

    def _shown(self, event: Event) -> Event | Snapshot:
        """What a closed market begins with. Its last trade is only shown where there are bars of that time:
        else each start would count it once more."""
        if isinstance(event, Trade) and event.code in self.counted:
            return Snapshot(Kind.TRADE, event.code, event)
        return event

    def _stepped(self, by: int) -> None:
        """The wall clock was set, by so many milliseconds."""
        if by < 0:
            log.warning("the clock was set back, the simulator goes on ahead of it", seconds=-by // 1000)
        else:
            log.warning("the clock went ahead, what lies between is not simulated", seconds=by // 1000)
        self._has_stepped = True

    def _look(self) -> None:
        """How late the stream is."""
        now, markets = self._clock(), self._markets
        if markets.catching_up or self._has_stepped:  # which say nothing of the machine
            return
        late = (now - markets.position(now)) / (self._clock.speed or 1)
        self.health.lag, self.health.dropped = int(late), markets.skipped
        elapsed = asyncio.get_running_loop().time()
        self._shortfall.look(
            elapsed, late / 1000, markets.made, lambda: markets.asked(now) * self._clock.speed
        )

    def market_time(self) -> int:
        """The wall clock, unless that was set back or this one was moved; of a virtual time as far as all has
        been yielded."""
        now = self._clock()
        return self._markets.position(now) if self._markets.whole else now

    @property
    def is_virtual(self) -> bool:
        """Whether it has a virtual time, which goes back whenever a code begins late."""
        return self._markets.whole

    @property
    def round_the_clock(self) -> bool:
        """Whether markets keep no hours."""
        return not self._markets.hours

    def move_clock(self, to: int | None, speed: float | None, hours: bool | None) -> None:
        """Sets the market's time, in milliseconds since the epoch, its speed, and whether markets keep their
        hours; None leaves it as it is. What would have been traded in between is skipped."""
        self._clock.move(to, speed)
        if not self._markets.whole:  # those who ask do so in real time
            self._markets.forget_after = FORGET_AFTER * max(1.0, self._clock.speed)
        if hours is not None:
            self._markets.hours = hours
        self._markets.begin_anew(self._clock(), stands=not self._clock.speed, moved=to is not None)
        self._wake.set()

    def past(self, instrument: Instrument, key: str | None = None) -> Past:
        """A plausible one, that leads up to the first bar without a jump. Its key is the calendar that it
        keeps, if any, and the seed: what is made later must fit what was made first."""
        limits = key is None or key.endswith(LIMITS)
        if key is None:
            key = instrument.calendar if self._markets.hours else ""
        name, _, seed = key.removesuffix(LIMITS).partition("@")  # older keys have no seed
        calendar = load(name) if name in KEYS and name != ALWAYS else None
        return SimulatedPast(
            instrument, calendar, seed=int(seed or self._seed), rate=self._rate, limits=limits
        )

    def described(self, instrument: Instrument) -> Instrument:
        """The instrument with what its company could be like."""
        return with_figures(instrument, self._seed)

    def serves(self, instrument: Instrument) -> bool:
        """All of the catalogue."""
        return instrument.code in self._catalogue

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """Starts those that do not run yet."""
        fresh = [code for code in codes if not self._markets.knows(code) or self.catches_up(code)]
        if self._markets.want(codes, self._clock()):
            self._wake.set()
        if subscribed and codes:
            self._released.set()
        return fresh if self._released.is_set() else ()

    def catches_up(self, code: str) -> bool:
        """Whether a code has begun late in a virtual time, and what it yields now is of long before."""
        return code in self._markets.catching_up

    def begins_before(self, code: str) -> bool:
        """Whether what a code begins with is of before: it catches up, or its market is closed."""
        return self._markets.begins_before(code)

    def previous_close(self, instrument: Instrument) -> Decimal:
        """What an instrument closed at the day before."""
        return self._markets.previous_close(instrument)
