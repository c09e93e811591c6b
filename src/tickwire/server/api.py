"""The HTTP API of the protocol: section 3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from ..engine import Engine
from ..errors import StoreError
from ..model import Family, KlineType
from ..wire import (
    BODY_TOO_LARGE,
    DATA_INVALID,
    HTTP_BASES,
    MAX_MESSAGE,
    METHOD_INVALID,
    QUERY_INVALID,
    SERVER_ERROR,
    TOKEN_REQUIRED,
    UPGRADE_REQUIRED,
    WS_PATHS,
    Asked,
    BatchKlineList,
    BatchKlineQuery,
    KlineGroup,
    KlineList,
    KlineQuery,
    Reader,
    Refused,
    StaticInfoList,
    SymbolList,
    TickList,
    Want,
    base_of,
    book_entries,
    end_seconds,
    failure,
    known,
    parameters,
    read_body,
    read_query,
    static_entry,
    success,
    token_of,
    trade_entries,
)
from .pages import Pages

log = structlog.get_logger()

Header: TypeAlias = tuple[bytes, bytes]
CORS: Header = (b"access-control-allow-origin", b"*")
JSON: Header = (b"content-type", b"application/json")
PREFLIGHT: list[Header] = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, token"),
    (b"access-control-max-age", b"86400"),
]
MAX_BARS, MAX_BATCH_BARS = 500, 2
"""Bars of one answer of /kline, and of one group of /batch-kline."""


class Endpoint(NamedTuple):
    """What a path below a family's base takes and answers."""

    methods: tuple[str, ...]
    shape: type
    answer: Callable[[Family, Any], Awaitable[msgspec.Struct]]


class Api:
    """Every path that needs a token: an ASGI application. All answers are JSON, open to any origin."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = Reader(engine.dialect.strict_protocol)
        self._pages = Pages(engine)
        get, post = ("GET", "HEAD"), ("POST",)
        both = {
            "/trade-tick": Endpoint(get, SymbolList, self._trade_tick),
            "/depth-tick": Endpoint(get, SymbolList, self._depth_tick),
            "/kline": Endpoint(get, KlineQuery, self._kline),
            "/batch-kline": Endpoint(post, BatchKlineQuery, self._batch_kline),
        }
        self._endpoints = {
            Family.STOCK: {**both, "/static_info": Endpoint(get, SymbolList, self._static_info)},
            Family.OTHER: both,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["method"] == "OPTIONS":
            status, body, headers = 204, b"", PREFLIGHT
        else:
            status, body, headers = await self._answer(scope, receive)
            headers = [*headers, JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": [CORS, *headers]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, list[Header]]:
        trace = ""
        headers: list[Header] = []
        try:
            asked = parameters(scope["query_string"])
            self._check_token(asked.token, scope)
            family, endpoint = self._endpoint(scope["path"])
            if scope["method"] not in endpoint.methods:
                headers = [(b"allow", ", ".join(endpoint.methods).encode())]
                raise Refused(METHOD_INVALID)
            if scope["method"] == "POST":
                query = read_body(await _body(receive), self._reader)
            else:
                query = read_query(asked.query, self._reader)
            trace = query.trace
            if query.refusal is not None:
                raise Refused(query.refusal)
            data: Any = self._reader.data(query.data, endpoint.shape)
            return 200, success(await endpoint.answer(family, data), trace), headers
        except Refused as refused:
            ret = refused.ret
        except msgspec.ValidationError:
            ret = DATA_INVALID
        except StoreError as error:
            log.error("a request cannot be answered", path=scope["path"], reason=str(error))
            ret = SERVER_ERROR
        return ret.status, failure(ret, trace), headers

    def _check_token(self, url_token: str | None, scope: Scope) -> None:
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        token = token_of(url_token, headers, strict=self._reader.strict)
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

    def _known(self, family: Family, asked: Sequence[Asked]) -> tuple[Want, ...]:
        return known(self._engine.catalogue, family, asked, strict=self._reader.strict)

    # The endpoints.
    async def _trade_tick(self, family: Family, data: SymbolList) -> TickList:
        wants = self._known(family, data.symbol_list)
        await self._engine.begin(want.instrument for want in wants)
        found = ((want, self._engine.hub.last_trade(want.instrument)) for want in wants)
        return TickList(trade_entries((want, *last) for want, last in found if last))

    async def _depth_tick(self, family: Family, data: SymbolList) -> TickList:
        wants = self._known(family, data.symbol_list)
        await self._engine.begin(want.instrument for want in wants)
        found = ((want, self._engine.hub.last_book(want.instrument)) for want in wants)
        return TickList(book_entries((want, *last) for want, last in found if last))

    async def _kline(self, family: Family, data: KlineQuery) -> KlineList:
        (want,) = self._known(family, [data])
        return KlineList(want.name, data.kline_type, await self._bars(want, data, MAX_BARS))

    async def _batch_kline(self, family: Family, data: BatchKlineQuery) -> BatchKlineList:
        queries = {(query.code, query.kline_type): query for query in reversed(data.data_list)}
        groups = []
        for want in self._known(family, data.data_list):
            bars = await self._bars(want, queries[want.name, want.kline_type], MAX_BATCH_BARS)
            groups.append(KlineGroup(want.name, want.kline_type, bars))
        return BatchKlineList(groups)

    async def _bars(self, want: Want, query: KlineQuery, most: int) -> msgspec.Raw:
        return await self._pages.answer(
            want.instrument,
            KlineType(query.kline_type),
            count=min(query.query_kline_num, most),
            end=end_seconds(query.kline_timestamp_end),
        )

    async def _static_info(self, family: Family, data: SymbolList) -> StaticInfoList:
        wants = self._known(family, data.symbol_list)
        return StaticInfoList([static_entry(want.instrument) for want in wants])


async def _body(receive: Receive) -> bytes:
    """The whole body. Raises Refused if it is too large, without reading on."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)  # a client that has gone sends no more
        if len(body) > MAX_MESSAGE:
            raise Refused(BODY_TOO_LARGE)
    return bytes(body)
