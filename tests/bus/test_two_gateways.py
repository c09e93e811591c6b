"""Two client sides of one market: each serves its own clients, and all get the same bytes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tickwire.gateway.gateway import Gateway
from tickwire.model import Kind, KlineType
from tickwire.sandbox import Sandbox
from tickwire.store import KEY_FILE, TokenStore
from tickwire.wire import Want

from ..gateway.hub import bench as hub
from ..serving import trade, until
from .sides import CATALOGUE, InProcess, Sides, sides

AT = 1788529064027
BTC, GOLD = CATALOGUE["BTCUSDT"], CATALOGUE["GOLD"]


class Reader(hub.Reader):
    """A client that remembers what it was sent."""

    @property
    def data(self) -> bytes:
        return b"".join(self.writes)


@contextlib.asynccontextmanager
async def another(at: Sides) -> AsyncIterator[Gateway]:
    """A second client side of the same market."""
    engine = at.engine
    tokens = TokenStore(engine.database._file, engine.settings.data_dir / KEY_FILE)
    gateway = Gateway(
        engine.settings,
        engine.catalogue,
        engine.market,
        Sandbox(engine.settings.seed),
        tokens,
        engine.database,
        carry=engine.machine.network.carry,
        clock=at.clock,
        wall=time.time,
    )
    engine.market.join(gateway)
    tasks = [asyncio.ensure_future(run()) for run in gateway.tasks().values()]
    try:
        yield gateway
    finally:
        engine.market.leave(gateway)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_both_send_the_same_bytes_and_neither_needs_the_other(tmp_path: Path) -> None:
    async with sides(InProcess, tmp_path, ring_seconds=0) as at:
        first, one, two = at.engine.gateway, Reader(), Reader()
        at.source.emit(trade(price="1"))
        await until(lambda: at.engine.market.events == 1)
        async with another(at) as second:
            wants = [Want(instrument.code, instrument, instrument.levels) for instrument in (BTC, GOLD)]
            for gateway, reader in ((first, one), (second, two)):
                reader.push(gateway.hub.subscribe(reader, Kind.TRADE, wants))
            assert one.data == two.data != b""  # the last trade, which came before the second one
            bars = [Want("BTCUSDT", BTC, 0, KlineType.MINUTE)]
            for gateway, reader in ((first, one), (second, two)):
                gateway.hub.subscribe(reader, Kind.KLINE, bars)
            wanted, bar = at.engine.market.bars._wanted, ("BTCUSDT", KlineType.MINUTE)
            await until(lambda: len(wanted.get(bar, ())) == 2)
            at.source.emit(*(trade(price=str(n), at=AT + 30_000 * n) for n in range(2, 9)), trade("GOLD"))
            await until(lambda: b"GOLD" in one.data and b"GOLD" in two.data and one.data == two.data)
            assert one.data.count(b'"price"') == 9
            first.hub.leave(one)
            await until(lambda: [*wanted[bar]] == [second])
            before = two.data
            at.source.emit(trade(price="99", at=AT + 300_000))
            await until(lambda: two.data.startswith(before) and b'"99.00"' in two.data)
            assert b'"99.00"' not in one.data
        assert not wanted
