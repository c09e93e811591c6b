"""Messages as the documents show them, where the server makes them of something else or in a looser type."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ... import wire
from ...wire.messages import BookData, TradeData
from ...wire.suspension import NasdaqEntry, NyseEntry, SseEntry, SuspensionPage
from .components import Schema, ref

NumberText = Annotated[str, Meta(pattern="^[0-9]+$")]

LINES = (
    wire.TradeLine,
    wire.BookLine,
    wire.DeltaLine,
    wire.QuoteLine,
    wire.CorrectLine,
    wire.CancelLine,
    wire.InstrumentLine,
)
LINE: Schema = {
    "title": "Line",
    "description": "A line of what is published; `type` says which.",
    "oneOf": [ref(line.__name__) for line in LINES],
}


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
