"""uvicorn's HTTP protocol with bounds on what a client may send, and leave unread, before it is known."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderValue
from websockets.http11 import Request

from ..wire.ret import SERVER_ERROR, STOPPING, TOO_MANY_CONNECTIONS, Ret
from .bounds import LATE, TURN, Deadline, Held
from .flow import WHOLE, Flow, closing, last_answer
from .guests import Guests
from .shell import Shell
from .traffic import Traffic

MAX_HEAD = 256 * 1024
"""Bytes of the longest request line and headers; a query of some 3 000 codes fits."""
MAX_PATH = 2**16 - 1
"""Bytes of the longest path, without its query: as many as httptools can tell apart."""
MAX_FIELDS = 128
"""Headers of a request, and as many trailers."""
SLICE = 1024
"""Bytes of heads that are parsed at a time; no more requests wait for their answers than fit in."""
LONG_SLICE = 8 * 1024
"""Bytes of a head that is longer than `FREE_HEAD`: the parser copies what it has with each slice."""
BODY_SLICE = 256 * 1024
"""Bytes of a body that are parsed at a time, if its length is known."""
FREE_HEAD = 16 * 1024
"""Bytes of a request that may always be held; those beyond count in what all connections hold together."""
MOST_HELD = 64 * 1024 * 1024
"""Bytes that long requests of all connections hold together."""
HEAD_TIMEOUT = 30.0
"""Seconds in which the head of a request must be there."""
REST_TIMEOUT = 5.0
"""Seconds in which the rest of a body must come of which nothing is wanted any more."""
STALL_TIMEOUT = 30.0
"""Seconds in which a client must take what it is answered."""
LINGER = 2.0
"""Seconds that a client has to close its side after we closed ours."""

TOO_LARGE = Ret(431, "request header fields too large", 431)
MALFORMED = Ret(400, "this is no valid HTTP request", 400)
TWO_HOSTS = Ret(400, f"{MALFORMED.msg}: it has more than one Host header", 400)
NO_HOST = Ret(400, f"{MALFORMED.msg}: it has no Host header", 400)
OTHER_HOST = Ret(400, f"{MALFORMED.msg}: its target and its Host header name different hosts", 400)
FULL = Ret(503, "too many long requests are under way, try again", 503)


log = structlog.get_logger()


class Objection(Exception):
    """Raised in a callback of the parser, which has no other way to stop it."""


class HttpProtocol(HttpToolsProtocol):
    """One connection of HTTP.

    Nothing more is parsed, and hardly anything read, while a request waits for its answer. What is wrong is
    answered with JSON, after the requests before it have been answered, and ends the connection.
    """

    flow: Flow

    def __init__(self, held: Held, traffic: Traffic, **arguments: Any) -> None:
        """`held` counts what all connections hold of long requests, `traffic` those that go no further."""
        super().__init__(**arguments)
        self._guests: Guests = arguments["server_state"]
        self._held = held
        self._traffic = traffic
        self._counted = 0  # bytes that this connection has in it
        self._unparsed = bytearray()
        self._parsing = False
        self._paused = False
        self._head = 0  # bytes since the last body: the head of a request, or the trailers of a chunked one
        self._kept = 0  # bytes of the head of the request that is being answered
        self._url = bytearray()
        self._host: bytes | None = None
        self._upgrades: bool | None = None  # until it is known
        self._fields = 0
        self._body_left = 0  # bytes to come of a body whose length is known
        self._in_head = True
        self._unanswered = 0
        self._answering: RequestResponseCycle | None = None
        self._objection: Ret | None = None
        self._ended = False
        self._discarded = 0  # bytes that came after that
        self._deadline: Deadline | None = None  # for the client to send what it began
        self._stall: Deadline | None = None  # for the client to read

    # What asyncio calls. The first bytes follow at once: see `Door`.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.connections.add(self)
        self.transport = transport
        self.flow = Flow(transport, self._parse)
        self.scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"

    def data_received(self, data: bytes) -> None:
        if self._ended:
            self._discarded += len(data)
            if self._discarded > MAX_HEAD:
                self.transport.abort()
            return
        if len(data) > SLICE or self._unparsed or self._parsing or self._waits():
            self._unset_keepalive_if_required()
            self._unparsed += data
            self._parse()
        else:  # a request of its own, as nearly all are
            self._parsing = True
            self._parse_slice(data)
            self._parsing = False
            self._go_on()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = Deadline(STALL_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        self._met_stall()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._unparsed.clear()
        self._count(0)
        self._set_deadline(None)
        self._met_stall()
        self._unset_keepalive_if_required()
        if self._answering is not None:  # uvicorn tells only the newest request, which may wait behind it
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self.flow.end()
        self._guests.leave(self.transport)

    # What the parser calls.
    def on_message_begin(self) -> None:
        self._fields = self._body_left = 0
        self._url.clear()
        self._host = None
        self._upgrades = None
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            self._object(TOO_LARGE)
        if not self._in_head:  # trailers are no headers (RFC 9110, 6.5.1)
            return
        name = name.lower()
        if name == b"content-length":
            self._body_left = int(value)
        elif name == b"host":
            if self._host is not None:
                self._object(TWO_HOSTS)
            self._host = value
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        url = bytes(self._url)
        # httptools cannot split a URL of 64 KiB, so uvicorn is given the path alone.
        self.url, _, query = url.partition(b"?")
        if len(self.url) > MAX_PATH:
            self._object(TOO_LARGE)
        self._check_host()
        before = self.cycle
        super().on_headers_complete()
        self.url = url
        self._kept, self._head, self._fields = self._head, 0, 0
        self._in_head = False
        self._set_deadline(None)
        if self.cycle is not before:  # it is no upgrade
            self._unanswered += 1
            self.scope["query_string"] = query.partition(b"#")[0]
            if self.server is None:  # an upgrade does without these calls of the system
                self.server, self.client = get_local_addr(self.transport), get_remote_addr(self.transport)
                self.scope["server"], self.scope["client"] = self.server, self.client

    def _check_host(self) -> None:
        """Objects where there is no Host header (RFC 9112, 3.2), or another host in the target (3.2.2)."""
        if self._host is None:
            if self.parser.get_http_version() == "1.1":
                self._object(NO_HOST)
            return
        if self.url.startswith(b"/"):
            return
        _, absolute, rest = self.url.partition(b"://")
        if absolute:
            named = rest.partition(b"/")[0]
            if named.lower() != self._host.lower():
                self._object(OTHER_HOST)

    def on_body(self, body: bytes) -> None:
        self._head = 0
        self._body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head = 0
        self._set_deadline(None)
        super().on_message_complete()

    # What uvicorn calls.
    def shutdown(self) -> None:
        if self._ended:
            self.transport.close()
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        self._kept = 0
        self._parsing = True  # not in the middle of this
        super().on_response_complete()
        self._parsing = False
        if self.transport.is_closing():
            return
        if self._objection is not None and not self._unanswered:
            self._refuse(self._objection)
        elif not self._in_head and not self._unanswered:
            self._set_deadline(Deadline(REST_TIMEOUT, self.transport.close))
        if self._unparsed:
            self._parse()
        else:
            self._go_on()

    def timeout_keep_alive_handler(self) -> None:
        timer = self.timeout_keep_alive_task
        if timer is not None and self.loop.time() - timer.when() > LATE:  # a request may wait in the socket
            self.timeout_keep_alive_task = self.loop.call_later(TURN, super().timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _should_upgrade(self) -> bool:
        """Only HTTP/1.1 has upgrades (RFC 9110, 7.8). Headers of one name are one list (5.3)."""
        if self._upgrades is None:  # it is asked several times
            self._upgrades = (
                self.parser.get_http_version() == "1.1"
                and b"upgrade" in self._listed(b"connection")
                and self._listed(b"upgrade") == [b"websocket"]
            )
        return self._upgrades

    def _listed(self, name: bytes) -> list[bytes]:
        return [
            one.strip().lower() for other, value in self.headers if other == name for one in value.split(b",")
        ]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        task = self.loop.create_task(self._answer(cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        cycle.scope["extensions"] = {WHOLE: {"cycle": cycle}}
        send: Any = closing(cycle) if cycle.waiting_for_100_continue else cycle.send
        try:
            await app(cycle.scope, cycle.receive, send)
            if not (cycle.response_complete or cycle.disconnected):
                raise RuntimeError("it was not answered to the end")
        except asyncio.CancelledError:  # the server stops
            self._say_in(cycle, STOPPING)
        except Exception:
            log.exception("a request over HTTP failed", path=cycle.scope["path"])
            self._say_in(cycle, SERVER_ERROR)
        finally:
            cycle.on_response = lambda: None  # it holds this connection, which holds it
            cycle.scope["extensions"].clear()

    def _say_in(self, cycle: RequestResponseCycle, ret: Ret) -> None:
        """Ends the connection in the middle of a request, with an answer if none has begun."""
        started, gone = cycle.response_started, cycle.disconnected
        cycle.response_started = cycle.disconnected = True  # uvicorn says nothing of its own
        cycle.message_event.set()
        if not started and not gone:
            self._refuse(ret)
        else:
            self.transport.close()

    # The parsing.
    def _parse(self) -> None:
        """Parses what has come, a slice at a time, while no request waits for its answer."""
        if self._parsing:
            return
        self._parsing = True
        while self._unparsed and not self._waits():
            size = self._slice()
            if size >= len(self._unparsed):
                piece, self._unparsed = self._unparsed, bytearray()
            else:
                piece = self._unparsed[:size]
                del self._unparsed[:size]
            self._parse_slice(piece)
        self._parsing = False
        self._go_on()

    def _go_on(self) -> None:
        """Settles what is held, when the rest must be there, and whether more is read."""
        if self._ended:
            return
        size = self._kept + self._head + len(self._unparsed)
        if (size > FREE_HEAD or self._counted) and not self._count(size):
            self._stop(FULL)
            return
        if self._in_head and self._head and self._deadline is None:  # a request has begun
            self._await_head()
        paused = bool(self._unparsed) or self.flow.read_paused
        if paused is not self._paused:
            self._pause(paused)

    def _slice(self) -> int:
        if self._in_head:
            return SLICE if self._head < FREE_HEAD else LONG_SLICE
        return max(SLICE, min(self._body_left, BODY_SLICE))

    def _waits(self) -> bool:
        """Whether what comes next has to wait for the answer to what came before."""
        return self._ended or self.flow.read_paused or (self._in_head and self._unanswered > 0)

    def _parse_slice(self, piece: bytes | bytearray) -> None:
        self._head += len(piece)
        if self._head > MAX_HEAD:
            self._stop(TOO_LARGE)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._unparsed[:0] = piece[upgrade.args[0] :]
            if self._should_upgrade():
                self._upgrade()
        except httptools.HttpParserCallbackError:
            self._stop(self._objection or MALFORMED)
        except httptools.HttpParserError as error:
            self._stop(Ret(400, f"{MALFORMED.msg}: {error}", 400))

    def _upgrade(self) -> None:
        if self._unanswered:
            self._stop(Ret(400, "an upgrade must wait for the answers before it", 400))
            return
        if not self._guests.forward(self.transport, self.headers):
            self._stop(TOO_MANY_CONNECTIONS)
            return
        try:
            request = self._upgrade_request()
        except InvalidHeaderValue:
            self._stop(MALFORMED)
            return
        self._pause(False)
        self._ended = True
        self._set_deadline(None)
        self._count(0)
        rest = bytes(self._unparsed)
        self._unparsed.clear()
        self.connections.discard(self)
        upgraded: Any = self.ws_protocol_class
        websocket: Shell = upgraded(self._guests, request.path.partition("?")[0])
        self.transport.set_protocol(websocket)
        websocket.connection_made(self.transport)
        websocket.upgrade(request)
        self.flow.end()
        self.parser = None  # type: ignore[assignment]  # it holds this connection, which holds it
        if rest:
            websocket.data_received(rest)

    def _upgrade_request(self) -> Request:
        """The head of an upgrade as `websockets` has them. Raises InvalidHeaderValue."""
        target = self.url.partition(b"#")[0].decode("latin-1")
        if not target.startswith("/"):  # it names scheme and host too (RFC 9112, 3.2.2)
            target = "/" + target.partition("://")[2].partition("/")[2]
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers)
        return Request(target, headers, self.parser.get_method().decode())

    def _object(self, ret: Ret) -> None:
        self._objection = ret
        raise Objection

    def _stop(self, ret: Ret) -> None:
        """Parses no further: the rest cannot be told apart, or may not be held."""
        self._traffic.unread(ret.status)
        self._objection = ret
        self._unparsed.clear()
        # They may be long, and the connection lingers.
        self._url, self.url, self.headers = bytearray(), b"", []
        self._ended = True
        if not self._in_head and self._unanswered:  # in the middle of a body
            if not self.pipeline:
                self._say_in(self.cycle, ret)
                return
            self.pipeline.popleft()  # the newest; those before it are answered yet
            self._unanswered -= 1
        if not self._unanswered:
            self._refuse(ret)

    def _refuse(self, ret: Ret) -> None:
        """Answers that the connection goes no further, and ends it so that the answer arrives."""
        if self.transport.is_closing():
            return
        self.transport.write(last_answer(ret))
        self._ended = True
        self._unparsed.clear()
        self._count(0)
        self._unset_keepalive_if_required()
        self._pause(False)
        self._set_deadline(Deadline(LINGER, self.transport.abort))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _await_head(self) -> None:
        self._set_deadline(Deadline(HEAD_TIMEOUT, self._miss_head))
        self._guests.begin(self.transport)

    def _miss_head(self) -> None:
        if self._unanswered:  # it is we who are late
            self._await_head()
        else:
            self._stop(Ret(408, f"the head of the request took longer than {HEAD_TIMEOUT:.0f} seconds", 408))

    def _met_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _set_deadline(self, deadline: Deadline | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._guests.end(self.transport)
        self._deadline = deadline

    def _pause(self, paused: bool) -> None:
        if paused is not self._paused and not self.transport.is_closing():
            self._paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _count(self, size: int) -> bool:
        """Whether this connection may hold so many bytes."""
        more = max(0, size - FREE_HEAD) - self._counted
        if more > 0 and not self._held.take(more):
            return False
        if more < 0:
            self._held.give(-more)
        self._counted += more
        return True
