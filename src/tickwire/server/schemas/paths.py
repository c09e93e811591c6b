"""The paths of the protocol and of its extensions: what takes a token and counts against a plan."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import wire
from ...model import Family, SuspensionList
from . import examples
from .components import ref
from .errors import GUARDED, refusals, responses
from .operation import Path, operation, plain, succeeded

LIMITS = ("RateLimit-Policy", "RateLimit")
OF_CODES = (wire.CODE_INVALID, wire.LEVEL_TOO_LOW, wire.CODE_UNAUTHORIZED)
BAD = (wire.HEADER_INVALID, wire.DATA_INVALID)


class Endpoint(NamedTuple):
    """A path below the bases: the types of its data in and out, by name, and an example of each."""

    name: str
    summary: str
    asked: str
    answered: str
    example: tuple[Any, Any]
    families: tuple[Family, ...] = (Family.STOCK, Family.OTHER)
    methods: tuple[str, ...] = ("get",)


def _codes(*codes: str) -> dict[str, Any]:
    return {"symbol_list": [{"code": code} for code in codes]}


_BARS = {"code": "BTCUSDT", "kline_type": 1, "kline_timestamp_end": 0, "query_kline_num": 2, "adjust_type": 0}
_OF_BTC = {"code": "BTCUSDT", "kline_type": 1}
ENDPOINTS = (
    Endpoint(
        "trade-tick",
        "The last trade of each code",
        "SymbolList",
        "TradeTickList",
        (_codes("BTCUSDT"), {"tick_list": [examples.texts(examples.TRADE)]}),
    ),
    Endpoint(
        "depth-tick",
        "The last order book of each code",
        "SymbolList",
        "BookTickList",
        (_codes("BTCUSDT"), {"tick_list": [examples.texts(examples.BOOK)]}),
    ),
    Endpoint(
        "kline",
        "Bars of one code and type, at most 500",
        "KlineQuery",
        "KlineList",
        (_BARS, _OF_BTC | {"kline_list": [examples.BAR]}),
    ),
    Endpoint(
        "batch-kline",
        "The latest one or two bars of many codes and types",
        "BatchKlineQuery",
        "BatchKlineList",
        ({"data_list": [_BARS]}, {"kline_list": [_OF_BTC | {"kline_data": [examples.BAR]}]}),
        methods=("get", "post"),
    ),
    Endpoint(
        "static_info",
        "Names, exchange, currency and lot of each code",
        "SymbolList",
        "StaticInfoList",
        (_codes("700.HK"), {"static_info_list": [examples.STATIC]}),
        (Family.STOCK,),
    ),
)
SUSPENSIONS = {
    SuspensionList.SSE: ("SsePage", examples.SSE),
    SuspensionList.NYSE: ("NysePage", examples.NYSE),
    SuspensionList.NASDAQ: ("NasdaqPage", examples.NASDAQ),
}


def protocol_paths() -> dict[str, Path]:
    """The paths and their operations."""
    found = {
        f"{base}/{one.name}": {method: _endpoint(family, one, method) for method in one.methods}
        for base, family in wire.HTTP_BASES.items()
        for one in ENDPOINTS
        if family in one.families
    }
    found |= {f"/api/suspension/{exchange}": {"get": _suspensions(exchange)} for exchange in SuspensionList}
    found |= {path: {"get": _stream(family)} for path, family in wire.WS_PATHS.items()}
    return found | _extensions()


def _endpoint(family: Family, one: Endpoint, method: str) -> Path:
    asked, answered = one.example
    request = {"schema": ref(f"{one.asked}HttpRequest"), "example": {"trace": "desk-7", "data": asked}}
    rets: tuple[wire.Ret, ...] = (*GUARDED, *BAD, *OF_CODES)
    made: Path = {}
    name = f"{family}_{one.name.replace('-', '_')}"
    if method == "post":
        made["requestBody"] = {"required": True, "content": {"application/json": request}}
        rets += (wire.BODY_EMPTY,)
    else:
        query = {"name": "query", "in": "query", "required": True, "content": {"application/json": request}}
        made["parameters"] = [query]
        rets += (wire.QUERY_INVALID,)
    if "post" in one.methods:
        rets += (
            *(wire.BODY_TOO_LARGE, wire.BODY_STALLED),
            *(wire.BODY_TOO_SLOW, wire.TOO_MANY_BODIES),
        )
        if method == "get":
            name += "_by_get"
            made["description"] = "Without `query`, a body as that of the POST is read."
    headers = [*LIMITS, "Tickwire-Partial"]
    headers += ("Tickwire-Simulated",) if one.name == "static_info" else ()
    answers = responses(succeeded(one.answered, answered), rets, headers)
    return operation(name, "market data", one.summary, answers, **made)


def _suspensions(exchange: SuspensionList) -> Path:
    page, entry = SUSPENSIONS[exchange]
    shown = {
        "success": True,
        "timestamp": "2026-11-22T10:30:00",
        "totalCount": 1,
        "totalPages": 1,
        "currentPage": 1,
        "currentSize": 1,
        "data": [entry],
    }
    success = {"description": "The newest announcement first.", "schema": ref(page), "example": shown}
    rets = [ret for ret in GUARDED if ret != wire.SERVER_ERROR]
    answers = responses(success, rets, LIMITS)
    for status, text, error in (
        (
            "400",
            "`page` or `size` is out of range.",
            "page is '0', expected a whole number from 1 to 1000000000.",
        ),
        ("500", "The server cannot read its store.", "The server cannot read its suspensions now."),
    ):
        content = {"schema": ref("SuspensionError"), "example": {"success": False, "error": error}}
        answers[status] = {"description": text, "content": {"application/json": content}}
    parameters = (
        plain("page", "From 1 on.", {"type": "integer", "minimum": 1, "maximum": 10**9}, 1),
        plain("size", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": 1000}, 20),
    )
    summary = f"Halts of {exchange.upper()}; without `page` and `size` all of them"
    return operation(f"suspension_{exchange}", "suspensions", summary, answers, parameters=parameters)


def _stream(family: Family) -> Path:
    rows = (wire.TOKEN_REQUIRED, wire.TOKEN_INVALID, wire.TOO_MANY_REQUESTS)
    answers = refusals((*rows, wire.TOO_MANY_CONNECTIONS, wire.UPGRADE_REQUIRED))
    error = {
        "msg": "Failed to open a WebSocket connection: missing Sec-WebSocket-Key header.",
        "trace": "",
        "ret": 400,
    }
    broken = {"schema": ref("HttpError"), "example": error}
    answers["101"] = {"description": "The connection is a WebSocket now."}
    answers["400"] = {
        "description": "The upgrade breaks the rules of RFC 6455.",
        "content": {"application/json": broken},
    }
    return operation(f"{family}_stream", "streams", "Upgrades to a WebSocket", answers)


def _extensions() -> dict[str, Path]:
    text = {"type": "string"}
    gap_errors = responses(
        succeeded("GapList", {"gap_list": [examples.GAP]}),
        (*GUARDED, wire.CODE_INVALID, wire.CODE_UNAUTHORIZED),
        LIMITS,
    )
    error = {"msg": "to lies before from.", "trace": "", "ret": 400}
    instrument_errors = responses(
        succeeded("InstrumentList", {"instrument_list": [examples.INSTRUMENT], "next": "GOLD"}),
        GUARDED,
        [*LIMITS, "Tickwire-Partial"],
    )
    wrong_limit = "limit is '0', expected a whole number from 1 to 2000."
    for answers, example in ((gap_errors, error), (instrument_errors, error | {"msg": wrong_limit})):
        answers["400"] = {
            "description": "A parameter is wrong; `msg` says what was expected.",
            "content": {"application/json": {"schema": ref("HttpError"), "example": example}},
        }
    moment = "In milliseconds since the epoch, or a time such as `2026-11-22T09:30Z`."
    time = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "format": "date-time"}]}
    return {
        "/v1/markets": {
            "get": operation(
                "markets",
                "extensions",
                "Calendars: their state, the next open and close, holidays",
                responses(succeeded("MarketList", {"market_list": [examples.CALENDAR]}), GUARDED, LIMITS),
            )
        },
        "/v1/instruments": {
            "get": operation(
                "instruments",
                "extensions",
                "The instruments that the token may read, with their state",
                instrument_errors,
                parameters=[
                    plain("search", "A text in the code, an alias or a name.", text, "gold"),
                    plain(
                        "limit",
                        "How many at most; all if it is not given. If there are more, the answer has `next`.",
                        {"type": "integer", "minimum": 1, "maximum": 2000},
                        1000,
                    ),
                    plain("after", "Only what comes after that code: the `next` before.", text, "EURUSD"),
                    plain(
                        "codes",
                        "These and no others, at most 500, with commas between them; what only a relay's "
                        "upstream can know is asked for there.",
                        text,
                        "510050.SH,GBPMXN",
                    ),
                ],
            )
        },
        "/v1/usage": {
            "get": operation(
                "usage",
                "extensions",
                "What is left of the accounts upstream, and what the token uses; to an admin's, all tokens",
                responses(succeeded("Usage", examples.USAGE), GUARDED, LIMITS),
            )
        },
        "/v1/gaps": {
            "get": operation(
                "gaps",
                "extensions",
                "When sources were down while their markets were open, the newest first",
                gap_errors,
                parameters=[
                    plain("code", "Only the gaps of that code.", text, "BTCUSDT"),
                    plain("from", f"Only what ends after it. {moment}", time, "2026-11-22T09:30:00Z"),
                    plain("to", f"Only what begins before it. {moment}", time, 1795364901200),
                    plain(
                        "limit",
                        "How many.",
                        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
                        100,
                    ),
                ],
            )
        },
    }
