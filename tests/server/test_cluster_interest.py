"""A gateway of a cluster follows what its clients want: to them it is as if it had followed all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from ..nats_server import NatsServer
from ..postgres import Postgres
from ..serving import OTHER_HTTP, OTHER_WS, PATIENCE, Link, Program, program
from .publishing import NDJSON, a_trade, packed
from .test_workers import processes

CODES = ("BTCUSDT", "ETHUSDT", "GOLD")


class Cluster:
    """A market, and gateways that begin one after the other."""

    def __init__(self, folder: Path, *common: str) -> None:
        self._folder = folder
        self._common = common
        self.stack = contextlib.AsyncExitStack()

    async def start(self, name: str, role: str) -> Program:
        folder = self._folder / name
        folder.mkdir()
        return await self.stack.enter_async_context(
            program(folder, *self._common, "--node", name, "--role", role)
        )


@contextlib.asynccontextmanager
async def linked(node: Program) -> AsyncIterator[Link]:
    url = node.url.replace("http", "ws", 1) + f"{OTHER_WS}?token=t"
    async with connect(url, ping_interval=None, compression=None) as socket:
        yield Link(socket)


async def publish(node: Program, code: str, *prices: str, seq: int = 0) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        lines = packed(*(a_trade(seq and seq + n, code=code, price=one) for n, one in enumerate(prices)))
        answer = await http.post(f"{node.url}/v1/publish", content=lines, headers=NDJSON)
        assert answer.json()["data"]["accepted"] == len(prices), answer.text


async def test_a_gateway_that_followed_nothing_is_like_one_that_followed_all(
    tmp_path: Path, nats: NatsServer, postgres: Postgres
) -> None:
    source = ("--source", "publish", "--codes", ",".join(CODES))
    at = Cluster(tmp_path, "--bus", nats.url, "--cluster", "few", "--database", postgres.database(), *source)
    async with at.stack:
        _, one, other = await asyncio.gather(
            at.start("m", "market"), at.start("g1", "gateway"), at.start("g2", "gateway")
        )
        await publish(one, "GOLD", "1.00", "2.00")
        async with linked(one) as plain, linked(one) as knowing:
            assert (await plain.subscribe(22004, "GOLD"))["ret"] == 200
            first = await plain.push()
            assert (first["data"]["code"], first["data"]["price"]) == ("GOLD", "2.00")
            told = await knowing.ask(28012, {"add": [{"kind": "trade", "code": "GOLD"}]})
            (added,) = told["data"]["added"]
            assert added["seq"] == first["data"]["seq"]
            await publish(other, "GOLD", "3.00")
            assert (await plain.push())["data"]["price"] == "3.00"
            place = {"kind": "trade", "code": "BTCUSDT", "epoch": added["epoch"], "seq": added["epoch"] - 1}
            await publish(one, "BTCUSDT", "10.00", "20.00", "30.00")
            assert await follows(nats) == {"g1": 1, "g2": 0}

        # What one was cut from at a gateway, it goes on with at the other.
        async with linked(other) as back:
            (resumed,) = (await back.ask(28016, {"items": [place]}))["data"]["items"]
            assert resumed["state"] == "resumed"
            assert [(await back.push())["data"]["price"] for _ in range(3)] == ["10.00", "20.00", "30.00"]
            await publish(one, "BTCUSDT", "40.00")
            assert (await back.push())["data"]["price"] == "40.00"
            await back.nothing()

        # A request for what nobody is subscribed to, a list of all there is, and who wants all there is.
        await publish(one, "ETHUSDT", "5.00")
        async with httpx.AsyncClient(timeout=PATIENCE, base_url=other.url, params={"token": "t"}) as http:
            query = '{"data":{"symbol_list":[{"code":"ETHUSDT"}]}}'
            answer = await http.get(f"{OTHER_HTTP}/trade-tick", params={"query": query})
            assert answer.json()["data"]["tick_list"][0]["price"] == "5.00"
            listed = (await http.get("/v1/instruments", params={"search": "GOLD"})).json()["data"]
            (gold,) = [each for each in listed["instrument_list"] if each["code"] == "GOLD"]
            assert gold["last_trade"] > 0
        async with linked(other) as every:
            await every.ask(28012, {"add": [{"kind": "trade", "code": "*"}]})
            found = [(await every.push())["data"] for _ in CODES]
            assert {(each["code"], each["price"]) for each in found} == {
                ("BTCUSDT", "40.00"), ("ETHUSDT", "5.00"), ("GOLD", "3.00")
            }  # fmt: skip


async def test_a_code_that_is_first_wanted_while_nobody_owns_is_not_told_as_if_it_had_never_traded(
    tmp_path: Path, nats: NatsServer, postgres: Postgres
) -> None:
    source = ("--source", "publish", "--codes", ",".join(CODES))
    database = postgres.database()
    at = Cluster(tmp_path, "--bus", nats.url, "--cluster", "quiet", "--database", database, *source)
    async with at.stack:
        first = await at.start("m1", "market")
        _, one, other = await asyncio.gather(
            at.start("m2", "market"), at.start("g1", "gateway"), at.start("g2", "gateway")
        )
        await publish(one, "GOLD", "1.00", "2.00", seq=1)
        async with httpx.AsyncClient(timeout=PATIENCE, base_url=other.url, params={"token": "t"}) as http:
            async with asyncio.timeout(PATIENCE):
                while (await http.get("/v1/publish")).json()["data"]["durable"] < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            child = processes(first)[0]
            first.process.kill()
            os.kill(child, signal.SIGKILL)
            query = '{"data":{"symbol_list":[{"code":"GOLD"}]}}'
            async with linked(other) as link, asyncio.timeout(PATIENCE):
                assert (await link.subscribe(22004, "GOLD"))["ret"] == 200
                while True:
                    answer = await http.get(f"{OTHER_HTTP}/trade-tick", params={"query": query})
                    if found := answer.json()["data"].get("tick_list"):
                        break
                    assert answer.headers["tickwire-partial"] == "upstream"
                    await asyncio.sleep(0.1)
                assert found[0]["price"] == "2.00"
                assert (await link.push())["data"]["price"] == "2.00"
            assert "Traceback" not in other.log


async def follows(nats: NatsServer) -> dict[str, int]:
    """How many buckets each gateway follows."""
    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tickwire", "check", "--cluster"),
        env=os.environ | {"TICKWIRE_BUS": nats.url, "TICKWIRE_CLUSTER": "few"},
        stdout=subprocess.PIPE,
    )
    told, _ = await check.communicate()
    return {name: int(number) for name, number in re.findall(r"(\S+): it follows (\d+) of", told.decode())}
