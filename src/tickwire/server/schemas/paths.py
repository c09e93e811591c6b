"""The paths of the protocol: what takes a token and counts against a plan."""

from __future__ import annotations

from typing import NamedTuple

from ...model import Family, SuspensionList
from ...wire import HTTP_BASES, WS_PATHS
from ...wire import ret as table
from .components import ref
from .errors import GUARDED, refusals, responses
from .operations import LIMITS, Path, common, operation, success
from .written import EXAMPLES

OF_CODES = (table.CODE_INVALID, table.LEVEL_TOO_LOW, table.CODE_UNAUTHORIZED)
BAD = (table.HEADER_INVALID, table.DATA_INVALID)
OF_BODIES = (table.BODY_TOO_LARGE, table.BODY_STALLED, table.BODY_TOO_SLOW, table.TOO_MANY_BODIES)


class Endpoint(NamedTuple):
    """A path below the bases, and the types of its data in and out, by name."""

    name: str
    summary: str
    asked: str
    answered: str
    families: tuple[Family, ...] = (Family.STOCK, Family.OTHER)
    methods: tuple[str, ...] = ("get",)


ENDPOINTS = (
    Endpoint("trade-tick", "The last trade of each code", "SymbolList", "TradeTickList"),
    Endpoint("depth-tick", "The last order book of each code", "SymbolList", "BookTickList"),
    Endpoint("kline", "Bars of one code and type, at most 500", "KlineQuery", "KlineList"),
    Endpoint(
        "batch-kline",
        "The latest one or two bars of many codes and types",
        "BatchKlineQuery",
        "BatchKlineList",
        methods=("get", "post"),
    ),
    Endpoint(
        "static_info",
        "Names, exchange, currency and lot of each code",
        "SymbolList",
        "StaticInfoList",
        (Family.STOCK,),
    ),
)


def protocol_paths() -> dict[str, Path]:
    """The paths and their operations."""
    found = {
        f"{base}/{one.name}": {method: _endpoint(family, one, method) for method in one.methods}
        for base, family in HTTP_BASES.items()
        for one in ENDPOINTS
        if family in one.families
    }
    found |= {f"/api/suspension/{exchange}": {"get": _suspensions(exchange)} for exchange in SuspensionList}
    return found | {path: {"get": _stream(family)} for path, family in WS_PATHS.items()}


ADDED = {"static_info": ["Tickwire-Simulated"], "kline": ["Tickwire-Source"]}
"""Headers of single endpoints."""


def _endpoint(family: Family, one: Endpoint, method: str) -> Path:
    example = {"trace": "desk-7", "data": EXAMPLES[one.name]}
    content = {"application/json": {"schema": ref(f"{one.asked}HttpRequest"), "example": example}}
    rets: tuple[table.Ret, ...] = (*GUARDED, *BAD, *OF_CODES)
    made: Path = {}
    name = f"{family}_{one.name.replace('-', '_')}"
    if method == "post":
        made["requestBody"] = {"required": True, "content": content}
        rets += (table.BODY_EMPTY,)
    else:
        made["parameters"] = [{"name": "query", "in": "query", "required": True, "content": content}]
        rets += (table.QUERY_INVALID,)
    if "post" in one.methods:
        rets += OF_BODIES
        if method == "get":
            name += "_by_get"
            made["description"] = "Without `query`, a body as that of the POST is read."
    headers = [*LIMITS, "Tickwire-Partial"]
    headers += ADDED.get(one.name, ())
    return operation(
        name, "market data", one.summary, responses(success(one.answered), rets, headers), **made
    )


def _suspensions(exchange: SuspensionList) -> Path:
    page = f"{exchange.capitalize()}Page"
    found = {"description": "The newest announcement first.", "schema": ref(page), "example": EXAMPLES[page]}
    rets = [ret for ret in GUARDED if ret != table.SERVER_ERROR]
    answers = responses(found, rets, LIMITS) | common("suspensions")
    summary = f"Halts of {exchange.upper()}; without `page` and `size` all of them"
    name = f"suspension_{exchange}"
    return operation(name, "suspensions", summary, answers, named=("page", "size"))


def _stream(family: Family) -> Path:
    rows = (table.TOKEN_REQUIRED, table.TOKEN_INVALID, table.TOO_MANY_REQUESTS)
    answers = refusals((*rows, table.TOO_MANY_CONNECTIONS, table.UPGRADE_REQUIRED))
    answers |= common("upgrade") | common("stream")
    return operation(f"{family}_stream", "streams", "Upgrades to a WebSocket", answers)
