"""The server's side of any WebSocket, without sockets: bytes and a time in, messages and bytes out.

Handshake, frames, masks, control frames and limits are `websockets`'; here are the joining of
fragments and the refusal of text that is not UTF-8 (1007).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from .entry import SUBPROTOCOL
from .messages import MAX_MESSAGE, HttpError, to_json
from .push import text_frame
from .ret import Ret

END = b""
"""Stands where our side ends, behind what is written before it."""
MASK_SIZE = 4
"""Bytes between a frame's length and its payload (RFC 6455, 5.2)."""
MESSAGE_TIMEOUT = 30.0
"""Seconds in which a message must be complete that comes in fragments."""

Enter: TypeAlias = Callable[[Request], Response | None]
"""Lets an upgrade in, or makes the response that refuses it."""


class Message(NamedTuple):
    """A whole message, of text unless it came in binary frames."""

    data: bytes
    binary: bool = False


class Ping(msgspec.Struct, frozen=True):
    """The client sent a ping; it is answered already."""


class Frames:
    """One WebSocket: what a client sends becomes messages and pings."""

    def __init__(self, enter: Enter, *, text_only: bool = False) -> None:
        """`text_only` ends a connection on which a binary message comes (1003)."""
        self._enter = enter
        self._text_only = text_only
        self._protocol = _Protocol(max_size=MAX_MESSAGE, select_subprotocol=_subprotocol)
        self._entered = False
        self._message = bytearray()
        self._opcode = Opcode.TEXT
        self._begun: float | None = None
        self.heard = -math.inf
        """When the last whole frame came."""
        self.together = 0
        """How many whole frames came at the last time that bytes did."""
        self._failed: int | None = None

    @property
    def open(self) -> bool:
        """Whether the handshake is done and neither side has begun to close."""
        return self._protocol.state is State.OPEN

    @property
    def closing(self) -> bool:
        """Whether either side has begun to close."""
        return self._protocol.state in (State.CLOSING, State.CLOSED)

    @property
    def failure(self) -> int | None:
        """The code that closed the connection for what came: frames against RFC 6455, too long, no UTF-8."""
        sent = self._protocol.close_sent
        return self._failed if self._protocol.parser_exc is None or sent is None else sent.code

    def overdue(self, now: float) -> bool:
        """Whether a message that came in part is not complete in time."""
        return self._begun is not None and now - self._begun >= MESSAGE_TIMEOUT

    def receive(self, data: bytes, now: float) -> Iterator[bytes | Message | Ping]:
        """Bytes came: what to write and what was said, in order. What is said to a message is written next.

        Empty bytes mean: close the sending side.
        """
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        self.together = len(events)
        for event in events:
            self.heard = now
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame) and self._entered:
                if event.opcode is Opcode.PING:
                    yield Ping()
                elif (message := self._join(event, now)) is not None:
                    yield Message(message, self._opcode is Opcode.BINARY)
            if self._protocol.writes:
                yield from self._protocol.data_to_send()
        yield from self._protocol.data_to_send()

    def send(self, text: bytes) -> None:
        """A message to the client, if the connection is open still."""
        if self._protocol.state is State.OPEN:
            self._protocol.writes.append(text_frame(text))  # in a tenth of the time that `send_text` takes

    def ping(self) -> None:
        """A ping to the client, if the connection is open still."""
        if self.open:
            self._protocol.send_ping(b"")

    def close(self, code: int, reason: str) -> list[bytes]:
        """Begins to close, if the connection is open: what to write."""
        if self.open:
            self._protocol.send_close(code, reason)
        return self.waiting()

    def waiting(self) -> list[bytes]:
        """What to write of what was said."""
        return self._protocol.data_to_send()

    def _handshake(self, request: Request) -> None:
        response = self._protocol.accept(request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            refused = self._enter(request)
            self._entered = refused is None
            response = refused or response
        self._protocol.send_response(response)

    def _join(self, frame: Frame, now: float) -> bytes | None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
            if not frame.fin:
                self._begun = now
        if self._begun is None:  # most come whole
            message = bytes(frame.data)
        else:
            self._message += frame.data
            if not frame.fin:
                return None
            message, self._message, self._begun = bytes(self._message), bytearray(), None
        if self._opcode is Opcode.TEXT:
            try:
                message.decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                return None
        elif self._text_only:
            self._fail(CloseCode.UNSUPPORTED_DATA, "text frames only")
            return None
        return message

    def _fail(self, code: int, reason: str) -> None:
        self._failed = code
        self._entered = False  # what came behind it is not looked at
        self._protocol.fail(code, reason)


def refusal(ret: Ret, retry_after: float | None = None, *, pages: bool = True) -> Response:
    """The response that refuses an upgrade; `pages` lets web pages of any origin read it."""
    body = to_json(HttpError(ret.msg, "", ret.code))
    headers = Headers(
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
    )
    if pages:
        headers["Access-Control-Allow-Origin"] = "*"
    if retry_after is not None:
        headers["Retry-After"] = str(math.ceil(retry_after))
    phrase = next((one.phrase for one in HTTPStatus if one == ret.status), "Refused")
    return Response(ret.status, phrase, headers, body)


def _subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Ours, if it is asked for; whoever asks for others goes on without one."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


class _Protocol(ServerProtocol):
    """Answers a failed handshake with a body like that of every other error.

    A message that is too long is read to its end before our side ends: many clients look at what we said
    only when they have sent all of theirs.
    """

    _behind = 0  # bytes that had come behind what failed the connection
    _rest = 0  # bytes of a message too long that are still to come

    def receive_data(self, data: bytes | bytearray) -> None:
        if self._rest > 0:
            self._rest -= len(data)
            if self._rest <= 0:
                self.writes.append(END)
            return
        super().receive_data(data)
        if isinstance(self.parser_exc, PayloadTooBig) and END in self.writes:
            self._rest = MASK_SIZE + (self.parser_exc.size or 0) - self._behind
            if self._rest > 0:
                self.writes.remove(END)

    def fail(self, code: int, reason: str = "") -> None:
        self._behind = len(self.reader.buffer)
        super().fail(code, reason)

    def reject(self, status: int, text: str) -> Response:
        return refusal(Ret(int(status), text.strip(), int(status)))

    def recv_frame(self, frame: Frame) -> None:
        """A Close may stand inside a message (RFC 6455, 5.4), which then never ends; it is answered by its
        own code (5.5.1), where `websockets` would call it an error."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
