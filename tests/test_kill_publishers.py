"""A publisher that asks a server that was killed how it stands, and goes on there: nothing is lost, nothing
comes twice, and what was shown is shown again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tickwire.store.recordings import Recordings

from .serving import OTHER_HTTP, PATIENCE, Program, program
from .test_kill import bars

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

KILLS = 20 if "TICKWIRE_SOAK" in os.environ else 8
TOGETHER = 25
"""Lines of a message."""
HELLO = {"cmd_id": 28000, "seq_id": 1, "trace": "", "data": {}}
CODES = "BTCUSDT", "ETHUSDT", "GOLD"
Line = dict[str, Any]


class Publisher:
    """Keeps what a kill could take still."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.seq = self.durable = 0
        """The last line that was made, and up to where it was told that nothing is lost."""
        self.kept: dict[int, Line] = {}

    def line(self, seq: int) -> Line:
        """The line of that number: its price says which it is."""
        line = {"code": CODES[seq % 3], "time": self.begin + seq, "seq": seq}
        price = f"{seq // 100}.{seq % 100:02}"
        if seq // 3 % 2:
            return line | {"type": "book", "bids": [[price, 1]], "asks": []}
        return line | {"type": "trade", "price": price, "volume": seq % 7 + 1}

    def told(self, data: dict[str, Any]) -> None:
        assert data["seq"] >= data["durable"] >= self.durable
        self.durable = data["durable"]
        for seq in [seq for seq in self.kept if seq <= self.durable]:
            del self.kept[seq]

    async def ask(self, socket: ClientConnection, message: str) -> dict[str, Any]:
        await socket.send(message)
        data: dict[str, Any] = json.loads(await socket.recv())["data"]
        self.told(data)
        return data

    @asynccontextmanager
    async def resumed(self, server: Program) -> AsyncIterator[ClientConnection]:
        """A connection over which all is sent once more that the server does not have."""
        promised = self.durable
        async with connect(server.url.replace("http", "ws", 1) + "/v1/publish", compression=None) as socket:
            stands = await self.ask(socket, json.dumps(HELLO))
            assert promised <= stands["seq"] <= self.seq
            for one in stands["streams"]:
                kind = "trade" if one["kind"] == "trade" else "book"
                line = self.line(one["seq"])
                assert (line["code"], line["type"]) == (one["code"], kind) or one["seq"] == stands["seq"]
                assert one["durable"] == min(one["seq"], stands["durable"])
            again = [json.dumps(line) for seq, line in self.kept.items() if seq > stands["seq"]]
            if again:
                data = await self.ask(socket, "\n".join(again))
                assert (data["accepted"], data["duplicates"]) == (len(again), 0)
            yield socket

    async def publish(self, server: Program) -> None:
        """Goes on until the server is killed."""
        with suppress(ConnectionClosed, OSError):
            async with self.resumed(server) as socket:
                while True:
                    fresh = {seq: self.line(seq) for seq in range(self.seq + 1, self.seq + 1 + TOGETHER)}
                    self.kept |= fresh
                    self.seq += TOGETHER
                    await self.ask(socket, "\n".join(map(json.dumps, fresh.values())))

    def last(self, kind: str, code: str, until: int) -> int:
        """The number of the last line of a code up to there, 0 if there is none."""
        found = (seq for seq in range(until, 0, -1) if self.line(seq)["code"] == code)
        return next((seq for seq in found if self.line(seq)["type"] == kind), 0)

    async def check_shown(self, server: Program) -> None:
        """The server shows what is durable, or something later."""
        query = json.dumps({"data": {"symbol_list": [{"code": code} for code in CODES]}})
        async with httpx.AsyncClient(base_url=server.url + OTHER_HTTP, timeout=PATIENCE) as client:
            for path, kind in (("/trade-tick", "trade"), ("/depth-tick", "book")):
                answer = await client.get(path, params={"token": "t", "query": query})
                ticks = {one["code"]: one for one in answer.json()["data"]["tick_list"]}
                for code in CODES:
                    if least := self.last(kind, code, self.durable):
                        tick = ticks[code]
                        price = tick["price"] if kind == "trade" else tick["bids"][0]["price"]
                        seq = int(Decimal(price) * 100)
                        assert least <= seq <= self.seq
                        assert self.line(seq)["code"] == code
                        assert int(tick["tick_time"]) == self.begin + seq


async def test_a_publisher_goes_on_after_each_kill(tmp_path: Path) -> None:
    dice = random.Random()
    publisher = Publisher(int(time.time() * 1000) - 3_000_000)
    ticks = tmp_path / "ticks"
    options = ("--source", "publish", "--record", str(ticks), "--late-window", "3600")
    for _ in range(KILLS):
        async with program(tmp_path, *options) as server:
            await publisher.check_shown(server)
            publishing = asyncio.create_task(publisher.publish(server))
            await asyncio.sleep(dice.uniform(0.02, 0.9))  # the moment of the kill
            server.process.kill()
            await server.process.wait()
            await publishing
            assert "Traceback" not in server.log
    async with program(tmp_path, *options) as server:
        await publisher.check_shown(server)
        async with publisher.resumed(server) as socket, asyncio.timeout(PATIENCE):
            while publisher.durable < publisher.seq:
                await publisher.ask(socket, "")
        lines = [publisher.line(seq) for seq in range(1, publisher.seq + 1)]
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            for code in CODES:
                found = await bars(client, server.url, code, 1)
                of_code = [line for line in lines if line["code"] == code and line["type"] == "trade"]
                assert sum(Decimal(bar["volume"]) for bar in found) == sum(line["volume"] for line in of_code)
        status, _ = await server.end()
        assert status == 0, server.log
        assert "not all of a publisher" not in server.log, server.log
    assert publisher.seq > KILLS * TOGETHER
    recorded = [one.event.time - publisher.begin for one in Recordings(ticks).read()]
    assert recorded == [*range(1, publisher.seq + 1)]
