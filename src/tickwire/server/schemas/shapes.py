"""Messages as the documents show them, where the server makes them of something else or in a looser type."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from ... import wire
from ...wire.messages import U32, BookData, TraceText, TradeData
from ...wire.suspension import NasdaqEntry, NyseEntry, SseEntry, SuspensionPage
from .components import Schema, ref

Data = TypeVar("Data")
NumberText = Annotated[str, Meta(pattern="^[0-9]+$")]

LINES = (wire.TradeLine, wire.BookLine, wire.DeltaLine, wire.QuoteLine, wire.InstrumentLine)
LINE: Schema = {
    "title": "Line",
    "description": "A line of what is published; `type` says which.",
    "oneOf": [ref(line.__name__) for line in LINES],
}


# The envelopes of requests, in the documented form; the server reads more than that.
class Request(msgspec.Struct, Generic[Data], forbid_unknown_fields=True):
    """A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back."""

    cmd_id: U32
    seq_id: U32
    trace: TraceText
    data: Data


class HttpRequest(msgspec.Struct, Generic[Data], forbid_unknown_fields=True):
    """A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back."""

    trace: TraceText
    data: Data


# Ticks over HTTP, where numbers that grow large are texts.
class TradeTick(TradeData):
    """A trade over HTTP: an entry of /trade-tick."""

    seq: NumberText
    tick_time: NumberText


class BookTick(BookData):
    """An order book over HTTP, best levels first: an entry of /depth-tick."""

    seq: NumberText
    tick_time: NumberText


class TradeTickList(msgspec.Struct):
    """The data that /trade-tick answers: a code that has not traded yet is left out."""

    tick_list: list[TradeTick]


class BookTickList(msgspec.Struct):
    """The data that /depth-tick answers: a code that has no book is left out."""

    tick_list: list[BookTick]


# Suspensions: a list for each exchange, with entries of its own.
class SsePage(SuspensionPage):
    """The answer of /api/suspension/sse. The fields of a page are there if a page was asked for."""

    data: list[SseEntry]  # type: ignore[assignment]


class NysePage(SuspensionPage):
    """The answer of /api/suspension/nyse. The fields of a page are there if a page was asked for."""

    data: list[NyseEntry]  # type: ignore[assignment]


class NasdaqPage(SuspensionPage):
    """The answer of /api/suspension/nasdaq. The fields of a page are there if a page was asked for."""

    data: list[NasdaqEntry]  # type: ignore[assignment]
