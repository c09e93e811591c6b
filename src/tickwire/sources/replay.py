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
from ..model import EXACT, Book, Catalogue, Correction, Event, Instrument, Kind, Trade
from .health import Health, Status
from .recording import Line, Recording, Scan, TradeLine
from .source import Again, Source

HOLD_GRACE = 0.5
"""Seconds between the first subscription and the first event of a held replay, so that a client that
sends several requests in a row has them all answered by then."""
BATCH = 1000
"""Moments that are read at a time, in a thread; then the event loop gets its turn."""

Moments: TypeAlias = Iterator[tuple[int, list[Event | Correction]]]
"""Moments in milliseconds since the epoch, in the order of the recording, and what happened then."""


class Reel(NamedTuple):
    """What is replayed.

    `first_time` is the earliest, in milliseconds since the epoch. `moments` goes through it anew from the
    beginning, in a thread, and raises InputError if it cannot be read. `wider` are the instruments that must
    have more decimals than is known of them, so that nothing of it is rounded.
    """

    codes: Collection[str]
    first_time: int
    moments: Callable[[], Moments]
    wider: Collection[Instrument] = ()


Load: TypeAlias = Callable[[Callable[[int], None]], Reel]
"""Looks through a recording, in a thread, and tells now and then how many lines it has read. Raises
InputError if it cannot be read."""

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
    """The files of a recording. `traded` are the codes with trades of their own."""

    recording: Recording
    catalogue: Catalogue
    traded: Collection[str]
    quote_trades: QuoteTrades

    def moments(self) -> Moments:
        """Those of each line that can be read, by time."""
        return ((line.tick_time_ms, self.made_of(line)) for line in self.recording.lines())

    def made_of(self, line: Line) -> list[Event | Correction]:
        """The events of one line."""
        if isinstance(line, TradeLine):
            return [line.event()]
        book = line.event()
        events: list[Event | Correction] = [book] if self.catalogue[line.code].levels else []
        if line.code not in self.traded and (price := self.quote_trades.price(book)) is not None:
            events.append(Trade(line.code, line.tick_time_ms, price, Decimal(0)))
        return events


def decimals_in(scan: Scan, quote_trades: QuoteTrades) -> dict[str, tuple[int, int]]:
    """The (price, volume) decimals in which all that is replayed of it can be written."""
    decimals = dict(scan.decimals)
    if quote_trades is QuoteTrades.MID:  # half of a last digit is one digit more
        for code in decimals.keys() - scan.traded:
            price, volume = decimals[code]
            decimals[code] = (price + 1, volume)
    return decimals


@dataclass(eq=False, repr=False)
class Replay(Source):
    """A recording as a source.

    `speed` 1 is as recorded, 0 as fast as the subscribers take it. `rebase` moves all times by the same
    amount, so that the first is the moment of the start; at another speed than 1 they then run ahead of
    the clock or fall behind it. With `loop` too, each pass begins then, or where the one before it has come
    to. `hold` waits for the first subscription. `corrected` says that there are
    corrections of trades in it. `monotonic` is in seconds, `wall` in milliseconds since the epoch.
    """

    name: str
    load: Load
    _: KW_ONLY
    speed: float
    rebase: bool = False
    hold: bool = False
    loop: bool = False
    simulated: bool = False
    corrected: bool = False
    health: Health
    monotonic: Callable[[], float]
    wall: Callable[[], int]

    def __post_init__(self) -> None:
        self.name = f"replay:{self.name}"
        self.patient = self.speed == 0
        self._reel: Reel | None = None
        self._subscribed = asyncio.Event()
        self._played = 0  # events of this pass
        self._shift = self._reached = 0
        self._over = False
        self._market_time: Callable[[], int] = lambda: 0

    @property
    def codes(self) -> Collection[str]:  # type: ignore[override]
        """What was recorded; nothing before it is known."""
        return () if self._reel is None else self._reel.codes

    async def prepare(self) -> Collection[Instrument]:
        """Looks through the recording. Raises InputError if it cannot be read."""
        given_up = False

        def tell(lines: int) -> None:
            if given_up:
                raise InputError("The recording was not read to its end: the server ends.")
            self.health.tell(Status.CONNECTING, f"reading: {lines:,} lines so far")

        try:
            self._reel = await asyncio.to_thread(self.load, tell)
        finally:
            given_up = True
        self.health.tell(Status.UP)
        return self._reel.wider

    def market_time(self) -> int:
        """The time of the recording that has been reached; between two lines it goes on at the speed."""
        return self._market_time()

    def serves(self, instrument: Instrument) -> bool:
        """What was recorded; all that may have been before it is known."""
        return self._reel is None or instrument.code in self._reel.codes

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """Lets go of a held replay; nothing that is asked for comes earlier than recorded."""
        if subscribed:
            self._subscribed.set()
        return ()

    async def events(self) -> AsyncIterator[Event | Correction | Again]:
        """The stream; it ends with the recording unless it is looped. Raises InputError where that cannot be
        read on, which ends it too."""
        if self._over or self._reel is None:
            return
        if self.hold:
            await self._subscribed.wait()
            await asyncio.sleep(HOLD_GRACE)
        while not self._over:
            try:
                async for event in self._pass(self._reel):
                    yield event
            except InputError:
                self._over = True
                raise
            self._over = not self.loop or not self._played
            self._played = 0
            if not self._over:
                log.info("replay starts again", source=self.name)
                if not self.rebase:
                    yield Again()
                await asyncio.sleep(0)

    async def _pass(self, reel: Reel) -> AsyncIterator[Event | Correction]:
        """The recording, from where it was left."""
        first = reel.first_time
        if not self._played:
            self._shift = max(self.wall(), self._shift + self._reached) - first if self.rebase else 0
            self._reached = first
        shift, upcoming = self._shift, self._reached
        began = self.monotonic() - ((self._reached - first) / 1000 / (self.speed or 1))

        def market_time() -> int:
            paced = first + int((self.monotonic() - began) * 1000 * self.speed)
            return shift + (max(self._reached, min(paced, upcoming)) if self.speed else self._reached)

        self._market_time = market_time
        moments = reel.moments()
        before = self._played
        broken: InputError | None = None
        while broken is None:
            batch, broken = await asyncio.to_thread(_some, moments)
            if not batch and broken is None:
                return
            for at, events in batch:
                if before and before >= len(events):
                    before -= len(events)
                    continue
                upcoming = max(self._reached, at)
                if self.speed:
                    due = began + (at - first) / 1000 / self.speed
                    if (ahead := due - self.monotonic()) > 0:
                        await asyncio.sleep(ahead)
                self._reached = upcoming
                for event in events[before:]:
                    self._played += 1
                    yield _moved(event, shift) if shift else event
                before = 0
        raise broken


def _moved(event: Event | Correction, shift: int) -> Event | Correction:
    """The same so many milliseconds later."""
    if isinstance(event, Correction):
        was, now = (
            one if one is None else msgspec.structs.replace(one, time=one.time + shift)
            for one in (event.was, event.became)
        )
        event = msgspec.structs.replace(event, was=was, became=now)
    return msgspec.structs.replace(event, time=event.time + shift)


def _some(moments: Moments) -> tuple[list[tuple[int, list[Event | Correction]]], InputError | None]:
    """The next moments, none at the end; and why they cannot be read on, which comes after them."""
    batch: list[tuple[int, list[Event | Correction]]] = []
    try:
        batch.extend(islice(moments, BATCH))
    except InputError as error:
        return batch, error
    return batch, None
