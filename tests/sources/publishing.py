"""Publishing as a source, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from tickwire.model import Catalogue, Correction, Event, Instrument
from tickwire.sources import Began, Broke, Published, Resent
from tickwire.store import load_catalogue
from tickwire.wire import Tally

NOW = 1_800_000_000_000
SHIPPED = load_catalogue()
NEW = {
    "type": "instrument",
    "code": "MYIDX",
    "market": "crypto",
    "price_decimals": 3,
    "volume_decimals": 0,
    "turnover_decimals": 3,
    "levels": 2,
}


def a_source(
    catalogue: Catalogue | None = None, keep: Callable[[Instrument], object] = id, **options: Any
) -> Published:
    """`keep` is called in a thread."""

    async def kept(instrument: Instrument) -> None:
        await asyncio.to_thread(keep, instrument)

    made = catalogue or Catalogue(SHIPPED)
    return Published(made, ["BTCUSDT"], keep=kept, **{"wall": lambda: NOW} | options)


def a_trade(seq: int = 0, code: str = "BTCUSDT", **more: Any) -> dict[str, Any]:
    line = {"type": "trade", "code": code, "time": NOW, "price": 5, "volume": 1} | more
    return line | {"seq": seq} if seq else line


def a_book(*bids: tuple[int, int], kind: str = "book", code: str = "BTCUSDT") -> dict[str, Any]:
    return {"type": kind, "code": code, "time": NOW, "bids": bids, "asks": []}


def a_quote(code: str = "GOLD", **more: Any) -> dict[str, Any]:
    return {"type": "quote", "code": code, "time": NOW, "bid": "4000.00", "ask": "4000.25"} | more


async def take(source: Published, *lines: dict[str, Any] | bytes, by: str = "p", **options: Any) -> Tally:
    """Publishes these; the tally of it."""
    publisher = source.publishers.named(by)
    tally = source.tally(publisher)
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    await source.take(publisher, encoded, tally, **options)
    return tally


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.accepted, tally.duplicates, tally.bad_lines, tally.seq


def reasons(tally: Tally) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in tally.bad]


class Taken:
    """What a source has yielded, as it goes on."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Condition()

    async def consume(self, source: Published) -> None:
        async with aclosing(source.events()) as events:  # type: ignore[type-var]
            async for event in events:
                assert not isinstance(event, (Resent, Began, Broke, Correction))
                self.events.append(event)
                async with self._changed:
                    self._changed.notify_all()

    async def until(self, count: int) -> list[Event]:
        """The events when there are so many."""
        async with asyncio.timeout(120), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= count)
        return self.events


@asynccontextmanager
async def served(source: Published) -> AsyncIterator[Taken]:
    """Its events while it is served."""
    taken = Taken()
    consuming = asyncio.create_task(taken.consume(source))
    try:
        yield taken
    finally:
        consuming.cancel()
        await asyncio.wait([consuming])
