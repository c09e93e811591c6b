"""Tickwire for the benchmarks: its whole server, on a source that makes ticks of C000, C001, …

Prints its port first, ends on SIGTERM. `--rate 0` is a patient source: as fast as the clients take it.
Each trade's volume is the moment it was made, in microseconds of the monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from decimal import Decimal
from pathlib import Path

import uvloop

from tickwire.access import Token, digest_of
from tickwire.assembly import assemble
from tickwire.cli.logs import configure
from tickwire.config import DATABASE, LogLevel, Settings
from tickwire.machine import REAL
from tickwire.model import Catalogue, Instrument, Market, Trade
from tickwire.server import Server
from tickwire.server.certificate import certificate_of
from tickwire.sources import Health, Source, Status
from tickwire.store import open_tokens

PRICE, TURNOVER = Decimal("4415.320000"), Decimal("35322.560000")
BATCH = 1000
"""Ticks of a saturated source between two turns of the event loop, as in a replay."""


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
            elif count % BATCH == 0:
                await asyncio.sleep(0)
            stamp = Decimal(time.monotonic_ns() // 1000)
            yield Trade(code, time.time_ns() // 1_000_000, PRICE, stamp, TURNOVER, 1)


def keep_token(secret: str, data_dir: Path) -> None:
    """From now on only that token is let in."""
    with open_tokens(data_dir / DATABASE) as store:
        store.add(Token(id="bench", digest=digest_of(secret, store.key()), name="bench", plan="unlimited"))


async def run(codes: list[str], rate: float, data_dir: Path, *, tls: bool) -> None:
    catalogue = Catalogue(
        Instrument(
            code=one, market=Market.CRYPTO, price_decimals=6, volume_decimals=0, turnover_decimals=6, levels=5
        )
        for one in codes
    )
    settings = Settings(data_dir=data_dir, tls_self_signed=["127.0.0.1"] if tls else [])
    engine = assemble(settings, catalogue, [(Ticks(codes, rate), ())])
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        server = Server(engine, lambda: print(port, flush=True), certificate_of(settings, REAL))
        await server.run_engine([listener])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codes", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0, help="ticks per second; 0: as fast as it goes")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own")
    parser.add_argument("--token", help="let in this token only")
    given = parser.parse_args()
    configure(LogLevel.WARNING)
    codes = [f"C{number:03}" for number in range(given.codes)]
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        if given.token:
            keep_token(given.token, Path(folder))
        runner.run(run(codes, given.rate, Path(folder), tls=given.tls))


if __name__ == "__main__":
    main()
