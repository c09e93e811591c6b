"""Which owner a client side follows, whatever is said on the bus."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from tickwire.bus.cluster import Access, Announced, Names, connected
from tickwire.bus.messages import VERSION
from tickwire.market.side import MarketSide
from tickwire.model import Kind

from ...nats_server import NatsServer, settled
from ...serving import trade, until
from ..sides import Client, OverNats, sides


async def test_neither_a_forged_owner_nor_junk_takes_a_client_side_away(
    nats: NatsServer, tmp_path: Path
) -> None:
    class Here(OverNats):
        def names(self) -> Names:
            return Names("forged")

        def access(self, _: str) -> Access:
            return Access((nats.url,))

    def make(market: MarketSide) -> Here:
        return Here(market)

    async with sides(make, tmp_path) as at, connected(Access((nats.url,)), "evil") as evil:
        client = Client()
        await at.bus.join(client)
        at.source.emit(trade(price="1"))
        await until(lambda: len(client.taken(Kind.TRADE, "BTCUSDT")) == 1)
        names, soon = Names("forged"), int((time.time() + 60) * 1e6)
        for epoch in (2**62, soon, -1, 1):
            evil.send(names.owner, msgspec.msgpack.encode(Announced(epoch, VERSION, "nobody", "evil")))
        for subject in (names.owner, f"{names.of(at.engine.market.epoch)}.e.crypto.0", names.who):
            for data in (b"", b"junk", b"\0" * 100_000):
                evil.send(subject, data)
        await settled(evil)
        at.source.emit(trade(price="2"))
        await until(lambda: len(client.taken(Kind.TRADE, "BTCUSDT")) == 2)
