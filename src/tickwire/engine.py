"""The engine: joins sources, the hub, bars, and what clients ask for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import structlog

from .access import BUILT_IN, Verdict
from .config import Settings
from .discovery import Discovery
from .errors import StoreError
from .gateway.admission import Admission, Caller, Peer
from .gateway.admission import Rules as AdmissionRules
from .gateway.hub import Hub
from .intake import Intake
from .kline_push import KlinePush
from .market.backfill import Backfill
from .market.feeds import Feed, Feeds
from .market.outages import Outages
from .model import (
    Catalogue,
    Family,
    Instrument,
    Kind,
)
from .sandbox import Sandbox
from .scenarios import Scenarios
from .sources import Published, Source, Status
from .store import Backlog, Database, DataDirectory, GapStore, InstrumentStore, SuspensionStore, TokenStore
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
    Want,
    WatchStatus,
    status_frame,
)

FALLBACK_WATCH = 0.5
"""Seconds between looks whether a source is silent that another one could stand in for."""
END_WAIT = 5.0
"""Seconds in which the last gaps and suspensions must be written when the server ends."""
UPKEEP = 30.0
"""Seconds between reminders to the source of what is subscribed to, and between notes of the epoch."""
TOKEN_WATCH = 0.25
"""Seconds between looks whether tokens have changed or expired."""
MOST_LOGGED = 10
"""Deviations that the log names of one connection."""
TOKEN_REPORT = 10.0
"""Seconds between lines of the log about unknown tokens."""

log = structlog.get_logger()


class Heard(NamedTuple):
    """What a client sent: a message of a connection, or a request over HTTP (`connection` 0).

    `path` is that of the request, and of the connection's upgrade; `text` the message, the query or body;
    `deviations` what in it is not as documented.
    """

    connection: int
    path: str
    text: str
    deviations: tuple[str, ...] = ()


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
        instruments: InstrumentStore,
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
        self.left: Callable[[Caller], None] | None = None
        self.callers: dict[Peer, Caller] = {}
        self._numbers = itertools.count(1)
        self._directory = directory
        self._epoch = directory.begin(time.time_ns() // 1000)
        self._began = time.monotonic()
        self._maker = maker
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
        self.instrument_writes = Backlog(database, "instruments")
        self.discovery = Discovery(
            catalogue,
            feeds,
            self.hub,
            self.callers,
            instruments,
            self.instrument_writes,
            join=self._join_list,
            clock=clock,
        )
        self.supply = Supply(feeds, self.hub, self.callers, self.discovery)
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
            publish=lambda instrument, event, way: self._intake.publish(instrument, event, way),
            clock=clock,
        )
        self._intake = Intake(catalogue, feeds, self.hub, self.supply, self.scenarios, self.klines)
        self.take = self._intake.take
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
        usual = self.catalogue["BTCUSDT"]
        if self.feeds.codes:
            return usual if usual.code in self.feeds.codes else self.catalogue[min(self.feeds.codes)]
        if self.feeds.serve(usual):
            return usual
        return next((one for one in self.catalogue if self.feeds.serve(one)), usual)

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
            "instruments": self.instrument_writes.run,
        }
        for number, feed in enumerate(self.feeds):
            feed.source.health.changed = functools.partial(self._health_changed, feed)
            feed.outages.start()
            tasks |= {
                f"{feed.source.name} {number}: joining bars": feed.bars.join,
                f"{feed.source.name} {number}: writing bars": feed.bars.keep,
                f"{feed.source.name} {number}: receiving": functools.partial(self._intake.run, feed),
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
            self._intake.end(feed)
        steps = [self.discovery.end, self.klines.end, *backfills, self._end_bars, self._drain]
        for step in steps:
            try:
                await step()
            except Exception:  # the others are to end all the same
                log.exception("a part of the server did not end well")
        for last in (self._note_epoch, self.close):
            try:
                await asyncio.to_thread(last)
            except RuntimeError:  # Python itself ends, and begins no more threads
                last()

    async def _end_bars(self) -> None:
        """All at once: each may wait for a store that cannot be written."""
        ends = await asyncio.gather(*(feed.bars.end() for feed in self.feeds), return_exceptions=True)
        for error in ends:
            if isinstance(error, Exception):
                log.error("bars did not end well", exc_info=error)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(END_WAIT):
                await self.halts.drain()
                await self.gap_entries.drain()
                await self.instrument_writes.drain()
        except (StoreError, TimeoutError):
            log.error("the last gaps, suspensions and learned codes cannot be written: lost")

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
        return Session(family, self.catalogue, self.clock(), self.dialect, caller, caller.report)

    def carry_out(self, client: Peer, decision: Decision) -> bytes:
        """Changes what the client is sent; returns the frames to send it first."""
        match decision:
            case Subscribe(kind, wants, sought):
                if (caller := self.callers.get(client)) is not None and caller.client.family is not None:
                    self.discovery.watch(client, caller.client.family, kind, sought)
                    self.supply.subscribe(kind, [want.instrument for want in wants], caller)
                if kind is Kind.KLINE:
                    self.klines.show(
                        client, [want for want in wants if self.hub.view(client, kind, want) is None]
                    )
                return self.hub.subscribe(client, kind, wants)
            case Cancel(kinds):
                self.hub.cancel(client, kinds)
                self.discovery.forget(client, kinds)
            case WatchStatus():
                self._watching.add(client)
                return b"".join(status_frame(_status(feed.source)) for feed in self.feeds)
            case ForgetStatus():
                self._watching.discard(client)
        return b""

    def _join_list(self, client: Peer, kind: Kind, want: Want) -> None:
        """A code that a client waits for is known now: it joins its list, if it may."""
        caller = self.callers.get(client)
        if caller is None:
            return
        try:
            caller.take((want,), None)
        except Refused as refused:
            log.warning(
                "a client may not read a code that it waits for", code=want.name, ret=refused.ret.code
            )
            return
        self.supply.subscribe(kind, [*self.hub.instruments(client, kind), want.instrument], caller)
        frames = self.hub.join(client, kind, want)
        if kind is Kind.KLINE:
            self.klines.show(client, [want])
        if frames:
            self.hub.push(client, frames)

    def leave(self, client: Peer) -> None:
        """The client is gone."""
        pushes = self.hub.pushes(client)
        self.hub.leave(client)
        self.discovery.forget(client)
        self.klines.leave(client)
        self._watching.discard(client)
        self.quick(client)
        if (caller := self.callers.pop(client, None)) is not None:
            caller.account.pushes += pushes
            caller.leave(client)
            if caller.report.notable:
                _tell_deviations(caller)
            if self.left is not None:
                self.left(caller)
            if self.connections_changed is not None:
                self.connections_changed()

    def delay(self, client: Peer) -> float:
        """Seconds by which scenarios let a connection's answers come late."""
        caller = self.callers.get(client)
        return 0.0 if caller is None else caller.delay()

    def slow(self, client: Peer) -> None:
        """The client does not take what it is sent as fast as it comes."""
        self._intake.slow.add(client)

    def quick(self, client: Peer) -> None:
        """The client has caught up."""
        self._intake.quick(client)

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


def _tell_deviations(caller: Caller) -> None:
    """Logs what a connection that has ended did and the documents do not allow, the most frequent first."""
    counts = caller.report.counts()
    most = sorted(counts, key=lambda name: -counts[name])[:MOST_LOGGED]
    log.info(
        "a client did what the documents do not allow",
        connection=caller.client.connection,
        token=None if caller.token is None else caller.token.name,
        deviations={name: counts[name] for name in most},
        others=len(counts) - len(most),
    )


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
