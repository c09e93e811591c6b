"""uvicorn's HTTP protocol with bounds on what a client may send before it has asked for anything."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..wire import Ret, failure

MAX_HEAD = 256 * 1024
"""Bytes of the longest request line and headers; a query of some 3 000 codes fits."""
HEAD_TIMEOUT = 30.0
"""Seconds in which the head of a request must be there."""
STALL_TIMEOUT = 30.0
"""Seconds in which a client must take what it is answered."""
TOO_LARGE = Ret(431, "request header fields too large", 431)


class HttpProtocol(HttpToolsProtocol):
    """Refuses a request whose head is too long or too slow, and drops a client that reads no answer."""

    _head = 0  # bytes since the last body: the head of a request, or the trailers of a chunked one
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        if self._head > MAX_HEAD:
            self._refuse()
            return
        super().data_received(data)
        if self._in_head and self._head and self._deadline is None:  # it goes on
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.abort)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head = 0
        self._stop_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        websockets: Any = self.ws_protocol_class
        self.ws_protocol_class = partial(websockets, path=self.url.partition(b"?")[0].decode("latin-1"))  # type: ignore[assignment]
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_deadline()
        self._deadline = self.loop.call_later(STALL_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_deadline()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        body = failure(TOO_LARGE)
        head = (
            f"HTTP/1.1 {TOO_LARGE.status} Request Header Fields Too Large\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
