"""The server's side of one WebSocket, without sockets: bytes and a time in, decisions and bytes out.

Handshake, frames, masks, control frames and limits are `websockets`'; here are the joining of
fragments, the refusal of text that is not UTF-8 (1007) and the way from a message to its session.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeAlias

from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ..model import Family
from .entry import SUBPROTOCOL, WS_PATHS, base_of, parameters, token_of
from .messages import MAX_MESSAGE, HttpError, to_json
from .ret import PATH_UNKNOWN, TOKEN_REQUIRED, Ret
from .session import Decision, Refused, Session

Admit: TypeAlias = Callable[[Family | None, str], Session]
"""Opens a session for a token and the family of the path, None if it is no WebSocket's. Raises Refused."""


class Connection:
    """One client's WebSocket."""

    def __init__(
        self, admit: Admit, *, strict: bool = False, heard: Callable[[str, str], None] | None = None
    ) -> None:
        """`heard` is told of every message: the path of the upgrade, and the text."""
        self._admit = admit
        self._strict = strict
        self._heard = heard
        self._path = ""
        self._protocol = _Protocol(max_size=MAX_MESSAGE, select_subprotocol=_subprotocol)
        self._session: Session | None = None
        self._message = bytearray()
        self._opcode = Opcode.TEXT

    @property
    def open(self) -> bool:
        """Whether the handshake is done and neither side has begun to close."""
        return self._protocol.state is State.OPEN

    @property
    def session(self) -> Session | None:
        """The session; None before the handshake and where it failed."""
        return self._session

    def receive(self, data: bytes, now: float) -> list[bytes | Decision]:
        """Bytes came: what to write and what to carry out, in order.

        Empty bytes mean: close the sending side.
        """
        self._protocol.receive_data(data)
        out: list[bytes | Decision] = []
        for event in self._protocol.events_received():
            decision = None
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame) and self._session is not None:
                decision = self._frame(event, self._session, now)
            out += self._protocol.data_to_send()
            if decision is not None:
                out.append(decision)
        out += self._protocol.data_to_send()
        return out

    def close(self, code: int, reason: str) -> list[bytes]:
        """Begins to close, if the connection is open: what to write."""
        if self.open:
            self._protocol.send_close(code, reason)
        return self._protocol.data_to_send()

    def _handshake(self, request: Request) -> None:
        response = self._protocol.accept(request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            response = self._enter(request) or response
        self._protocol.send_response(response)

    def _enter(self, request: Request) -> Response | None:
        """Opens the session, or makes the response that refuses the connection."""
        path, _, query = request.path.partition("?")
        self._path = path
        if base_of(path) is None:
            return _refusal(PATH_UNKNOWN)
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        token = token_of(parameters(query.encode()).token, headers, strict=self._strict)
        if token is None:
            return _refusal(TOKEN_REQUIRED)
        try:
            self._session = self._admit(WS_PATHS.get(path), token)
        except Refused as refused:
            return _refusal(refused.ret, refused.retry_after)
        return None

    def _frame(self, frame: Frame, session: Session, now: float) -> Decision | None:
        if frame.opcode is Opcode.PING:
            session.ping(now)
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or not self.open:
            return None
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._message += frame.data
        if not frame.fin:
            return None
        message, self._message = bytes(self._message), bytearray()
        if self._opcode is Opcode.TEXT:
            try:
                message.decode()
            except UnicodeDecodeError:
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                return None
        elif self._strict:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "text frames only")
            return None
        if self._heard is not None:
            self._heard(self._path, message.decode(errors="replace"))
        answer = session.receive(message, now)
        self._protocol.send_text(answer.reply)
        return answer.decision


def _subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Ours, if it is asked for; whoever asks for others goes on without one."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


class _Protocol(ServerProtocol):
    """Answers a failed handshake with a body like that of every other error."""

    def reject(self, status: int, text: str) -> Response:
        return _refusal(Ret(int(status), text.strip(), int(status)))


def _refusal(ret: Ret, retry_after: float | None = None) -> Response:
    body = to_json(HttpError(ret.msg, "", ret.code))
    headers = Headers(
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("Access-Control-Allow-Origin", "*"),
        ]
    )
    if retry_after is not None:
        headers["Retry-After"] = str(math.ceil(retry_after))
    phrase = next((one.phrase for one in HTTPStatus if one == ret.status), "Refused")
    return Response(ret.status, phrase, headers, body)
