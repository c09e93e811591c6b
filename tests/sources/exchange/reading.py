"""What a source tells, and waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

from tickwire.client import Backoff
from tickwire.machine import REAL
from tickwire.sources.exchange import Exchange, load_symbols
from tickwire.sources.source import Yielded
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
NOW = 1_788_530_573_000
BTC = CATALOGUE["BTCUSDT"]
TRADE: dict[str, Any] = {
    "info": {
        "e": "trade",
        "s": "BTCUSDT",
        "t": 3062814,
        "p": "79317.70000000",
        "q": "0.00012000",
        "m": False,
    },
    "timestamp": NOW - 17,
    "datetime": "2026-09-04T12:02:52.983Z",
    "symbol": "BTC/USDT",
    "id": "3062814",
    "order": None,
    "type": None,
    "side": "buy",
    "takerOrMaker": None,
    "price": Decimal("79317.70000000"),
    "amount": Decimal("0.00012000"),
    "cost": Decimal(0),
    "fee": {"cost": None, "currency": None},
    "fees": [],
}
QUICK = Backoff(first=0.05, most=0.2)
MACHINE: dict[str, Any] = {"machine": REAL}

T = TypeVar("T")


class Reading:
    """A source that is being read."""

    def __init__(self, source: Exchange) -> None:
        self.source = source
        self.told: list[Yielded] = []
        self._arrived = asyncio.Event()

    def of(self, kind: type[T]) -> list[T]:
        """All that it told of a kind."""
        return [one for one in self.told if isinstance(one, kind)]

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits until something is so; looked at whenever the source tells something."""
        async with asyncio.timeout(120):
            while not holds():
                self._arrived.clear()
                await self._arrived.wait()

    async def some(self, kind: type[T], count: int = 1) -> list[T]:
        """Waits for so many of a kind."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    async def read(self) -> None:
        self.source.health.watch(self._arrived.set)
        async with aclosing(self.source.events()) as events:  # type: ignore[type-var]
            async for one in events:
                self.told.append(one)
                self._arrived.set()


@asynccontextmanager
async def reading(source: Exchange) -> AsyncIterator[Reading]:
    """Reads it in the background; afterwards nothing of it is left."""
    before = asyncio.all_tasks()
    found = Reading(source)
    task = asyncio.create_task(found.read())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        ours = {one for one in asyncio.all_tasks() - before if "ccxt" in repr(one) or "tickwire" in repr(one)}
        assert not ours, ours


def exchange(options: dict[str, Any], **other: Any) -> Exchange:
    """Binance, with quick second tries."""
    arguments: dict[str, Any] = {"keep": ["BTCUSDT"], "backoff": QUICK} | MACHINE | other
    return Exchange("binance", CATALOGUE, load_symbols(), options=options, **arguments)
