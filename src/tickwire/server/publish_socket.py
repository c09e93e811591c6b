"""Publishing over a WebSocket: each message holds lines, and is answered when they are taken."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import cast

import structlog
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from ..errors import SourceError, StoreError
from ..wire import MAX_MESSAGE, OK, POLICY_VIOLATION, Ret, failure, publish_answer
from .guard import Denied
from .publish import NOT_KEPT, Permit, Publishing

QUIET = 30.0
"""Seconds without a byte after which the publisher is pinged; after as many again it counts as gone."""
ANSWERS = 64
"""Answers that are written at once where many messages come together."""
LINGER = 2.0
"""Seconds that a publisher has to close its side after we began to close ours."""

log = structlog.get_logger()


class PublishSocket(asyncio.Protocol):
    """One publisher's socket.

    Nothing more is read from it while a message is being taken, or while its answers are not read: so
    whoever sends too fast is slowed down, and memory stays bounded.
    """

    transport: asyncio.Transport

    def __init__(self, publishing: Publishing, alive: set[PublishSocket], server_state: ServerState) -> None:
        """`alive` is the set that it stands in while it is connected."""
        self._publishing = publishing
        self._alive = alive
        self._server_state = server_state
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE)
        self._permit: Permit | None = None
        self._fragments = bytearray()
        self._opcode = Opcode.TEXT
        self._messages: deque[bytes] = deque()
        self._count = 0
        self._taking: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._heard = self._pinged = publishing.engine.clock()
        self._ending: asyncio.TimerHandle | None = None

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request has been read."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._alive.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came from the publisher."""
        self._heard = self._publishing.engine.clock()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._messages and self._taking is None:
            self.transport.pause_reading()
            self._taking = asyncio.get_running_loop().create_task(self._take())

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever; what came before is taken all the same."""
        self._server_state.connections.discard(self)
        self._alive.discard(self)
        self._writable.set()
        if self._ending is not None:
            self._ending.cancel()

    def pause_writing(self) -> None:
        """The publisher does not read its answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    # What uvicorn calls.
    def shutdown(self) -> None:
        """The server stops."""
        self.close(CloseCode.GOING_AWAY, "server shutdown")

    # What the sweep calls.
    def check(self, now: float) -> None:
        """Closes the connection if its token counts no more, or if the publisher is gone."""
        if self._permit is None or self._ending is not None:
            return
        if (objection := self._publishing.objection(self._permit)) is not None:
            self.close(POLICY_VIOLATION, objection)
        elif now - self._heard > 2 * QUIET and (self._taking is None or not self._writable.is_set()):
            self.close(POLICY_VIOLATION, "nothing heard for too long")
        elif now - max(self._heard, self._pinged) > QUIET and self._protocol.state is State.OPEN:
            self._pinged = now
            self._protocol.send_ping(b"")
            self._flush()

    def close(self, code: int, reason: str) -> None:
        """Begins to close."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        self._flush()
        self._end()

    async def _take(self) -> None:
        try:
            while self._messages and self._permit is not None:
                await self._answer(self._messages.popleft(), self._permit)
                if not self._messages or not self._count % ANSWERS:
                    self._flush()
                    await self._writable.wait()
        except Exception:
            log.exception("publishing failed")
            self.close(CloseCode.INTERNAL_ERROR, "server error")
        finally:
            self._taking = None
            if not self.transport.is_closing():
                self.transport.resume_reading()

    async def _answer(self, message: bytes, permit: Permit) -> None:
        """Takes the lines of a message; answers if the connection is open still."""
        published = self._publishing.published
        tally, ret = published.tally(permit.publisher), OK
        self._count += 1
        tally.message = self._count
        try:
            await published.take(permit.publisher, message.split(b"\n"), tally, allows=permit.allows)
        except StoreError:
            ret = NOT_KEPT
        except SourceError:  # the server stops, and has begun to close the connection
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(publish_answer(tally, ret))

    def _handshake(self, request: Request) -> None:
        response = self._protocol.accept(request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            headers = {name.lower(): value for name, value in request.headers.raw_items()}
            query = request.path.partition("?")[2].encode("latin-1", "replace")
            peer = self.transport.get_extra_info("peername")
            try:
                self._permit = self._publishing.admit(headers, query, peer[0] if peer else "")
            except Denied as denied:
                response = _refusal(denied)
        self._protocol.send_response(response)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._fragments += frame.data
        if not frame.fin:
            return
        message, self._fragments = bytes(self._fragments), bytearray()
        if self._opcode is Opcode.TEXT:
            try:
                message.decode()
            except UnicodeDecodeError:
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                return
        self._messages.append(message)

    def _flush(self) -> None:
        """Writes what the protocol has to say; empty bytes mean that our side ends."""
        for data in self._protocol.data_to_send():
            if self.transport.is_closing():
                return
            if data:
                self.transport.write(data)
            else:
                self._end()
                if self.transport.can_write_eof():
                    self.transport.write_eof()

    def _end(self) -> None:
        """Leaves the publisher `LINGER` to close its side, so that what we said last arrives."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)


def _refusal(denied: Denied) -> Response:
    body = failure(Ret(denied.status, denied.reason, denied.status))
    headers = Headers(
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
    )
    return Response(denied.status, HTTPStatus(denied.status).phrase, headers, body)
