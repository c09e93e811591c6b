"""The WebSocket shell: carries bytes between a socket, its connection and the engine."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import structlog
from uvicorn.server import ServerState

from ..engine import Engine, Heard
from ..wire import POLICY_VIOLATION, PUBLISH_PATH, Close, Decision
from ..wire.connection import Connection
from .publish import Publishing
from .publish_socket import PublishSocket

LINGER = 2.0
"""Seconds that a client has to close its side after we began to close ours."""
SWEEP = 0.25
"""Seconds between looks for connections that are overdue."""
DIRECT_WRITES = sys.platform != "win32"
"""Whether os.write takes a socket's descriptor."""
GOING_AWAY = 1001  # RFC 6455, 7.4.1
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: closed at once, with a reset."""

log = structlog.get_logger()


class WebSockets:
    """All WebSockets of a server."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.alive: set[WebSocket] = set()
        self._publishing = Publishing(engine)
        self._publishers: set[PublishSocket] = set()

    def protocol(self, *, server_state: ServerState, path: str, **_: Any) -> WebSocket | PublishSocket:
        """Makes the protocol of a connection that is upgraded on that path; called by uvicorn."""
        if path == PUBLISH_PATH:
            return PublishSocket(self._publishing, self._publishers, server_state)
        return WebSocket(self, server_state)

    async def sweep(self) -> None:
        """Closes those from which nothing came for too long, and publishers that must end."""
        while True:
            await asyncio.sleep(SWEEP)
            now = self.engine.clock()
            for websocket in tuple(self.alive):
                websocket.check_heartbeat(now)
            for publisher in tuple(self._publishers):
                publisher.check(now)


class WebSocket(asyncio.Protocol):
    """One client's socket.

    Pushes go past the connection, because their bytes are the same for every client: straight to the
    socket while nothing waits before them, else through the transport, which keeps the order.
    """

    transport: asyncio.Transport

    def __init__(self, websockets: WebSockets, server_state: ServerState) -> None:
        self._all = websockets
        self._engine = websockets.engine
        self._server_state = server_state
        self.last_heard = self._engine.clock()
        self._connection = Connection(
            partial(self._engine.admit, self), strict=self._engine.dialect.strict_protocol, heard=self._hear
        )
        self._bound = self._engine.settings.client_buffer
        self._descriptor: int | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._delayed: deque[bytes] = deque()  # what came and is looked at later
        self._delayed_size = 0
        self._delayed_until = 0.0

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request has been read."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._all.alive.add(self)
        if DIRECT_WRITES and transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        """Bytes came from the client. What would be answered to them waits while we close and it reads
        nothing, or answers would pile up behind the close."""
        if self._ending is not None and self.transport.get_write_buffer_size() > self._bound:
            return
        self.last_heard = self._engine.clock()
        if self._delayed or self._engine.delay(self):
            self._delay(data)
        else:
            self._carry(self._connection.receive(data, self.last_heard))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        self._server_state.connections.discard(self)
        self._all.alive.discard(self)
        self._engine.leave(self)
        if self._ending is not None:
            self._ending.cancel()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self._engine.slow(self)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._engine.quick(self)

    # What uvicorn calls.
    def shutdown(self) -> None:
        """The server stops."""
        self.close(GOING_AWAY, "server shutdown")

    # What the hub calls.
    def push(self, data: bytes) -> None:
        """Writes whole frames; never waits."""
        if self._ending is None:
            self._write(data)

    def check_heartbeat(self, now: float) -> None:
        """Closes the connection if its heartbeat is overdue."""
        session = self._connection.session
        if session is not None and session.overdue(now):
            self.close(POLICY_VIOLATION, "heartbeat timeout")

    # What the engine calls.
    def close(self, code: int, reason: str) -> None:
        """Begins to close; pushes end here."""
        if self._ending is None:
            self._end()
            self._carry(self._connection.close(code, reason))

    def reset(self) -> None:
        """Ends the connection at once, with a reset of TCP."""
        plain = self.transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._engine.leave(self)
        self.transport.abort()

    def _hear(self, path: str, text: str) -> None:
        if self._engine.heard is not None and (caller := self._engine.callers.get(self)) is not None:
            self._engine.heard(Heard(caller.client.connection, path, text))

    def _delay(self, data: bytes) -> None:
        """Looks at what came when a scenario says, in order; reads nothing more while much of it waits."""
        loop = asyncio.get_running_loop()
        self._delayed.append(data)
        self._delayed_size += len(data)
        self._delayed_until = max(self._delayed_until, loop.time() + self._engine.delay(self))
        loop.call_at(self._delayed_until, self._look)
        if self._delayed_size > self._bound:
            self.transport.pause_reading()

    def _look(self) -> None:
        data = self._delayed.popleft()
        self._delayed_size -= len(data)
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._carry(self._connection.receive(data, self._engine.clock()))

    def _carry(self, out: Iterable[bytes | Decision]) -> None:
        """Writes and carries out, in order."""
        replies: list[bytes] = []
        over = False
        close: Close | None = None
        for item in out:
            if isinstance(item, Close):
                close = item
            elif not isinstance(item, bytes):
                replies.append(self._engine.carry_out(self, item))
            elif item:
                replies.append(item)
            else:
                over = True
        if data := b"".join(replies):
            self._write(data)
        if close is not None:
            self.close(*close)
        if over:
            self._end()
            if self.transport.can_write_eof():
                self.transport.write_eof()

    def _end(self) -> None:
        """Leaves the client `LINGER` to close its side. Closing at once would reset the connection while
        the client still sends, and what we said last would be lost."""
        self._engine.leave(self)
        if self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)

    def _write(self, data: bytes) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        rest: bytes | memoryview = data
        if self._descriptor is not None and not transport.get_write_buffer_size():
            try:
                sent = os.write(self._descriptor, data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                transport.abort()
                return
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
        transport.write(rest)
        if transport.get_write_buffer_size() > self._bound and self._ending is None:
            log.warning("client closed: too slow", unread_bytes=transport.get_write_buffer_size())
            self.close(POLICY_VIOLATION, f"too slow: over {self._bound} bytes unread")
