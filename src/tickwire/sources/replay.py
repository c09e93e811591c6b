"""Replays a recording: as recorded, faster, or as fast as the subscribers take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, TypeAlias

import msgspec
import structlog

from ..errors import InputError
from ..model import EXACT, Book, Catalogue, Event, Instrument, Kind, Trade
from .health import Health, Status
from .recording import Line, Recording, Scan, TradeLine
from .source import Source

HOLD_GRACE = 0.5
"""Seconds between the first subscription and the first event of a held replay, so that a client that
sends several requests in a row has them all answered by then."""
BATCH = 1000
"""Moments that are read at a time, in a thread; then the event loop gets its turn."""

Reel: TypeAlias = Callable[[], Iterator[tuple[int, list[Event]]]]
"""What is replayed, anew from the beginning: moments in milliseconds since the epoch, and what happened then.
Gone through in a thread. Raises InputError if it cannot be read."""

log = structlog.get_logger()


class QuoteTrades(StrEnum):
    """Where the trades of a product that has only quotes come from."""

    BID = "bid"
    MID = "mid"
    NONE = "none"

    def price(self, book: Book) -> Decimal | None:
        """The price of the trade that stands for a quote. Its volume is zero (section 2, "Push")."""
        if self is QuoteTrades.BID and book.bids:
            return book.bids[0].price
        if self is QuoteTrades.MID and book.bids and book.asks:
            return EXACT.divide(EXACT.add(book.bids[0].price, book.asks[0].price), Decimal(2))
        return None


class Csv(NamedTuple):
    """The files of a recording; its `events` are a reel. `traded` are the codes with trades of their own."""

    recording: Recording
    catalogue: Catalogue
    traded: Collection[str]
    quote_trades: QuoteTrades

    def events(self) -> Iterator[tuple[int, list[Event]]]:
        """Those of each line that can be read, by time."""
        return ((line.tick_time_ms, self.made_of(line)) for line in self.recording.lines())

    def made_of(self, line: Line) -> list[Event]:
        """The events of one line."""
        if isinstance(line, TradeLine):
            return [line.event()]
        book = line.event()
        events: list[Event] = [book] if self.catalogue[line.code].levels else []
        if line.code not in self.traded and (price := self.quote_trades.price(book)) is not None:
            events.append(Trade(line.code, line.tick_time_ms, price, Decimal(0)))
        return events


def widened(catalogue: Catalogue, scan: Scan, quote_trades: QuoteTrades) -> Catalogue:
    """A catalogue in whose decimals everything recorded can be written without rounding; logs changes."""
    decimals = dict(scan.decimals)
    if quote_trades is QuoteTrades.MID:  # half of a last digit is one digit more
        for code in decimals.keys() - scan.traded:
            price, volume = decimals[code]
            decimals[code] = (price + 1, volume)
    wide = catalogue.widened(decimals)
    for code in decimals:
        now, before = _decimals(wide[code]), _decimals(catalogue[code])
        if now != before:
            log.info("decimals widened", code=code, price=now[0], volume=now[1], catalogue=before)
    return wide


def _decimals(instrument: Instrument) -> tuple[int, int]:
    return instrument.price_decimals, instrument.volume_decimals


@dataclass(eq=False, repr=False)
class Replay(Source):
    """A recording as a source.

    `speed` 1 is as recorded, 0 as fast as the subscribers take it. `rebase` moves all times by the same
    amount, so that the first is the moment of the start; at another speed than 1 they then run ahead of
    the clock or fall behind it. `hold` waits for the first subscription. `health` is what the reading of the
    recording has counted. `monotonic` is in seconds, `wall` in milliseconds since the epoch.
    """

    name: str
    reel: Reel
    _: KW_ONLY
    codes: Collection[str]
    first_time: int
    speed: float
    rebase: bool = False
    hold: bool = False
    loop: bool = False
    simulated: bool = False
    health: Health
    monotonic: Callable[[], float]
    wall: Callable[[], int]

    def __post_init__(self) -> None:
        self.name = f"replay:{self.name}"
        self.patient = self.speed == 0
        self._subscribed = asyncio.Event()
        self._played = 0  # events of this pass
        self._shift = 0
        self._reached = self.first_time
        self._over = False
        self._market_time: Callable[[], int] = lambda: 0

    def market_time(self) -> int:
        """The time of the recording that has been reached; between two lines it goes on at the speed."""
        return self._market_time()

    def serves(self, instrument: Instrument) -> bool:
        """What was recorded."""
        return instrument.code in self.codes

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """Lets go of a held replay; nothing that is asked for comes earlier than recorded."""
        if subscribed:
            self._subscribed.set()
        return ()

    async def events(self) -> AsyncIterator[Event]:
        """The stream; it ends with the recording unless it is looped, or where that cannot be read."""
        if self._over:
            return
        self.health.tell(Status.UP)
        if self.hold:
            await self._subscribed.wait()
            await asyncio.sleep(HOLD_GRACE)
        while not self._over:
            try:
                async for event in self._pass():
                    yield event
            except InputError as error:
                log.error("the recording cannot be read on", source=self.name, reason=str(error))
                self.health.tell(Status.DOWN, str(error))
                self._over = True
                return
            self._over = not self.loop or not self._played
            self._played = 0
            if not self._over:
                log.info("replay starts again", source=self.name)
                await asyncio.sleep(0)

    async def _pass(self) -> AsyncIterator[Event]:
        """The recording, from where it was left."""
        if not self._played:
            self._shift = self.wall() - self.first_time if self.rebase else 0
            self._reached = self.first_time
        shift, upcoming = self._shift, self._reached
        began = self.monotonic() - ((self._reached - self.first_time) / 1000 / (self.speed or 1))

        def market_time() -> int:
            paced = self.first_time + int((self.monotonic() - began) * 1000 * self.speed)
            return shift + (max(self._reached, min(paced, upcoming)) if self.speed else self._reached)

        self._market_time = market_time
        moments = self.reel()
        before = self._played
        while batch := await asyncio.to_thread(list, islice(moments, BATCH)):
            for at, events in batch:
                if before and before >= len(events):
                    before -= len(events)
                    continue
                upcoming = max(self._reached, at)
                if self.speed:
                    due = began + (at - self.first_time) / 1000 / self.speed
                    if (ahead := due - self.monotonic()) > 0:
                        await asyncio.sleep(ahead)
                self._reached = upcoming
                for event in events[before:]:
                    self._played += 1
                    yield msgspec.structs.replace(event, time=event.time + shift) if shift else event
                before = 0
