"""One stream of an exchange, and how its venue is asked over HTTP where the stream says nothing."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ...model import Book, Instrument, Kind, Trade
from .mapper import Unreadable, identity, read_book, read_trade
from .venue import Bad

FEW = 20
"""Trades that are asked for to see how a code stands."""
ON_THE_WAY = 5_000
"""Milliseconds that a trade may take to us while all is well."""
REMEMBERED = 2000
"""Trades of a code that are known again: twice what ccxt keeps of one."""

Key: TypeAlias = tuple[Kind, str]
"""A stream: trades or books of a code."""


class Batch(NamedTuple):
    """What came of a batch of ccxt: the trades that are new, and the time of the last one, new or not, in
    milliseconds."""

    trades: list[Trade]
    latest: int


class Seen:
    """The trades of one code; it outlives a connection, so that the next one repeats nothing."""

    def __init__(self) -> None:
        self._identities: OrderedDict[Hashable, None] = OrderedDict()

    def batch(
        self, instrument: Instrument, raws: Iterable[Any], now: int, since: int | None, bad: Bad
    ) -> Batch:
        """Reads a batch. `now` is in milliseconds; `bad` is called with what cannot be read.

        The first one of a subscription has `since`, when it was asked for: some venues begin with what was
        traded before, which is dropped. Trades without a number are told apart by their fields, and only in
        that batch: later on two may be alike.
        """
        found, latest = list[Trade](), 0
        for raw, trade in _readable(instrument, raws, now, bad):
            latest = max(latest, trade.time)
            certain, who = identity(raw)
            known = who in self._identities and (certain or since is not None)
            self._identities[who] = None
            if len(self._identities) > REMEMBERED:
                self._identities.popitem(last=False)
            if not known and (since is None or trade.time >= since):
                found.append(trade)
        return Batch(found, latest)


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
    raws = await exchange.fetch_trades(stream.symbol, limit=FEW)
    trades = _readable(stream.instrument, raws, now, bad)
    return [msgspec.structs.replace(trade, source_seq=0) for _, trade in trades]


def _readable(instrument: Instrument, raws: Iterable[Any], now: int, bad: Bad) -> Iterator[tuple[Any, Trade]]:
    for raw in raws:
        try:
            yield raw, read_trade(instrument, raw, now)
        except Unreadable as error:
            bad(error)


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
