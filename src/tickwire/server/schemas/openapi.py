"""The HTTP side as an OpenAPI 3.1 document."""

from __future__ import annotations

import inspect
from typing import Any

from ... import __version__, wire
from ...sandbox import Scenario
from ...wire import GapList, HttpSuccess, InstrumentList, MarketList
from ...wire.messages import HttpTooMany
from ...wire.overview import Usage
from ...wire.suspension import SuspensionError
from .. import operating
from . import shapes
from .components import Schema, incoming, outgoing, ref
from .document_paths import document_paths
from .lines import LINE, LINES
from .other_paths import other_paths
from .paths import protocol_paths

SENT = (
    HttpSuccess[shapes.TradeTickList],
    HttpSuccess[shapes.BookTickList],
    HttpSuccess[wire.KlineList],
    HttpSuccess[wire.BatchKlineList],
    HttpSuccess[wire.StaticInfoList],
    HttpSuccess[MarketList],
    HttpSuccess[InstrumentList],
    HttpSuccess[GapList],
    HttpSuccess[Usage],
    HttpSuccess[wire.Tally],
    HttpSuccess[wire.Standing],
    wire.HttpError,
    HttpTooMany,
    shapes.SsePage,
    shapes.NysePage,
    shapes.NasdaqPage,
    SuspensionError,
    operating.Health,
    operating.Readiness,
    operating.Failure,
    operating.ScenarioList,
    operating.StoppedList,
    operating.ConnectionList,
)
TAKEN = (
    shapes.HttpRequest[wire.SymbolList],
    shapes.HttpRequest[wire.KlineQuery],
    shapes.HttpRequest[wire.BatchKlineQuery],
    *LINES,
    operating.ScenarioName,
    Scenario,
)


def openapi_document() -> dict[str, Any]:
    """The document as JSON values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tickwire over HTTP",
            "version": __version__,
            "summary": "Market data as AllTick serves it, and what AllTick does not have.",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": protocol_paths() | other_paths() | document_paths(),
        "components": {
            "schemas": schemas(),
            "headers": HEADERS,
            "securitySchemes": SECURITY,
        },
    }


def schemas() -> dict[str, Schema]:
    """The schemas of the document, by name."""
    ticks = {
        "title": "TickList",
        "description": inspect.cleandoc(wire.TickList.__doc__ or ""),
        "anyOf": [ref("TradeTickList"), ref("BookTickList")],
    }
    return incoming(*TAKEN) | outgoing(*SENT) | {"Line": LINE, "TickList": ticks}


DESCRIPTION = """\
The AllTick protocol over HTTP, and extensions below `/v1`.

Clients branch on the status, on `ret` or on the text, and all three say the same. `HEAD` answers as `GET`
does, without the body. A path below a base that there is not is answered with 402, `query invalid`; a request
whose head is longer than 256 KiB or has over 128 headers with 431, what is no HTTP with 400, always as JSON.
Limits are those of the token's plan.

The server reads more than the schemas of requests say: `trace` may be missing, numbers may be texts, codes
plain texts; JSON may have single quotes, trailing commas and a byte-order mark. A running scenario may answer
any request with any `ret` and status."""

TAGS = {
    "market data": "The vendor's API: last trades and books, K-lines, static data.",
    "suspensions": "Halts, as the exchanges announce them.",
    "extensions": "Markets, instruments and gaps: what the vendor does not have.",
    "streams": "Upgrades to WebSockets; what follows is described by `/asyncapi.json`.",
    "publishing": "Prices of your own, for a server that runs with `--source publish`.",
    "probes": "Whether the server is up, and what it does.",
    "admin": "Scenarios and connections: for the server's own machine, or an admin token.",
    "documents": "What the server says of itself.",
}

HEADERS: dict[str, Any] = {
    "Allow": {"description": "The methods of the path.", "required": True, "schema": {"type": "string"}},
    "RateLimit-Policy": {
        "description": "The limits that concern the request, if any (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": '"endpoint";q=1;w=1',
    },
    "Tickwire-Simulated": {
        "schema": {"type": "string", "const": "1"},
        "description": "Some of these figures are made up.",
    },
    "Tickwire-Partial": {
        "description": "What the answer lacks. `store`: the store cannot be read now, these are the bars "
        "that memory holds; `upstream`: the source has not given the others yet, or a relay is yet to hear "
        "what some codes are: ask again.",
        "schema": {"type": "string", "enum": ["store", "upstream", "store, upstream"]},
    },
    "RateLimit": {
        "description": "How they stand: `r` requests are left, `t` seconds until the next one comes free.",
        "schema": {"type": "string"},
        "example": '"endpoint";r=0;t=1',
    },
    "Upgrade": {
        "description": "What the path speaks (RFC 9110, 15.5.22).",
        "required": True,
        "schema": {"type": "string", "enum": ["websocket"]},
    },
    "Retry-After": {
        "description": "Seconds until the request may be tried again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
}

SECURITY: dict[str, Any] = {
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The vendor's form. While the server has no tokens, any text is one.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same token, where it is not logged."},
    "tokenHeader": {"type": "apiKey", "in": "header", "name": "token", "description": "The same token."},
}
