"""What the market's time is upstream."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from tickwire.model import Kind, Trade
from tickwire.sources import Began, Broke, Snapshot, Status

from ...client.bench import Hand
from ...serving import until
from .bench import BTC, SLOW, Caller, agreed, now_ms, push, relaying, upstream


async def test_the_far_future_is_dropped_until_many_agree() -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, ago=-86_400_000))
        await caller.send(*(push(seq, ago=-3_600_000) for seq in range(2, 10)), push(10), push(11))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        assert [one.source_seq for one in await consumer.take(Trade)] == [11]
        assert consumer.relay.health.bad == 9
        assert abs(consumer.relay.market_time() - now_ms()) < 5000


async def test_an_upstream_that_plays_a_recording_has_its_time() -> None:
    year = 365 * 86_400_000

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, ago=year), push(2, ago=year - 1000))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.take(Trade)
        (began,) = await consumer.take(Began)
        assert abs(began.at - (now_ms() - year)) < 6000
        assert abs(consumer.relay.market_time() - (now_ms() - year)) < 6000
        assert consumer.relay.health.lag is None


async def test_silence_of_an_open_market_is_stale_and_the_connection_begun_anew() -> None:
    hand, begin = Hand(), now_ms() - 1_000_000

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, ago=60_000))

    async with (
        upstream() as server,
        relaying(
            server.url, clock=hand, wall=lambda: begin + int(1000 * hand.now), options=SLOW, silence=60.0
        ) as consumer,
    ):
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.take(Snapshot)
        await consumer.began("BTCUSDT")
        times = [hand.now]
        while len(times) < 4:
            consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
            await hand.ordered()
            hand.move(1)
            await asyncio.sleep(0.002)
            if len(consumer.of(Broke)) == len(times):
                times.append(hand.now)
                await consumer.take(Began, len(times))
        gaps = [later - before for before, later in itertools.pairwise(times)]
        assert [round(gap, -1) for gap in gaps] == [60, 120, 240]
        assert consumer.relay.health.status is Status.STALE
        assert "nothing comes although its markets are open" in consumer.relay.health.reason
        await consumer.began("BTCUSDT")
        await server.callers[-1].send(push(5, ago=int(1000 * (times[0] - hand.now))))
        await consumer.take(Trade)
        hand.move(1)
        await until(lambda: consumer.relay.health.status is Status.UP)
