"""One stream of an exchange, and how its venue is asked over HTTP where the stream says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ...model import Book, Instrument, Kind, Trade
from .mapper import Unreadable, read_book, read_trade
from .venue import Bad
from .wants import Key

FEW = 20
"""Trades that are asked for to see how a code stands."""
ON_THE_WAY = 5_000
"""Milliseconds that a trade may take to us while all is well."""


@dataclass(eq=False)
class Stream:
    """Trades or books of one code. Times are in milliseconds since the epoch, but for `heard`."""

    kind: Kind
    instrument: Instrument
    symbol: str
    heard: float
    """When it last was known to live, in seconds of the monotonic clock."""
    since: int = 0
    """When it was subscribed to."""
    latest: int = 0
    """The time of its last trade."""
    book: Book | None = None
    failed: str = ""
    """Why it does not live now."""
    looked_at: bool = False
    leaving: bool = False
    task: asyncio.Task[None] = field(init=False)

    @property
    def code(self) -> str:
        """The code of its instrument."""
        return self.instrument.code

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.kind, self.code


async def last_trades(exchange: Any, stream: Stream, now: int, bad: Bad) -> list[Trade]:
    """The last trades of a code, without the numbers, which may be of another series than the stream's.

    `now` is in milliseconds; `bad` is called with what cannot be read. Raises what ccxt raises.
    """
    trades = []
    for raw in await exchange.fetch_trades(stream.symbol, limit=FEW):
        try:
            trade = read_trade(stream.instrument, raw, now)
        except Unreadable as error:
            bad(error)
            continue
        trades.append(msgspec.structs.replace(trade, source_seq=0))
    return trades


async def missed(exchange: Any, stream: Stream, wall: Callable[[], int], bad: Bad) -> str:
    """What did not come over a stream although it happened; empty if nothing did. Raises what ccxt raises."""
    if stream.kind is Kind.DEPTH:
        book = read_book(stream.instrument, await exchange.fetch_order_book(stream.symbol), wall())
        return "" if alike(book, stream.book) else "the book is another one"
    if not exchange.has.get("fetchTrades"):
        return "its last trades cannot be asked for"
    known, now = max(stream.since, stream.latest), wall()
    trades = await last_trades(exchange, stream, now, bad)
    return "there were trades" if any(known < one.time < now - ON_THE_WAY for one in trades) else ""


def alike(book: Book, before: Book | None) -> bool:
    """Whether nothing of a book has changed."""
    return before is not None and (book.bids, book.asks) == (before.bids, before.asks)
