"""The client side: who is let in, what each wants, and what they are sent."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, NamedTuple

import structlog

from .. import __version__
from ..access import Seating, Verdict
from ..bus import ALL_COMES, Interest, Sayings, Supplier, TokenHome
from ..config import Settings, SourceKind
from ..model import Catalogue, Ending, Family, Instrument, Kind, KlineType, Position
from ..sandbox import Sandbox, Step
from ..store import Database, TokenStore
from ..wire import POLICY_VIOLATION, Decision, Refused, StatusData, Want
from ..wire.items import HelloData
from ..wire.messages import EXTENSIONS_FROM, Command
from ..wire.ret import QUERY_INVALID, STOPPING
from ..wire.session import (
    Cancel,
    Change,
    ControlReplay,
    Dialect,
    FollowStates,
    ForgetStates,
    ForgetStatus,
    Hello,
    ListItems,
    Pattern,
    Replay,
    Resume,
    Session,
    SetOptions,
    Subscribe,
    WatchStatus,
)
from ..wire.status import status_frame
from .admission import Admission, Caller, Peer, Rules
from .changing import Changing
from .client_faults import ClientFaults
from .first_bars import FirstBars
from .hub import Carry, Hub, Topic
from .patterns import Patterns
from .place import ONLY, Place
from .reads import Reads
from .replaying import Replaying
from .resuming import Resuming
from .seeking import Seeking
from .shared_limits import SharedLimits
from .sharing import Sharing
from .states import States
from .uplink import Uplink

TAKEN_OVER = "another connection of this token took its place"
RENEWAL = 30.0
"""Seconds between times that the market is told again what is subscribed to."""
LEASE = 3 * RENEWAL
"""Seconds that it counts."""
OUTBOX_LOOK = 1.0
"""Seconds between looks at outboxes, and between two times that a client is told what it was spared."""
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


class Observer:
    """Sees what clients do. Each method may be left as it is."""

    def heard(self, heard: Heard) -> None:
        """A client sent something."""

    def came(self, caller: Caller) -> None:
        """A connection was let in."""

    def left(self, caller: Caller) -> None:
        """A connection is gone."""


NOBODY = Observer()


class Gateway:
    """Carries out what clients ask for."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        market: Supplier,
        sandbox: Sandbox,
        tokens: TokenStore,
        database: Database,
        *,
        carry: Carry,
        clock: Callable[[], float],
        wall: Callable[[], float],
        observer: Observer = NOBODY,
        place: Place = ONLY,
        home: TokenHome | None = None,
        interest: Interest = ALL_COMES,
    ) -> None:
        """`home` is where the limits of tokens are kept if there are other client sides, `interest` what is
        followed where not all comes here.

        `database` runs the calls of the store of tokens; `carry` is that of the machine's network.

        `clock` is the monotonic clock that heartbeats and limits run on, `wall` the time since the epoch that
        tokens and daily quotas go by, both in seconds.
        """
        self.settings = settings
        self.catalogue = catalogue
        self.clock, self.wall = clock, wall
        self.dialect = Dialect(settings.strict_protocol, settings.legacy_string_ids)
        self.callers: dict[Peer, Caller] = {}
        """The open connections."""
        self.draining = False
        """Whether the server stops, so that nobody is let in any more."""
        self.observer = observer
        self.place, self.name = place, place.name
        self.sayings = Sayings(place.name)
        """What it can say of itself, see `Speaker`."""
        self.statements = self.sayings.statements
        self._market = market
        self._interest = interest
        self._numbers = place.connections()
        self._watching: set[Peer] = set()
        self._slow: set[Peer] = set()
        self._paces: dict[object, bool] = {}  # which became slow, or quick, and the market is not told yet
        self._bars: dict[tuple[str, KlineType], bool] = {}  # what the market is to be told
        self.hub = Hub(
            lambda flush: asyncio.get_running_loop().call_soon(flush),
            carry,
            text_ids=settings.legacy_string_ids,
            snapshots=settings.snapshot_on_subscribe,
            in_order=settings.start is not None
            or any(one.kind is SourceKind.REPLAY for one in settings.source),
            bound=settings.client_buffer,
            wall=wall,
            wanted=self._wanted,
            begun=lambda topic: self.patterns.begun(topic),
            clock=clock,
            later=lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
        )
        self.reads = Reads(catalogue, market, self.hub)
        self.uplink = Uplink()
        wish = functools.partial(market.wish, self, lease=LEASE)
        self.seeking = Seeking(catalogue, market, self.uplink, self.callers, self._join_list, clock)
        elsewhere = functools.partial(market.elsewhere, self)
        self.sharing = Sharing(
            market, self.uplink, wish, elsewhere, catalogue, self.hub, self.callers, self.seeking
        )
        self.first_bars = FirstBars(self.hub, market.show_bar)
        self.patterns = Patterns(
            self.hub,
            self.sharing,
            self.first_bars,
            self.callers,
            lambda join: asyncio.get_running_loop().call_soon(join),
            interest,
        )
        self.changing = Changing(
            self.hub, market, self.seeking, self.sharing, self.first_bars, self.patterns, self.callers
        )
        self.admission = Admission(
            tokens, database, sandbox, Rules.of(settings), self.sharing, clock=clock, wall=wall
        )
        self.resuming = Resuming(
            self.hub, market, self.changing, self.first_bars, self.callers, self._slow, clock, interest
        )
        self.replaying = Replaying(self.hub, market, self.resuming, self.callers, self._slow, clock)
        self.states = States(self.hub, market, wall)
        self._faults = ClientFaults(sandbox, self.callers, clock)
        self._shared = None if home is None else SharedLimits(home, self.admission)
        self._reserved: dict[Peer, tuple[int, Seating | None]] = {}

    # What the market tells.
    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Topic:
        """A stream begins."""
        return self.hub.topic(kind, instrument, kline_type)

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers."""
        self.hub.redefine(instrument)

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        """Trades go on behind an outage of their source."""
        self.hub.go_on(begins, gap=gap)

    def renew(self) -> None:
        """The market side is there again, or another one."""
        self.sharing.renew()
        self.uplink.say(self._market.wish_bars, self, self.hub.wanted_bars(), lease=LEASE)
        if self._shared is not None:
            self.uplink.say(self._shared.renew)

    def dismiss(self, number: int) -> None:
        """The connection of that number gives way to another one of its token."""
        for peer, caller in self.callers.items():
            if caller.client.connection == number:
                peer.close(POLICY_VIOLATION, TAKEN_OVER, Ending.TAKEOVER)
                return

    def source_changed(self, status: StatusData) -> None:
        """A source is otherwise than before."""
        if self._watching:
            self.hub.flush()  # what came before it
            frame = status_frame(status)
            for client in [*self._watching]:
                self.hub.tell(client, frame)

    def scenarios_changed(self, begun: Collection[Step]) -> None:
        """Steps of scenarios have begun or ended."""
        self._faults.changed(begun)

    def seekers(self, family: Family, name: str) -> Collection[str]:
        """The tokens that wait until upstream has said what a code is."""
        return self.seeking.seekers(family, name)

    def found(self, family: Family, name: str, *, nobodys: bool) -> None:
        """It is known what a code is that was sought, or that it is not."""
        self.seeking.found(family, name, nobodys=nobodys)

    def _wanted(self, topic: Topic, wanted: bool) -> None:
        self._interest.count(topic.instrument, wanted)
        if topic.kind is Kind.KLINE:
            if not self._bars:
                self.uplink.say(self._wish_bars)
            self._bars[topic.instrument.code, KlineType(topic.kline_type)] = wanted

    async def _wish_bars(self) -> None:
        """Tells the market which bars are wanted since the last time, and which are not any more."""
        bars, self._bars = self._bars, {}
        for wanted, lease in ((True, LEASE), (False, 0.0)):
            if some := [bar for bar, one in bars.items() if one is wanted]:
                await self._market.wish_bars(self, some, lease=lease)

    # What is kept running.
    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be kept running, by name."""
        return {
            "renewal": self._renew,
            "wishes": self.uplink.run,
            "tokens": self._watch_tokens,
            "client faults": self._faults.run,
            "outboxes": self._look_at_outboxes,
            "states": self.states.run,
            **({} if self._shared is None else {"limits": functools.partial(self._shared.run, self._ages)}),
        }

    def _ages(self, numbers: Collection[int]) -> dict[int, float]:
        """How many seconds ago something came from these connections."""
        asked, now = set(numbers), self.clock()
        return {
            number: now - peer.last_heard
            for peer, caller in self.callers.items()
            if (number := caller.client.connection) in asked
        }

    def ends(self) -> list[Callable[[], Awaitable[None]]]:
        """What is to be done in the end."""
        return [self.first_bars.end, self.replaying.end, self.resuming.end]

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            self.sharing.renew()
            self.uplink.say(self._market.wish_bars, self, self.hub.wanted_bars(), lease=LEASE)

    async def _look_at_outboxes(self) -> None:
        while True:
            await asyncio.sleep(OUTBOX_LOOK)
            self.hub.look()

    # What clients do.
    def caller(self, secret: str, family: Family | None) -> Caller:
        """Who sends a request over HTTP with that token. Raises Refused."""
        return self.admission.caller(secret, family)

    async def count(self, caller: Caller, endpoint: str | None) -> Verdict:
        """Counts a request over HTTP: whether it passes, and the limits that concern it."""
        if self._shared is not None and caller.plan.meters_http:
            verdict = await self._shared.request(caller, endpoint)
            if verdict is not None:
                return verdict
        return self.admission.request(caller, endpoint)

    def is_shared(self, secret: str) -> bool:
        """Whether it is to be asked elsewhere whether a connection has a place: see `reserve`."""
        return self._shared is not None and not self.draining and self._shared.is_shared(secret)

    async def reserve(self, peer: Peer, family: Family, secret: str) -> None:
        """Asks for a place for a new connection, which `admit` then lets in or not."""
        assert self._shared is not None  # noqa: S101
        number = next(self._numbers)
        self._reserved[peer] = number, None
        self._reserved[peer] = number, await self._shared.seat(secret, number, family)

    async def may_subscribe(self, peer: Peer, cmd_id: int) -> bool:
        """Whether a subscription of a client passes that keeps its limits with others."""
        caller, granted = self.callers.get(peer), None
        if caller is None or caller.client.family is None:
            return False
        if self._shared is not None:
            granted = await self._shared.subscribe(caller, cmd_id)
        if granted is None:
            granted = caller.account.subscribe((caller.client.family, cmd_id), self.clock())
        return granted

    def admit(self, peer: Peer, family: Family | None, secret: str) -> Session:
        """Opens a session; without a family the path is no WebSocket's. Raises Refused."""
        if self.draining:
            raise Refused(STOPPING)
        if family is None:
            self.admission.caller(secret, None)
            raise Refused(QUERY_INVALID)
        reserved = self._reserved.pop(peer, None)
        number, seating = (next(self._numbers), None) if reserved is None else reserved
        try:
            caller, dead = self.admission.enter(peer, secret, family, number, seating)
        except Refused:
            self._give_back(number)
            raise
        self.callers[peer] = caller
        self.observer.came(caller)
        if dead is not None:
            dead.close(POLICY_VIOLATION, TAKEN_OVER, Ending.TAKEOVER)
        return Session(family, self.catalogue, self.clock(), self.dialect, caller, caller.report)

    def first(self, decision: Decision) -> Coroutine[Any, Any, None] | None:
        """What is to be awaited before a decision is carried out, if anything: that the streams it is of come
        here, with their last events."""
        instruments: list[Instrument] | None
        match decision:
            case Subscribe(_, wants, _):
                instruments = [want.instrument for want in wants]
            case Change():
                entries = [entry.what for entry in decision.added]
                instruments = [one.instrument for one in entries if isinstance(one, Want)]
                if any(isinstance(one, Pattern) for one in entries):
                    instruments = None
            case _:
                return None
        return self._interest.follow(instruments) if self._interest.lacks(instruments) else None

    def carry_out(self, client: Peer, decision: Decision) -> bytes:
        """Changes what the client is sent; returns the frames to send it first."""
        match decision:
            case Subscribe(kind, wants, sought):
                self.patterns.forget(client, (kind,))
                if (caller := self.callers.get(client)) is not None and caller.client.family is not None:
                    self.seeking.watch(client, caller.client.family, kind, sought)
                    self.sharing.subscribe(kind, [want.instrument for want in wants], caller)
                if kind is Kind.KLINE:
                    self.first_bars.show(
                        client, [want for want in wants if not self.hub.has(client, kind, want)]
                    )
                return self.hub.subscribe(client, kind, wants)
            case Cancel(kinds):
                self.hub.cancel(client, kinds)
                self.patterns.forget(client, kinds)
                self.seeking.forget(client, kinds)
            case WatchStatus():
                self._watching.add(client)
                return b"".join(status_frame(one) for one in self._market.statuses())
            case ForgetStatus():
                self._watching.discard(client)
            case FollowStates(wants):
                self.states.follow(client, wants)
            case ForgetStates():
                self.states.forget(client)
            case Change():
                return self.changing.change(client, decision)
            case Resume():
                return self.resuming.resume(client, decision)
            case Replay():
                return self.replaying.replay(client, decision)
            case ControlReplay():
                return self.replaying.control(client, decision)
            case SetOptions():
                self._set_options(client, decision)
            case ListItems():
                return self.changing.items(client, decision)
            case Hello(header):
                return header.answer(self._hello(client))
        return b""

    def _set_options(self, client: Peer, decision: SetOptions) -> None:
        """They count from behind the answer."""
        self.hub.settle(client)
        flags = client.flags.and_then(decision.flags)
        answer = client.form.told(decision.header.answer(flags.told(self.settings.slow)))
        client.flags = flags
        self.hub.renew(client)
        self.hub.push(client, answer)

    def _hello(self, client: Peer) -> HelloData:
        """Who the server is, and what it offers a client."""
        caller = self.callers.get(client)
        return HelloData(
            "tickwire",
            __version__,
            int(self.wall() * 1000),
            {} if caller is None else caller.plan.limits(),
            [command for command in Command if command >= EXTENSIONS_FROM],
            ["json", "msgpack"],
            int(self._market.resume_seconds),
        )

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
        self.sharing.subscribe(kind, [*self.hub.instruments(client, kind), want.instrument], caller)
        frames = self.hub.join(client, kind, want)
        if kind is Kind.KLINE:
            self.first_bars.show(client, [want])
        if frames:
            self.hub.tell(client, frames)

    def _give_back(self, number: int) -> None:
        """A connection needs its place no more, if it has one elsewhere."""
        if self._shared is not None and self._shared.has(number):
            self.uplink.say(self._shared.leave, number)

    def vacate(self, client: Peer) -> None:
        """The client is gone, and another may take its place; `leave` follows."""
        if (reserved := self._reserved.pop(client, None)) is not None:
            self._give_back(reserved[0])
        if (caller := self.callers.get(client)) is not None:
            caller.leave(client)

    def leave(self, client: Peer) -> None:
        """The client is gone."""
        pushes = self.hub.pushes(client)
        self.hub.leave(client)
        self.seeking.forget(client)
        self.patterns.forget(client)
        self.first_bars.leave(client)
        self.replaying.leave(client)
        self.resuming.leave(client)
        self._watching.discard(client)
        self.states.forget(client)
        self.quick(client)
        if (caller := self.callers.pop(client, None)) is not None:
            caller.account.pushes += pushes
            caller.leave(client)
            self._give_back(caller.client.connection)
            if caller.report.notable:
                _tell_deviations(caller)
            self.observer.left(caller)

    def delay(self, client: Peer) -> float:
        """Seconds by which scenarios let a connection's answers come late."""
        caller = self.callers.get(client)
        return 0.0 if caller is None else caller.delay()

    def slow(self, client: Peer) -> None:
        """The client does not take what it is sent as fast as it comes."""
        self._slow.add(client)
        self._tell_pace(client, slow=True)

    def quick(self, client: Peer) -> None:
        """The client has caught up."""
        if client in self._slow:
            self._slow.remove(client)
            self._tell_pace(client, slow=False)
            self.resuming.quick(client)

    def _tell_pace(self, client: Peer, *, slow: bool) -> None:
        """Together with others: a flush may make all clients slow, and the next moment quick again."""
        if not self._paces:
            self.uplink.say(self._tell_paces)
        self._paces[client] = slow

    async def _tell_paces(self) -> None:
        paces, self._paces = self._paces, {}
        await self._market.pace(paces)

    async def check_tokens(self) -> None:
        """Looks whether tokens have changed or expired, and ends the connections of those that count no
        more."""
        if await self.admission.refresh():
            self._end_objectionable()

    def _end_objectionable(self) -> None:
        for peer, caller in [*self.callers.items()]:
            if (objection := self.admission.objection(caller)) is not None:
                peer.close(POLICY_VIOLATION, objection, Ending.TOKEN)

    def change(self, settings: Settings) -> None:
        """Other settings from now on, whose plans have been checked."""
        self.settings = settings
        self.admission.change(Rules.of(settings))
        self._end_objectionable()

    async def _watch_tokens(self) -> None:
        """Ends the connections of tokens that count no more, and tells of unknown ones."""
        reported = self.clock()
        while True:
            await asyncio.sleep(TOKEN_WATCH)
            await self.check_tokens()
            if self.clock() - reported >= TOKEN_REPORT:
                self.admission.report()
                reported = self.clock()


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
