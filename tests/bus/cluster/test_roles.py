"""What each role may do in NATS: deploy/nats/roles.conf."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import nats.errors
import nats.js.errors
import pytest

from tickwire.bus.cluster import Access, Lease, Names, call_roll, connected
from tickwire.bus.cluster.lease import KEY
from tickwire.market.side import MarketSide
from tickwire.model import Kind

from ...nats_server import NatsServer, settled
from ...serving import trade, until
from ..sides import Client, OverNats, sides

ROLES = Path(__file__).parents[3] / "deploy/nats/roles.conf"


@pytest.fixture
def server() -> Iterator[NatsServer]:
    one = NatsServer(more=re.sub(r"\$(\w+)_PASSWORD", lambda found: found[1].lower(), ROLES.read_text()))
    yield one
    one.close()


async def test_a_market_and_a_gateway_need_no_more(server: NatsServer, tmp_path: Path) -> None:
    class OfRoles(OverNats):
        def names(self) -> Names:
            return Names("tickwire")

        def access(self, name: str) -> Access:
            role = "market" if name == "market" else "gateway"
            return Access((server.url,), f"{role}:{role}")

    def make(market: MarketSide) -> OfRoles:
        return OfRoles(market)

    async with connected(Access((server.url,), "market:market"), "m") as wire:
        lease = Lease(wire, Names("tickwire"), "m", time.monotonic, Random(1), seconds=1.0)
        await lease.open()
        async with lease.there():
            await lease.win()
            await lease.begin(1_000)
            keeping = asyncio.create_task(lease.keep())
            async with sides(make, tmp_path) as at:
                client = Client()
                market = await at.bus.join(client)
                at.source.emit(trade())
                await until(lambda: len(client.taken(Kind.TRADE, "BTCUSDT")) == 1)
                assert (await market.figures()).sources
                (found,) = await call_roll(wire, Names("tickwire"), lambda: int(time.time() * 1e6))
                assert found.present.name == client.name
            keeping.cancel()
            await lease.give_up()


async def test_a_gateway_can_send_no_events_and_not_touch_the_lease(server: NatsServer) -> None:
    names = Names("tickwire")
    async with (
        connected(Access((server.url,), "market:market"), "m") as market,
        connected(Access((server.url,), "gateway:gateway"), "g") as gateway,
    ):
        lease = Lease(market, names, "m", time.monotonic, Random(1), seconds=60)
        await lease.open()
        await lease.win()
        taken: list[bytes] = []
        await market.take("tw.v1.tickwire.>", lambda _, __, data: taken.append(data))
        await settled(market)
        for subject in (f"{names.of(1)}.e.crypto.0", f"{names.of(1)}.to.somebody", names.owner):
            gateway.send(subject, b"forged")
        gateway.send(f"{names.of(1)}.up.me", b"allowed")
        await until(lambda: taken == [b"allowed"])
        stream = gateway.client.jetstream(timeout=0.2)
        with pytest.raises((nats.errors.Error, nats.js.errors.Error)):
            await stream.publish(f"$KV.{names.lease}.{KEY}", b"forged")
        assert lease.holds()
        await lease.give_up()
