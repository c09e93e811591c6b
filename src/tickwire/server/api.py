"""The HTTP API of the protocol: section 3."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import quote

import msgspec
from starlette.types import Receive, Scope, Send

from ..access import Verdict
from ..bus import Lack
from ..errors import StoreError
from ..gateway.admission import Caller
from ..gateway.gateway import NOBODY, Gateway, Heard
from ..model import Family, Instrument, Kind, KlineType
from ..wire import HTTP_BASES, WS_PATHS, Deviation, Refused, Sought, Want
from ..wire.entry import base_of, parameters, token_of
from ..wire.http import (
    book_entries,
    end_seconds,
    failure,
    rate_limit_headers,
    read_body,
    read_query,
    success,
    trade_entries,
)
from ..wire.messages import (
    BatchKlineList,
    BatchKlineQuery,
    KlineGroup,
    KlineList,
    KlineQuery,
    StaticInfoList,
    SymbolList,
    TickList,
)
from ..wire.reader import Reader
from ..wire.ret import (
    CODE_INVALID,
    DATA_INVALID,
    METHOD_INVALID,
    QUERY_INVALID,
    SERVER_ERROR,
    TOKEN_REQUIRED,
    TOO_FAST,
    TOO_MANY_REQUESTS,
    UPGRADE_REQUIRED,
    Ret,
)
from ..wire.session import Asked, known
from .bodies import Bodies
from .flow import Header, answer_whole
from .http_reports import HttpReports
from .lists import Lists, partial_headers, plain_parameters
from .pages import Answer, Pages
from .usage import UsageOfAll

CORS: Header = (b"access-control-allow-origin", b"*")
EXPOSED: Header = (b"access-control-expose-headers", b"ratelimit, ratelimit-policy, retry-after")
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
RETRY_AFTER = 60.0
"""Seconds after which a token may ask about more unknown codes."""
GET = ("GET", "HEAD")
NO_BARS = msgspec.Raw(b"[]")
MAX_BARS, MAX_BATCH_BARS = 500, 2
"""Bars of one answer of /kline, and of one group of /batch-kline."""

T = TypeVar("T")
W = TypeVar("W", Want, Want | Sought)


class Endpoint(NamedTuple):
    """What a path below a family's base takes and answers."""

    name: str
    methods: tuple[str, ...]
    shape: type
    answer: Callable[[Caller, Family, Any], Awaitable[Marked]]


class Marked(NamedTuple):
    """An answer that headers say something of."""

    answer: msgspec.Struct
    headers: list[Header]


class Wanted(NamedTuple):
    """What a request asks for, as far as it is known, and whether upstream is yet to say what the rest is."""

    wants: tuple[Want, ...]
    lacks: Lack | None = None


class Api:
    """Every path that needs a token: an ASGI application. All answers are JSON, open to any origin."""

    def __init__(self, gateway: Gateway, bodies: Bodies, reports: HttpReports, usage: UsageOfAll) -> None:
        self._gateway = gateway
        self._reads = gateway.reads
        self._bodies = bodies
        self._reports = reports
        self._reader = Reader(gateway.dialect.strict_protocol)
        self._pages = Pages(gateway.reads)
        self._lists = Lists(gateway, usage)
        reads = gateway.reads
        trades = partial(self._ticks, Kind.TRADE, reads.last_trade, trade_entries)
        books = partial(self._ticks, Kind.DEPTH, reads.last_book, book_entries)
        both = (
            Endpoint("trade-tick", GET, SymbolList, trades),
            Endpoint("depth-tick", GET, SymbolList, books),
            Endpoint("kline", GET, KlineQuery, self._kline),
            Endpoint("batch-kline", (*GET, "POST"), BatchKlineQuery, self._batch_kline),
        )
        stock = (*both, Endpoint("static_info", GET, SymbolList, self._static_info))
        self._endpoints: dict[str, tuple[Family, Endpoint]] = {
            f"{base}/{one.name}": (family, one)
            for base, family in HTTP_BASES.items()
            for one in (stock if family is Family.STOCK else both)
        }

    @property
    def paths(self) -> list[str]:
        """All that there are."""
        return [*self._endpoints, *self._lists.by_path, *WS_PATHS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["method"] == "OPTIONS":
            status, body, headers = 204, b"", PREFLIGHT
        else:
            status, body, headers = await self._answer(scope, receive)
            headers = [*headers, JSON, (b"content-length", b"%d" % len(body))]
        await answer_whole(scope, status, [CORS, *headers], body)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, list[Header]]:
        trace = ""
        headers: list[Header] = []
        path: str = scope["path"]
        caller: Caller | None = None
        text: str | None = None
        try:
            asked = parameters(scope["query_string"])
            caller = self._caller(asked.token, path, scope)
            if scope["method"] != "POST":
                text = asked.query or ""
            family, endpoint = self._endpoints.get(path, (None, None))
            listing = self._lists.by_path.get(path)
            if delay := caller.delay():
                await asyncio.sleep(delay)
            known_as = endpoint.name if endpoint else path[1:].removeprefix("api/") if listing else None
            if (answer := caller.answer(f"/{endpoint.name}" if endpoint else path)) is not None:
                raise Refused(answer)
            verdict = await self._gateway.count(caller, known_as)
            headers = _limit_headers(verdict)
            if verdict.wait:
                caller.report.note(Deviation.TOO_FAST, known_as or "")
                raise Refused(TOO_MANY_REQUESTS, verdict.wait)
            if path in WS_PATHS:
                raise Refused(UPGRADE_REQUIRED)
            if listing is not None:
                _check_method(caller, scope, GET, headers)
                listed = await listing(caller, plain_parameters(scope["query_string"]))
                return listed.status, listed.body, headers + partial_headers(listed.lacks)
            if family is None or endpoint is None:
                caller.report.note(Deviation.UNKNOWN_PATH)
                raise Refused(QUERY_INVALID)
            _check_method(caller, scope, endpoint.methods, headers)
            body = b""
            if "POST" in endpoint.methods and not text:
                body = await self._bodies.read(receive)
                text = body.decode(errors="replace")
            if body or scope["method"] == "POST":
                query = read_body(body, self._reader, caller.report)
            else:
                query = read_query(text, self._reader, caller.report)
            trace = query.trace
            if query.refusal is not None:
                raise Refused(query.refusal)
            data: Any = self._reader.data(query.data, endpoint.shape, caller.report)
            found = await endpoint.answer(caller, family, data)
            return 200, success(found.answer, trace), headers + found.headers
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
        finally:
            if caller is not None:
                self._tell(caller, path, text)
        return ret.status, failure(ret, trace), headers

    def _caller(self, url_token: str | None, path: str, scope: Scope) -> Caller:
        token = url_token
        if not token:
            headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
            token = token_of(None, headers, strict=self._reader.strict)
        if token is None:
            raise Refused(TOKEN_REQUIRED)
        caller = self._gateway.caller(token, HTTP_BASES.get(base_of(path) or ""))
        if not url_token:
            caller.report.note(Deviation.TOKEN_IN_HEADER)
        return caller

    def _tell(self, caller: Caller, path: str, text: str | None) -> None:
        """Tells what came, None if it was not read, and what in it is not as documented."""
        self._reports.add(None if caller.token is None else caller.token.name, caller.report)
        if self._gateway.observer is not NOBODY and text is not None:
            self._gateway.observer.heard(Heard(0, path, text, tuple(caller.report.counts())))

    async def _wants(
        self, caller: Caller, family: Family, asked: Sequence[Asked], most: int | None
    ) -> Wanted:
        """What is asked for. Waits a while for upstream to say what unknown codes are. Raises Refused."""
        seeking, catalogue = self._gateway.seeking, self._reads.catalogue
        refusals: dict[str, Ret | None] = {}

        def seek(name: str) -> Ret | None:
            refusals[name] = ret = caller.seek(family, name)
            return ret

        try:
            wants = known(catalogue, family, asked, caller.report, strict=self._reader.strict, seek=seek)
            taken = _taken(caller, wants, most)
        except Refused as refused:
            if refused.ret == TOO_FAST:
                raise Refused(TOO_MANY_REQUESTS, RETRY_AFTER) from None
            raise
        if not refusals:
            return Wanted(cast("tuple[Want, ...]", taken))
        sought = [one.name for one in taken if isinstance(one, Sought)]
        await seeking.find(caller, family, sought)
        found: list[Want] = []
        for one in taken:
            if isinstance(one, Want):
                found.append(one)
            elif (instrument := catalogue.find(family, one.name)) is not None:
                found.append(one.want(instrument))
        waiting = {name for name in sought if seeking.is_sought(family, name)}
        there = {one.name for one in found} | waiting
        gone = [
            name for name in sought if name not in there and seeking.refusal(family, name) == CODE_INVALID
        ]
        caller.report.note_each(Deviation.UNKNOWN_CODE, gone)
        lacks = Lack.UPSTREAM if waiting or TOO_FAST in refusals.values() else None
        if not found:
            if lacks is not None:
                return Wanted((), lacks)
            raise Refused(seeking.refusal(family, sought[0]))
        return Wanted(_taken(caller, tuple(found), None), lacks)

    def _current(self, want: Want) -> Want:
        """The want with its instrument as it is known now: what has come of it may have more decimals, and
        its book more levels."""
        before = want.instrument
        if (now := self._reads.catalogue[before.code]) is before:
            return want
        levels = now.levels if want.levels == before.levels else want.levels
        return want._replace(instrument=now, levels=levels)

    def _check_there(self, wants: Iterable[Want], refused: Mapping[str, Ret | None] | None = None) -> None:
        """Raises Refused if upstream has said meanwhile that it has none of these, or `refused` them."""
        instruments = [want.instrument for want in wants]
        sharing, others = self._gateway.sharing, refused or {}
        refusals = [sharing.refusal(one) or others.get(one.code) for one in instruments]
        if refusals and all(refusals) and (first := refusals[0]) is not None:
            raise Refused(first)

    # The endpoints.
    async def _ticks(
        self,
        kind: Kind,
        last_of: Callable[[Instrument], tuple[T, int] | None],
        entries: Callable[[Iterable[tuple[Want, T, int]]], list[Any]],
        caller: Caller,
        family: Family,
        data: SymbolList,
    ) -> Marked:
        wanted = await self._wants(caller, family, data.symbol_list, caller.plan.http_codes)
        lacking = await self._reads.begin(kind, [want.instrument for want in wanted.wants])
        found = [(self._current(want), *last) for want in wanted.wants if (last := last_of(want.instrument))]
        if not found:
            self._check_there(wanted.wants, lacking)
        ticks = TickList(entries(found))
        return Marked(ticks, partial_headers(wanted.lacks, Lack.UPSTREAM if lacking else None))

    async def _kline(self, caller: Caller, family: Family, data: KlineQuery) -> Marked:
        wanted = await self._wants(caller, family, [data], None)
        if not wanted.wants:
            return Marked(KlineList(data.code, data.kline_type, []), partial_headers(wanted.lacks))
        (want,) = wanted.wants
        bars, source, lacks = await self._bars(caller, want, data, MAX_BARS)
        if bars == NO_BARS:
            self._check_there(wanted.wants)
        headers = [*_source_headers(source), *partial_headers(lacks)]
        return Marked(KlineList(want.name, data.kline_type, bars), headers)

    async def _batch_kline(self, caller: Caller, family: Family, data: BatchKlineQuery) -> Marked:
        queries = {(query.code, query.kline_type): query for query in reversed(data.data_list)}
        wanted = await self._wants(caller, family, data.data_list, caller.plan.batch_groups)
        wants = wanted.wants
        found = await asyncio.gather(
            *(self._bars(caller, want, queries[want.name, want.kline_type], MAX_BATCH_BARS) for want in wants)
        )
        groups = [
            KlineGroup(want.name, want.kline_type, bars)
            for want, (bars, _, _) in zip(wants, found, strict=True)
            if bars != NO_BARS or self._gateway.sharing.refusal(want.instrument) is None
        ]
        if not groups:
            self._check_there(wants)
        lacks = partial_headers(wanted.lacks, *(one.lacks for one in found))
        return Marked(BatchKlineList(groups), lacks)

    async def _bars(self, caller: Caller, want: Want, query: KlineQuery, most: int) -> Answer:
        if (left := query.query_kline_num - most) > 0:
            caller.report.note(Deviation.BARS_LEFT_OUT, count=left)
        instrument, kline_type = want.instrument, KlineType(query.kline_type)
        count, end = min(query.query_kline_num, most), end_seconds(query.kline_timestamp_end)
        return await self._pages.answer(instrument, kline_type, count=count, end=end)

    async def _static_info(self, caller: Caller, family: Family, data: SymbolList) -> Marked:
        wanted = await self._wants(caller, family, data.symbol_list, caller.plan.http_codes)
        instruments = [want.instrument for want in wanted.wants]
        told = await self._reads.static_info(instruments)
        entries = [told.entries[one.code] for one in instruments]
        headers = partial_headers(wanted.lacks, told.lacks)
        return Marked(StaticInfoList(entries), headers + SIMULATED * told.made_up)


def _check_method(caller: Caller, scope: Scope, methods: tuple[str, ...], headers: list[Header]) -> None:
    if scope["method"] not in methods:
        caller.report.note(Deviation.WRONG_METHOD, scope["method"])
        headers.append((b"allow", ", ".join(methods).encode()))
        raise Refused(METHOD_INVALID)


def _taken(caller: Caller, wants: tuple[W, ...], most: int | None) -> tuple[W, ...]:
    """See Caller.take; what is left out is noted."""
    found: tuple[W, ...] = ()
    try:
        found = caller.take(wants, most)
    finally:
        if len(found) < len(wants):
            caller.report.note(Deviation.CODES_LEFT_OUT, count=len(wants) - len(found))
    return found


@lru_cache(64)
def _source_headers(name: str) -> tuple[Header, ...]:
    """Which source bars are of: its name percent-encoded, for a recording may be called anything."""
    value = quote(name, safe=":/ ()+,=@").encode()
    return (b"tickwire-source", value), (b"access-control-expose-headers", b"tickwire-source")


def _limit_headers(verdict: Verdict) -> list[Header]:
    """How the limits stand that concern a request (draft-ietf-httpapi-ratelimit-headers)."""
    if not verdict.limits:
        return []
    policy, standing = rate_limit_headers([(*policy, *standing) for policy, standing in verdict.limits])
    return [EXPOSED, (b"ratelimit-policy", policy.encode()), (b"ratelimit", standing.encode())]
