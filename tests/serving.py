"""A real server for tests: real sockets, in this process, on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from tickwire.assembly import assemble, build
from tickwire.assembly.engine import Engine
from tickwire.config import Settings
from tickwire.gateway.gateway import Heard, Observer
from tickwire.gateway.hub import Hub
from tickwire.machine import REAL, Disk, Machine, Network
from tickwire.model import Book, Instrument, Kind, Level, Trade
from tickwire.server import Server
from tickwire.server.certificate import ca_of, certificate_of
from tickwire.server.serve import url_of
from tickwire.sources import Health, History, Source, Status
from tickwire.sources.source import Yielded
from tickwire.store import load_catalogue

from .forks import Process, plain_environment, spawn

STOCK_WS, OTHER_WS = "/quote-stock-b-ws-api", "/quote-b-ws-api"
STOCK_HTTP, OTHER_HTTP = "/quote-stock-b-api", "/quote-b-api"
HEARTBEAT, DEPTH, TRADE, CANCEL = 22000, 22002, 22004, 22006
DEPTH_PUSH, TRADE_PUSH = 22999, 22998
PATIENCE = 120.0
"""Seconds after which a test gives up what it waits for: a busy machine is no fault of a server's."""
SILENCE, KEEPING = 15.0, 4_242_424
"""Seconds after which a client says that it is there still, and the `seq_id` of that."""
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, as is enough for plain HTTP. Else httpx reads all of the machine's certificates for each
client, which takes 30 ms."""


async def until(holds: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """Returns once what a function, or a coroutine function, says is true: for what tells nobody of itself.

    The loop first gets turns, in which most is done; then it is another thread or process that is waited for,
    and that needs the processor. So does a server that is asked again and again: it gets half of the time.
    """
    async with asyncio.timeout(patience):
        for turn in itertools.count():
            began = time.monotonic()
            found = holds()
            if asked := inspect.isawaitable(found):
                found = await found
            if found:
                return
            took = min(time.monotonic() - began, 0.1) if asked else 0.0
            await asyncio.sleep(took or (0 if turn < 100 else 0.005))


def subscribed_codes(hub: Hub) -> set[str]:
    """The codes that somebody is subscribed to."""
    return {instrument.code for instruments in hub.wanted().values() for instrument in instruments}


class Script:
    """A source that yields what a test tells it to."""

    name = "script"
    simulated = True
    round_the_clock = True
    history: History | None = None
    live = False
    limited = False
    codes: Collection[str] = ("BTCUSDT",)

    def __init__(self, *, patient: bool = False) -> None:
        self.patient = patient
        self.health = Health(Status.UP, wall=REAL.millis)
        self.wanted: list[str] = []
        self.now = 0
        self._queue: asyncio.Queue[Yielded] = asyncio.Queue()

    def emit(self, *events: Yielded) -> None:
        """Yields these next."""
        for event in events:
            self._queue.put_nowait(event)

    def past(self, instrument: Instrument, key: str | None = None) -> None:
        pass

    async def prepare(self) -> Collection[Instrument]:
        return ()

    def market_time(self) -> int:
        return self.now

    def serves(self, instrument: Instrument) -> bool:
        return True

    def room(self, kind: Kind, codes: Collection[str]) -> Collection[str]:
        return codes

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        self.wanted += codes
        return ()

    async def events(self) -> AsyncIterator[Yielded]:
        for count in itertools.count(1):
            yield await self._queue.get()
            if count % 100 == 0:
                await asyncio.sleep(0)


def trade(
    code: str = "BTCUSDT", price: str = "79317.70", volume: str = "0.5", at: int = 1788529064027
) -> Trade:
    return Trade(code, at, Decimal(price), Decimal(volume))


def book(code: str = "BTCUSDT", levels: int = 5, at: int = 1788529064027) -> Book:
    bids = tuple(Level(Decimal(100 - n), Decimal(n + 1)) for n in range(levels))
    asks = tuple(Level(Decimal(101 + n), Decimal(n + 1)) for n in range(levels))
    return Book(code, at, bids, asks)


class Link:
    """A WebSocket client that speaks JSON and keeps answers and pushes apart."""

    def __init__(self, socket: ClientConnection, served: Served | None = None) -> None:
        self.socket = socket
        self.served = served
        self.pushes: list[dict[str, Any]] = []
        self._spoke = time.monotonic()

    async def send(self, message: object) -> None:
        self._spoke = time.monotonic()
        await self.socket.send(
            message if isinstance(message, (str, bytes)) else msgspec.json.encode(message).decode()
        )

    async def recv(self) -> dict[str, Any]:
        """The next message, whatever it is. Keeps the connection, on a machine that takes long for a test."""
        until = time.monotonic() + PATIENCE
        while True:
            silent = time.monotonic() - self._spoke
            try:
                async with asyncio.timeout(max(SILENCE - silent, 0.0)):
                    message: dict[str, Any] = msgspec.json.decode(await self.socket.recv())
            except TimeoutError:
                if time.monotonic() > until:
                    raise
                await self.send({"cmd_id": HEARTBEAT, "seq_id": KEEPING})
                continue
            if message.get("seq_id") != KEEPING:
                break
        if "ret" not in message:
            self.pushes.append(message)
        return message

    async def answer(self) -> dict[str, Any]:
        """The next answer; pushes before it are kept."""
        while "ret" not in (message := await self.recv()):
            pass
        return message

    async def push(self) -> dict[str, Any]:
        """The next push."""
        while "ret" in (message := await self.recv()):
            pass
        return message

    async def ask(self, cmd_id: int, data: object = None, **header: object) -> dict[str, Any]:
        """Sends a request and returns its answer."""
        await self.send(
            {"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": {} if data is None else data} | header
        )
        return await self.answer()

    async def subscribe(self, cmd_id: int, *codes: str) -> dict[str, Any]:
        return await self.ask(cmd_id, {"symbol_list": [{"code": code} for code in codes]})

    async def nothing(self) -> None:
        """Asserts that nothing is under way: the answer to a heartbeat is the next message."""
        await self.send({"cmd_id": HEARTBEAT, "seq_id": 424242})
        assert (await self.recv()).get("seq_id") == 424242


class Raw:
    """A bare socket, for what no client library would send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Sends the bytes; a server that has hung up is no error."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def head(self) -> bytes:
        """The head of an answer, in lower case; empty if the server hung up without one."""
        try:
            async with asyncio.timeout(PATIENCE):
                return (await self.reader.readuntil(b"\r\n\r\n")).lower()
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def rest(self) -> bytes:
        """All that comes until the server hangs up."""
        found = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(2**16):
                    found += data
        return found

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; opcode -1 if there is none any more."""
        try:
            async with asyncio.timeout(PATIENCE):
                first, size = await self.reader.readexactly(2)
                if size > 125:
                    size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
                return first & 15, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return -1, b""

    async def closing(self) -> tuple[int, str]:
        """Code and reason of the close frame, other frames passed over; code 0 if there is none."""
        while (frame := await self.frame())[0] not in (-1, 8):
            pass
        return int.from_bytes(frame[1][:2], "big"), frame[1][2:].decode()


def masked(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A frame of a client."""
    size, key = len(payload), os.urandom(4)
    lead = size if size < 126 else 126 if size < 65536 else 127
    length = b"" if size < 126 else size.to_bytes(2 if size < 65536 else 8, "big")
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return bytes((fin << 7 | rsv << 4 | opcode, 0x80 | lead)) + length + key + mixed.to_bytes(size, "big")


def upgrade(path: str = OTHER_WS, query: str = "?token=t", more: str = "") -> bytes:
    """The head of a WebSocket's handshake."""
    return (
        f"GET {path}{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
    ).encode("latin-1")


def trusting(ca: Path) -> ssl.SSLContext:
    """What a client has that trusts that CA alone, and checks certificates as strictly as Python can."""
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


class Ear(Observer):
    """Hears what clients send to a server, once somebody listens."""

    def __init__(self) -> None:
        self.listener: Callable[[Heard], None] = lambda _: None

    def heard(self, heard: Heard) -> None:
        self.listener(heard)


class Served:
    """A running server and ways to talk to it."""

    def __init__(self, url: str, engine: Engine, server: Server, ear: Ear) -> None:
        self.ear = ear
        self.url = url
        self.engine = engine
        self.server = server
        self.trust: ssl.SSLContext | None = None
        if engine.settings.tls_self_signed:
            self.trust = trusting(ca_of(engine.settings.data_dir))

    @contextlib.asynccontextmanager
    async def link(
        self,
        path: str = OTHER_WS,
        token: str | None = "t",  # noqa: S107
        **options: Any,
    ) -> AsyncIterator[Link]:
        query = "" if token is None else f"?token={token}"
        url = self.url.replace("http", "ws", 1) + path + query
        options.setdefault("ssl", self.trust)
        async with connect(url, ping_interval=None, compression=None, **options) as socket:
            yield Link(socket, self)

    @contextlib.asynccontextmanager
    async def raw(self, hello: bytes = b"", *, receive_buffer: int = 0) -> AsyncIterator[Raw]:
        """A bare socket on which those bytes are sent; a small `receive_buffer` reads only when told."""
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.setblocking(False)
        address = httpx.URL(self.url)
        await asyncio.get_running_loop().sock_connect(plain, (address.host, address.port))
        reader, writer = await asyncio.open_connection(
            sock=plain,
            limit=receive_buffer or 2**16,
            ssl=self.trust,
            server_hostname=None if self.trust is None else address.host,
        )
        link = Raw(reader, writer)
        try:
            await link.send(hello)
            yield link
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def get(
        self,
        path: str,
        query: object = None,
        *,
        token: str | None = "t",  # noqa: S107
        **options: Any,
    ) -> httpx.Response:
        """GET with the query as JSON (a string goes as it is)."""
        parameters = {} if token is None else {"token": token}
        if query is not None:
            parameters["query"] = query if isinstance(query, str) else msgspec.json.encode(query).decode()
        return await self.request("GET", path, params=parameters, **options)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        verify = PLAIN if self.trust is None else self.trust
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, verify=verify) as client:
            return await client.request(method, path, **options)


async def begun(started: asyncio.Event, engine: Engine) -> None:
    """Returns when connections are taken and data comes."""
    await started.wait()
    await engine.began.wait()


@contextlib.asynccontextmanager
async def serving(
    data_dir: Path,
    feed: Source | Sequence[tuple[Source, Collection[str]]] | None = None,
    /,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    disk: Disk = REAL.disk,
    network: Network = REAL.network,
    send_buffer: int = 0,
    **settings: Any,
) -> AsyncIterator[Served]:
    """A server on that feed, on several with the codes that each owns, or on what the settings name.

    Heartbeats and windows run on `clock`, the day's quota and the expiry of tokens on `wall`. With a
    `send_buffer` the system takes so many bytes for a client; else it takes megabytes before any wait here.
    """
    made = Settings(data_dir=data_dir, **{"drain_seconds": 0.0, **settings})
    machine = Machine(clock, lambda: int(wall() * 1e9), disk=disk, network=network)
    ear = Ear()
    if feed is None:
        engine = build(made, machine, ear)
    else:
        catalogue = load_catalogue(made.instruments)
        sources: Sequence[tuple[Source, Collection[str]]]
        sources = feed if isinstance(feed, (list, tuple)) else [(cast("Source", feed), ())]
        engine = assemble(made, catalogue, sources, machine, ear)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    started = asyncio.Event()
    server = Server(engine, started.set, certificate_of(made, machine))
    running = asyncio.create_task(server.run_engine([listener]))
    waiting = asyncio.create_task(begun(started, engine))
    try:
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield Served(url_of(listener, made), engine, server, ear)
    finally:
        waiting.cancel()
        server.stop()
        await running
        listener.close()


class Program:
    """The real program as a process of its own."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.url = ""
        self.welcome = ""
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text("utf-8")

    async def started(self) -> None:
        """Waits for the URL, which is the first line, and for the end of the welcome."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.url = (await self.process.stdout.readline()).decode().rstrip("\n")
            self.welcome = (await self.process.stdout.readuntil(b"Ctrl-C stops it.\n")).decode()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Sends the signal; returns the exit status and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
        return status, time.monotonic() - began


def program_environment(**more: str) -> dict[str, str]:
    """The environment without settings of Tickwire's."""
    return plain_environment() | more


@contextlib.asynccontextmanager
async def program(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[Program]:
    """`tickwire serve` on a free port, its data and log in that folder; ended at the end."""
    (folder / "log").unlink(missing_ok=True)
    command = "-m", "tickwire", "serve", "--port", "0", "--data-dir", str(folder / "data"), *arguments
    async with running(folder / "log", *command, **environment) as started:
        yield started


@contextlib.asynccontextmanager
async def running(log: Path, *arguments: str, **environment: str) -> AsyncIterator[Program]:
    """Python with these arguments, which serves; killed at the end. The log is written on."""
    with log.open("ab") as stderr:
        env = program_environment(**environment)
        process: Process
        if arguments[:2] == ("-m", "tickwire"):
            process = await spawn(*arguments[2:], stderr=stderr, env=env)
        else:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=stderr, env=env
            )
    started = Program(process, log)
    try:
        await started.started()
        yield started
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
