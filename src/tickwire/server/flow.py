"""What stands between uvicorn and a connection of HTTP: when it is read, how it is answered, and when an
answer ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from starlette.types import Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from ..wire.http import failure
from ..wire.ret import Ret

Header: TypeAlias = tuple[bytes, bytes]

WHOLE = "tickwire.whole"
"""The extension of ASGI that answers a request in one piece: see `answer_whole`."""


class Flow(FlowControl):
    """uvicorn's wish to read on, or not; the protocol decides, since it also holds what is not parsed yet.
    `changed` is called when reading may go on."""

    def __init__(self, transport: asyncio.Transport, changed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._changed = changed

    def pause_reading(self) -> None:
        self.read_paused = True

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._changed()

    def end(self) -> None:
        """Lets go of the protocol, which holds this: nothing is left to the garbage collector."""
        self._changed = _nothing


def _nothing() -> None:
    """What is to be done where nothing is."""


async def answer_whole(scope: Scope, status: int, headers: Iterable[Header], body: bytes) -> None:
    """Answers a request with what is there in one piece, for which ASGI takes two messages and two writes.

    The headers are written as they are, Content-Length among them. The status is noted in the extension.
    """
    cycle: RequestResponseCycle = scope["extensions"][WHOLE]["cycle"]
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    if cycle.waiting_for_100_continue:
        cycle.waiting_for_100_continue = cycle.keep_alive = False  # see `closing`
    cycle.response_started = cycle.response_complete = True
    scope["extensions"][WHOLE]["status"] = status
    pieces = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        pieces += name, b": ", value, b"\r\n"
    pieces.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    if scope["method"] != "HEAD":
        pieces.append(body)
    cycle.transport.write(b"".join(pieces))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


async def refuse(scope: Scope, ret: Ret) -> None:
    """Answers with an error, after which the connection ends."""
    cycle: RequestResponseCycle = scope["extensions"][WHOLE]["cycle"]
    cycle.keep_alive = False
    body = failure(ret)
    headers = [
        (b"access-control-allow-origin", b"*"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await answer_whole(scope, ret.status, headers, body)


def last_answer(ret: Ret, headers: str = "") -> bytes:
    """An error as it stands on the socket, after which the connection ends."""
    body = failure(ret)
    return (
        f"HTTP/1.1 {ret.status} {HTTPStatus(ret.status).phrase}\r\n{headers}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    ).encode() + body


def closing(cycle: RequestResponseCycle) -> Send:
    """Ends the connection with an answer that comes while the client still waits for `100 Continue`: it may
    send its body now or not, and there is no telling (RFC 9110, 10.1.1)."""

    async def sent(message: Any) -> None:
        if cycle.waiting_for_100_continue:
            cycle.keep_alive = False
        await cycle.send(message)

    return sent
