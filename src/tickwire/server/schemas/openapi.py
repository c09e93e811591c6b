"""The HTTP side as an OpenAPI 3.1 document."""

from __future__ import annotations

import inspect
from typing import Any

from ... import __version__, wire
from ...sandbox import Scenario
from ...wire import messages
from ...wire.messages import HttpSuccess, HttpTooMany
from ...wire.overview import GapList, InstrumentList, MarketList, Usage
from ...wire.reader import QueryEnvelope
from ...wire.suspension import SuspensionError
from .. import operating
from . import shapes
from .components import Schema, incoming, outgoing, ref
from .operations import WRITTEN, written_paths
from .paths import protocol_paths

SENT = (
    HttpSuccess[shapes.TradeTickList],
    HttpSuccess[shapes.BookTickList],
    HttpSuccess[messages.KlineList],
    HttpSuccess[messages.BatchKlineList],
    HttpSuccess[messages.StaticInfoList],
    HttpSuccess[MarketList],
    HttpSuccess[InstrumentList],
    HttpSuccess[GapList],
    HttpSuccess[Usage],
    HttpSuccess[wire.Tally],
    HttpSuccess[wire.Standing],
    messages.HttpError,
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
    QueryEnvelope[messages.SymbolList],
    QueryEnvelope[messages.KlineQuery],
    QueryEnvelope[messages.BatchKlineQuery],
    *shapes.LINES,
    operating.ScenarioName,
    Scenario,
)


def openapi_document() -> dict[str, Any]:
    """The document as JSON values."""
    document: dict[str, Any] = WRITTEN["document"]
    info = document["info"] | {"version": __version__}
    parts = document["components"] | {"schemas": schemas()}
    paths = protocol_paths() | written_paths()
    return document | {"info": info, "paths": paths, "components": parts}


def schemas() -> dict[str, Schema]:
    """The schemas of the document, by name."""
    ticks = {
        "title": "TickList",
        "description": inspect.cleandoc(messages.TickList.__doc__ or ""),
        "anyOf": [ref("TradeTickList"), ref("BookTickList")],
    }
    return incoming(*TAKEN) | outgoing(*SENT) | {"Line": shapes.LINE, "TickList": ticks}
