"""Who owns the streams: of several, one at a time, and another one soon after it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from random import Random

import pytest

from tickwire.bus.cluster import Access, Lease, Names, Wire, connected
from tickwire.bus.cluster.lease import KEY, OWNER
from tickwire.errors import StartError

from ...nats_server import NatsServer
from ...serving import until

CLUSTERS = (f"lease{number}" for number in itertools.count())
SECONDS = 1.0
"""That a lease stands in these tests."""


@pytest.fixture
def names() -> Names:
    return Names(next(CLUSTERS))


class Market:
    """One that wants the lease."""

    def __init__(self, wire: Wire, names: Names, number: int, seconds: float = SECONDS) -> None:
        self.wire = wire
        self.offset = 0.0
        self.lease = Lease(wire, names, f"m{number}", self.clock, Random(number), seconds=seconds)

    def clock(self) -> float:
        return time.monotonic() + self.offset


@contextlib.asynccontextmanager
async def markets(
    nats: NatsServer, names: Names, number: int, seconds: float = SECONDS
) -> AsyncIterator[list[Market]]:
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for one in range(number):
            wire = await stack.enter_async_context(connected(Access((nats.url,)), f"m{one}"))
            market = Market(wire, names, one, seconds)
            await market.lease.open()
            await stack.enter_async_context(market.lease.there())
            found.append(market)
        yield found


async def test_one_of_many_wins_and_the_next_when_it_lets_go(nats: NatsServer, names: Names) -> None:
    async with markets(nats, names, 4) as found:
        waiting = {asyncio.create_task(one.lease.win()): one for one in found}
        for _ in range(4):
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            winner = waiting.pop(done.pop())
            assert [one.lease.holds() for one in found].count(True) == 1
            await winner.lease.begin(1_000_000)
            await winner.lease.give_up()
            assert not winner.lease.holds()


async def test_it_stays_with_who_renews_it(nats: NatsServer, names: Names) -> None:
    async with markets(nats, names, 2) as (one, other):
        await one.lease.win()
        keeping = asyncio.create_task(one.lease.keep())
        wants = asyncio.create_task(other.lease.win())
        await asyncio.sleep(3 * SECONDS)  # a time that the settings name: it would have run out
        assert one.lease.holds()
        assert not wants.done()
        for task in (keeping, wants):
            task.cancel()


async def test_who_is_gone_is_replaced_before_the_lease_ends(nats: NatsServer, names: Names) -> None:
    async with markets(nats, names, 1, seconds=600) as (other,):
        async with connected(Access((nats.url,)), "gone") as wire:
            gone = Market(wire, names, 7, seconds=600)
            await gone.lease.open()
            async with gone.lease.there():
                await gone.lease.win()
        await other.lease.win()
        assert other.lease.holds()


async def test_who_stands_still_is_replaced_and_knows_when_it_goes_on(nats: NatsServer, names: Names) -> None:
    async with markets(nats, names, 2) as (one, other):
        await one.lease.win()
        await one.lease.begin(5_000_000)
        term = await other.lease.win()  # nothing is renewed
        assert term.least > 5_000_000, "above all that the other may have sent"
        assert not one.lease.holds()
        await other.lease.begin(term.least)
        await one.lease.keep()
        assert one.lease.lost.is_set()


async def test_one_that_ran_out_and_that_nobody_wanted_goes_on(nats: NatsServer, names: Names) -> None:
    async with markets(nats, names, 1) as (one,):
        await one.lease.win()
        await one.lease.begin(1_000_000)
        await asyncio.sleep(2 * SECONDS)  # a time that the settings name
        assert not one.lease.holds()
        keeping = asyncio.create_task(one.lease.keep())
        await until(one.lease.holds)
        assert not one.lease.lost.is_set()
        keeping.cancel()


async def test_who_cannot_know_for_long_ends(names: Names) -> None:
    server = NatsServer()
    try:
        async with markets(server, names, 1) as (one,):
            await one.lease.win()
            server.kill()
            keeping = asyncio.create_task(one.lease.keep())
            await until(lambda: not one.lease.holds())
            assert not one.lease.lost.is_set(), "it may be ours still"
            one.offset = 60.0
            await keeping
            assert one.lease.lost.is_set()
    finally:
        server.close()


async def test_one_that_could_not_own_leaves_it_to_others(nats: NatsServer, names: Names) -> None:
    async with markets(nats, names, 2) as (unfit, other):
        unfit.lease._unfit = lambda: "its database is away"
        waiting = asyncio.create_task(unfit.lease.win())
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await other.lease.win()
        assert not waiting.done()
        await other.lease.give_up()
        unfit.lease._unfit = lambda: ""
        async with asyncio.timeout(20):
            await waiting


async def test_a_lease_that_cannot_be_read_is_taken_over_and_its_holder_ends(
    nats: NatsServer, names: Names
) -> None:
    async with markets(nats, names, 2, seconds=600) as (one, other):
        await one.lease.win()
        await one.lease.begin(1_000_000)
        stream = one.wire.client.jetstream()
        for bucket, key in ((names.lease, KEY), (names.notes, OWNER)):
            await stream.publish(f"$KV.{bucket}.{key}", b"junk")
        await one.lease.keep()
        assert one.lease.lost.is_set()
        assert not one.lease.holds()
        term = await other.lease.win()
        assert other.lease.holds()
        assert term.least == 0


async def test_without_jetstream_a_start_says_so(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.bus.cluster.lease.CALL", 0.1)
    server = NatsServer(more="accounts { A { users: [{user: a, password: a}] } }")
    try:
        access = Access((server.url,), "a:a")
        async with connected(access, "m") as wire:
            with pytest.raises(StartError, match="JetStream"):
                await Market(wire, names, 1).lease.open()
    finally:
        server.close()
