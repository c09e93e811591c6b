"""The HTTP API of the protocol: section 3."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
from starlette.types import Receive, Scope, Send

from ..access import Verdict
from ..admission import Caller
from ..engine import Engine, Heard
from ..errors import StoreError
from ..model import Family, Instrument, Kind, KlineType
from ..sources import Simulator
from ..wire import (
    DATA_INVALID,
    HTTP_BASES,
    METHOD_INVALID,
    QUERY_INVALID,
    SERVER_ERROR,
    TOKEN_REQUIRED,
    TOO_MANY_REQUESTS,
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
    rate_limit_headers,
    read_body,
    read_query,
    static_entry,
    success,
    token_of,
    trade_entries,
)
from .bodies import Bodies
from .lists import Listing, Lists, plain_parameters
from .pages import Answer, Pages

Header: TypeAlias = tuple[bytes, bytes]
CORS: Header = (b"access-control-allow-origin", b"*")
EXPOSED: Header = (b"access-control-expose-headers", b"ratelimit, ratelimit-policy, retry-after")
PARTIAL: list[Header] = [
    (b"tickwire-partial", b"store"),
    (b"access-control-expose-headers", b"tickwire-partial"),
]
"""The store cannot be read now: these are the bars that memory holds."""
SIMULATED: list[Header] = [
    (b"tickwire-simulated", b"1"),
    (b"access-control-expose-headers", b"tickwire-simulated"),
]
"""Some of it is made up."""
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

    name: str
    methods: tuple[str, ...]
    shape: type
    answer: Callable[[Caller, Family, Any], Awaitable[msgspec.Struct | Marked]]


class Marked(NamedTuple):
    """An answer that headers say something of."""

    answer: msgspec.Struct
    headers: list[Header]


class Api:
    """Every path that needs a token: an ASGI application. All answers are JSON, open to any origin."""

    def __init__(self, engine: Engine, bodies: Bodies) -> None:
        self._engine = engine
        self._bodies = bodies
        self._reader = Reader(engine.dialect.strict_protocol)
        self._pages = Pages(engine)
        self._lists = Lists(engine)
        get, post = ("GET", "HEAD"), ("POST",)
        both = (
            Endpoint("trade-tick", get, SymbolList, self._trade_tick),
            Endpoint("depth-tick", get, SymbolList, self._depth_tick),
            Endpoint("kline", get, KlineQuery, self._kline),
            Endpoint("batch-kline", post, BatchKlineQuery, self._batch_kline),
        )
        stock = (*both, Endpoint("static_info", get, SymbolList, self._static_info))
        self._endpoints: dict[str, tuple[Family, Endpoint]] = {
            f"{base}/{one.name}": (family, one)
            for base, family in HTTP_BASES.items()
            for one in (stock if family is Family.STOCK else both)
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
        path: str = scope["path"]
        try:
            asked = parameters(scope["query_string"])
            caller = self._caller(asked.token, path, scope)
            if scope["method"] != "POST":
                self._hear(path, asked.query or "")
            family, endpoint = self._endpoints.get(path, (None, None))
            listing = self._lists.find(path)
            if delay := caller.delay():
                await asyncio.sleep(delay)
            known_as = endpoint.name if endpoint else listing.name if listing else None
            if (answer := caller.answer(f"/{endpoint.name}" if endpoint else path)) is not None:
                raise Refused(answer)
            verdict = self._engine.count(caller, known_as)
            headers = _limit_headers(verdict)
            if verdict.wait:
                raise Refused(TOO_MANY_REQUESTS, verdict.wait)
            if path in WS_PATHS:
                raise Refused(UPGRADE_REQUIRED)
            if listing is not None:
                return await self._list(listing, caller, scope, headers)
            if family is None or endpoint is None:
                raise Refused(QUERY_INVALID)
            _check_method(scope, endpoint.methods, headers)
            if scope["method"] == "POST":
                body = await self._bodies.read(receive)
                self._hear(path, body.decode(errors="replace"))
                query = read_body(body, self._reader)
            else:
                query = read_query(asked.query, self._reader)
            trace = query.trace
            if query.refusal is not None:
                raise Refused(query.refusal)
            data: Any = self._reader.data(query.data, endpoint.shape)
            found = await endpoint.answer(caller, family, data)
            if isinstance(found, Marked):
                headers += found.headers
                found = found.answer
            return 200, success(found, trace), headers
        except Refused as refused:
            ret = refused.ret
            if refused.retry_after is not None:
                headers.append((b"retry-after", b"%d" % math.ceil(refused.retry_after)))
            if ret == UPGRADE_REQUIRED:
                headers.append((b"upgrade", b"websocket"))  # RFC 9110, 15.5.22
        except msgspec.ValidationError:
            ret = DATA_INVALID
        except StoreError:  # which has been said
            ret = SERVER_ERROR
        return ret.status, failure(ret, trace), headers

    async def _list(
        self, listing: Listing, caller: Caller, scope: Scope, headers: list[Header]
    ) -> tuple[int, bytes, list[Header]]:
        _check_method(scope, listing.methods, headers)
        listed = await listing.answer(caller, plain_parameters(scope["query_string"]))
        return listed.status, listed.body, [*headers, *(PARTIAL if listed.partial else ())]

    def _caller(self, url_token: str | None, path: str, scope: Scope) -> Caller:
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        token = token_of(url_token, headers, strict=self._reader.strict)
        if token is None:
            raise Refused(TOKEN_REQUIRED)
        return self._engine.caller(token, HTTP_BASES.get(base_of(path) or ""))

    def _hear(self, path: str, text: str) -> None:
        if self._engine.heard is not None:
            self._engine.heard(Heard(0, path, text))

    def _wants(
        self, caller: Caller, family: Family, asked: Sequence[Asked], most: int | None
    ) -> tuple[Want, ...]:
        return caller.take(known(self._engine.catalogue, family, asked, strict=self._reader.strict), most)

    # The endpoints.
    async def _trade_tick(self, caller: Caller, family: Family, data: SymbolList) -> TickList:
        wants = self._wants(caller, family, data.symbol_list, caller.plan.http_codes)
        await self._engine.supply.begin(Kind.TRADE, [want.instrument for want in wants])
        found = ((want, self._engine.hub.last_trade(want.instrument)) for want in wants)
        return TickList(trade_entries((want, *last) for want, last in found if last))

    async def _depth_tick(self, caller: Caller, family: Family, data: SymbolList) -> TickList:
        wants = self._wants(caller, family, data.symbol_list, caller.plan.http_codes)
        await self._engine.supply.begin(Kind.DEPTH, [want.instrument for want in wants])
        found = ((want, self._engine.hub.last_book(want.instrument)) for want in wants)
        return TickList(book_entries((want, *last) for want, last in found if last))

    async def _kline(self, caller: Caller, family: Family, data: KlineQuery) -> KlineList | Marked:
        (want,) = self._wants(caller, family, [data], None)
        bars, partial = await self._bars(want, data, MAX_BARS)
        found = KlineList(want.name, data.kline_type, bars)
        return Marked(found, PARTIAL) if partial else found

    async def _batch_kline(
        self, caller: Caller, family: Family, data: BatchKlineQuery
    ) -> BatchKlineList | Marked:
        queries = {(query.code, query.kline_type): query for query in reversed(data.data_list)}
        wants = self._wants(caller, family, data.data_list, caller.plan.batch_groups)
        found = await asyncio.gather(
            *(self._bars(want, queries[want.name, want.kline_type], MAX_BATCH_BARS) for want in wants)
        )
        groups = [
            KlineGroup(want.name, want.kline_type, bars) for want, (bars, _) in zip(wants, found, strict=True)
        ]
        answer = BatchKlineList(groups)
        return Marked(answer, PARTIAL) if any(one.partial for one in found) else answer

    async def _bars(self, want: Want, query: KlineQuery, most: int) -> Answer:
        instrument, kline_type = want.instrument, KlineType(query.kline_type)
        count, end = min(query.query_kline_num, most), end_seconds(query.kline_timestamp_end)
        asked = await self._engine.supply.prepare_bars(instrument, kline_type, count=count, end=end)
        found = await self._pages.answer(instrument, kline_type, count=count, end=end)
        return found if asked else found._replace(partial=True)

    async def _static_info(self, caller: Caller, family: Family, data: SymbolList) -> StaticInfoList | Marked:
        wants = self._wants(caller, family, data.symbol_list, caller.plan.http_codes)
        known = [want.instrument for want in wants]
        told = [self._described(one) for one in known]
        answer = StaticInfoList([static_entry(one) for one in told])
        return answer if told == known else Marked(answer, SIMULATED)

    def _described(self, instrument: Instrument) -> Instrument:
        source = self._engine.feeds.of(instrument).source
        return source.described(instrument) if isinstance(source, Simulator) else instrument


def _check_method(scope: Scope, methods: tuple[str, ...], headers: list[Header]) -> None:
    if scope["method"] not in methods:
        headers.append((b"allow", ", ".join(methods).encode()))
        raise Refused(METHOD_INVALID)


def _limit_headers(verdict: Verdict) -> list[Header]:
    """How the limits stand that concern a request (draft-ietf-httpapi-ratelimit-headers)."""
    if not verdict.limits:
        return []
    policy, standing = rate_limit_headers([(*policy, *standing) for policy, standing in verdict.limits])
    return [EXPOSED, (b"ratelimit-policy", policy.encode()), (b"ratelimit", standing.encode())]
