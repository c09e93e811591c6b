"""A server on which scenarios run, with a source and a clock that the test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tickwire.model import Event

from .serving import OTHER_HTTP, PATIENCE, PLAIN, STOCK_HTTP, Link, Script, Served, serving, trade

T0 = 1788529020000  # where a minute begins


class Feed(Script):
    """A script that tells whether it was followed."""

    @property
    def taken(self) -> bool:
        """Whether the server has taken all that was emitted."""
        return self._queue.empty()


class Hand:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A server, its source, its clock, and the admin API."""

    def __init__(self, served: Served, feed: Feed, hand: Hand, client: httpx.AsyncClient) -> None:
        self.served = served
        self.feed = feed
        self.hand = hand
        self.client = client

    async def begin(self, *steps: dict[str, Any]) -> int:
        answer = await self.client.post("/admin/scenario", json={"step": steps})
        assert answer.status_code == 200, answer.text
        number: int = answer.json()["number"]
        return number

    async def stop(self, number: int) -> None:
        assert (await self.client.delete(f"/admin/scenario/{number}")).json() == {"stopped": [number]}

    async def at(self, now: float) -> None:
        """Sets the clock to so many seconds after its begin, and waits until the server has seen to it."""
        self.hand.now = 1000.0 + now
        await self.stop(await self.begin({"do": "gap", "codes": ["IBM.US"]}))

    async def emit(self, *events: Event) -> None:
        """Yields these, and waits until the server has taken them."""
        self.feed.emit(*events)
        async with asyncio.timeout(PATIENCE):
            while not self.feed.taken:
                await self.client.get("/healthz")

    async def state(self, code: str) -> str:
        found = await self.get("/v1/instruments", search=code)
        (one,) = [one for one in found["data"]["instrument_list"] if one["code"] == code]
        state: str = one["state"]
        return state

    async def suspensions(self, exchange: str, *, resumed: bool = False) -> list[dict[str, Any]]:
        """A list of suspensions, once it has one, or one that has ended: the store comes behind the ticks."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found: list[dict[str, Any]] = (await self.get(f"/api/suspension/{exchange}"))["data"]
                if any(one.get("resumeDate") or one.get("resumeDateTime") or not resumed for one in found):
                    return found

    async def get(self, path: str, query: object = None, **parameters: str) -> Any:
        parameters["token"] = "t"
        if query is not None:
            parameters["query"] = msgspec.json.encode({"data": query}).decode()
        return (await self.client.get(path, params=parameters)).json()

    async def bar(self, code: str = "BTCUSDT") -> dict[str, str]:
        """The only minute bar of a code."""
        base = STOCK_HTTP if "." in code else OTHER_HTTP
        query = {"code": code, "kline_type": 1, "query_kline_num": 500}
        (bar,) = (await self.get(f"{base}/kline", query))["data"]["kline_list"]
        found: dict[str, str] = bar
        return found


@asynccontextmanager
async def staged(
    folder: Path, feed: Feed | None = None, /, *, real_time: bool = False, **settings: Any
) -> AsyncIterator[Stage]:
    """With a source of a test's, or with the simulator and in real time."""
    hand = Hand()
    real_time = real_time or feed is None
    async with (
        serving(folder, feed, clock=time.monotonic if real_time else hand, **settings) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=PATIENCE) as client,
    ):
        yield Stage(served, feed or Feed(), hand, client)


def at(second: float, price: str = "200", code: str = "BTCUSDT", volume: str = "1") -> Event:
    return trade(code, price, volume, T0 + int(second * 1000))


async def push(link: Link, *, code: str = "") -> dict[str, Any]:
    """The data of the next push, of that code if one is named."""
    while code not in ("", (data := (await link.push())["data"])["code"]):
        pass
    found: dict[str, Any] = data
    return found
