"""The WebSocket shell: carries bytes between a socket, its connection and the gateway."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

import structlog
from uvicorn.server import ServerState

from ..bus import Supplier
from ..gateway.gateway import NOBODY, Gateway, Heard
from ..machine import Network, Writer
from ..wire import POLICY_VIOLATION, PUBLISH_PATH, Decision, Report
from ..wire.connection import Connection
from ..wire.session import Close
from .bounds import LATE
from .publish import Publishing
from .publish_socket import PublishSocket
from .shell import Shell

SWEEP = 0.25
"""Seconds between looks for connections that are overdue."""
GRACE = 10.0
"""Seconds that all have after the process was paused: as long as lies between two heartbeats."""

log = structlog.get_logger()


class WebSockets:
    """All WebSockets of a server."""

    def __init__(self, gateway: Gateway, market: Supplier, network: Network) -> None:
        """`market` takes what is published."""
        self.gateway, self.network = gateway, network
        self.alive: set[WebSocket] = set()
        self._publishing = Publishing(gateway, market)
        self._publishers: set[PublishSocket] = set()
        self._due = math.inf  # when the next look is
        self._grace = 0.0

    def protocol(
        self, *, server_state: ServerState, path: str, query: str, **_: Any
    ) -> WebSocket | PublishSocket:
        """Makes the protocol of a connection that is upgraded on that path; called by uvicorn.

        The query comes apart from the head that follows, in which no line may be as long.
        """
        if path == PUBLISH_PATH:
            return PublishSocket(self._publishing, self._publishers, server_state, query)
        return WebSocket(self, server_state, query)

    async def sweep(self) -> None:
        """Closes those from which nothing came for too long, and publishers that must end.

        A look that comes late follows a pause of the process, or of its machine. What the clients sent
        meanwhile waits in the sockets, and some of them were paused with us: nobody is closed until they had
        time to be heard.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._due = loop.time() + SWEEP
            await asyncio.sleep(SWEEP)
            if (late := loop.time() - self._due) > LATE:
                log.warning("the server was held up", seconds=round(late, 3))
                self._grace = loop.time() + GRACE
            if loop.time() >= self._grace:
                self.check(self.gateway.clock())

    @property
    def was_held_up(self) -> bool:
        """Whether what comes now may come late because of us."""
        now = asyncio.get_running_loop().time()
        return now < self._grace or now - self._due > LATE

    def check(self, now: float) -> None:
        """Closes whoever is overdue. One that cannot be closed is dropped, and keeps nobody else open."""
        for one in (*self.alive, *self._publishers):
            try:
                one.check(now)
            except Exception:
                log.exception("a connection cannot be checked, it is dropped")
                one.transport.abort()


class WebSocket(Shell):
    """One client's socket.

    Pushes go past the connection, because their bytes are the same for every client: straight to the
    socket while nothing waits before them, else through the transport, which keeps the order.
    """

    _writer: Writer

    def __init__(self, websockets: WebSockets, server_state: ServerState, query: str) -> None:
        self._websockets, self._gateway = websockets, websockets.gateway
        super().__init__(websockets.alive, server_state, self._gateway.settings.client_buffer)
        self.last_heard = self._gateway.clock()
        self._connection = Connection(
            partial(self._gateway.admit, self),
            query=query,
            strict=self._gateway.dialect.strict_protocol,
            heard=self._tell,
        )
        self._delayed: deque[bytes] = deque()  # what came and is looked at later
        self._delayed_size = 0
        self._delayed_until = 0.0

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request has been read."""
        super().connection_made(transport)
        self._writer = self._websockets.network.writer(self.transport)

    def _hear(self, data: bytes) -> int:
        if self.transport.is_closing():
            return 0
        self.last_heard = self._gateway.clock()
        if self._websockets.was_held_up:
            self._connection.forgive(self.last_heard)
        if self._delayed or self._gateway.delay(self):
            self._delay(data)
            return 0
        self._carry(self._connection.receive(data, self.last_heard))
        return self._connection.frames.together

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        super().connection_lost(exc)
        self._gateway.leave(self)

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        super().pause_writing()
        self._gateway.slow(self)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._gateway.quick(self)

    # What the hub calls.
    def push(self, data: bytes) -> None:
        """Writes whole frames; never waits."""
        if self._ending is None and (rest := self._writer.write(data)):
            super()._write(rest)

    # What the sweep calls.
    def check(self, now: float) -> None:
        """Closes the connection if its heartbeat is overdue."""
        if self._ending is None and (reason := self._connection.overdue(now)) is not None:
            self.close(POLICY_VIOLATION, reason)

    # What the gateway and the hub call.
    def reset(self) -> None:
        """Ends the connection at once, with a reset of TCP."""
        self._gateway.leave(self)
        self._writer.reset()

    def _tell(self, path: str, text: str, noted: Report) -> None:
        observer = self._gateway.observer
        if observer is not NOBODY and (caller := self._gateway.callers.get(self)) is not None:
            observer.heard(Heard(caller.client.connection, path, text, tuple(noted.counts())))

    def _delay(self, data: bytes) -> None:
        """Looks at what came when a scenario says, in order; reads nothing more while much of it waits."""
        loop = asyncio.get_running_loop()
        self._delayed.append(data)
        self._delayed_size += len(data)
        self._delayed_until = max(self._delayed_until, loop.time() + self._gateway.delay(self))
        loop.call_at(self._delayed_until, self._hear_delayed)
        if self._busy:
            self.transport.pause_reading()

    def _hear_delayed(self) -> None:
        held = self._busy
        data = self._delayed.popleft()
        self._delayed_size -= len(data)
        if not self.transport.is_closing():
            self._carry(self._connection.receive(data, self._gateway.clock()))
            if held and not self._busy:
                self._go_on()

    @property
    def _busy(self) -> bool:
        return self._delayed_size > self._bound

    def _carry(self, out: Iterable[bytes | Decision]) -> None:
        """Writes and carries out, in order."""
        replies: list[bytes] = []
        close: Close | None = None
        for item in out:
            if isinstance(item, Close):
                close = item
            elif isinstance(item, bytes):
                replies.append(item)
            elif frames := self._gateway.carry_out(self, item):
                replies.append(frames)
        self._send(replies)
        if self._connection.frames.closing:
            self._end()
        if close is not None:
            self.close(*close)

    def _closing(self, code: int, reason: str) -> Iterable[bytes]:
        return self._connection.frames.close(code, reason)

    def _end(self) -> None:
        self._gateway.leave(self)  # pushes end here
        super()._end()

    def _write(self, data: bytes | memoryview) -> None:
        if rest := self._writer.write(data):
            super()._write(rest)
