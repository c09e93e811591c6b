"""What is published outlives the process: kills at any moment, and every trade in the bars once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from ..serving import OTHER_HTTP, Program, program
from .publishing import NDJSON, NEW, PATH, a_trade, desk_in, now, packed

TRADES = 4000
BATCH = 50
PACE = 0.012
"""Seconds between messages: a kill then falls between two batches to the store."""


def volume(seq: int) -> Decimal:
    """No two sums of a few of these are the same by accident."""
    return Decimal(seq * seq % 10_007 + 1)


def messages(at: int, after: int) -> Iterator[bytes]:
    """All trades after a number, in messages."""
    for first in range(after + 1, TRADES + 1, BATCH):
        seqs = range(first, min(first + BATCH, TRADES + 1))
        yield packed(*(a_trade(seq, time=at + seq, volume=str(volume(seq))) for seq in seqs))


async def standing(server: Program) -> int:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return int((await client.get(PATH)).json()["data"]["seq"])


async def counted(server: Program) -> Decimal:
    """The sum of the volumes of all minutes."""
    query = {"code": "BTCUSDT", "kline_type": 1, "kline_timestamp_end": 0, "query_kline_num": 500}
    parameters = {"token": "t", "query": json.dumps({"data": query})}
    async with httpx.AsyncClient(base_url=server.url) as client:
        bars = (await client.get(f"{OTHER_HTTP}/kline", params=parameters)).json()["data"]["kline_list"]
    return sum((Decimal(bar["volume"]) for bar in bars), Decimal(0))


async def publish(server: Program, at: int, after: int, most: int) -> int:
    """Publishes what comes after a number, slowly, and kills the server when so many messages are answered;
    the last number that was answered."""
    taken = 0
    async with connect(server.url.replace("http", "ws", 1) + PATH, compression=None) as socket:
        for message in islice(messages(at, after), most):
            await socket.send(message)
            taken = json.loads(await socket.recv())["data"]["seq"]
            await asyncio.sleep(PACE)
        server.process.kill()
        await server.process.wait()
    return taken


async def test_every_trade_is_in_the_bars_once_though_the_server_was_killed(tmp_path: Path) -> None:
    at = now() - 2 * TRADES
    arguments = ("--source", "publish", "--codes", "BTCUSDT", "--late-window", "3600")
    reached = [0]
    for most in (45, 30):
        async with program(tmp_path, *arguments) as server:
            after = await standing(server)
            assert 0 <= after <= reached[-1]
            reached.append(await publish(server, at, after, most))
    async with program(tmp_path, *arguments) as server:
        after = await standing(server)
        assert 0 < after <= reached[-1] < TRADES
        async with httpx.AsyncClient(base_url=server.url) as client:
            for message in messages(at, max(0, after - 120)):  # and some that were taken before
                answer = await client.post(PATH, content=message, headers=NDJSON)
                assert answer.json()["data"]["bad_lines"] == 0
        assert await standing(server) == TRADES
        expected = sum((volume(seq) for seq in range(1, TRADES + 1)), Decimal(0))
        async with asyncio.timeout(20):
            while await counted(server) != expected:
                pass


async def test_a_new_instrument_is_known_after_a_restart(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        data = await desk.data(packed(NEW | {"seq": 1}, a_trade(2, code="MYIDX", price="1.001")))
        assert data["accepted"] == 2
        await desk.served_all()
    async with desk_in(tmp_path) as desk:
        assert (await desk.standing())["seq"] == 2
        data = await desk.data(packed(a_trade(3, code="MYIDX", price="1.002"), NEW))
        assert (data["accepted"], data["bad"]) == (2, [])
        await desk.served_all()
        assert (await desk.last_trade("MYIDX"))["price"] == "1.002"
