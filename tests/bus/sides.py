"""A market side and client sides, joined by a bus."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from pathlib import Path
from random import Random
from typing import Any, Protocol

from tickwire.assembly import Engine, assemble
from tickwire.bus import Statement, StreamEvent, Supplier
from tickwire.bus.buckets import Spread
from tickwire.bus.cluster import Access, Announced, Names, Owner, Wire, answering, connected, follow
from tickwire.bus.cluster import hosting as hosting_nats
from tickwire.bus.host import Host
from tickwire.bus.messages import VERSION
from tickwire.bus.remote import RemoteMarket
from tickwire.bus.unix import hosting, reach
from tickwire.config import Settings
from tickwire.machine import REAL
from tickwire.market.side import MarketSide
from tickwire.model import Family, Instrument, Kind, Position
from tickwire.sandbox import Sandbox, Step
from tickwire.sources import Source
from tickwire.store import load_catalogue
from tickwire.wire import StatusData
from tickwire.wire.canonical import event_of

from ..nats_server import NatsServer
from ..serving import Script, until

CATALOGUE = load_catalogue()
Key = tuple[Kind, str, int]
NUMBERS = itertools.count(1)


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Wanted(Script):
    """A source that remembers what it was last told."""

    def __init__(self, *, patient: bool = False) -> None:
        super().__init__(patient=patient)
        self.told: dict[Kind, list[str]] = {}

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        self.told[kind] = [*codes]
        return super().want(kind, codes, subscribed=subscribed)


class Inlet:
    def __init__(self, client: Client, kind: Kind) -> None:
        self._client, self._kind = client, kind
        self.taken: list[tuple[StreamEvent, int]] = []
        self.forgotten = 0

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        self.taken.append((event, seq))
        if "take" in self._client.raises:
            raise RuntimeError("an event that this client side cannot take")

    def take_frame(self, frame: bytes, seq: int, received: int = 0) -> None:
        self.take(event_of(self._kind, frame), seq, received)

    def forget(self) -> None:
        self.forgotten += 1


class Client:
    """A client side that remembers what it was given; `raises` names the calls at which it fails."""

    def __init__(self, *raises: str) -> None:
        self.name = f"client {next(NUMBERS)}"
        self.raises = raises
        self.asked = asyncio.Event()
        self.holds: asyncio.Event | None = None
        """Until this is set, it does not say what it is asked."""
        self.inlets: dict[Key, Inlet] = {}
        self.redefined: list[Instrument] = []
        self.went_on: list[tuple[str, Position, bool]] = []
        self.statuses: list[StatusData] = []
        self.begun: list[Step] = []
        self.answers: list[tuple[str, bool]] = []
        self.renewed = 0
        self.dismissed: list[int] = []

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Inlet:
        key = kind, instrument.code, kline_type
        assert key not in self.inlets, "a stream is opened once"
        self._fail("open")
        return self.inlets.setdefault(key, Inlet(self, kind))

    def redefine(self, instrument: Instrument) -> None:
        self._fail("redefine")
        self.redefined.append(instrument)

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        self._fail("go_on")
        self.went_on += [(one.code, begin, gap) for one, begin in begins.items()]

    def source_changed(self, status: StatusData) -> None:
        self._fail("source_changed")
        self.statuses.append(status)

    def scenarios_changed(self, begun: Collection[Step]) -> None:
        self._fail("scenarios_changed")
        self.begun += begun

    def renew(self) -> None:
        self.renewed += 1

    def dismiss(self, number: int) -> None:
        self.dismissed.append(number)

    def seekers(self, family: Family, name: str) -> Collection[str]:
        return ()

    def found(self, family: Family, name: str, *, nobodys: bool) -> None:
        self._fail("found")
        self.answers.append((name, nobodys))

    async def statements(self, what: str, about: str = "", but: str = "") -> list[Statement]:
        self.asked.set()
        self._fail("statements")
        if self.holds is not None:
            await self.holds.wait()
        return [Statement(self.name, f"{what} {about} of {self.name}".encode())]

    def _fail(self, call: str) -> None:
        if call in self.raises:
            raise RuntimeError(f"a client side that fails at {call}")

    def taken(self, kind: Kind, code: str, kline_type: int = 0) -> list[tuple[StreamEvent, int]]:
        inlet = self.inlets.get((kind, code, kline_type))
        return [] if inlet is None else inlet.taken


class Bus(Protocol):
    """What the suite needs of a bus."""

    async def join(self, client: Client) -> Supplier:
        """Joins a client side to the market; returns what it reaches the market by."""
        ...

    async def leave(self, client: Client) -> None:
        """It goes."""
        ...

    async def end(self) -> None:
        """All go."""


class InProcess:
    """Both sides in one process."""

    def __init__(self, market: MarketSide) -> None:
        self._market = market

    async def join(self, client: Client) -> Supplier:
        self._market.join(client)
        return self._market

    async def leave(self, client: Client) -> None:
        self._market.leave(client)

    async def end(self) -> None:
        """Nothing is between."""


class Apart:
    """Client sides that are joined as if they were other processes."""

    def __init__(self, market: MarketSide) -> None:
        self.market = market
        self.host: Host | None = None
        self.remotes: dict[Client, RemoteMarket] = {}
        self._reaching: dict[Client, asyncio.Task[None]] = {}
        self._stack = contextlib.AsyncExitStack()

    async def _reached(
        self, client: Client, remote: RemoteMarket, coming: Coroutine[Any, Any, None]
    ) -> Supplier:
        """What a client side reaches the market by, once that is there; `coming` keeps the way up."""
        reaching = self._reaching[client] = asyncio.create_task(coming)
        self._stack.callback(reaching.cancel)
        self._stack.push_async_callback(remote.end)
        self.remotes[client] = remote
        await remote.joined.wait()
        return remote.supplier

    async def leave(self, client: Client) -> None:
        assert self.host is not None
        before = len(self.host.links)
        self._reaching.pop(client).cancel()
        await self.remotes.pop(client).end()
        await until(lambda: len(self.host.links) < before)  # type: ignore[union-attr]

    async def end(self) -> None:
        await self._stack.aclose()


class OverUnix(Apart):
    """Client sides that are joined by Unix sockets, as if they were other processes."""

    def __init__(self, market: MarketSide) -> None:
        super().__init__(market)
        self._path = Path(tempfile.mkdtemp(prefix="bus-")) / "s"

    async def join(self, client: Client) -> Supplier:
        market = self.market
        if self.host is None:
            clock, micros = time.monotonic, lambda: int(time.time() * 1e6)
            scenarios = market.scenarios
            self.host = Host(market, market.catalogue, lambda: scenarios.running, clock=clock, micros=micros)
            market.join(self.host)
            await self._stack.enter_async_context(hosting(self.host, self._path))
        remote = RemoteMarket(
            CATALOGUE.copy(), Sandbox(7), name=client.name, clock=time.monotonic, wall=REAL.millis
        )
        remote.join(client)
        return await self._reached(client, remote, reach(remote, self._path))

    async def end(self) -> None:
        await super().end()
        shutil.rmtree(self._path.parent)


class OverNats(Apart):
    """The same over NATS: each client side has a connection of its own."""

    server: NatsServer | None = None
    follows_all = True

    def __init__(self, market: MarketSide) -> None:
        super().__init__(market)
        self.owner: Owner | None = None
        self._names = self.names()

    def names(self) -> Names:
        return Names(f"c{next(NUMBERS)}")

    def access(self, _: str) -> Access:
        if OverNats.server is None:
            OverNats.server = NatsServer()
            atexit.register(OverNats.server.close)
        return Access((OverNats.server.url,))

    async def _wire(self, name: str) -> Wire:
        return await self._stack.enter_async_context(connected(self.access(name), name))

    async def join(self, client: Client) -> Supplier:
        market = self.market
        clock, micros = time.monotonic, lambda: int(time.time() * 1e6)
        if self.host is None:
            epoch, scenarios = market.streams.epoch, market.scenarios
            wire = await self._wire("market")
            self.owner = Owner(wire, self._names, epoch, lambda: True, clock)
            self.host = Host(
                market,
                market.catalogue,
                lambda: scenarios.running,
                clock=clock,
                micros=micros,
                bucket_of=Spread(),
                publish=self.owner.publish,
            )
            market.join(self.host)
            said = Announced(epoch, VERSION, "0", "here")
            await self._stack.enter_async_context(answering(wire, self._names, said.id))
            await self._stack.enter_async_context(hosting_nats(self.owner, self.host, self._names, said))
        remote = RemoteMarket(
            CATALOGUE.copy(),
            Sandbox(7),
            name=client.name,
            clock=clock,
            wall=REAL.millis,
            bucket_of=Spread(),
        )
        remote.join(client)
        if self.follows_all:
            remote.interest.count_all(True)
        wire = await self._wire(client.name)
        coming = follow(remote, wire, self._names, client.name, micros, Random(7))
        return await self._reached(client, remote, coming)


class Sides:
    """A market side that runs, and a bus to it."""

    def __init__(self, engine: Engine, bus: Bus, source: Wanted, clock: Hand) -> None:
        self.engine = engine
        self.bus = bus
        self.source = source
        self.clock = clock


@contextlib.asynccontextmanager
async def sides(
    make: Callable[[MarketSide], Bus], folder: Path, source: Wanted | None = None, **settings: Any
) -> AsyncIterator[Sides]:
    source, clock = source or Wanted(), Hand()
    made = Settings(data_dir=folder, **{"kline_push_interval": 0.01} | settings)
    several: list[tuple[Source, Collection[str]]] = [(source, ())]
    engine = assemble(made, CATALOGUE.copy(), several, REAL._replace(monotonic=clock))
    running = asyncio.create_task(engine.run())
    bus = make(engine.market)
    try:
        yield Sides(engine, bus, source, clock)
    finally:
        await bus.end()
        running.cancel()
        await asyncio.wait([running])
        engine.close()  # which it does not do itself if it never began
