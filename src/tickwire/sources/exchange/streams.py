"""The streams of a connected exchange: begun when they are wanted, followed, looked after, given up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import structlog

from ...client import Backoff
from ...client.backoff import Tries
from ...errors import SourceError
from ...machine import Machine
from ...model import Catalogue, Kind, Trade, is_crossed
from ..health import Health, Status
from ..judge import Judge
from ..source import Snapshot
from ..wants import Wants
from .mapper import Unreadable, read_book
from .outlet import Outlet
from .stream import Key, Seen, Stream, alike, last_trades, missed
from .venue import Bad, Venue

BEAT = 1.0
"""Seconds between looks at what is wanted and what is silent."""
MOST_PATIENCE = 600.0
"""Seconds of silence after which a stream is looked at anyhow."""
FIRST_BOOK = 10
"""Times the silence that a first book may take: many of them wait for their turn at the venue."""
LEAVING = 5.0
"""Seconds that a venue has to take an unsubscription."""
LOGGED = 10
"""Messages that could not be read which are logged one by one; all are counted."""

log = structlog.get_logger()


@dataclass(eq=False, repr=False)
class Streams:
    """All streams of a source. Of each connection of ccxt `serve` makes its own; what was seen stays.

    `symbols` may lose codes that the venue turns out not to have.
    """

    name: str
    venue: Venue
    catalogue: Catalogue
    judge: Judge
    symbols: Mapping[str, str]
    wants: Wants[Key]
    outlet: Outlet
    health: Health
    _: KW_ONLY
    silence: float
    backoff: Backoff
    machine: Machine

    def __post_init__(self) -> None:
        self.told: set[Key] = set()
        """The streams of which something was yielded since they began."""
        self._exchange: Any = None
        self._streams: dict[Key, Stream] = {}
        self._seen: defaultdict[str, Seen] = defaultdict(Seen)
        self._patience: dict[Key, float] = {}
        self._heard = 0.0
        self._lost: SourceError | None = None
        self.wake = asyncio.Event()
        """Set when something else is wanted."""
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._streams

    async def serve(self, exchange: Any) -> None:
        """Follows what is wanted over a connected instance of ccxt.

        Raises SourceError when it must be begun anew.
        """
        exchange.unreadable = self._bad
        self._exchange, self._lost, self._heard = exchange, None, self.machine.monotonic()
        try:
            while self._lost is None:
                self._follow_wants()
                self._look()
                self._tell()
                self.wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(BEAT, self.silence / 2)):
                        await self.wake.wait()
            raise self._lost
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            self._streams.clear()

    def lost(self, reason: str) -> None:
        """The connection is gone, or could not be made; nobody waits in vain."""
        for code in [*self.outlet.whole]:
            self.outlet.broke(code, self.machine.millis(), reason)
        for kind, code in self._wanted():
            if (kind, code) not in self.told:
                self.outlet.show(Snapshot(kind, code, None))

    # What is wanted.
    def _wanted(self) -> list[Key]:
        self.wants.lapse(self.machine.monotonic())
        return self.wants.target()

    def _follow_wants(self) -> None:
        wanted = {key for key in self._wanted() if key[1] in self.symbols}
        for key in wanted - self._streams.keys():
            kind, code = key
            stream = Stream(kind, self.catalogue[code], self.symbols[code], self.machine.monotonic())
            self._streams[key] = stream
            stream.task = self._spawn(self._keep_up(stream))
            if kind is Kind.TRADE and key not in self.told:
                self._spawn(self._show_last(stream))
        for key in self._streams.keys() - wanted:
            stream = self._streams[key]
            if not stream.leaving:
                stream.leaving = True
                self._spawn(self._leave(stream))

    async def _leave(self, stream: Stream) -> None:
        stream.task.cancel()
        await asyncio.wait([stream.task])
        if stream.kind is Kind.TRADE:
            self.outlet.broke(stream.code, self.machine.millis(), "")
        trades = stream.kind is Kind.TRADE
        try:
            if self._exchange.has.get("unWatchTrades" if trades else "unWatchOrderBook"):
                leave = self._exchange.un_watch_trades if trades else self._exchange.un_watch_order_book
                async with asyncio.timeout(LEAVING):
                    await leave(stream.symbol)
        except Exception as error:  # then it goes on in vain, until the connection ends
            log.debug("not unsubscribed", source=self.name, code=stream.code, reason=self.venue.said(error))
        finally:
            self.told.discard(stream.key)
            del self._streams[stream.key]
            self.wake.set()

    # What comes.
    async def _keep_up(self, stream: Stream) -> None:
        """Follows a stream; after every failure once more."""
        tries = Tries(self.backoff, self.machine.dice)
        follow = self._trades if stream.kind is Kind.TRADE else self._books
        while True:
            begun = self.machine.monotonic()
            try:
                await follow(stream)
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is None or task.cancelling():
                    raise
                self._fail(
                    stream, "the connection was closed", self.machine.millis()
                )  # ccxt gave up what we wait for
            except Exception as error:  # ccxt lets through what its parsers and sockets raise
                # What ccxt calls so is a connection that was found dead.
                quiet = int((self.machine.monotonic() - stream.heard) * 1000)
                dead = type(error).__name__ == "RequestTimeout"
                self._fail(stream, self.venue.said(error), self.machine.millis() - (quiet if dead else 0))
            tries.lasted(self.machine.monotonic() - begun)
            await asyncio.sleep(tries.delay())

    async def _trades(self, stream: Stream) -> None:
        since: int | None = self.machine.millis()
        stream.since, stream.heard = self.machine.millis(), self.machine.monotonic()
        while True:
            raws = await self._exchange.watch_trades(stream.symbol)
            now = self.machine.millis()
            seen = self._seen[stream.code]
            batch = seen.batch(stream.instrument, raws, now, since, self._bad_of(stream))
            since = None
            stream.latest = max(stream.latest, batch.latest)
            if batch.trades:
                self.health.stamped(now - batch.trades[-1].time)
            self._lives(stream)
            self.outlet.began(stream.code, now)
            self.outlet.put(batch.trades)
            if batch.trades:
                self.told.add(stream.key)

    async def _books(self, stream: Stream) -> None:
        stream.since, stream.heard = self.machine.millis(), self.machine.monotonic()
        while True:
            raw = await self._exchange.watch_order_book(stream.symbol)
            self._lives(stream)
            try:
                book = read_book(stream.instrument, raw, self.machine.millis())
            except Unreadable as error:
                self._bad(error, stream.code)
                continue
            if not alike(book, stream.book):
                stream.book = book
                self.health.crossed += is_crossed(book)
                self.outlet.put([book])
                self.told.add(stream.key)

    async def _show_last(self, stream: Stream) -> None:
        """The last trade of a code, which the stream itself may not tell for a long time."""
        last: Trade | None = None
        with contextlib.suppress(Exception):
            last = max(
                await last_trades(self._exchange, stream, self.machine.millis(), self._bad_of(stream)),
                key=lambda trade: trade.time,
                default=None,
            )
        if stream.key not in self.told:
            self.told.add(stream.key)
            self.outlet.show(Snapshot(stream.kind, stream.code, last))

    def _lives(self, stream: Stream) -> None:
        self._heard = stream.heard = self.machine.monotonic()
        self._patience.pop(stream.key, None)
        if stream.failed:
            stream.failed = ""
            log.info("stream is back", source=self.name, code=stream.code, kind=stream.kind.name.lower())
        if self.health.status is not Status.UP:
            self._tell()

    def _fail(self, stream: Stream, reason: str, at: int) -> None:
        if not stream.failed:
            log.warning(
                "stream failed",
                source=self.name,
                code=stream.code,
                kind=stream.kind.name.lower(),
                reason=reason,
            )
        stream.failed = reason
        if stream.kind is Kind.TRADE:
            self.outlet.broke(stream.code, at, reason)
        if stream.key not in self.told:
            self.told.add(stream.key)
            self.outlet.show(Snapshot(stream.kind, stream.code, None))
        self._tell()

    def _bad_of(self, stream: Stream) -> Bad:
        return lambda error: self._bad(error, stream.code)

    def _bad(self, error: Exception, code: str = "") -> None:
        if isinstance(error, Unreadable) and error.fault is not None:
            self.judge.refuse(code, error.fault)
            return
        self.health.bad += 1
        if self.health.bad <= LOGGED:
            log.warning("message unreadable", source=self.name, reason=self.venue.said(error))

    # What does not come.
    def _look(self) -> None:
        now = self.machine.monotonic()
        for stream in self._streams.values():
            patience = self._patience.get(stream.key, self.silence)
            if stream.kind is Kind.DEPTH and stream.book is None:
                patience *= FIRST_BOOK
            if now - stream.heard >= patience and not (stream.failed or stream.leaving or stream.looked_at):
                stream.looked_at = True
                self._spawn(self._look_at(stream, patience))

    async def _look_at(self, stream: Stream, patience: float) -> None:
        """Asks the venue whether a silent stream is quiet or dead. If it is dead, so may be the others."""
        heard = stream.heard
        try:
            dead = await missed(self._exchange, stream, self.machine.millis, self._bad_of(stream))
        except Exception as error:
            dead = f"asking for it failed ({self.venue.said(error)})"
        stream.looked_at = False
        if stream.heard != heard:  # it has spoken in the meantime
            return
        if not dead:
            stream.heard = self.machine.monotonic()
            return
        self._patience[stream.key] = min(2 * patience, MOST_PATIENCE)
        quiet = int((self.machine.monotonic() - heard) * 1000)
        reason = f"nothing came of {stream.code} for {quiet // 1000} s, and {dead}"
        if stream.kind is Kind.TRADE:
            self.outlet.broke(stream.code, self.machine.millis() - quiet, reason)
        self._lost = self._lost or SourceError(f"connected anew, for {stream.code} was silent")
        self.wake.set()

    # How it is.
    def _tell(self) -> None:
        streams = self._streams.values()
        failed = next((one.failed for one in streams if one.failed), "")
        if failed and all(one.failed for one in streams):
            self.health.tell(Status.DOWN, failed)
        elif streams and self.machine.monotonic() - self._heard >= self.silence:
            self.health.tell(Status.STALE, f"nothing came for {self.silence:g} s")
        else:
            self.health.tell(Status.UP)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
