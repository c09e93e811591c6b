"""Two servers in a row: one simulates under a plan's limits, the other relays it to many clients."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tickwire.gateway.gateway import Heard
from tickwire.model import Family
from tickwire.store import load_catalogue

from .serving import DEPTH, HEARTBEAT, OTHER_HTTP, OTHER_WS, TRADE, Link, Served, program, serving, until

CATALOGUE = load_catalogue()
CODES = [one.code for one in CATALOGUE if one.family is Family.OTHER and one.levels][:50]
CHANGE = 28012
BACK_WITHIN = 5.0
"""Seconds after the return of upstream in which clients have data again."""


def relaying(folder: Path, url: str, **more: Any) -> contextlib.AbstractAsyncContextManager[Served]:
    settings = {"source": ["alltick"], "upstream_url": url, "upstream_token": "b", "upstream_plan": "basic"}
    return serving(folder, **(settings | more))


class Client:
    """A client that keeps what it is pushed, by kind and code, without the number."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.got: defaultdict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
        self.numbers: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self.last = 0.0
        """When the last push came, by the monotonic clock."""

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(10)
            await self.link.send({"cmd_id": HEARTBEAT, "seq_id": 1})

    async def listen(self) -> None:
        while True:
            message = msgspec.json.decode(await self.link.socket.recv())
            if "ret" in message:
                assert message["ret"] == 200, message
                continue
            self.last = time.monotonic()
            key = message["cmd_id"], message["data"]["code"]
            self.numbers[key].append(message["data"].pop("seq"))
            self.got[key].append(message["data"])


@contextlib.asynccontextmanager
async def listening(served: Served, token: str, *codes: str) -> AsyncIterator[Client]:
    async with served.link(OTHER_WS, token) as link:
        client = Client(link)
        for cmd_id in (TRADE, DEPTH):
            symbols = [{"code": code} for code in codes]
            await link.send({"cmd_id": cmd_id, "seq_id": 1, "data": {"symbol_list": symbols}})
        task, beating = asyncio.create_task(client.listen()), asyncio.create_task(client.beat())
        try:
            yield client
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            beating.cancel()


def overlap(ours: Iterable[Any], theirs: list[Any]) -> int:
    """How many of our events are theirs, one after another, from the first that they have on."""
    ours = [one for one in ours if one["tick_time"] > theirs[0]["tick_time"]]
    later = [one for one in theirs if one["tick_time"] >= ours[0]["tick_time"]]
    count = min(len(ours), len(later))
    assert ours[:count] == later[:count]
    return count


async def test_fifty_clients_see_what_upstream_sends(tmp_path: Path) -> None:
    heard: list[tuple[float, Heard]] = []
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        upstream = await enter(serving(tmp_path / "a", plan="basic", codes=CODES, rate=4))
        upstream.ear.listener = lambda one: heard.append((time.monotonic(), one))
        relay = await enter(relaying(tmp_path / "b", upstream.url))
        direct = await enter(listening(upstream, "direct", *CODES))
        clients = {code: await enter(listening(relay, f"client-{code}", code)) for code in CODES}
        keys = [(kind, code) for code in CODES for kind in (22998, 22999)]
        await until(lambda: all(len(clients[code].got[kind, code]) > 12 for kind, code in keys))
        for kind, code in keys:
            client = clients[code]
            assert overlap(client.got[kind, code], direct.got[kind, code]) > 8
            numbers = client.numbers[kind, code]
            assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        tokens = [caller.client.label for caller in upstream.engine.gateway.callers.values()]
        assert sorted(tokens) == ["b", "direct"]
        number = connection_of(upstream, "b")
        asked = f'"cmd_id":{CHANGE},'
        moments = [at for at, one in heard if one.connection == number and asked in one.text]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert moments
        assert all(gap >= 1.0 for gap in gaps), gaps
        assert relay.engine.market.feeds.first.source.health.bad == 0


def connection_of(served: Served, label: str) -> int:
    (found,) = [
        one.client.connection for one in served.engine.gateway.callers.values() if one.client.label == label
    ]
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.skipif("TICKWIRE_SOAK" not in os.environ, reason="make soak: waits for whole minutes")
async def test_upstream_is_killed_and_comes_back(tmp_path: Path) -> None:
    port, codes = free_port(), CODES[:20]
    flags = ["--port", str(port), "--codes", ",".join(CODES), "--plan", "basic", "--rate", "5"]
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        (tmp_path / "a").mkdir()
        first = await enter(program(tmp_path / "a", *flags))
        relay = await enter(relaying(tmp_path / "b", first.url, codes=codes))
        clients = [await enter(listening(relay, f"c{code}", code)) for code in codes]
        await until(lambda: all(client.last for client in clients))
        for kline_type in (1, 2, 8):  # so that they are kept
            assert await bars(relay.url, codes[0], kline_type)
        await asyncio.sleep(3)
        await first.end(signal.SIGKILL)
        killed = time.time() * 1000
        await until(lambda: relay.engine.market.feeds.first.source.health.status == "down")
        await asyncio.sleep(4)
        again = await enter(program(tmp_path / "a", *flags))
        returned, since = time.time() * 1000, time.monotonic()
        await until(lambda: all(client.last > since for client in clients), patience=BACK_WITHIN)
        (gap, *_) = [one for one in relay.engine.market.gaps.page([codes[0]], 0, None, 9) if one.end]
        assert gap.end is not None
        assert killed - 2000 < gap.begin < returned
        assert gap.begin < gap.end < returned + BACK_WITHIN * 1000
        await until(lambda: relay.engine.market.gaps.page([codes[0]], 0, None, 9)[0].filled)
        for code in codes[:5]:
            theirs = {bar["timestamp"]: bar for bar in await bars(again.url, code, 1, token="x")}
            ours = {bar["timestamp"]: bar for bar in await bars(relay.url, code, 1)}
            hole = [str(at) for at in range(int(gap.begin // 60_000) * 60, int(gap.end // 1000), 60)]
            assert {at: ours.get(at) for at in hole} == {at: theirs.get(at) for at in hole}
            await asyncio.sleep(1.1)  # the plan


async def bars(
    url: str,
    code: str,
    kline_type: int,
    token: str = "t",  # noqa: S107
) -> list[dict[str, str]]:
    query = {"data": {"code": code, "kline_type": kline_type, "query_kline_num": 10}}
    parameters = {"token": token, "query": msgspec.json.encode(query).decode()}
    async with httpx.AsyncClient(timeout=120) as client:
        answer = (await client.get(f"{url}{OTHER_HTTP}/kline", params=parameters)).json()
    assert answer["ret"] == 200, answer
    found: list[dict[str, str]] = answer["data"]["kline_list"]
    return found
