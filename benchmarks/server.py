"""Tickwire for the benchmarks: its whole server, on a source that makes ticks of C000, C001, …

Prints its port first, ends on SIGTERM. `--rate 0` is a patient source: as fast as the clients take it.
Each trade's volume is the moment it was made, in microseconds of the monotonic clock.

With `--ready` no trade is made: frames that are written already go straight into the hub, as they would on a
gateway that a market side sends its canonical frames to. The hub has no entrance for these yet, so its
encoder is replaced by one that hands them on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from decimal import Decimal
from functools import partial
from pathlib import Path

import uvloop

from tickwire.access import Token, digest_of
from tickwire.assembly import Engine, GatewayEngine, assemble
from tickwire.bus import FrameInlet
from tickwire.bus.buckets import Spread, the_only
from tickwire.bus.cluster import Access, Announced, Names, Owner, answering, connected, follow
from tickwire.bus.cluster import hosting as owning
from tickwire.bus.host import Host
from tickwire.bus.messages import VERSION
from tickwire.bus.remote import RemoteMarket
from tickwire.bus.unix import hosting, reach
from tickwire.config import DATABASE, LogLevel, Settings
from tickwire.gateway.gateway import NOBODY
from tickwire.gateway.place import ONLY
from tickwire.machine import REAL
from tickwire.machine.logs import configure
from tickwire.model import Catalogue, Instrument, Kind, Market, Trade
from tickwire.sandbox import Sandbox
from tickwire.server import Server
from tickwire.server.certificate import certificate_of
from tickwire.server.serve import spare_the_loop
from tickwire.sources import Health, Source, Status
from tickwire.store import KEY_FILE, Database, SqliteFile, TokenStore, open_tokens
from tickwire.wire.form import text_frame

PRICE, TURNOVER = Decimal("4415.320000"), Decimal("35322.560000")
PUSH = (
    b'{"cmd_id":22998,"data":{"code":"%b","seq":1788530574453,"tick_time":1788530573000,"price":"4415.320000",'
    b'"volume":"%013d","turnover":"35322.560000","trade_direction":1}}'
)
NATS, CLUSTER = "nats:", Names("bench")
BATCH = 1000
"""Ticks of a saturated source between two turns of the event loop, as in a replay."""
TURN = 20
"""The same of one that is late."""


class Ticks(Source):
    """Trades, round-robin over the codes."""

    name = "benchmark"
    round_the_clock = True
    simulated = True

    def __init__(self, codes: list[str], rate: float) -> None:
        self.health = Health(Status.UP, wall=REAL.millis)
        self.codes: Collection[str] = codes
        self.patient = rate == 0
        self._rate = rate

    def serves(self, instrument: Instrument) -> bool:
        return True

    def market_time(self) -> int:
        return time.time_ns() // 1_000_000

    async def events(self) -> AsyncIterator[Trade]:
        began = time.monotonic()
        for count, code in enumerate(itertools.cycle(self.codes)):
            if self._rate:
                if (ahead := began + count / self._rate - time.monotonic()) > 0:
                    await asyncio.sleep(ahead)
                elif count % TURN == 0:  # who is late lets others have their turn all the same
                    await asyncio.sleep(0)
            elif count % BATCH == 0:
                await asyncio.sleep(0)
            stamp = Decimal(time.monotonic_ns() // 1000)
            yield Trade(code, time.time_ns() // 1_000_000, PRICE, stamp, TURNOVER, 1)


class Ready(Ticks):
    """Frames that are written already, past the market side."""

    def __init__(self, codes: list[str]) -> None:
        super().__init__(codes, rate=0)
        self.inlets: list[FrameInlet] = []
        """Of the codes, in their order; they are there once there is a hub."""
        self._frames = [text_frame(PUSH % (code.encode(), 0)).split(b"0" * 13) for code in codes]

    async def events(self) -> AsyncIterator[Trade]:
        places = itertools.cycle(zip(self.inlets, self._frames, strict=True))
        for seq in itertools.count(1, BATCH):
            await asyncio.sleep(0)
            for number in range(seq, seq + BATCH):
                inlet, (head, tail) = next(places)
                inlet.take_frame(b"%b%013d%b" % (head, time.monotonic_ns() // 1000, tail), number)
            # Nobody wants it; a patient source waits for slow clients behind what it yields.
            yield Trade("BTCUSDT", time.time_ns() // 1_000_000, PRICE, PRICE, TURNOVER, 1)


def keep_token(secret: str, data_dir: Path) -> None:
    """From now on only that token is let in."""
    with open_tokens(data_dir / DATABASE) as store:
        store.add(Token(id="bench", digest=digest_of(secret, store.key()), name="bench", plan="unlimited"))


def catalogue_of(codes: list[str]) -> Catalogue:
    return Catalogue(
        Instrument(
            code=one, market=Market.CRYPTO, price_decimals=6, volume_decimals=0, turnover_decimals=6, levels=5
        )
        for one in (*codes, "BTCUSDT")  # which the welcome text speaks of
    )


def micros() -> int:
    return time.time_ns() // 1000


async def follow_over(nats: str, remote: RemoteMarket) -> None:
    async with connected(Access((nats,)), "gateway") as wire:
        await follow(remote, wire, CLUSTER, "gateway", micros, REAL.dice)


def gateway_at(bus: str, codes: list[str], settings: Settings) -> GatewayEngine:
    """A client side, whose market side is another of these servers."""
    catalogue, sandbox = catalogue_of(codes), Sandbox(1)
    file = SqliteFile(settings.data_dir / DATABASE)
    is_nats = bus.startswith(NATS)
    remote = RemoteMarket(
        catalogue,
        sandbox,
        name="gateway",
        clock=REAL.monotonic,
        wall=REAL.millis,
        bucket_of=Spread() if is_nats else the_only,
    )
    way = partial(follow_over, bus, remote) if is_nats else partial(reach, remote, Path(bus))
    tokens, database = TokenStore(file, settings.data_dir / KEY_FILE), Database(file, REAL.wall)
    return GatewayEngine(settings, catalogue, remote, sandbox, way, tokens, database, REAL, NOBODY, ONLY)


async def run(
    codes: list[str], source: Ticks, settings: Settings, *, send_buffer: int | None, bus: str | None = None
) -> None:
    """With a bus other client sides are served there too."""
    catalogue = catalogue_of(codes)
    engine = assemble(settings, catalogue, [(source, ())])
    if isinstance(source, Ready):
        source.inlets = [engine.gateway.hub.open(Kind.TRADE, catalogue[code]) for code in codes]
    async with contextlib.AsyncExitStack() as stack:
        if bus is not None:
            market, owner = engine.market, None
            if bus.startswith(NATS):
                wire = await stack.enter_async_context(connected(Access((bus,)), "market"))
                owner = Owner(wire, CLUSTER, market.epoch, lambda: True, REAL.monotonic)
            host = Host(
                market,
                catalogue,
                lambda: market.scenarios.running,
                clock=REAL.monotonic,
                micros=micros,
                bucket_of=the_only if owner is None else Spread(),
                publish=None if owner is None else owner.publish,
            )
            market.join(host)
            if owner is None:
                await stack.enter_async_context(hosting(host, Path(bus)))
            else:
                said = Announced(market.epoch, VERSION, "benchmark", "benchmark")
                await stack.enter_async_context(answering(wire, CLUSTER, said.id))
                await stack.enter_async_context(owning(owner, host, CLUSTER, said))
        await serve(engine, settings, send_buffer=send_buffer)


async def serve(
    engine: Engine | GatewayEngine,
    settings: Settings,
    *,
    send_buffer: int | None = None,
    shared_port: int | None = None,
) -> None:
    place, shared = ("127.0.0.1", shared_port or 0), shared_port is not None
    with socket.create_server(place, backlog=2048, reuse_port=shared) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        port = listener.getsockname()[1]
        spare_the_loop()
        server = Server(engine, lambda: print(port, flush=True), certificate_of(settings, REAL))
        await server.run_engine([listener])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codes", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0, help="ticks per second; 0: as fast as it goes")
    parser.add_argument("--send-buffer", type=int, help="bytes that the system takes for each client")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own")
    parser.add_argument("--deflate", action="store_true", help="agree to permessage-deflate")
    parser.add_argument("--record", action="store_true", help="everything, into its data directory")
    parser.add_argument("--ready", action="store_true", help="frames that are written already, saturated")
    parser.add_argument("--history", type=Path, help="a recording to be replayed to clients")
    parser.add_argument("--ring-seconds", type=float, default=60.0, help="what is kept for who resumes")
    parser.add_argument("--token", help="let in this token only")
    parser.add_argument("--bus", help="serve client sides in other processes there: a path, or nats://…")
    parser.add_argument("--gateway", action="store_true", help="be one of those")
    parser.add_argument("--shared-port", type=int, help="that other client sides take too; 0: a free one")
    given = parser.parse_args()
    configure(LogLevel.WARNING)
    codes = [f"C{number:03}" for number in range(given.codes)]
    source = Ready(codes) if given.ready else Ticks(codes, given.rate)
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        data_dir = Path(folder)
        if given.token:
            keep_token(given.token, data_dir)
        settings = Settings(
            data_dir=data_dir,
            tls_self_signed=["127.0.0.1"] if given.tls else [],
            permessage_deflate=given.deflate,
            ring_seconds=given.ring_seconds,
            record=data_dir / "recording" if given.record else None,
            history=[given.history] if given.history else [],
        )
        if given.gateway:
            engine = gateway_at(given.bus, codes, settings)
            runner.run(serve(engine, settings, shared_port=given.shared_port))
        else:
            runner.run(run(codes, source, settings, send_buffer=given.send_buffer, bus=given.bus))


if __name__ == "__main__":
    main()
