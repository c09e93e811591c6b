"""The way of an event: from its source into the bars, the recording and the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing, suppress

import msgspec
import structlog

from ..errors import InputError, StoreError, TickwireError
from ..klines import Closed
from ..model import Book, Catalogue, Correction, Event, Instrument, Kind, Trade, turnover
from ..sandbox import Way
from ..sources import Again, Began, Mended, Published, Resent, Snapshot, Status
from ..store.recordings import Recorder
from .feeds import Feed, Feeds
from .kline_push import KlinePush
from .scenarios import Scenarios
from .streams import Streams
from .supply import Supply

SOURCE_RETRY, SOURCE_MOST = 1.0, 30.0
"""Seconds before a source that failed is tried again, at first and at most: twice as long each time."""
SOURCE_SETTLED = 60.0
"""Seconds after which a source that fails counts as failing for the first time."""
RELIEF_WAIT = 10.0
"""Seconds that a patient source waits for slow clients before it goes on without them."""
RECORDING_LOOK = 0.02
"""Seconds between looks whether a recording has caught up."""

log = structlog.get_logger()


class Intake:
    """Takes what sources yield, and keeps them running."""

    def __init__(
        self,
        catalogue: Catalogue,
        feeds: Feeds,
        streams: Streams,
        supply: Supply,
        scenarios: Scenarios,
        klines: KlinePush,
        time_ns: Callable[[], int],
    ) -> None:
        """`time_ns` are nanoseconds since the epoch: when something was received."""
        self._catalogue = catalogue
        self._feeds = feeds
        self._streams = streams
        self._supply = supply
        self._scenarios = scenarios
        self._klines = klines
        self._time_ns = time_ns
        self._failed: set[Feed] = set()  # those that have not yielded since
        self._over: dict[Feed, InputError | None] = {}  # those that yield nothing more, and what broke them
        self._another_over = asyncio.Event()
        self.slow: set[object] = set()
        """The clients that do not take what they are sent as fast as it comes."""
        self._relief = asyncio.Event()

    def pace(self, clients: Mapping[object, bool]) -> None:
        """These clients became slow (True), or have caught up."""
        for client, slow in clients.items():
            (self.slow.add if slow else self.slow.discard)(client)
        if not self.slow:
            self._relief.set()

    async def ended(self, feed: Feed) -> None:
        """Returns when all that a source has was taken. Raises InputError if it broke."""
        while feed not in self._over:
            self._another_over.clear()
            await self._another_over.wait()
        if (error := self._over[feed]) is not None:
            raise error

    def _end(self, feed: Feed, error: InputError | None) -> None:
        self._over[feed] = error
        self._another_over.set()

    async def run(self, feed: Feed) -> None:
        """Takes what a source yields. One that fails is down, and is tried again. Never ends."""
        health, wait, said = feed.source.health, SOURCE_RETRY, ""
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if feed.bars.repeats:  # what an earlier run has counted is passed over
                    await feed.bars.ready(self._catalogue[code] for code in feed.source.codes)
                log.info("source started", source=feed.source.name)
                await self._consume(feed)
                await self._make_anew(feed)
                self._klines.closed_of(feed, feed.bars.close_all())
                log.info(
                    "source ended, its last state is served on", source=feed.source.name, events=feed.events
                )
                health.tell(Status.ENDED)
                self._end(feed, None)
                await asyncio.Event().wait()
            except Exception as error:
                known = isinstance(error, TickwireError)
                reason = str(error) if known else f"{type(error).__name__}: {error}"
                health.tell(Status.DOWN, reason)
                final = isinstance(error, InputError)  # no further try mends a file
                if asyncio.get_running_loop().time() - began > SOURCE_SETTLED:
                    wait, said = SOURCE_RETRY, ""
                if reason != said:
                    said = reason
                    log.error(
                        "source failed, its last state is served on",
                        source=feed.source.name,
                        reason=reason,
                        tried_again_in=None if final else wait,
                        exc_info=None if known else error,
                    )
                self._klines.closed_of(feed, feed.missing.failed(reason))
                self._failed.add(feed)
                if isinstance(error, InputError):
                    self._end(feed, error)
                    await asyncio.Event().wait()
                await asyncio.sleep(wait)
                wait = min(2 * wait, SOURCE_MOST)

    async def _make_anew(self, feed: Feed) -> None:
        with suppress(StoreError):  # which has been said, and is tried again
            await feed.bars.make_anew()

    def _recover(self, feed: Feed) -> None:
        """A source yields again after it had failed. A live one says itself how it is."""
        self._failed.discard(feed)
        if not feed.source.live:
            feed.source.health.tell(Status.UP)
            self._klines.closed_of(feed, feed.missing.recovered())

    async def _consume(self, feed: Feed) -> None:
        source = feed.source
        async with aclosing(source.events()) as events:  # type: ignore[type-var]
            async for event in events:
                if self._failed and feed in self._failed:
                    self._recover(feed)
                if isinstance(event, (Trade, Book)):
                    if self.take(event, feed) and self._supply.awaited:
                        self._supply.here(Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH, event.code)
                    if self.slow and source.patient:
                        await self._wait_for_relief()
                    if feed.recorder is not None and feed.recorder.behind and not source.live:
                        await self._wait_for_recording(feed.recorder)
                elif isinstance(event, Correction):
                    tape = feed.bars.tape  # where it is kept its source has seen to it
                    while tape is not None and tape.behind and not tape.kept:
                        tape.read_some()
                        await asyncio.sleep(0)
                    self.correct(feed, event)
                elif isinstance(event, Resent):
                    self._take_again(feed, event)
                elif isinstance(event, Snapshot):
                    self._show(feed, event)
                elif isinstance(event, Again):
                    await self._make_anew(feed)
                    self._klines.closed_of(feed, feed.bars.begin_again())
                elif isinstance(event, Began):
                    if (tape := feed.bars.tape) is not None and source.live:
                        for code in event.codes:
                            tape.began(code, event.at)
                    self._go_on(feed, feed.missing.lost(event.codes), gap=True)
                    self._klines.closed_of(feed, feed.missing.began(event))
                elif isinstance(event, Mended):
                    if (tape := feed.bars.tape) is not None:
                        for code in event.codes:
                            tape.mended(code)
                    self._go_on(feed, event.codes, gap=False)
                    self._klines.closed_of(feed, feed.missing.mended(event))
                else:
                    if (tape := feed.bars.tape) is not None and source.live:
                        for code in event.codes:
                            tape.broke(code)
                    self._klines.closed_of(feed, feed.missing.broke(event))

    def _go_on(self, feed: Feed, codes: Iterable[str], *, gap: bool) -> None:
        """Tells clients how trades go on behind an outage, of those codes that come from the feed."""
        known = (self._catalogue[code] for code in codes)
        self._streams.go_on((one for one in known if self._feeds.of(one) is feed), gap=gap)

    def take(self, event: Event, feed: Feed | None = None) -> bool:
        """The way of an event of a source (the preferred one): into the bars, to the clients, unless a
        scenario makes another of it. Returns whether its code comes from that source now."""
        instrument = self._catalogue[event.code]
        feed = feed or self._feeds.first
        feed.events += 1
        if not self._feeds.passes(feed, instrument):
            if type(event) is Trade:  # it is ready to stand in
                self._count(feed, instrument, event)
                if feed.bars.tape is not None:
                    feed.bars.tape.sent(0)
            if feed.recorder is not None:
                feed.recorder.record(event, instrument.market, self._time_ns() // 1000, 0)
            return False
        if self._scenarios.idle:
            self._serve(instrument, event, feed)
        else:
            for shaped in self._scenarios.shape(event, instrument):
                self.publish(instrument, shaped.event, shaped.way, feed)
        return True

    def _take_again(self, feed: Feed, resent: Resent) -> None:
        """Takes what a kill left only half kept: into the bars or the recording, and to the clients."""
        event, counted, recorded = resent
        if isinstance(event, Correction):
            self.correct(feed, event, counted=counted, recorded=recorded)
            return
        instrument = self._catalogue[event.code]
        received = self._time_ns() // 1000
        feed.events += 1
        closed: list[Closed] = []
        if type(event) is Trade:
            if not counted:
                event, closed = self._count(feed, instrument, event)
            elif event.turnover is None:
                event = msgspec.structs.replace(event, turnover=turnover(instrument, event))
        seq = self._send(instrument, event, received) if self._feeds.passes(feed, instrument) else 0
        if type(event) is Trade and not counted and feed.bars.tape is not None:
            feed.bars.tape.sent(seq)
        if feed.recorder is not None and not recorded:
            feed.recorder.record(event, instrument.market, received, seq)
        self._klines.closed_of(feed, closed)

    def correct(
        self, feed: Feed, correction: Correction, *, counted: bool = False, recorded: bool = False
    ) -> None:
        """The way of a correction: into the bars unless it has `counted` there, to the clients, and into the
        recording unless it is `recorded`."""
        instrument = self._catalogue[correction.code]
        received = self._time_ns() // 1000
        feed.events += 1
        was, now = (
            one if one is None or one.turnover is not None else _priced(instrument, one)
            for one in (correction.was, correction.became)
        )
        changed = msgspec.structs.replace(correction, was=was, became=now)
        if not counted:
            changed = msgspec.structs.replace(changed, trade_seq=feed.bars.correct(instrument, changed))
        passes = self._feeds.passes(feed, instrument)
        seq = self._streams.publish(instrument, changed, received) if passes else 0
        if feed.recorder is not None and not recorded:
            feed.recorder.record(changed, instrument.market, received, seq)

    def end(self, feed: Feed) -> None:
        """Takes what was published and waits still: it was answered as taken."""
        source = feed.source
        if not isinstance(source, Published):
            return
        lost = 0
        for event in source.end():
            try:
                if isinstance(event, Resent):
                    self._take_again(feed, event)
                elif isinstance(event, Correction):
                    self.correct(feed, event)
                else:
                    self.take(event, feed)
            except Exception:  # the others are taken all the same
                lost += 1
                if lost == 1:
                    log.exception("something that was published cannot be taken")
        if lost:
            log.error("what was published is lost in part", events=lost)

    def publish(
        self, instrument: Instrument, event: Event, way: Way = Way.ONCE, feed: Feed | None = None
    ) -> None:
        """The way of an event that a scenario has made."""
        self._serve(instrument, event, feed or self._feeds.of(instrument), way)

    def _serve(self, instrument: Instrument, event: Event, feed: Feed, way: Way | None = None) -> None:
        """Into the bars, to the clients, into the recording. Without a `way` no scenario has a say."""
        received = self._time_ns() // 1000
        closed: list[Closed] | None = None
        if type(event) is Trade:
            event, closed = self._count(feed, instrument, event)
        if way is None:
            seq = self._streams.publish(instrument, event, received)
        else:
            seq = self._send(instrument, event, received, way)
        if closed is not None and feed.bars.tape is not None:
            feed.bars.tape.sent(seq)
        if feed.recorder is not None:
            feed.recorder.record(event, instrument.market, received, seq)
        if closed:
            self._klines.closed(closed, seq)

    def _send(self, instrument: Instrument, event: Event, received: int, way: Way = Way.ONCE) -> int:
        if self._scenarios.idle:
            return self._streams.publish(instrument, event, received)
        return self._scenarios.push(instrument, event, way, received)

    def _count(self, feed: Feed, instrument: Instrument, trade: Trade) -> tuple[Trade, list[Closed]]:
        """Takes a trade into the bars; returns it with its turnover, and the bars that it closed."""
        money = turnover(instrument, trade)
        if trade.turnover is None:
            trade = msgspec.structs.replace(trade, turnover=money)
        return trade, feed.bars.add(instrument, trade, money)

    def _show(self, feed: Feed, snapshot: Snapshot) -> None:
        """Shows how a code stands, if that is newer than what is shown."""
        kind, code, event = snapshot
        instrument = self._catalogue[code]
        if self._feeds.of(instrument) is feed:
            self._supply.here(kind, code)
        if event is None or not self._feeds.passes(feed, instrument):
            return
        if isinstance(event, Trade) and event.turnover is None:
            event = msgspec.structs.replace(event, turnover=turnover(instrument, event))
        streams, trade = self._streams, kind is Kind.TRADE
        last = streams.last_trade(instrument) if trade else streams.last_book(instrument)
        if last is not None and (last.time > event.time or _alike(last, event)):
            return
        received = self._time_ns() // 1000
        seq = self._send(instrument, event, received)
        if feed.recorder is not None and kind is Kind.DEPTH:  # a trade would be counted when it is replayed
            feed.recorder.record(event, instrument.market, received, seq)

    async def _wait_for_recording(self, recorder: Recorder) -> None:
        """What is not live waits for the disk rather than leaving a gap in the recording."""
        while recorder.behind:  # noqa: ASYNC110 (its threads know no loop)
            await asyncio.sleep(RECORDING_LOOK)

    async def _wait_for_relief(self) -> None:
        self._relief.clear()
        try:
            async with asyncio.timeout(RELIEF_WAIT):
                await self._relief.wait()
        except TimeoutError:
            log.warning("slow clients are left behind", clients=len(self.slow))
            self.slow.clear()


def _priced(instrument: Instrument, trade: Trade) -> Trade:
    """A trade with its turnover."""
    return msgspec.structs.replace(trade, turnover=turnover(instrument, trade))


def _alike(one: Event, other: Event) -> bool:
    """Whether two events say the same."""
    if isinstance(one, Trade) and isinstance(other, Trade):
        one = msgspec.structs.replace(one, source_seq=other.source_seq)
    return one == other
