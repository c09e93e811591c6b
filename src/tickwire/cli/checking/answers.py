"""What a server answers over HTTP: whether it is one of the protocol at all, its clock, its endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from ...client import Account, Http, Network, Pacer, Rates, http_url
from ...client.errors import ClientError, TooManyRequests, Unauthorized, Unavailable
from ...client.http import http_client
from ...client.network import why
from ...model import Family, KlineType
from .finding import BROKEN, TOKEN, TOO_FAST, UNTRUSTED, Finding, Verdict, advice_for, counted, timed, times

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
PATIENCE = 10.0
"""Seconds in which a server that can be reached answers."""
PROBES, BETWEEN = 3, 0.35
"""Looks at a server's clock, and the seconds between them: its Date has whole seconds."""
STALE_DATE = 2.0
"""Seconds by which a Date may lie behind: it is cut to a second, and servers make one anew once a second."""
MOST_OFF = 1.0
MORE = 0.5
"""Seconds by which windows of requests are taken longer than they are."""
HOLD = 2.0
"""Seconds without a request after one that was too fast, where the server does not say."""
TRADE_TICK, KLINE, STATIC_INFO = "trade-tick", "kline", "static_info"
ENDPOINTS = {Family.STOCK: (TRADE_TICK, KLINE, STATIC_INFO), Family.OTHER: (TRADE_TICK, KLINE)}
REFUSED = 401, 429
"""The vendor's own limit has no `ret`."""
BY_PROXY = "does the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names let through what goes there?"
UNREACHED = (
    "is the server running, and does a firewall let through what goes there? `tickwire serve` starts one"
)
NO_SERVER = "what answers is no server of the protocol: is the URL right?"


async def reach(account: Account, family: Family) -> list[Finding]:
    """Asks without a token, which every server of the protocol refuses in the same way (section 1).

    Returns whether it is one, and how its clock goes; a failure says that nothing else can be checked.
    """
    address, network = f"{http_url(account.url, family)}/trade-tick", account.network
    low, high = -float("inf"), float("inf")
    quickest = float("inf")
    try:
        client = http_client(address, network, PATIENCE)
    except ClientError as error:
        return [_unreached(error, address, network)]
    async with client:
        for number in range(PROBES):
            if number:
                await asyncio.sleep(BETWEEN)
            began, sent = time.monotonic(), time.time()
            try:
                answer = await client.get(address)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return [_unreached(error, address, network)]
            quickest = min(quickest, time.monotonic() - began)
            if not _of_the_protocol(answer):
                measured = f"HTTP {answer.status_code} without an answer of the protocol"
                advice = advice_for(Unavailable("")) if answer.is_server_error else NO_SERVER
                return [Finding("reach", "", FAIL, measured, advice)]
            try:
                date = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
            except ValueError:
                continue
            low, high = max(low, date - time.time()), min(high, date + STALE_DATE - sent)
    return [Finding("reach", "", OK, times(quickest), "", quickest), _clock(low, high)]


def _unreached(error: Exception, address: str, network: Network) -> Finding:
    if isinstance(error, httpx.TimeoutException):
        text, untrusted = f"no answer in {PATIENCE:.0f} s", False
    elif isinstance(error, ClientError):
        text, untrusted = str(error), False
    else:
        text, untrusted = why(error, address, network.proxy_for(address))
    away = UNREACHED if network.proxy_for(address) is None else BY_PROXY
    return Finding("reach", "", FAIL, text, UNTRUSTED if untrusted else away)


def _of_the_protocol(answer: httpx.Response) -> bool:
    try:
        document: Any = msgspec.json.decode(answer.content)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and ("ret" in document or answer.status_code in REFUSED)


def _clock(low: float, high: float) -> Finding:
    """The server's clock is between `low` and `high` seconds ahead of ours."""
    if low == -float("inf"):
        return Finding("clock", "", OK, "the server does not say its time")
    middle = (low + high) / 2
    measured = f"{middle:+.1f} s against ours, to {max(high - low, 0) / 2:.1f} s"
    if low > MOST_OFF or high < -MOST_OFF:
        advice = "set the clocks of both machines by NTP; latencies below are wrong by that much"
        return Finding("clock", "", WARN, measured, advice, middle)
    return Finding("clock", "", OK, measured, "", middle)


class Endpoints:
    """The endpoints of a server over HTTP. What was too fast is asked again for so many seconds."""

    def __init__(self, account: Account, patience: float) -> None:
        self._http = {  # each counts its own
            family: Http(account.url, account.token, network=account.network) for family in Family
        }
        # Apart from them, since a wait of ours is no slowness of the server.
        self._pacer = Pacer(_careful(account.plan.rates))
        self._patience = patience

    async def close(self) -> None:
        """Lets go of its connections."""
        for http in self._http.values():
            await http.close()

    async def ask(self, endpoint: str, family: Family, codes: Sequence[str]) -> Finding:
        """What one of ENDPOINTS answers for these codes; where the token is refused, that is the finding."""
        http, refused = self._http[family], 0
        bad = http.bad
        ends = float("inf")
        while True:
            try:
                await self._pacer.turn(endpoint)
                began = time.monotonic()
                ends = min(ends, began + self._patience)
                entries = await _entries(http, endpoint, family, codes)
                break
            except Unauthorized as error:
                return Finding("token", family, FAIL, str(error), TOKEN)
            except TooManyRequests as error:
                refused += 1
                wait = HOLD if error.retry_after is None else error.retry_after
                if time.monotonic() + wait > ends:
                    return Finding(endpoint, family, FAIL, f"refused {counted(refused)}: {error}", TOO_FAST)
                await asyncio.sleep(wait)
            except ClientError as error:
                return Finding(endpoint, family, FAIL, str(error), advice_for(error))
        took = time.monotonic() - began
        measured = f"{times(took)} for {len(entries)} entries"
        if bad := http.bad - bad:
            measured = f"{measured}; {bad} cannot be read"
            return Finding(endpoint, family, FAIL, measured, BROKEN, took)
        if refused:
            measured = f"{measured}; refused {counted(refused)} as too fast"
            return Finding(endpoint, family, WARN, measured, TOO_FAST, took)
        return timed(endpoint, family, took, more=f" for {len(entries)} entries")


def _careful(rates: Rates) -> Rates:
    """The rates with longer windows: a refusal that is a matter of milliseconds says nothing of a server."""
    windows = {"endpoint": rates.endpoint, "http": rates.http}
    longer = {name: (one[0], one[1] + MORE) for name, one in windows.items() if one is not None}
    return rates._replace(**longer)  # type: ignore[arg-type]


async def _entries(http: Http, endpoint: str, family: Family, codes: Sequence[str]) -> Sequence[Any]:
    if endpoint == KLINE:
        return await http.klines(family, codes[0], KlineType.MINUTE, count=10)
    if endpoint == STATIC_INFO:
        return await http.static_info(codes)
    return await http.trades(family, codes)
