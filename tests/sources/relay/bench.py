"""What the tests of the relay share: who consumes its stream, and an upstream of both kinds of sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tickwire.client import Backoff, Options, RealClock
from tickwire.machine import REAL
from tickwire.model import Book, Trade
from tickwire.sources import Began, Broke, Mended, Snapshot
from tickwire.sources.relay import Relay
from tickwire.sources.source import Yielded
from tickwire.store import load_catalogue
from tickwire.wire import Terms

from ...serving import trade, until

One = TypeVar("One", Trade, Book, Snapshot, Began, Broke, Mended)
CATALOGUE = load_catalogue()
BTC = ["BTCUSDT"]
QUICK = Options(Terms(heartbeat=5.0, mute=5.0), Backoff(first=0.01, most=0.02), close_timeout=0.2)
MACHINE: dict[str, Any] = {"clock": RealClock(), "wall": REAL.millis, "dice": REAL.dice}
"""For tests in which time does not matter."""
SLOW = QUICK._replace(terms=Terms(heartbeat=1e6, mute=1e6))
"""For tests that move the clock."""
TOKEN = "s3cret-token"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def fresh(code: str = "BTCUSDT", price: str = "100", ago: int = 0) -> Trade:
    """A trade of this moment."""
    return trade(code, price, "1", now_ms() - ago)


class Consumer:
    """Takes what a relay yields, and remembers it."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.yielded: list[Yielded] = []
        self.statuses: list[tuple[str, str]] = []

    def of(self, kind: type[One]) -> list[One]:
        """What came of that kind."""
        return [one for one in self.yielded if isinstance(one, kind)]

    async def take(self, kind: type[One], count: int = 1) -> list[One]:
        """Waits until so many of that kind have come."""
        await until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    async def began(self, *codes: str) -> None:
        """Waits until the trades of these are complete."""
        await until(lambda: self.complete() >= {*codes})

    def complete(self) -> set[str]:
        """The codes of which all trades are yielded; checks that beginnings and ends alternate."""
        found: set[str] = set()
        for one in self.yielded:
            if isinstance(one, Began):
                assert found.isdisjoint(one.codes)
                found.update(one.codes)
            elif isinstance(one, Mended):
                found.update(one.codes)
            elif isinstance(one, Broke):
                assert found.issuperset(one.codes)
                found.difference_update(one.codes)
        return found

    async def run(self) -> None:
        health = self.relay.health
        health.watch(lambda: self.statuses.append((health.status, health.reason)))
        async with contextlib.aclosing(self.relay.events()) as events:  # type: ignore[type-var]
            async for one in events:
                self.yielded.append(one)


@contextlib.asynccontextmanager
async def relaying(url: str, **settings: Any) -> AsyncIterator[Consumer]:
    """A relay of that server at work; nothing is left of it behind."""
    before = asyncio.all_tasks()
    given: dict[str, Any] = {"token": lambda: TOKEN, "options": QUICK} | MACHINE | settings
    relay = Relay(CATALOGUE, url, **given)
    consumer = Consumer(relay)
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.wait([running])
        consumer.complete()
    left = {task for task in asyncio.all_tasks() - before if task is not running}
    assert not [task for task in left if "link" in task.get_name()]


class Caller:
    """A connection to an upstream of a test."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.path = socket.request.path if socket.request is not None else ""
        self.requests: list[dict[str, Any]] = []

    async def send(self, *messages: object) -> None:
        """Sends these in one frame, a line each."""
        lines = [one if isinstance(one, str) else json.dumps(one) for one in messages]
        await self.socket.send("\n".join(lines))

    def codes(self, cmd_id: int = 22004) -> list[str]:
        """What was subscribed to last."""
        lists = [one["data"]["symbol_list"] for one in self.requests if one["cmd_id"] == cmd_id]
        return [one["code"] for one in lists[-1]] if lists else []


class Upstream:
    """An upstream that does as a test says: `act` for each connection, `answer` for requests over HTTP.

    An act is called with the connection and each of its requests; `answer` with path and query. Answers are
    a status and a body; None hangs for ever.
    """

    def __init__(self) -> None:
        self.url = ""
        self.over = asyncio.Event()
        self.callers: list[Caller] = []
        self.asked: list[tuple[str, list[str]]] = []
        self.act: Callable[[Caller, dict[str, Any]], Any] = agree
        self.greet: Callable[[Caller], Any] | None = None
        self.gate: Callable[[ServerConnection, Request], Response | None] | None = None
        self.answer: Callable[[str, list[str]], tuple[int, Any] | None] = lambda _path, _codes: (
            200,
            {"ret": 600, "msg": "code invalid", "trace": ""},
        )

    async def serve(self, socket: ServerConnection) -> None:
        caller = Caller(socket)
        self.callers.append(caller)
        with contextlib.suppress(ConnectionClosed):
            if self.greet is not None:
                await self.greet(caller)
            while True:
                request = json.loads(await socket.recv())
                caller.requests.append(request)
                await self.act(caller, request)

    async def enter(self, socket: ServerConnection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        if "-ws-api" in path:
            return self.gate(socket, request) if self.gate else None
        found = self.answer(path, self._codes(path, query))
        if found is None:
            await self.over.wait()
            return socket.respond(503, "")
        status, body = found
        response = socket.respond(status, body if isinstance(body, str) else json.dumps(body))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def _codes(self, path: str, query: str) -> list[str]:
        asked = json.loads(parse_qs(query)["query"][0])["data"] if "query=" in query else {}
        codes = [one["code"] for one in asked.get("symbol_list", [])]
        self.asked.append((path.rpartition("/")[2], codes))
        return codes


def agreed(request: dict[str, Any], ret: int = 200, msg: str = "ok") -> dict[str, Any]:
    head = {"ret": ret, "msg": msg, "cmd_id": request["cmd_id"] + 1}
    return head | {"seq_id": request["seq_id"], "trace": request["trace"], "data": {}}


async def agree(caller: Caller, request: dict[str, Any]) -> None:
    """Answers everything with yes."""
    await caller.send(agreed(request))


def push(seq: int, code: str = "BTCUSDT", ago: int = 0, price: str = "1.00") -> dict[str, Any]:
    """A trade as it is pushed."""
    return {"cmd_id": 22998, "data": tick(seq, code, ago, price)}


def tick(seq: int, code: str = "BTCUSDT", ago: int = 0, price: str = "1.00") -> dict[str, Any]:
    """A trade as it is answered."""
    data = {"code": code, "seq": seq, "tick_time": now_ms() - ago, "price": price, "volume": "1.00"}
    return data | {"turnover": price, "trade_direction": 1}


def ticks(*entries: Any) -> tuple[int, Any]:
    """An answer over HTTP."""
    return 200, {"ret": 200, "msg": "ok", "trace": "", "data": {"tick_list": [*entries]}}


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    async with serve(
        made.serve,
        "127.0.0.1",
        0,
        process_request=made.enter,
        compression=None,
        ping_interval=None,
        close_timeout=0.2,
    ) as server:
        made.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        try:
            yield made
        finally:
            made.over.set()


def http_url(url: str) -> str:
    """Of a server, whose WebSocket is at that."""
    return url.replace("ws:", "http:").removesuffix("/quote-b-ws-api")


def refusal(status: int, good: Callable[[str], bool]) -> Any:
    """A gate that lets only some tokens in."""

    def gate(connection: ServerConnection, request: Request) -> Response | None:
        if good(request.path.partition("token=")[2]):
            return None
        body = {"msg": f"no: {request.path}", "trace": "", "ret": status}
        return connection.respond(HTTPStatus(status), json.dumps(body))

    return gate
