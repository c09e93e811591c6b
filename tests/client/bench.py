"""What the tests of a client share: a clock that they move, an owner, and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from tickwire.client import Backoff, Buffer, Link, LinkStatus, Missed, Options, State, Told
from tickwire.wire import Pushed, Refusal, Subscribed, Terms

from ..serving import PATIENCE, until

Event = TypeVar("Event", Pushed, State, Missed, Refusal, Subscribed)
QUICK = Options(
    Terms(spacing=0.0, heartbeat=5.0, mute=5.0), Backoff(first=0.01, most=0.02), close_timeout=0.2
)
"""For tests in which time does not matter."""
SLOW = Options(Terms(spacing=0.0, heartbeat=10.0, mute=10.0), Backoff(0.5, 4.0), close_timeout=0.2)
"""For tests that move the clock."""
TOKEN = "t"


class Ring:
    """A call that was ordered."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Hand:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._numbers = itertools.count()
        self._rings: list[tuple[float, int, Ring]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Ring:
        ring = Ring(callback)
        heapq.heappush(self._rings, (self.now + delay, next(self._numbers), ring))
        return ring

    async def ordered(self) -> None:
        """Waits until a timer is ordered: until the link has done all that it can do now."""
        await until(lambda: self.next < float("inf"))

    @property
    def next(self) -> float:
        """When the next call is due."""
        while self._rings and self._rings[0][2].callback is None:
            heapq.heappop(self._rings)
        return self._rings[0][0] if self._rings else float("inf")

    def move(self, seconds: float) -> None:
        """Lets so much time pass; calls are made on the way."""
        end = self.now + seconds
        while self.next <= end:
            self.now, _, ring = heapq.heappop(self._rings)
            if ring.callback is not None:
                ring.callback()
        self.now = end


class Owner:
    """Who takes what links tell, and remembers it."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.told: list[Told] = []

    async def take(self, kind: type[Event], count: int = 1) -> list[Event]:
        """What comes next of that kind, so many."""
        found: list[Event] = []
        async with asyncio.timeout(PATIENCE):
            while len(found) < count:
                event = await anext(self.buffer)
                self.told.append(event)
                if isinstance(event, kind):
                    found.append(event)
        return found

    async def state(self, status: LinkStatus) -> State:
        """The next state of that status."""
        while (found := (await self.take(State))[0]).status is not status:
            pass
        return found

    def rest(self) -> list[Told]:
        """What waits in the buffer."""
        found: list[Told] = []
        while len(self.buffer):
            found.append(self.buffer._events.popleft())
        self.told += found
        return found

    def of(self, kind: type[Event]) -> list[Event]:
        """All that came of that kind."""
        return [one for one in self.told if isinstance(one, kind)]


@contextlib.asynccontextmanager
async def linked(
    url: str, options: Options = QUICK, *, token: Any = TOKEN, buffer: Buffer | None = None, **more: Any
) -> AsyncIterator[tuple[Link, Owner]]:
    """A link, and its owner; nothing is left of it behind."""
    buffer = Buffer() if buffer is None else buffer
    link = Link(url, token, buffer, options, **more)
    try:
        async with link:
            yield link, Owner(buffer)
    finally:
        assert [task for task in asyncio.all_tasks() if link.name in task.get_name()] == []


class Seat:
    """One client of a stub."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.requests: list[dict[str, Any]] = []

    async def request(self) -> dict[str, Any]:
        """What it asks next; not answered."""
        request: dict[str, Any] = json.loads(await self.socket.recv())
        self.requests.append(request)
        return request

    async def send(self, *messages: object) -> None:
        """Sends these in one frame, a line each."""
        lines = [one if isinstance(one, str) else json.dumps(one) for one in messages]
        await self.socket.send("\n".join(lines))

    async def answer(self, ret: int = 200, msg: str = "ok") -> dict[str, Any]:
        """Answers the next request, and returns it."""
        request = await self.request()
        await self.send(answer_of(request, ret, msg))
        return request

    async def obey(self) -> None:
        """Answers everything, until the client leaves."""
        while True:
            await self.answer()


def answer_of(request: dict[str, Any], ret: int = 200, msg: str = "ok") -> dict[str, Any]:
    head = {"ret": ret, "msg": msg, "cmd_id": request["cmd_id"] + 1}
    return head | {"seq_id": request["seq_id"], "trace": request["trace"], "data": {}}


Play: TypeAlias = Callable[[Seat], Awaitable[None]]
Gate: TypeAlias = Callable[[ServerConnection, Request], Response | None]


class Stub:
    """A server that plays one act for each connection, the last one again and again."""

    def __init__(self, acts: tuple[Play, ...]) -> None:
        self.acts = acts
        self.seats: list[Seat] = []
        self.paths: list[str] = []
        self.url = ""

    async def serve(self, socket: ServerConnection) -> None:
        act = self.acts[min(len(self.seats), len(self.acts) - 1)]
        seat = Seat(socket)
        self.seats.append(seat)
        with contextlib.suppress(ConnectionClosed):
            await act(seat)


@contextlib.asynccontextmanager
async def stub(*acts: Play, gate: Gate | None = None) -> AsyncIterator[Stub]:
    """A stub; `gate` may refuse upgrades."""
    made = Stub(acts)

    def enter(connection: ServerConnection, request: Request) -> Response | None:
        made.paths.append(request.path)
        return gate(connection, request) if gate else None

    async with serve(
        made.serve,
        "127.0.0.1",
        0,
        process_request=enter,
        compression=None,
        ping_interval=None,
        close_timeout=0.2,
    ) as server:
        made.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/quote-b-ws-api"
        yield made


Bare: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def bare(act: Bare) -> AsyncIterator[str]:
    """A server without any protocol: its URL."""
    tasks: set[asyncio.Task[Any]] = set()

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await act(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(enter, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/quote-b-ws-api"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the upgrade."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(
        line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")
    )
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
    )


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with a reset of TCP."""
    plain = writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def closed_port() -> str:
    """A URL that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"ws://127.0.0.1:{listener.getsockname()[1]}/quote-b-ws-api"


def push(seq: int, code: str = "GOLD", price: str = "1.00") -> dict[str, Any]:
    """A trade as it is pushed."""
    data = {"code": code, "seq": seq, "tick_time": 1788530573000, "price": price, "volume": "1.00"}
    return {"cmd_id": 22998, "data": data | {"turnover": price, "trade_direction": 1}}


def seqs(events: list[Pushed]) -> list[int]:
    return [event.seq for event in events]


async def good(seat: Seat) -> None:
    """A server that works: one trade at once, numbered by the connection."""
    await seat.answer()
    await seat.send(push(1000))
    await seat.obey()
