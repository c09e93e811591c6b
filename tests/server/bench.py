"""A server with clocks that the test moves, and clients with a token each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tickwire.access import Account, Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.model import Event, Family
from tickwire.store import load_catalogue, open_tokens

from ..serving import (
    HEARTBEAT,
    OTHER_HTTP,
    PLAIN,
    STOCK_HTTP,
    STOCK_WS,
    Link,
    Script,
    Served,
    book,
    serving,
    trade,
    upgrade,
)

TICK = 1 / 1024
"""A moment that floats add without error."""
DAY, NOON = 86_400, 43_200
TODAY = 50_000 * DAY
FULL = b'{"msg":"too many connections","trace":"","ret":429}'
OWN_PLANS = {
    "spaced": {"connections": 2, "connection_spacing": 3},
    "exact": {"codes": 2, "http_codes": 2, "batch_groups": 2, "refuse": True},
}
TICKS = ("trade-tick", "depth-tick", "static_info")
ENDPOINTS = (*TICKS, "kline", "batch-kline", "suspension/sse", "suspension/nyse", "suspension/nasdaq")
CODES = [f"C{n:04}" for n in range(3_001)]
STOCKS = [one.code for one in load_catalogue() if one.family is Family.STOCK]
MANY = 300
"""Codes of one HTTP request that are a lot, and have a trade and a book."""


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def issue(data_dir: Path, name: str, plan: str = "unlimited", **fields: Any) -> str:
    """The text of a new token."""
    secret = new_secret()
    with open_tokens(data_dir / DATABASE) as store:
        digest = digest_of(secret, store.key())
        store.add(Token(id=new_id(), digest=digest, name=name, plan=plan, **fields))
    return secret


class Bench:
    """A server, its clocks, and clients with a token each."""

    def __init__(self, served: Served, client: httpx.AsyncClient, data_dir: Path, clocks: Sequence[Clock]):
        self.served = served
        self.clock, self.wall = clocks
        self._client = client
        self._data_dir = data_dir
        self._numbers = itertools.count()

    def emit(self, *events: Event) -> None:
        """The source yields these next."""
        source = self.served.engine.market.source
        assert isinstance(source, Script)
        source.emit(*events)

    def token(self, plan: str, **fields: Any) -> str:
        secret = issue(self._data_dir, f"token {next(self._numbers)}", plan, **fields)
        self.served.engine.gateway.admission.load()
        return secret

    def account(self, secret: str) -> Account:
        return self.served.engine.gateway.caller(secret, None).account

    async def ask(self, endpoint: str, secret: str, codes: Sequence[str] = ()) -> httpx.Response:
        """A request that is answered with 200 if no limit stands against it."""
        path, token = f"{OTHER_HTTP}/{endpoint}", {"token": secret}
        if endpoint.startswith("suspension/"):
            return await self._client.get(f"/api/{endpoint}", params=token)
        if endpoint == "batch-kline":
            types = itertools.cycle((1, 2))  # two groups of each code
            pairs = zip([code for code in codes or CODES[:1] for _ in (1, 2)], types, strict=False)
            groups = [{"code": code, "kline_type": kline_type} for code, kline_type in pairs]
            body = {"trace": "t", "data": {"data_list": groups[: len(codes) or 1]}}
            return await self._client.post(path, params=token, json=body)
        data: dict[str, object] = {"symbol_list": [{"code": code} for code in codes or CODES[:1]]}
        if endpoint == "kline":
            data = {"code": CODES[0], "kline_type": 1}
        elif endpoint == "static_info":
            path = f"{STOCK_HTTP}/static_info"
            data = {"symbol_list": [{"code": code} for code in codes or STOCKS[:1]]}
        query = msgspec.json.encode({"trace": "t", "data": data}).decode()
        return await self._client.get(path, params=token | {"query": query})

    async def full(self, path: str, secret: str, retry_after: int) -> None:
        """Asserts that no further connection is let in."""
        async with self.served.raw(upgrade(path, f"?token={secret}")) as raw:
            head = (await raw.head()).decode()
            assert head.startswith("http/1.1 429 ")
            assert f"retry-after: {retry_after}\r\n" in head
            assert "content-type: application/json\r\n" in head
            assert await raw.rest() == FULL


@asynccontextmanager
async def a_bench(data_dir: Path, **settings: Any) -> AsyncIterator[Bench]:
    own = data_dir / "own.csv"
    rows = "".join(f"{code},crypto,2,2\n" for code in CODES)
    own.write_text(f"code,market,price_decimals,volume_decimals\n{rows}")
    clock, wall, script = Clock(1000.0), Clock(TODAY + NOON), Script()
    settings = {"plans": OWN_PLANS, "instruments": [own]} | settings
    async with (
        serving(data_dir, script, clock=clock, wall=wall, **settings) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=120) as client,
    ):
        script.emit(*(event for code in CODES[:MANY] for event in (trade(code), book(code))))
        async with asyncio.timeout(120), served.link(STOCK_WS) as link:
            while served.engine.market.events < 2 * MANY:
                await link.ask(HEARTBEAT)
        yield Bench(served, client, data_dir, (clock, wall))


async def is_open(link: Link) -> bool:
    return bool((await link.ask(HEARTBEAT))["ret"] == 200)


async def closed(link: Link) -> tuple[int | None, str | None]:
    """How the server closes it."""
    async with asyncio.timeout(120):
        await link.socket.wait_closed()
    return link.socket.close_code, link.socket.close_reason


async def usage_of(served: Served, token: str) -> dict[str, Any]:
    """What tokens use, and what is left upstream."""
    data: dict[str, Any] = (await served.get("/v1/usage", token=token)).json()["data"]
    return data
