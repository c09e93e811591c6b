"""Requests and answers over HTTP, without HTTP: section 3."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from ..model import Book, Instrument, Trade
from .deviation import Deviation, Report
from .messages import BookData, HttpError, HttpSuccess, HttpTooMany, StaticInfo, TradeData, to_json
from .push import book_data, trade_data
from .reader import NOT_JSON, Reader, Request
from .ret import BODY_EMPTY, HEADER_INVALID, OK, QUERY_INVALID, TOO_MANY_REQUESTS, Refused, Ret
from .session import Want


def read_query(text: str | None, reader: Reader, noted: Report) -> Request:
    """The request in a `query` parameter. Raises Refused if there is none or it is no JSON."""
    if not text:
        noted.note(Deviation.MISSING_FIELD, "query")
        raise Refused(QUERY_INVALID)
    return _read(text.encode(), reader, noted, QUERY_INVALID)


def read_body(body: bytes, reader: Reader, noted: Report) -> Request:
    """The request in a body. Raises Refused if there is none or it is no JSON (400)."""
    if not body:
        noted.note(Deviation.MISSING_FIELD, "body")
        raise Refused(BODY_EMPTY)
    return _read(body, reader, noted, HEADER_INVALID)


def _read(text: bytes, reader: Reader, noted: Report, unreadable: Ret) -> Request:
    try:
        return reader.query(text, noted)
    except NOT_JSON:
        raise Refused(unreadable) from None


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
