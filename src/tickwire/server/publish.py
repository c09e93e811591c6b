"""Publishing over HTTP: who may, and the bodies of requests, however long.

Outside CORS: no answer has a header that opens it to pages of other origins.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

from .. import __version__
from ..bus import Stop, Supplier, Taken
from ..errors import StoreError
from ..gateway.admission import Caller
from ..gateway.gateway import Gateway
from ..model import Reach
from ..wire import PublisherHello, Refused, Standing, Tally
from ..wire.entry import parameters, token_of
from ..wire.http import failure
from ..wire.publish import Lines, hello_answer, hello_in, publish_answer
from ..wire.reader import Reader
from ..wire.ret import OK, Ret
from .bodies import Gone, pieces
from .flow import Header
from .guard import Denied, check_page, is_local
from .lists import plain_parameters

PATIENCE = 5.0
"""Seconds that a request waits for room."""
STALL = 60.0
"""Seconds in which something of a body must come."""
PIECE = 64 * 1024
"""Bytes of a body that are unpacked at a time."""
MOST_GAIN, FREE_GAIN = 200, 1024 * 1024
"""A body may unpack to so many times its size, and to so many bytes in any case."""
MOST_USELESS = 10_000
"""Bad and empty lines of a body, after which it is read no further."""
GZIP = 31
"""The window bits that mean gzip, with its header."""
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
CONTENT_TYPES = ("application/x-ndjson", "application/json")

BUSY = Ret(503, "too busy: go on after the lines that were taken", 503)
GZIP_BROKEN = Ret(400, "the gzip of the body is broken or ends early", 400)
GZIP_BOMB = Ret(413, f"the body unpacks to more than {MOST_GAIN} times its size", 413)
USELESS = Ret(400, f"over {MOST_USELESS} lines of the body are bad or empty", 400)
STALLED = Ret(408, f"nothing of the body came for {STALL:.0f} seconds", 408)
MARKET_AWAY = "The process that takes what is published is away for a moment: send it again."
STOPS = Ret(503, "the server stops: send what was not taken to the next one", 503)
NOT_KEPT = Ret(500, "a new instrument cannot be kept now", 500)


class Permit(NamedTuple):
    """Who publishes, by which token (None while there is none), and what (None: everything)."""

    publisher: str
    caller: Caller | None
    reach: Reach | None


def not_kept(taken: Taken) -> Ret:
    """What is answered where a new instrument cannot be kept, and to lines that may not come before it."""
    if not taken.missing:
        return NOT_KEPT
    return NOT_KEPT._replace(msg=f"{NOT_KEPT.msg}: send again from seq {taken.missing} on")


class Publishing:
    """POST and GET of /v1/publish: an ASGI application."""

    def __init__(self, gateway: Gateway, market: Supplier) -> None:
        """`market` is where the lines go."""
        self.gateway = gateway
        self.market = market
        self._reader = Reader(gateway.dialect.strict_protocol)

    def admit(self, headers: Mapping[str, str], query: bytes, client: str) -> Permit:
        """Lets a request in: this machine while there are no tokens, then whoever has one that may publish.

        `client` is the address it comes from; names of headers are in lower case. Raises Denied.
        """
        check_page(headers)
        caller = self._caller(headers, query, client)
        name = "local" if caller is None or caller.token is None else caller.token.id
        if given := plain_parameters(query).get("publisher"):
            if not NAME.fullmatch(given):
                raise Denied(400, "publisher must be 1 to 64 of the characters A-Z a-z 0-9 . _ -")
            name = f"{name}/{given}"
        if (refusal := self.market.publisher_refusal(name)) == "":
            raise Denied(404, "Nothing is published here: start the server with --source publish.")
        if refusal is not None:
            raise Denied(429, refusal)
        token = None if caller is None else caller.token
        return Permit(name, caller, None if token is None else token.reach)

    def objection(self, permit: Permit) -> str | None:
        """Why one that was let in must end, if it must."""
        admission = self.gateway.admission
        if permit.caller is None:
            return "a token is required now" if admission.guarded else None
        return admission.objection(permit.caller)

    async def hello(self, permit: Permit, message: bytes) -> bytes | None:
        """What answers a message of a WebSocket that asks how the publisher stands; None if it is lines."""
        if (request := hello_in(message, self._reader)) is None:
            return None
        stands = msgspec.structs.asdict(await self.market.standing(permit.publisher))
        now = int(self.gateway.wall() * 1000)
        return hello_answer(
            request, PublisherHello(**stands, server="tickwire", version=__version__, time=now)
        )

    def _caller(self, headers: Mapping[str, str], query: bytes, client: str) -> Caller | None:
        if not self.gateway.admission.guarded:
            if not is_local(headers, client):
                raise Denied(
                    403,
                    "Use 127.0.0.1 on the server's own machine, or a token: tickwire token create --publish.",
                )
            return None
        strict = self.gateway.dialect.strict_protocol
        secret = token_of(parameters(query).token, headers.items(), strict=strict)
        if secret is None:
            raise Denied(401, "token is required")
        try:
            caller = self.gateway.caller(secret, None)
        except Refused as refused:
            raise Denied(refused.ret.status, refused.ret.msg) from None
        if caller.token is None or not caller.token.publish:
            raise Denied(403, "This token may not publish. Create one: tickwire token create --publish.")
        return caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            ret, data, headers = await self._answer(scope, receive)
            body = publish_answer(data, ret)
        except Denied as denied:
            ret = Ret(denied.status, denied.reason, denied.status)
            headers = [(b"allow", b"GET, POST")] if denied.status == 405 else []
            body = failure(ret)
        except Gone:
            return
        headers = [*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": ret.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Ret, Tally | Standing, list[Header]]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        permit = self.admit(headers, scope["query_string"], (scope["client"] or ("",))[0])
        match scope["method"]:
            case "GET":
                try:
                    return OK, await self.market.standing(permit.publisher), []
                except StoreError:
                    raise Denied(503, MARKET_AWAY) from None
            case "POST":
                gunzip = _encoding(headers)
            case _:
                raise Denied(405, "Send POST, or GET to learn the last seq.")
        begun = await self.market.publish(permit.publisher, [])
        if begun.stop is Stop.AWAY:  # how far the publisher is cannot be told
            raise Denied(503, MARKET_AWAY)
        tally = begun.tally
        try:
            await self._take_body(permit, tally, receive, gunzip)
        except Stopped as stopped:
            return stopped.ret, tally, stopped.headers
        except asyncio.CancelledError:  # the server stops
            stands = await self.market.standing(permit.publisher)
            tally.seq, tally.durable, tally.queued = stands.seq, stands.durable, stands.queued
            return STOPS, tally, [(b"connection", b"close")]
        return OK, tally, []

    async def _take_body(self, permit: Permit, tally: Tally, receive: Receive, gunzip: Gunzip | None) -> None:
        """Takes all lines of a body, as they come. Raises Stopped, or Gone."""
        lines = Lines()
        try:
            async for chunk in pieces(receive, STALL):
                for piece in (chunk,) if gunzip is None else gunzip.feed(chunk):
                    await self._take(permit, lines.feed(piece), tally)
        except TimeoutError:
            raise Stopped(STALLED, (b"connection", b"close")) from None
        if gunzip is not None:
            gunzip.end()
        await self._take(permit, lines.end(), tally)

    async def _take(self, permit: Permit, lines: list[bytes], tally: Tally) -> None:
        if (objection := self.objection(permit)) is not None:
            raise Stopped(Ret(401, objection, 401))
        taken = await self.market.publish(permit.publisher, lines, reach=permit.reach, patience=PATIENCE)
        tally.add(taken.tally)
        match taken.stop:
            case Stop.BUSY:
                raise Stopped(BUSY, (b"retry-after", b"1"))
            case Stop.NOT_KEPT:
                raise Stopped(not_kept(taken))
            case Stop.STOPS:
                raise Stopped(STOPS)
            case Stop.AWAY:
                raise Denied(503, MARKET_AWAY)
        if tally.lines - tally.accepted - tally.duplicates > MOST_USELESS:
            raise Stopped(USELESS)


class Stopped(Exception):
    """A body is read no further: what is answered, with which headers."""

    def __init__(self, ret: Ret, *headers: Header) -> None:
        self.ret = ret
        self.headers = [*headers]


class Gunzip:
    """Unpacks gzip as it comes, a piece at a time; several members may follow one another."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=GZIP)
        self._packed = self._unpacked = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, in bounded pieces. Raises Stopped."""
        self._packed += len(data)
        full = False
        while data or full:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=GZIP)
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error:
                raise Stopped(GZIP_BROKEN) from None
            self._unpacked += len(piece)
            if self._unpacked > FREE_GAIN + MOST_GAIN * self._packed:
                raise Stopped(GZIP_BOMB)
            yield piece
            data = self._member.unused_data or self._member.unconsumed_tail
            full = len(piece) == PIECE and not self._member.eof

    def end(self) -> None:
        """The body has ended. Raises Stopped if that was too early."""
        if self._packed and not self._member.eof:
            raise Stopped(GZIP_BROKEN)


def _encoding(headers: Mapping[str, str]) -> Gunzip | None:
    """What unpacks the body. Raises Denied for a type or an encoding that is not taken."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in CONTENT_TYPES:
        raise Denied(415, f"Send {' or '.join(CONTENT_TYPES)}.")
    match headers.get("content-encoding", "identity").strip().lower():
        case "identity":
            return None
        case "gzip":
            return Gunzip()
        case _:
            raise Denied(415, "A body may be encoded with gzip, or not at all.")
