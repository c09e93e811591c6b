"""The server's side of any WebSocket, without sockets: bytes and a time in, messages and bytes out.

Handshake, control frames, fragments and what breaks the rules are `websockets`'; the request of a handshake
comes parsed. Here what follows it is cut into frames, and whole messages are read, in a third of the time
that the library takes. Fragments are joined here too, and text that is not UTF-8 is refused (1007).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHeader,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
)
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.typing import ExtensionParameter, Subprotocol

from ..model import Ending
from .entry import SUBPROTOCOL
from .form import WINDOW_BITS, text_frame
from .messages import MAX_MESSAGE, HttpError, to_json
from .ret import Ret

END = b""
"""Stands where our side ends, behind what is written before it."""
MASK_SIZE = 4
"""Bytes between a frame's length and its payload (RFC 6455, 5.2)."""
MASKED = 0x80
"""The bit beside a frame's length that all frames of clients have set (5.2)."""
LENGTH_IN_2, LENGTH_IN_8 = 126, 127
"""Lengths that say that the length follows, in so many bytes (5.2)."""
WHOLE_TEXT, WHOLE_BINARY = 0x81, 0x82
"""How a message begins that is one frame (5.2)."""
BEGINS = frozenset({0x00, 0x01, 0x02, 0x80, WHOLE_TEXT, WHOLE_BINARY, 0x88, 0x89, 0x8A})
"""How frames may begin (5.2)."""
DEFLATED_BEGINS = frozenset({0x41, 0x42, 0xC1, 0xC2})
"""How compressed messages may begin (RFC 7692, 6); the library inflates them, up to `MAX_MESSAGE`."""
EMPTY_BLOCK = b"\0\0\xff\xff"
"""Ends each compressed message, and is not sent (RFC 7692, 7.2.1)."""
FINAL_BLOCK = b"\x03\0"
"""One of no bytes, which ends what is inflated if it stands where a block begins (RFC 1951, 3.2.3)."""
MOST_FINALS = 16
"""Final blocks within a message, each of which costs an inflater: clients send one, if any."""
VERSION = "Sec-WebSocket-Version"
MAX_LINE = 8 * 1024
"""Bytes of the longest header of an upgrade."""
WITH_BODY = Ret(400, "an upgrade has no body", 400)
LONG_HEADER = Ret(431, "request header fields too large", 431)
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


def _nobody(_: int) -> None:
    """Nobody is told."""


class Frames:
    """One WebSocket: what a client sends becomes messages and pings."""

    def __init__(
        self,
        enter: Enter,
        *,
        text_only: bool = False,
        deflate: bool = False,
        answered: Callable[[int], None] = _nobody,
    ) -> None:
        """`text_only` ends a connection on which a binary message comes (1003); `deflate` agrees to
        permessage-deflate (RFC 7692). `answered` is told with which status the handshake is."""
        self._enter: Enter | None = enter  # until the handshake
        self._answered = answered
        self.text_only = text_only
        """Whether a binary message ends it."""
        self._protocol = _Protocol(max_size=MAX_MESSAGE, extensions=[DEFLATE] if deflate else None)
        self._entered = False
        self._between = False  # whether what comes next begins a frame; if not, only the library knows
        self._part = bytearray()  # of a frame that has not come whole
        self._missing = 0  # bytes of it, if that is known
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
    def deflated(self) -> bool:
        """Whether messages may be compressed, of either side."""
        return bool(self._protocol.extensions)

    @property
    def closing(self) -> bool:
        """Whether either side has begun to close."""
        return self._protocol.state in (State.CLOSING, State.CLOSED)

    @property
    def failure(self) -> int | None:
        """The code that closed the connection for what came: frames against RFC 6455, too long, no UTF-8."""
        sent = self._protocol.close_sent
        return self._failed if self._protocol.parser_exc is None or sent is None else sent.code

    @property
    def ending(self) -> tuple[int, Ending]:
        """The code with which a connection ended that we did not mean to end, and why."""
        if (failure := self.failure) is not None:
            return failure, Ending.PROTOCOL
        said = self._protocol.close_rcvd
        return (CloseCode.ABNORMAL_CLOSURE, Ending.LOST) if said is None else (said.code, Ending.CLIENT)

    def overdue(self, now: float) -> bool:
        """Whether a message that came in part is not complete in time."""
        return self._begun is not None and now - self._begun >= MESSAGE_TIMEOUT

    def upgrade(self, request: Request) -> list[bytes]:
        """The request of the handshake came: what to write, as of `receive`."""
        enter, self._enter = self._enter, None
        headers = request.headers
        if any(len(name) + len(value) > MAX_LINE for name, value in headers.raw_items()):
            response = refusal(LONG_HEADER)
        elif "Transfer-Encoding" in headers or {*headers.get_all("Content-Length")} - {"0"}:
            response = refusal(WITH_BODY)
        else:
            response = self._protocol.accept(request)
        failed = self._protocol.handshake_exc
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and enter is not None:
            response = enter(request) or response
        elif isinstance(failed, InvalidHeader) and failed.name == VERSION:
            response.headers[VERSION] = "13"  # so that it can come again with that (4.4)
        self._protocol.send_response(response)
        self._between = self._entered = self.open
        self._answered(response.status_code)
        self._answered = _nobody  # whoever it was holds us, and lasts
        return self.waiting()

    def receive(self, data: bytes, now: float) -> Iterator[bytes | Message | Ping]:
        """Bytes came behind the request of the handshake: what to write and what was said, in order. What is
        said to a message is written next.

        Empty bytes mean: close the sending side.
        """
        self.together = 0
        if not self._between:
            yield from self._by_library(data, now)
            return
        if self._part:
            self._part += data
            self._missing -= len(data)
            if self._missing > 0:
                return
            data, self._part = bytes(self._part), bytearray()
        at, end = 0, len(data)
        while self._between and end - at >= 2:
            first, length, payload = data[at], data[at + 1] ^ MASKED, at + 2 + MASK_SIZE
            if length & MASKED or not (first in BEGINS or (first in DEFLATED_BEGINS and self.deflated)):
                self._between = False
                break
            if length == LENGTH_IN_2:
                payload += 2
                length = int.from_bytes(data[at + 2 : at + 4])
            elif length == LENGTH_IN_8:
                payload += 8
                length = int.from_bytes(data[at + 2 : at + 10])
            if payload > end:
                break  # before its length is known
            after = payload + length
            if length > MAX_MESSAGE:
                self._between = False
            elif after > end:
                self._missing = after - end
                break
            elif first in (WHOLE_TEXT, WHOLE_BINARY) and self._begun is None:
                self.together += 1
                self.heard = now
                message = apply_mask(data[payload:after], data[payload - MASK_SIZE : payload])
                if self._checked(message, binary=first == WHOLE_BINARY):
                    yield Message(message, first == WHOLE_BINARY)
                if self._protocol.writes:
                    yield from self._protocol.data_to_send()
                self._between = self.open
                at = after
            else:
                yield from self._by_library(data[at:after], now)
                self._between = self.open
                at = after
        if not self._between:  # against the rules, or behind the end: the library knows what to do
            yield from self._by_library(data[at:], now)
        elif at < end:
            self._part += data[at:]

    def _by_library(self, data: bytes, now: float) -> Iterator[bytes | Message | Ping]:
        """As `receive`, whatever the bytes are."""
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        self.together += len(events)
        for event in events:
            self.heard = now
            if isinstance(event, Frame) and self._entered:
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

    def end(self) -> None:
        """The socket is closed: lets go of what holds this, so that nothing is left to the garbage collector,
        which comes late to what has lived for long."""
        self._enter = None
        self._protocol.parser.close()

    def _join(self, frame: Frame, now: float) -> bytes | None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
            if not frame.fin:
                self._begun = now
        if self._begun is None:
            message = bytes(frame.data)
        else:
            self._message += frame.data
            if not frame.fin:
                return None
            message, self._message, self._begun = bytes(self._message), bytearray(), None
        return message if self._checked(message, binary=self._opcode is Opcode.BINARY) else None

    def _checked(self, message: bytes, *, binary: bool) -> bool:
        """Whether a message may stand; if not, the connection fails."""
        if not binary:
            try:
                message.decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                return False
        elif self.text_only:
            self._fail(CloseCode.UNSUPPORTED_DATA, "text frames only")
            return False
        return True

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


class _Inflating(PerMessageDeflate):
    """Inflates messages. The library drops what follows a final block, which may be the rest of the message
    (RFC 7692, 7.2.1), and keeps it in memory until the last fragment."""

    _inflater: zlib._Decompress
    _finals = 0  # blocks of this message that ended a stream

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """A frame as it was before it was compressed; of all bytes at most `max_size`."""
        if frame.opcode is Opcode.CONT:
            if not self.decode_cont_data:
                return frame
            if frame.rsv1:
                raise ProtocolError("RSV1 bit set in continuation frame")
        elif frame.opcode not in (Opcode.TEXT, Opcode.BINARY) or not frame.rsv1:
            return frame
        else:
            self._finals = 0
            self._begin()
        self.decode_cont_data = not frame.fin
        most = MAX_MESSAGE if max_size is None else max_size
        rest, found = bytes(frame.data) + (EMPTY_BLOCK if frame.fin else b""), b""
        while rest:
            if self._inflater.eof:
                if frame.fin and rest == EMPTY_BLOCK:  # some let a final block stand at the end
                    break
                self._finals += 1
                if self._finals > MOST_FINALS:
                    raise ProtocolError(f"more than {MOST_FINALS} final blocks")
                self._begin()
            try:
                found += self._inflater.decompress(rest, most + 1 - len(found))
            except zlib.error as error:
                raise ProtocolError("decompression failed") from error
            if len(found) > most:
                raise PayloadTooBig(None, most)
            rest = self._inflater.unused_data
        if frame.fin:
            if not self._is_complete():
                raise ProtocolError("a compressed message is not complete")
            del self._inflater  # it has a window of its own
        return replace(frame, data=found, rsv1=False)

    def _is_complete(self) -> bool:
        """Whether the message ended with a block, and not in the midst of one."""
        try:
            return self._inflater.eof or (
                not self._inflater.decompress(FINAL_BLOCK, 1) and self._inflater.eof
            )
        except zlib.error:
            return False

    def _begin(self) -> None:
        self._inflater = zlib.decompressobj(-self.remote_max_window_bits)


class _Deflate(ServerPerMessageDeflateFactory):
    """Agrees to compression where each message stands by itself: so a push is compressed once for all
    clients, and none of them costs memory between its messages."""

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Declines where a client can only look back less far than a push is compressed."""
        answer, deflate = super().process_request_params(params, accepted_extensions)
        if deflate.local_max_window_bits < WINDOW_BITS:
            raise NegotiationError(f"server_max_window_bits below {WINDOW_BITS}")
        takeovers = deflate.remote_no_context_takeover, deflate.local_no_context_takeover
        bits = deflate.remote_max_window_bits, deflate.local_max_window_bits
        return answer, _Inflating(*takeovers, *bits)


DEFLATE = _Deflate(server_no_context_takeover=True, client_no_context_takeover=True)


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
        if isinstance(self.parser_exc, PayloadTooBig) and self.parser_exc.size and END in self.writes:
            self._rest = MASK_SIZE + self.parser_exc.size - self._behind
            if self._rest > 0:
                self.writes.remove(END)

    def parse(self) -> Generator[None]:
        """Frames alone: the request of the handshake comes parsed."""
        return Protocol.parse(self)

    def accept(self, request: Request) -> Response:
        """As the library, which words what is refused, but without the date, whose making takes as long as
        all the rest."""
        try:
            key, extensions, subprotocol = self.process_request(request)
        except Exception:
            return super().accept(request)
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", key)]
        if extensions is not None:
            headers.append(("Sec-WebSocket-Extensions", extensions))
        if subprotocol is not None:
            headers.append(("Sec-WebSocket-Protocol", subprotocol))
        return Response(HTTPStatus.SWITCHING_PROTOCOLS, "Switching Protocols", Headers(headers))

    def fail(self, code: int, reason: str = "") -> None:
        self._behind = len(self.reader.buffer)
        super().fail(code, reason)

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Ours, if it is asked for; whoever asks for others goes on without one."""
        return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in subprotocols else None

    def reject(self, status: int, text: str) -> Response:
        return refusal(Ret(int(status), text.strip(), int(status)))

    def recv_frame(self, frame: Frame) -> None:
        """A Close may stand inside a message (RFC 6455, 5.4), which then never ends; it is answered by its
        own code (5.5.1), where `websockets` would call it an error."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
