"""Requests and answers over HTTP, without HTTP: section 3."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from ..model import Book, Instrument, Trade
from .messages import BookData, HttpError, HttpSuccess, HttpTooMany, StaticInfo, TradeData, to_json
from .push import book_data, trade_data
from .reader import NOT_JSON, Reader, Request
from .ret import BODY_EMPTY, HEADER_INVALID, OK, QUERY_INVALID, TOO_MANY_REQUESTS, Ret
from .session import Refused, Want

T = TypeVar("T")


def read_query(text: str | None, reader: Reader) -> Request:
    """The request in a `query` parameter. Raises Refused if there is none or it is no JSON."""
    if not text:
        raise Refused(QUERY_INVALID)
    try:
        document = msgspec.json.decode(text)
    except NOT_JSON:
        if reader.strict or "'" not in text:
            raise Refused(QUERY_INVALID) from None
        document = _single_quoted(text)
    return reader.query(document)


def _single_quoted(text: str) -> Any:
    """Some programs send a Python dictionary as it prints."""
    try:
        return msgspec.json.decode(text.replace("'", '"'))
    except NOT_JSON:
        raise Refused(QUERY_INVALID) from None


def read_body(body: bytes, reader: Reader) -> Request:
    """The request in the body of a POST. Raises Refused if there is none or it is no JSON (400)."""
    if not body:
        raise Refused(BODY_EMPTY)
    try:
        return reader.query(msgspec.json.decode(body))
    except NOT_JSON:
        raise Refused(HEADER_INVALID) from None


def success(data: msgspec.Struct, trace: str) -> bytes:
    """The body of a successful answer."""
    return to_json(HttpSuccess(OK.code, OK.msg, trace, data))


def failure(ret: Ret, trace: str = "") -> bytes:
    """The body of an error: no `data`, a `trace` even if unknown. That of a rate limit says more."""
    if ret == TOO_MANY_REQUESTS:
        return to_json(HttpTooMany(ret.code, ret.msg, ret.msg.capitalize(), trace))
    return to_json(HttpError(ret.msg, trace, ret.code))


def trade_entries(found: Iterable[tuple[Want, Trade, int]]) -> list[TradeData]:
    """The `tick_list` of /trade-tick: the last trade of each and its `seq`."""
    return [trade_data(want.name, want.instrument, trade, seq, text_ids=True) for want, trade, seq in found]


def book_entries(found: Iterable[tuple[Want, Book, int]]) -> list[BookData]:
    """The `tick_list` of /depth-tick: the last book of each and its `seq`."""
    return [
        book_data(want.name, want.instrument, want.levels, book, seq, text_ids=True)
        for want, book, seq in found
    ]


def end_seconds(kline_timestamp_end: int) -> int | None:
    """The end that was asked for, in seconds; None for the latest. Values above 10^11 are milliseconds."""
    end = kline_timestamp_end
    return (end // 1000 if end > 10**11 else end) or None


def static_entry(instrument: Instrument) -> StaticInfo:
    """The entry of an instrument in /static_info."""
    facts = {name: getattr(instrument, name) for name in StaticInfo.__struct_fields__ if name != "symbol"}
    return StaticInfo(instrument.code, **facts)


def rate_limit_headers(limits: Iterable[tuple[str, int, int, int, float]]) -> tuple[str, str]:
    """The values of RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers).

    Of each limit: its name, how many requests pass in how many seconds, how many are left, and in how many
    seconds the next one comes free.
    """
    policies, standings = [], []
    for name, requests, seconds, left, reset in limits:
        policies.append(f'"{name}";q={requests};w={seconds}')
        standings.append(f'"{name}";r={left};t={math.ceil(reset)}')
    return ", ".join(policies), ", ".join(standings)
