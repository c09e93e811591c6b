"""The engine: joins sources, the hub, bars, and what clients ask for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from typing import NamedTuple

import msgspec
import structlog

from .access import BUILT_IN, Verdict
from .admission import Admission, Caller, Peer
from .admission import Rules as AdmissionRules
from .backfill import Backfill
from .config import Settings
from .errors import InputError, StoreError, TickwireError
from .feeds import Feed, Feeds
from .hub import Hub
from .kline_push import KlinePush
from .klines import Closed
from .model import (
    Book,
    Catalogue,
    Event,
    Family,
    Instrument,
    Kind,
    Trade,
    turnover,
)
from .outages import Outages
from .sandbox import Sandbox, Way
from .scenarios import Scenarios
from .sources import Began, Published, Resent, Snapshot, Source, Status
from .store import Backlog, Database, DataDirectory, GapStore, SuspensionStore, TokenStore
from .store.recordings import Recorder
from .supply import Supply
from .watched import watched
from .wire import (
    POLICY_VIOLATION,
    QUERY_INVALID,
    Cancel,
    Decision,
    Dialect,
    ForgetStatus,
    Refused,
    Session,
    StatusData,
    Subscribe,
    WatchStatus,
    status_frame,
)

FALLBACK_WATCH = 0.5
"""Seconds between looks whether a source is silent that another one could stand in for."""
SOURCE_RETRY, SOURCE_MOST = 1.0, 30.0
"""Seconds before a source that failed is tried again, at first and at most: twice as long each time."""
SOURCE_SETTLED = 60.0
"""Seconds after which a source that fails counts as failing for the first time."""
END_WAIT = 5.0
"""Seconds in which the last gaps and suspensions must be written when the server ends."""
RELIEF_WAIT = 10.0
"""Seconds that a patient source waits for slow clients before it goes on without them."""
RECORDING_LOOK = 0.02
"""Seconds between looks whether a recording has caught up."""
UPKEEP = 30.0
"""Seconds between reminders to the source of what is subscribed to, and between notes of the epoch."""
TOKEN_WATCH = 0.25
"""Seconds between looks whether tokens have changed or expired."""
TOKEN_REPORT = 10.0
"""Seconds between lines of the log about unknown tokens."""

log = structlog.get_logger()


class Heard(NamedTuple):
    """What a client sent: a message of a connection, or a request over HTTP (`connection` 0).

    `path` is that of the request, and of the connection's upgrade; `text` the message, the query or body.
    """

    connection: int
    path: str
    text: str


class Engine:
    """Takes events from the sources and carries out what clients ask for.

    `databases` run the calls of the stores, first that of the data directory, and `maker` those that make a
    past; all end with the engine.
    `clock` is the monotonic clock that heartbeats and limits run on, `wall` the time since the epoch that
    tokens and daily quotas go by, both in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        feeds: Feeds,
        directory: DataDirectory,
        databases: Sequence[Database],
        tokens: TokenStore,
        suspensions: SuspensionStore,
        gaps: GapStore,
        *,
        maker: Executor,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.feeds = feeds
        self.clock = clock
        self.dialect = Dialect(settings.strict_protocol, settings.legacy_string_ids)
        self.running = False
        self.database = database = databases[0]
        self._databases = databases
        self.suspensions = suspensions
        self.gaps = gaps
        self.publisher: Published | None = None
        self.heard: Callable[[Heard], None] | None = None
        self.connections_changed: Callable[[], None] | None = None
        self.callers: dict[Peer, Caller] = {}
        self._numbers = itertools.count(1)
        self._directory = directory
        self._epoch = directory.begin(time.time_ns() // 1000)
        self._began = time.monotonic()
        self._maker = maker
        self._failed: set[Feed] = set()  # those that have not yielded since
        self._slow: set[Peer] = set()
        self._relief = asyncio.Event()
        self._watching: set[Peer] = set()
        self.hub = Hub(
            lambda flush: asyncio.get_running_loop().call_soon(flush),
            epoch=self._epoch,
            text_ids=settings.legacy_string_ids,
            snapshots=settings.snapshot_on_subscribe,
        )
        sandbox = Sandbox(settings.seed)
        hours, minutes = settings.day_reset.split(":")
        rules = AdmissionRules(
            BUILT_IN | settings.plans,
            settings.plan,
            settings.takeover_after,
            int(hours) * 3600 + int(minutes) * 60,
        )
        self.supply = Supply(feeds, self.hub, self.callers)
        self.klines = KlinePush(catalogue, feeds, self.hub, self.supply, settings.kline_push_interval)
        self.admission = Admission(tokens, database, sandbox, rules, self.supply, clock=clock, wall=wall)
        self.halts = Backlog(database, "suspensions")
        self.gap_entries = Backlog(database, "gaps")
        self.scenarios = Scenarios(
            sandbox,
            catalogue,
            feeds,
            self.hub,
            suspensions,
            self.halts,
            callers=self.callers,
            publish=self._publish,
            clock=clock,
        )
        for feed in feeds:
            self._join(feed)

    def _join(self, feed: Feed) -> None:
        """Gives a feed what keeps its bars complete."""
        source, revised = feed.source, functools.partial(self.klines.closed_of, feed)
        feed.bars.revised = revised
        if source.history is not None:
            feed.backfill = Backfill(
                source,
                source.history,
                feed.bars,
                revised=revised,
                filled=lambda code: feed.outages.filled(code),
            )
        feed.outages = Outages(
            source,
            feed.bars,
            self.catalogue,
            self.gaps,
            self.gap_entries,
            revised=revised,
            backfill=feed.backfill,
        )

    @property
    def source(self) -> Source:
        """The preferred source, whose clock is the server's."""
        return self.feeds.first.source

    @property
    def events(self) -> int:
        """How many events have come."""
        return sum(feed.events for feed in self.feeds)

    @property
    def example(self) -> Instrument:
        """An instrument that is served, to show how a client asks."""
        codes = self.feeds.codes or {one.code for one in self.catalogue if self.feeds.serve(one)}
        return self.catalogue["BTCUSDT" if "BTCUSDT" in codes or not codes else min(codes)]

    async def run(self) -> None:
        """Serves the sources, and the last state of those that end or fail. Never ends."""
        self.running = True
        tasks = {
            "upkeep": self._keep_up,
            "bars": self.klines.run,
            "tokens": self._watch_tokens,
            "fallback": self._watch_silence,
            "scenarios": self.scenarios.carry_out,
            "suspensions": self.halts.run,
            "gaps": self.gap_entries.run,
        }
        for number, feed in enumerate(self.feeds):
            feed.source.health.changed = functools.partial(self._health_changed, feed)
            feed.outages.start()
            tasks |= {
                f"{feed.source.name} {number}: joining bars": feed.bars.join,
                f"{feed.source.name} {number}: writing bars": feed.bars.keep,
                f"{feed.source.name} {number}: receiving": functools.partial(self._receive, feed),
            }
            if feed.backfill is not None:
                tasks[f"{feed.source.name} {number}: backfill"] = feed.backfill.run
        try:
            async with asyncio.TaskGroup() as beside:
                for name, run in tasks.items():
                    beside.create_task(watched(name, run), name=name)
        finally:
            self.running = False
            await self._end()

    async def _end(self) -> None:
        """Writes what is left, and lets go of everything."""
        backfills = [feed.backfill.end for feed in self.feeds if feed.backfill is not None]
        for feed in self.feeds:
            self._take_rest(feed)
        steps = [self.klines.end, *backfills, *(feed.bars.end for feed in self.feeds), self._drain]
        for step in steps:
            try:
                await step()
            except Exception:  # the others are to end all the same
                log.exception("a part of the server did not end well")
        await asyncio.to_thread(self._note_epoch)
        await asyncio.to_thread(self.close)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(END_WAIT):
                await self.halts.drain()
                await self.gap_entries.drain()
        except (StoreError, TimeoutError):
            log.error("the last gaps and suspensions cannot be written: lost")

    def close(self) -> None:
        """Lets go of the stores and of the data directory. May be called again."""
        try:
            for feed in self.feeds:
                if feed.recorder is not None:
                    feed.recorder.close()
            self._maker.shutdown(cancel_futures=True)
            for database in self._databases:
                database.close()
        finally:
            self._directory.close()

    async def _receive(self, feed: Feed) -> None:
        """Takes what a source yields. One that fails is down, and is tried again. Never ends."""
        health, wait, said = feed.source.health, SOURCE_RETRY, ""
        while True:
            began = time.monotonic()
            try:
                if feed.bars.repeats:  # what an earlier run has counted is passed over
                    await feed.bars.ready(self.catalogue[code] for code in feed.source.codes)
                log.info("source started", source=feed.source.name)
                await self._consume(feed)
                log.info(
                    "source ended, its last state is served on", source=feed.source.name, events=feed.events
                )
                await asyncio.Event().wait()
            except Exception as error:
                known = isinstance(error, TickwireError)
                reason = str(error) if known else f"{type(error).__name__}: {error}"
                health.tell(Status.DOWN, reason)
                # No further try mends a file; what begins anew must not be counted again.
                final = isinstance(error, InputError) or (
                    feed.bars.repeats and not isinstance(error, StoreError)
                )
                if time.monotonic() - began > SOURCE_SETTLED:
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
                feed.outages.failed(reason)
                self._failed.add(feed)
                await (asyncio.Event().wait() if final else asyncio.sleep(wait))
                wait = min(2 * wait, SOURCE_MOST)

    def _recover(self, feed: Feed) -> None:
        """A source yields again after it had failed. One with a history says itself how it is."""
        self._failed.discard(feed)
        if feed.source.history is None:
            feed.source.health.tell(Status.UP)
            feed.outages.recovered()

    async def _consume(self, feed: Feed) -> None:
        source = feed.source
        async with aclosing(source.events()) as events:  # type: ignore[type-var]
            async for event in events:
                if feed in self._failed:
                    self._recover(feed)
                if isinstance(event, (Trade, Book)):
                    if self.take(event, feed) and self.supply.awaited:
                        self.supply.here(Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH, event.code)
                    if self._slow and source.patient:
                        await self._wait_for_relief()
                    if feed.recorder is not None and feed.recorder.behind and source.history is None:
                        await self._wait_for_recording(feed.recorder)
                elif isinstance(event, Resent):
                    self._take_again(feed, event)
                elif isinstance(event, Snapshot):
                    self._show(feed, event)
                elif isinstance(event, Began):
                    feed.outages.began(event)
                else:
                    feed.outages.broke(event)

    def take(self, event: Event, feed: Feed | None = None) -> bool:
        """The way of an event of a source (the preferred one): into the bars, to the clients, unless a
        scenario makes another of it. Returns whether its code comes from that source now."""
        instrument = self.catalogue[event.code]
        feed = feed or self.feeds.first
        feed.events += 1
        if not self.feeds.passes(feed, instrument):
            if type(event) is Trade:  # it is ready to stand in
                self._count(feed, instrument, event)
            if feed.recorder is not None:
                feed.recorder.record(event, instrument.market, time.time_ns() // 1000, 0)
            return False
        if self.scenarios.idle:
            self._publish(instrument, event, feed=feed)
        else:
            for shaped in self.scenarios.shape(event, instrument):
                self._publish(instrument, shaped.event, shaped.way, feed)
        return True

    def _take_again(self, feed: Feed, resent: Resent) -> None:
        """Takes what a kill left only half kept: into the bars or the recording, and to the clients."""
        event, counted, recorded = resent
        instrument = self.catalogue[event.code]
        feed.events += 1
        closed: list[Closed] = []
        if type(event) is Trade:
            if not counted:
                event, closed = self._count(feed, instrument, event)
            elif event.turnover is None:
                event = msgspec.structs.replace(event, turnover=turnover(instrument, event))
        seq = self._send(instrument, event) if self.feeds.passes(feed, instrument) else 0
        if feed.recorder is not None and not recorded:
            feed.recorder.record(event, instrument.market, time.time_ns() // 1000, seq)
        self.klines.closed_of(feed, closed)

    def _take_rest(self, feed: Feed) -> None:
        """Takes what was published and waits still: it was answered as taken."""
        if feed.source is not self.publisher or self.publisher is None:
            return
        try:
            for event in self.publisher.end():
                if isinstance(event, Resent):
                    self._take_again(feed, event)
                else:
                    self.take(event, feed)
        except Exception:
            log.exception("what was published is lost in part", waiting=self.publisher.queued)

    def _publish(
        self, instrument: Instrument, event: Event, way: Way = Way.ONCE, feed: Feed | None = None
    ) -> None:
        feed = feed or self.feeds.of(instrument)
        closed: list[Closed] = []
        if type(event) is Trade:
            event, closed = self._count(feed, instrument, event)
        seq = self._send(instrument, event, way)
        if feed.recorder is not None:
            feed.recorder.record(event, instrument.market, time.time_ns() // 1000, seq)
        if closed:
            self.klines.closed(closed)

    def _send(self, instrument: Instrument, event: Event, way: Way = Way.ONCE) -> int:
        if self.scenarios.idle:
            return self.hub.publish(instrument, event)
        return self.scenarios.push(instrument, event, way)

    def _count(self, feed: Feed, instrument: Instrument, trade: Trade) -> tuple[Trade, list[Closed]]:
        """Takes a trade into the bars; returns it with its turnover, and the bars that it closed."""
        money = turnover(instrument, trade)
        if trade.turnover is None:
            trade = msgspec.structs.replace(trade, turnover=money)
        return trade, feed.bars.add(instrument, trade, money)

    def _show(self, feed: Feed, snapshot: Snapshot) -> None:
        """Shows how a code stands, if that is newer than what is shown."""
        kind, code, event = snapshot
        instrument = self.catalogue[code]
        if self.feeds.of(instrument) is feed:
            self.supply.here(kind, code)
        if event is None or not self.feeds.passes(feed, instrument):
            return
        if isinstance(event, Trade) and event.turnover is None:
            event = msgspec.structs.replace(event, turnover=turnover(instrument, event))
        last = self.hub.topic(kind, instrument).last
        if isinstance(last, (Trade, Book)) and (last.time > event.time or _alike(last, event)):
            return
        seq = self._send(instrument, event)
        if feed.recorder is not None and kind is Kind.DEPTH:  # a trade would be counted when it is replayed
            feed.recorder.record(event, instrument.market, time.time_ns() // 1000, seq)

    # What clients do.
    def caller(self, secret: str, family: Family | None) -> Caller:
        """Who sends a request over HTTP with that token. Raises Refused."""
        return self.admission.caller(secret, family)

    def count(self, caller: Caller, endpoint: str | None) -> Verdict:
        """Counts a request over HTTP: whether it passes, and the limits that concern it."""
        return self.admission.request(caller, endpoint)

    def admit(self, peer: Peer, family: Family | None, secret: str) -> Session:
        """Opens a session; without a family the path is no WebSocket's. Raises Refused."""
        if family is None:
            self.admission.caller(secret, None)
            raise Refused(QUERY_INVALID)
        caller, dead = self.admission.enter(peer, secret, family, next(self._numbers))
        self.callers[peer] = caller
        if self.connections_changed is not None:
            self.connections_changed()
        if dead is not None:
            dead.close(POLICY_VIOLATION, "another connection of this token took its place")
        return Session(family, self.catalogue, self.clock(), self.dialect, caller)

    def carry_out(self, client: Peer, decision: Decision) -> bytes:
        """Changes what the client is sent; returns the frames to send it first."""
        match decision:
            case Subscribe(kind, wants):
                self.supply.want(kind, [want.instrument for want in wants], subscribed=True)
                if kind is Kind.KLINE:
                    self.klines.show(
                        client, [want for want in wants if self.hub.view(client, kind, want) is None]
                    )
                return self.hub.subscribe(client, kind, wants)
            case Cancel(kinds):
                self.hub.cancel(client, kinds)
            case WatchStatus():
                self._watching.add(client)
                return b"".join(status_frame(_status(feed.source)) for feed in self.feeds)
            case ForgetStatus():
                self._watching.discard(client)
        return b""

    def leave(self, client: Peer) -> None:
        """The client is gone."""
        self.hub.leave(client)
        self.klines.leave(client)
        self._watching.discard(client)
        self.quick(client)
        if (caller := self.callers.pop(client, None)) is not None:
            caller.leave(client)
            if self.connections_changed is not None:
                self.connections_changed()

    def delay(self, client: Peer) -> float:
        """Seconds by which scenarios let a connection's answers come late."""
        caller = self.callers.get(client)
        return 0.0 if caller is None else caller.delay()

    def slow(self, client: Peer) -> None:
        """The client does not take what it is sent as fast as it comes."""
        self._slow.add(client)

    def quick(self, client: Peer) -> None:
        """The client has caught up."""
        self._slow.discard(client)
        if not self._slow:
            self._relief.set()

    async def check_tokens(self) -> None:
        """Looks whether tokens have changed or expired, and ends the connections of those that count no
        more."""
        if await self.admission.refresh():
            for peer, caller in [*self.callers.items()]:
                if (objection := self.admission.objection(caller)) is not None:
                    peer.close(POLICY_VIOLATION, objection)

    async def _watch_tokens(self) -> None:
        """Ends the connections of tokens that count no more, and tells of unknown ones."""
        reported = self.clock()
        while True:
            await asyncio.sleep(TOKEN_WATCH)
            await self.check_tokens()
            if self.clock() - reported >= TOKEN_REPORT:
                self.admission.report()
                reported = self.clock()

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
            log.warning("slow clients are left behind", clients=len(self._slow))
            self._slow.clear()

    async def _watch_silence(self) -> None:
        """Lets codes come from another source while theirs is silent."""
        while True:
            await asyncio.sleep(FALLBACK_WATCH)
            for code, before, now in self.feeds.look():
                log.warning(
                    "a code comes from another source",
                    code=code,
                    before=before.source.name,
                    now=now.source.name,
                )

    async def _keep_up(self) -> None:
        late = dict.fromkeys(self.feeds, 0)
        while True:
            await asyncio.sleep(UPKEEP)
            await asyncio.to_thread(self._note_epoch)
            for feed in self.feeds:
                if (trades := feed.bars.late - late[feed]) > 0:
                    name = feed.source.name
                    log.warning("trades came too late for their bars", source=name, trades=trades)
                    late[feed] = feed.bars.late
                with contextlib.suppress(StoreError):  # which has been said; it is tried again
                    await feed.bars.prune(self.settings.retention)
            self.supply.renew()

    # How the sources are.
    def _health_changed(self, feed: Feed) -> None:
        health = feed.source.health
        say = log.info if health.status in (Status.UP, Status.CONNECTING) else log.warning
        say("source changed", source=feed.source.name, status=health.status, reason=health.reason)
        if self._watching:
            frame = status_frame(_status(feed.source))
            for client in [*self._watching]:
                self.hub.push(client, frame)

    def _note_epoch(self) -> None:
        """Waits for the disk."""
        self._directory.note(self._epoch + int((time.monotonic() - self._began) * 1e6))


def _status(source: Source) -> StatusData:
    """A source as clients are told of it."""
    health = source.health
    return StatusData(
        source=source.name,
        status=str(health.status),
        since=health.since,
        reason=health.reason,
        simulated=int(source.simulated),
    )


def _alike(one: Event, other: Event) -> bool:
    """Whether two events say the same."""
    if isinstance(one, Trade) and isinstance(other, Trade):
        one = msgspec.structs.replace(one, source_seq=other.source_seq)
    return one == other
