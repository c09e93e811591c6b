"""The HTTP API of the protocol: section 3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..engine import Engine
from ..model import Family
from ..wire import (
    DATA_INVALID,
    HTTP_BASES,
    METHOD_INVALID,
    QUERY_INVALID,
    TOKEN_REQUIRED,
    UPGRADE_REQUIRED,
    WS_PATHS,
    Reader,
    Refused,
    StaticInfoList,
    SymbolList,
    TickList,
    Want,
    base_of,
    book_entries,
    failure,
    known,
    parameters,
    read_query,
    static_entry,
    success,
    token_of,
    trade_entries,
)

METHODS = ("GET", "HEAD")
CORS = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, token",
    "Access-Control-Max-Age": "86400",
}

Endpoint: TypeAlias = Callable[[tuple[Want, ...]], Awaitable[msgspec.Struct]]


class Api:
    """Every path that needs a token: an ASGI application. All answers are JSON, open to any origin."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = Reader(engine.dialect.strict_protocol)
        both = {"/trade-tick": self._trade_tick, "/depth-tick": self._depth_tick}
        self._endpoints: dict[Family, dict[str, Endpoint]] = {
            Family.STOCK: {**both, "/static_info": self._static_info},
            Family.OTHER: {**both},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope)
        if request.method == "OPTIONS":
            response = Response(status_code=204, headers=PREFLIGHT)
        else:
            response = await self._answer(request)
        response.headers.update(CORS)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        trace, allow = "", {}
        try:
            asked = parameters(request.scope["query_string"])
            self._check_token(asked.token, request)
            family, endpoint = self._endpoint(request.scope["path"])
            if request.method not in METHODS:
                allow = {"Allow": ", ".join(METHODS)}
                raise Refused(METHOD_INVALID)
            query = read_query(asked.query, self._reader)
            trace = query.trace
            if query.refusal is not None:
                raise Refused(query.refusal)
            symbols = self._reader.data(query.data, SymbolList).symbol_list
            wants = known(self._engine.catalogue, family, symbols, strict=self._reader.strict)
            body, status = success(await endpoint(wants), trace), 200
        except Refused as refused:
            body, status = failure(refused.ret, trace), refused.ret.status
        except msgspec.ValidationError:
            body, status = failure(DATA_INVALID, trace), DATA_INVALID.status
        return Response(body, status, allow, "application/json")

    def _check_token(self, url_token: str | None, request: Request) -> None:
        token = token_of(url_token, request.headers.items(), strict=self._reader.strict)
        if token is None:
            raise Refused(TOKEN_REQUIRED)
        if refusal := self._engine.refusal(token):
            raise Refused(refusal)

    def _endpoint(self, path: str) -> tuple[Family, Endpoint]:
        if path in WS_PATHS:
            raise Refused(UPGRADE_REQUIRED)
        base = base_of(path)
        family = HTTP_BASES.get(base or "")
        endpoint = self._endpoints[family].get(path.removeprefix(base or "")) if family else None
        if family is None or endpoint is None:
            raise Refused(QUERY_INVALID)
        return family, endpoint

    # The endpoints.
    async def _trade_tick(self, wants: tuple[Want, ...]) -> TickList:
        await self._engine.begin(want.instrument for want in wants)
        found = ((want, self._engine.hub.last_trade(want.instrument)) for want in wants)
        return TickList(trade_entries((want, *last) for want, last in found if last))

    async def _depth_tick(self, wants: tuple[Want, ...]) -> TickList:
        await self._engine.begin(want.instrument for want in wants)
        found = ((want, self._engine.hub.last_book(want.instrument)) for want in wants)
        return TickList(book_entries((want, *last) for want, last in found if last))

    async def _static_info(self, wants: tuple[Want, ...]) -> StaticInfoList:
        return StaticInfoList([static_entry(want.instrument) for want in wants])
