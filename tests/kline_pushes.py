"""A market whose bars are pushed, and what a client asks and gets of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tickwire.model import Trade

from .serving import HEARTBEAT, Link, Script, Served, serving, trade

KLINE, KLINE_PUSH, KLINE_CANCEL = 28004, 28998, 28006
T0 = 1788480000  # 2026-09-04, a Friday, midnight UTC
FIELDS = (
    "code kline_type seq state incomplete timestamp "
    "open_price close_price high_price low_price volume turnover"
).split()
NEVER = 60
"""A push interval that no test lives to see: what comes then does not come by it."""


class Market(Script):
    """A script that tells how often bars were looked over."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self._round = asyncio.Event()

    def market_time(self) -> int:
        self.rounds += 1
        self._round.set()
        return self.now

    async def some_rounds(self, count: int) -> None:
        """Waits until bars were looked over so many times more."""
        until = self.rounds + count
        async with asyncio.timeout(120):
            while self.rounds < until:
                self._round.clear()
                await self._round.wait()


def at(second: float, price: str = "100", volume: str = "1", code: str = "BTCUSDT") -> Trade:
    return trade(code, price, volume, int((T0 + second) * 1000))


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
async def lively(tmp_path: Path, market: Market) -> AsyncIterator[Served]:
    """A server that pushes what forms as soon as it may."""
    async with serving(tmp_path, market, kline_push_interval=0.02) as served:
        yield served


@pytest.fixture
async def calm(tmp_path: Path, market: Market) -> AsyncIterator[Served]:
    """A server that pushes on subscription and at a close only."""
    async with serving(tmp_path, market, kline_push_interval=NEVER) as served:
        yield served


def wants(*pairs: tuple[str, object]) -> dict[str, object]:
    return {"symbol_list": [{"code": code, "kline_type": kline_type} for code, kline_type in pairs]}


async def ask(link: Link, *pairs: tuple[str, object]) -> dict[str, Any]:
    return await link.ask(KLINE, wants(*pairs))


async def subscribed(link: Link, *pairs: tuple[str, object]) -> None:
    """Subscribes, and waits until the bars that form have been sent."""
    answer = await ask(link, *pairs)
    assert answer == {"ret": 200, "msg": "ok", "cmd_id": 28005, "seq_id": 1, "trace": "t", "data": {}}
    assert link.served is not None
    async with asyncio.timeout(120):
        while link.served.engine.gateway.first_bars.showing:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def bar(link: Link) -> dict[str, Any]:
    """The data of the next push, which is a bar."""
    push = await link.push()
    assert list(push) == ["cmd_id", "data"]
    assert push["cmd_id"] == KLINE_PUSH
    assert list(push["data"]) == FIELDS
    data: dict[str, Any] = push["data"]
    return data


async def taken(served: Served, script: Script, *events: Trade) -> None:
    """Emits these, and waits until the server has taken them."""
    until = served.engine.market.events + len(events)
    script.emit(*events)
    async with asyncio.timeout(120), served.link() as link:
        while served.engine.market.events < until:
            await link.ask(HEARTBEAT)


def brief(data: dict[str, Any]) -> tuple[str, int, str, int, str]:
    return (data["code"], data["kline_type"], data["state"], int(data["timestamp"]) - T0, data["close_price"])
