"""What waits to be taken, and the promises about Began and Broke."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tickwire.errors import SourceError
from tickwire.machine import REAL
from tickwire.model import Trade
from tickwire.sources import Began, Broke, Health
from tickwire.sources.exchange.outlet import BATCH, Outlet
from tickwire.sources.source import Yielded

TRADE = Trade("BTCUSDT", 1, Decimal(1), Decimal(1))


async def taken(outlet: Outlet, count: int) -> list[Yielded]:
    told: list[Yielded] = []
    async with asyncio.timeout(120):
        while len(told) < count:
            told += await outlet.take()
    return told


async def test_no_code_begins_twice_and_none_breaks_that_has_not_begun() -> None:
    outlet = Outlet(Health(wall=REAL.millis))
    outlet.broke("X", 1, "why")
    outlet.began("X", 2)
    outlet.began("X", 3)
    outlet.broke("X", 4, "why")
    outlet.broke("X", 5, "why")
    outlet.began("X", 6)
    assert await taken(outlet, 3) == [Began(("X",), 2), Broke(("X",), 4, "why"), Began(("X",), 6)]
    assert outlet.whole == {"X"}


async def test_breaks_for_one_reason_become_one() -> None:
    outlet = Outlet(Health(wall=REAL.millis))
    for code in ("X", "Y", "Z"):
        outlet.began(code, 1)
    outlet.broke("X", 5, "why")
    outlet.broke("Y", 4, "why")
    outlet.broke("Z", 6, "")
    assert (await taken(outlet, 5))[3:] == [Broke(("X", "Y"), 4, "why"), Broke(("Z",), 6, "")]


async def test_it_gives_way_and_hands_on_a_few_hundred_at_once() -> None:
    outlet = Outlet(Health(wall=REAL.millis))
    outlet.put([TRADE] * (BATCH + 1))
    assert [len(await outlet.take()), len(await outlet.take())] == [BATCH, 1]


async def test_it_does_not_grow_without_bound() -> None:
    health = Health(wall=REAL.millis)
    outlet = Outlet(health, limit=3)
    outlet.put([TRADE] * 3)
    with pytest.raises(SourceError, match="faster"):
        outlet.put([TRADE] * 2)
    assert health.dropped == 2
    outlet.began("X", 1)  # what tells of streams is never lost
    assert len(await taken(outlet, 4)) == 4
