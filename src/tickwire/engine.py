"""The engine: joins a source, the hub, bars, and what clients ask for."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from typing import NamedTuple

import msgspec
import structlog

from .access import BUILT_IN, Verdict
from .admission import Admission, Caller, Peer
from .admission import Rules as AdmissionRules
from .bars import Bars
from .config import Settings
from .hub import Hub
from .klines import Closed
from .model import (
    Catalogue,
    Event,
    Family,
    Instrument,
    Kind,
    KlineState,
    KlineType,
    KlineUpdate,
    Trade,
    turnover,
)
from .sandbox import Sandbox, Way
from .scenarios import Scenarios
from .sources import Source
from .store import EpochFile, SuspensionStore, TokenStore
from .store.recordings import Recorder
from .wire import (
    POLICY_VIOLATION,
    QUERY_INVALID,
    Cancel,
    Decision,
    Dialect,
    Refused,
    Session,
    Subscribe,
    Want,
)

FIRST_EVENT_WAIT = 1.0
"""Seconds that an HTTP request waits for the first event of a code that begins because of it."""
RELIEF_WAIT = 10.0
"""Seconds that a patient source waits for slow clients before it goes on without them."""
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
    """Takes events from the source and carries out what clients ask for.

    `clock` is the monotonic clock that heartbeats and limits run on, `wall` the time since the epoch that
    tokens and daily quotas go by, both in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        source: Source,
        epoch_file: EpochFile,
        bars: Bars,
        tokens: TokenStore,
        suspensions: SuspensionStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.source = source
        self.clock = clock
        self.dialect = Dialect(settings.strict_protocol, settings.legacy_string_ids)
        self.events = 0
        self.bars = bars
        self.running = False
        self.suspensions = suspensions
        self.recorder: Recorder | None = None
        self.heard: Callable[[Heard], None] | None = None
        self.connections_changed: Callable[[], None] | None = None
        self.callers: dict[Peer, Caller] = {}
        self._numbers = itertools.count(1)
        self._epoch_file = epoch_file
        self._epoch = epoch_file.begin(time.time_ns() // 1000)
        self._began = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slow: set[Peer] = set()
        self._relief = asyncio.Event()
        self._first_events: dict[str, asyncio.Future[None]] = {}
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
        self.admission = Admission(tokens, sandbox, rules, clock=clock, wall=wall)
        self.scenarios = Scenarios(
            sandbox,
            catalogue,
            source,
            self.hub,
            bars,
            suspensions,
            callers=self.callers,
            publish=self._publish,
            clock=clock,
        )

    @property
    def example(self) -> Instrument:
        """An instrument that is served, to show how a client asks."""
        codes = self.source.codes
        return self.catalogue["BTCUSDT" if "BTCUSDT" in codes else next(iter(codes))]

    async def run(self) -> None:
        """Serves the source, and its last state when it has ended. Raises InputError if it breaks."""
        self.running = True
        log.info("source started", source=self.source.name)
        try:
            async with asyncio.TaskGroup() as beside:
                beside.create_task(self._keep_up())
                beside.create_task(self._close_bars())
                beside.create_task(self._watch_tokens())
                beside.create_task(self.bars.keep())
                beside.create_task(self.scenarios.carry_out())
                await self._consume()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            await self.bars.write()
            if self.recorder is not None:
                await asyncio.to_thread(self.recorder.close)
            self.close()
            self._note_epoch()

    def close(self) -> None:
        """Lets go of the stores. May be called again."""
        if self.recorder is not None:
            self.recorder.close()
        self.bars.close()
        self.admission.close()
        self.suspensions.close()

    async def _consume(self) -> None:
        async with aclosing(self.source.events()) as events:  # type: ignore[type-var]
            async for event in events:
                self.take(event)
                if self._first_events and (waiting := self._first_events.pop(event.code, None)):
                    waiting.set_result(None)
                if self._slow and self.source.patient:
                    await self._wait_for_relief()
        log.info("source ended, its last state is served on", source=self.source.name, events=self.events)

    def take(self, event: Event) -> None:
        """The way of an event of the source: into the bars, to the clients, unless a scenario makes another
        of it."""
        instrument = self.catalogue[event.code]
        if self.scenarios.idle:
            self._publish(instrument, event)
        else:
            for shaped in self.scenarios.shape(event, instrument):
                self._publish(instrument, shaped.event, shaped.way)

    def _publish(self, instrument: Instrument, event: Event, way: Way = Way.ONCE) -> None:
        self.events += 1
        closed: list[Closed] = []
        if type(event) is Trade:
            money = turnover(instrument, event)
            if event.turnover is None:
                event = msgspec.structs.replace(event, turnover=money)
            closed = self.bars.add(instrument, event, money)
        if self.scenarios.idle:
            seq = self.hub.publish(instrument, event)
        else:
            seq = self.scenarios.push(instrument, event, way)
        if self.recorder is not None:
            self.recorder.record(event, instrument.market, time.time_ns() // 1000, seq)
        if closed:
            self._push_closed(closed)

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
                self.source.want([want.instrument.code for want in wants], subscribed=True)
                if kind is Kind.KLINE:
                    fresh = [want for want in wants if self.hub.view(client, kind, want) is None]
                    task = asyncio.create_task(self._show_bars(client, fresh))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                return self.hub.subscribe(client, kind, wants)
            case Cancel(kinds):
                self.hub.cancel(client, kinds)
        return b""

    def leave(self, client: Peer) -> None:
        """The client is gone."""
        self.hub.leave(client)
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

    async def begin(self, instruments: Iterable[Instrument]) -> None:
        """Makes sure that instruments which run on request do run, and have a last state to show."""
        codes = [instrument.code for instrument in instruments]
        if not self.source.want(codes, subscribed=False):
            return
        loop = asyncio.get_running_loop()
        fresh = [code for code in codes if self.hub.is_silent(self.catalogue[code])]
        waiting = [self._first_events.setdefault(code, loop.create_future()) for code in fresh]
        if waiting:
            await asyncio.wait(waiting, timeout=FIRST_EVENT_WAIT)

    async def prepare_bars(self, instrument: Instrument) -> None:
        """Makes sure that an instrument has the bars that it can have: its first, and its past."""
        await self.begin([instrument])
        await self.bars.make_past(instrument, self.source.past)

    async def _show_bars(self, client: Peer, wants: Sequence[Want]) -> None:
        """Sends the bars that are forming to a client that has just subscribed to them."""
        topics = [self.hub.topic(Kind.KLINE, want.instrument, want.kline_type) for want in wants]
        before = [topic.seq for topic in topics]
        for want, topic, seq in zip(wants, topics, before, strict=True):
            await self.prepare_bars(want.instrument)
            self._push_forming(want.instrument, KlineType(want.kline_type))
            is_forming = self.bars.forming(want.instrument, KlineType(want.kline_type)) is not None
            if topic.seq == seq and is_forming:  # nothing new: others have it already
                self.hub.repeat(client, Kind.KLINE, want)

    def _push_forming(self, instrument: Instrument, kline_type: KlineType) -> None:
        """Publishes a bar that is forming, if it is another one than at the last time."""
        bar = self.bars.forming(instrument, kline_type)
        last = self.hub.topic(Kind.KLINE, instrument, kline_type).last
        if bar is not None and not (isinstance(last, KlineUpdate) and last.kline == bar):
            self.hub.publish(instrument, KlineUpdate(bar, KlineState.FORMING))

    def _push_closed(self, closed: Iterable[Closed]) -> None:
        for bar, revised in closed:
            instrument = self.catalogue[bar.code]
            if self.hub.wants_klines(instrument, bar.kline_type):
                state = KlineState.REVISED if revised else KlineState.CLOSED
                self.hub.publish(instrument, KlineUpdate(bar, state))

    async def _close_bars(self) -> None:
        """Closes bars by the market's clock, and pushes those that form."""
        while True:
            await asyncio.sleep(self.settings.kline_push_interval)
            self._push_closed(self.bars.advance(self.source.market_time()))
            for topic in self.hub.wanted_klines():
                self._push_forming(topic.instrument, KlineType(topic.kline_type))

    def check_tokens(self) -> None:
        """Looks whether tokens have changed or expired, and ends the connections of those that count no
        more."""
        if self.admission.refresh():
            for peer, caller in [*self.callers.items()]:
                if (objection := self.admission.objection(caller)) is not None:
                    peer.close(POLICY_VIOLATION, objection)

    async def _watch_tokens(self) -> None:
        """Ends the connections of tokens that count no more, and tells of unknown ones."""
        reported = self.clock()
        while True:
            await asyncio.sleep(TOKEN_WATCH)
            self.check_tokens()
            if self.clock() - reported >= TOKEN_REPORT:
                self.admission.report()
                reported = self.clock()

    async def _wait_for_relief(self) -> None:
        self._relief.clear()
        try:
            async with asyncio.timeout(RELIEF_WAIT):
                await self._relief.wait()
        except TimeoutError:
            log.warning("slow clients are left behind", clients=len(self._slow))
            self._slow.clear()

    async def _keep_up(self) -> None:
        late = 0
        while True:
            await asyncio.sleep(UPKEEP)
            if self.bars.late > late:
                log.warning("trades came too late for their bars", trades=self.bars.late - late)
                late = self.bars.late
            self._note_epoch()
            await self.bars.prune(self.settings.retention)
            self.source.want(self.hub.codes(), subscribed=True)

    def _note_epoch(self) -> None:
        self._epoch_file.note(self._epoch + int((time.monotonic() - self._began) * 1e6))
