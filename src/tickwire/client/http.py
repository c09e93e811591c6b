"""The HTTP API of a server: section 3, both families, typed."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias, TypeVar, cast
from urllib.parse import unquote

import msgspec

from ..model import Family, Kind, Kline, KlineType, Suspension, SuspensionList
from ..wire import Envelope, Found, Pushed, StaticInfo, read_envelope, to_json, upstream_http
from ..wire.entry import EXTENSIONS, ROOT_API
from ..wire.overview import InstrumentInfo
from .address import http_url, retry_after
from .dial import USER_AGENT
from .errors import (
    ClientError,
    Incomplete,
    RequestRefused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreadable,
    Untrusted,
)
from .link import Token
from .network import Network, why
from .pacer import Pacer
from .shown import plain, some

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Parameters: TypeAlias = Mapping[str, object] | None
"""Of a query; those that are None are left out."""
MOST_BYTES = 32 * 2**20
OK, UNAUTHORIZED, SERVER_ERROR = 200, 401, 500
TOO_MANY = (429, 605, 606)
PARTIAL = "tickwire-partial"
"""The header of an answer of a Tickwire's that lacks something."""
SOURCE = "tickwire-source"
"""The header of a Tickwire's answer of bars that names their source, percent-encoded."""
SENT = "http11.send_request_headers.complete"
"""What httpx says once a request is on its way."""
HOLD = 1.0
"""Seconds without requests to an endpoint that refused one as too fast and does not say for how long."""


class Bars(list[Kline]):
    """The bars of an answer, and the source that a Tickwire has them of; empty where it is not said."""

    def __init__(self, bars: Iterable[Kline], source: str) -> None:
        super().__init__(bars)
        self.source = source


class Suspensions(NamedTuple):
    """A page of a list of suspensions; `total` counts all entries of the list."""

    total: int
    entries: list[Suspension]


class Instruments(msgspec.Struct):
    """A list of instruments as a client reads it: `next` is the code to go on after if it is one."""

    instrument_list: list[InstrumentInfo]
    next: Any = None


class Http:
    """The HTTP API of the server at `base`, such as http://127.0.0.1:8600. All methods raise ClientError.

    `timeout` is how long an answer may take, in seconds. `bad` counts entries of answers that could not be
    read; they are left out.
    """

    def __init__(
        self,
        base: str,
        token: Token,
        *,
        pacer: Pacer | None = None,
        timeout: float = 20.0,
        network: Network | None = None,
    ) -> None:
        self.bad = 0
        self._bases = {family: http_url(base, family) for family in (*Family, None)}
        self._token = token
        self._pacer = pacer or Pacer()
        self._timeout = timeout
        self._network = network or Network()
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def trades(self, family: Family, codes: Iterable[str]) -> list[Pushed]:
        """The last trade of each code that has one."""
        return (await self.ticks(family, Kind.TRADE, codes))[0]

    async def books(self, family: Family, codes: Iterable[str]) -> list[Pushed]:
        """The last book of each code that has one."""
        return (await self.ticks(family, Kind.DEPTH, codes))[0]

    async def ticks(self, family: Family, kind: Kind, codes: Iterable[str]) -> tuple[list[Pushed], bool]:
        """The last trade or book of each code that has one, and whether those are all: a relay may not have
        heard how the others stand."""
        is_trade = kind is Kind.TRADE
        answer = await self._ask_of(family, "trade-tick" if is_trade else "depth-tick", codes)
        read = upstream_http.trades if is_trade else upstream_http.books
        return self._entries(read, answer.data), not answer.partial

    async def klines(
        self,
        family: Family,
        code: str,
        kline_type: KlineType,
        *,
        count: int = 500,
        end: int = 0,
        whole: bool = False,
    ) -> Bars:
        """The last bars up to `end`, which is in seconds since the epoch and 0 for now; a server gives 500
        at the most. They ascend, and the last one may still be forming.

        With `whole` it raises Incomplete where the server can only give a part of what it has.
        """
        answer = await self._get(family, "kline", _bars_query(code, kline_type, count, end), [code])
        if whole and answer.partial:
            raise Incomplete(f"/kline of {code}: the server can only give a part of its bars now", status=OK)
        return Bars(self._entries(upstream_http.bars, answer.data, code, kline_type), answer.source)

    async def latest_klines(
        self, family: Family, pairs: Iterable[tuple[str, KlineType]], *, count: int = 2
    ) -> dict[tuple[str, KlineType], list[Kline]]:
        """The last one or two bars of many codes and types, in one request."""
        groups = [_bars_query(code, kline_type, count, 0) for code, kline_type in pairs]
        codes = [group["code"] for group in groups]
        answer = await self._request(family, "batch-kline", body=_query({"data_list": groups}), codes=codes)
        found = self._entries(upstream_http.bar_groups, answer.data)
        return {(code, kline_type): bars for code, kline_type, bars in found}

    async def static_info(self, codes: Iterable[str]) -> list[StaticInfo]:
        """What is known of stocks."""
        answer = await self._ask_of(Family.STOCK, "static_info", codes)
        return self._entries(upstream_http.static_infos, answer.data)

    async def suspensions(
        self, exchange: SuspensionList, *, page: int | None = None, size: int | None = None
    ) -> Suspensions:
        """The list of an exchange, or a page of it; newest announcement first."""
        answer = await self._request(None, f"suspension/{exchange}", {"page": page, "size": size})
        return Suspensions(answer.total, self._entries(upstream_http.suspensions, answer.data, exchange))

    async def instruments(self, codes: Iterable[str]) -> tuple[list[InstrumentInfo], bool]:
        """What a Tickwire knows of these codes, and whether that is all: what is left out it may be about to
        ask its own upstream for."""
        answer = await self._request(None, "instruments", {"codes": ",".join(codes)}, root=EXTENSIONS)
        return _read(answer.data, Instruments).instrument_list, not answer.partial

    async def extension(self, name: str, shape: type[T], parameters: Parameters = None) -> T:
        """The data that an extension answers (docs/protocol.md): "markets", "instruments", "gaps". A server
        that has none refuses: RequestRefused."""
        return _read((await self._request(None, name, parameters, root=EXTENSIONS)).data, shape)

    def _entries(self, read: Any, data: Any, *how: Any) -> list[Any]:
        try:
            found = cast("Found", read(data, *how))
        except ValueError as error:
            raise Unreadable(f"an answer cannot be read: {error}", status=OK) from None
        self.bad += found.bad
        return found.entries

    async def _ask_of(self, family: Family, endpoint: str, codes: Iterable[str]) -> Envelope:
        asked = list(codes)
        return await self._get(family, endpoint, {"symbol_list": [{"code": code} for code in asked]}, asked)

    async def _get(self, family: Family, endpoint: str, data: object, codes: Sequence[str]) -> Envelope:
        return await self._request(family, endpoint, {"query": _query(data).decode()}, codes=codes)

    async def _request(
        self,
        family: Family | None,
        endpoint: str,
        parameters: Parameters = None,
        body: bytes | None = None,
        root: str = ROOT_API,
        codes: Sequence[str] = (),
    ) -> Envelope:
        """The answer to a request whose turn has come; what is of no family is below `root`. An error names
        the `codes` that were asked for."""
        url = f"{self._bases[family]}{'' if family else root}/{endpoint}"
        self._opened()  # before its turn: what takes a while then would bring the next request too close
        async with self._pacer.request(endpoint) as left:
            status, headers, answer = await self._exchange(url, parameters or {}, body, left)
        wait = retry_after(headers)
        try:
            envelope = read_envelope(answer, status)
        except ValueError as error:
            if OK <= status < SERVER_ERROR and status not in (UNAUTHORIZED, *TOO_MANY):
                raise Unreadable(
                    f"/{endpoint}: HTTP {status} without an answer: {error}", status=status
                ) from None
            envelope = Envelope(status, "", None)
        if envelope.ret == OK and status == OK:
            source = plain(unquote(headers.get(SOURCE, "")))
            return envelope._replace(partial=PARTIAL in headers, source=source)
        refused = _error(f"/{endpoint} of {some(codes)}" if codes else f"/{endpoint}", envelope, status, wait)
        if isinstance(refused, TooManyRequests):
            self._pacer.hold(endpoint, HOLD if wait is None else wait)
        raise refused

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = http_client(self._bases[None], self._network, self._timeout)
        return self._client

    async def _exchange(
        self, url: str, parameters: Mapping[str, object], body: bytes | None, left: Callable[[], None]
    ) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and body of the answer; `left` is called once the request has left. Raises
        ClientError if there is none."""
        import httpx

        async def trace(event: str, _: object) -> None:
            if event == SENT:
                left()

        token = self._token if isinstance(self._token, str) else self._token()
        said = {name: str(value) for name, value in parameters.items() if value is not None}
        found = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._opened().stream(
                    "GET" if body is None else "POST",
                    url,
                    params={"token": token, **said},
                    content=body,
                    headers={} if body is None else {"Content-Type": "application/json"},
                    extensions={"trace": trace},
                ) as response,
            ):
                async for chunk in response.aiter_bytes():
                    found += chunk
                    if len(found) > MOST_BYTES:
                        raise Unreadable(
                            f"an answer of more than {MOST_BYTES} bytes", status=response.status_code
                        )
                return response.status_code, response.headers, bytes(found)
        except TimeoutError:
            raise Unavailable(f"no answer in {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            proxy = self._network.proxy_for(url)
            text, untrusted = why(error, url, proxy)
            raise (Untrusted if untrusted else Unavailable)(f"no answer: {text}") from None


def _read(data: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise Unreadable(f"an answer cannot be read: {error}", status=OK) from None


def http_client(url: str, network: Network, timeout: float) -> httpx.AsyncClient:
    """A client of the server at that URL alone; seconds. Raises Unavailable where the network is none."""
    import httpx

    logging.getLogger("httpx").addFilter(_without_tokens)
    try:
        context, proxy = network.context_for(url), network.proxy_for(url)
        trust = network.context() if (proxy or "").startswith("https:") else None
        through = None if proxy is None else httpx.Proxy(proxy, ssl_context=trust)
    except ValueError as error:
        raise Unavailable(f"no answer: {error}") from None
    return httpx.AsyncClient(
        trust_env=False,  # of which the network has taken what is to be taken
        verify=False if context is None else context,  # it is plain HTTP, and needs no trust
        proxy=through,
        timeout=timeout,
        headers={"User-Agent": USER_AGENT},
    )


def _bars_query(code: str, kline_type: KlineType, count: int, end: int) -> dict[str, Any]:
    return {
        "code": code,
        "kline_type": int(kline_type),
        "kline_timestamp_end": end,
        "query_kline_num": count,
        "adjust_type": 0,
    }


def _query(data: object) -> bytes:
    return to_json({"trace": "tickwire", "data": data})


def _error(asked: str, envelope: Envelope, status: int, wait: float | None) -> ClientError:
    ret = envelope.ret if envelope.ret != OK else status
    if UNAUTHORIZED in (ret, status):
        kind: type[ClientError] = Unauthorized
    elif ret in TOO_MANY or status in TOO_MANY:
        kind = TooManyRequests
    elif SERVER_ERROR <= ret < 600 or status >= SERVER_ERROR:
        kind = Unavailable
    else:
        kind = RequestRefused
    text = f"{asked}: {plain(envelope.msg) or 'refused'} ({ret})"
    return kind(text, ret=ret, msg=envelope.msg, status=status, retry_after=wait)


def _without_tokens(record: logging.LogRecord) -> bool:
    """httpx logs each URL at INFO; the token in it stays out."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            _TOKEN.sub("token=…", str(one)) if "token=" in str(one) else one for one in record.args
        )
    return True


_TOKEN = re.compile(r"token=[^&\s\"']*")
