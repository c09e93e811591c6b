"""Lines to publish, and a server that takes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tickwire.access import Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.sources import Published
from tickwire.store import open_tokens

from ..serving import OTHER_HTTP, PATIENCE, PLAIN, Served, serving

PATH = "/v1/publish"
NDJSON = {"content-type": "application/x-ndjson"}
NEW = {
    "type": "instrument",
    "code": "MYIDX",
    "market": "crypto",
    "price_decimals": 3,
    "volume_decimals": 0,
    "turnover_decimals": 3,
    "levels": 2,
}


def now() -> int:
    return time.time_ns() // 1_000_000


def a_trade(seq: int = 0, code: str = "BTCUSDT", **more: Any) -> dict[str, Any]:
    line = {"type": "trade", "code": code, "time": now(), "price": "100.5", "volume": 1} | more
    return line | {"seq": seq} if seq else line


def packed(*lines: dict[str, Any] | str) -> bytes:
    """Lines as a body or a message."""
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()


def a_token(folder: Path, **fields: Any) -> str:
    """Makes a token in that data directory; its text."""
    with open_tokens(folder / DATABASE) as store:
        secret = new_secret()
        digest = digest_of(secret, store.key())
        store.add(Token(id=new_id(), digest=digest, **{"name": new_id(), "plan": "unlimited"} | fields))
    return secret


class Desk:
    """A server that is published to, and a client for all requests to it."""

    def __init__(self, served: Served, client: httpx.AsyncClient) -> None:
        self.served = served
        self.client = client

    @property
    def published(self) -> Published:
        publisher = self.served.engine.market.publisher
        assert publisher is not None
        return publisher

    async def post(self, content: Any, *, publisher: str = "", **headers: str) -> httpx.Response:
        """Publishes a body; names of headers have _ for -."""
        named = NDJSON | {name.replace("_", "-"): value for name, value in headers.items()}
        query = {"publisher": publisher} if publisher else None
        return await self.client.post(PATH, content=content, headers=named, params=query)

    async def data(self, content: Any, **options: Any) -> dict[str, Any]:
        """What is answered to a body that is taken."""
        answer = await self.post(content, **options)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert (document["ret"], document["msg"], document["trace"]) == (200, "ok", "")
        data: dict[str, Any] = document["data"]
        return data

    async def standing(self, publisher: str = "") -> dict[str, Any]:
        answer = await self.client.get(PATH, params={"publisher": publisher} if publisher else None)
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def last_trade(self, code: str = "BTCUSDT") -> dict[str, Any]:
        """What a client of the API sees."""
        answer = await self.served.get(
            f"{OTHER_HTTP}/trade-tick", {"data": {"symbol_list": [{"code": code}]}}
        )
        (tick,) = answer.json()["data"]["tick_list"]
        found: dict[str, Any] = tick
        return found

    async def served_all(self) -> None:
        """Waits until nothing is queued any more."""
        async with asyncio.timeout(PATIENCE):
            while (await self.standing())["queued"]:
                pass

    @contextlib.asynccontextmanager
    async def socket(self, query: str = "", **options: Any) -> AsyncIterator[Talk]:
        url = self.served.url.replace("http", "ws", 1) + PATH + query
        async with connect(url, ping_interval=None, compression=None, **options) as opened:
            yield Talk(opened)


class Talk:
    """A WebSocket that is published through."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *lines: dict[str, Any] | str) -> dict[str, Any]:
        """Sends lines in one message; the data of its answer."""
        await self.socket.send(packed(*lines))
        return await self.answer()

    async def document(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            found: dict[str, Any] = json.loads(await self.socket.recv())
        return found

    async def answer(self) -> dict[str, Any]:
        document = await self.document()
        assert document["ret"] == 200, document
        data: dict[str, Any] = document["data"]
        return data


@contextlib.asynccontextmanager
async def desk_in(folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    async with (
        serving(folder, **{"source": "publish"} | settings) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=PATIENCE) as client,
    ):
        yield Desk(served, client)
