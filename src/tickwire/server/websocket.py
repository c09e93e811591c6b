"""The WebSocket shell: carries bytes between a socket, its connection and the engine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from typing import Any, cast

import structlog
from uvicorn.server import ServerState

from ..engine import Engine
from ..wire import Connection, Decision

LINGER = 2.0
"""Seconds that a client has to close its side after we began to close ours."""
SWEEP = 0.25
"""Seconds between looks for connections that are overdue."""
DIRECT_WRITES = sys.platform != "win32"
"""Whether os.write takes a socket's descriptor."""
GOING_AWAY, POLICY_VIOLATION = 1001, 1008  # RFC 6455, 7.4.1

log = structlog.get_logger()


class WebSockets:
    """All WebSockets of a server."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.alive: set[WebSocket] = set()

    def protocol(self, *, server_state: ServerState, **_: Any) -> WebSocket:
        """Makes the protocol of an upgraded connection; called by uvicorn."""
        return WebSocket(self, server_state)

    async def sweep(self) -> None:
        """Closes those from which nothing came for too long. Never ends."""
        while True:
            await asyncio.sleep(SWEEP)
            now = self.engine.clock()
            for websocket in tuple(self.alive):
                websocket.check_heartbeat(now)


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
        self._connection = Connection(self._engine.admit, strict=self._engine.dialect.strict_protocol)
        self._bound = self._engine.settings.client_buffer
        self._descriptor: int | None = None
        self._ending: asyncio.TimerHandle | None = None

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
        self._carry(self._connection.receive(data, self._engine.clock()))

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
        self._close(GOING_AWAY, "server shutdown")

    # What the hub calls.
    def push(self, data: bytes) -> None:
        """Writes whole frames; never waits."""
        if self._ending is None:
            self._write(data)

    def check_heartbeat(self, now: float) -> None:
        """Closes the connection if its heartbeat is overdue."""
        session = self._connection.session
        if session is not None and session.overdue(now):
            self._close(POLICY_VIOLATION, "heartbeat timeout")

    def _carry(self, out: Iterable[bytes | Decision]) -> None:
        """Writes and carries out, in order."""
        replies: list[bytes] = []
        over = False
        for item in out:
            if not isinstance(item, bytes):
                replies.append(self._engine.carry_out(self, item))
            elif item:
                replies.append(item)
            else:
                over = True
        if data := b"".join(replies):
            self._write(data)
        if over:
            self._end()
            if self.transport.can_write_eof():
                self.transport.write_eof()

    def _close(self, code: int, reason: str) -> None:
        """Begins to close; pushes end here."""
        if self._ending is None:
            self._end()
            self._carry(self._connection.close(code, reason))

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
            self._close(POLICY_VIOLATION, f"too slow: over {self._bound} bytes unread")
