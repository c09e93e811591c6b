"""The push of the status of sources: docs/protocol.md, "Status of sources"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tickwire.sources import Health, Status

from ..serving import CANCEL, HEARTBEAT, OTHER_WS, STOCK_WS, TRADE, TRADE_PUSH, Script, Served, serving, trade

WATCH, FORGET, PUSH = 28008, 28010, 28997
SINCE = 1795364866865


@pytest.fixture
def source() -> Script:
    source = Script()
    source.health = Health(Status.CONNECTING, wall=lambda: SINCE)
    return source


@pytest.fixture
async def served(tmp_path: Path, source: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, source) as served:
        yield served


def pushed(status: str, reason: str = "") -> dict[str, Any]:
    data = {"source": "script", "status": status, "since": SINCE, "reason": reason, "simulated": 1}
    return {"cmd_id": PUSH, "data": data}


@pytest.mark.parametrize("path", [OTHER_WS, STOCK_WS])
async def test_the_status_comes_at_once_and_then_with_each_change(
    served: Served, source: Script, path: str
) -> None:
    async with served.link(path) as link:
        answer = await link.ask(WATCH)
        assert answer == {"ret": 200, "msg": "ok", "cmd_id": 28009, "seq_id": 1, "trace": "t", "data": {}}
        assert await link.recv() == pushed("connecting")
        source.health.tell(Status.UP)
        assert await link.recv() == pushed("up")
        source.health.tell(Status.UP)  # no change
        source.health.tell(Status.DOWN, "connection lost")
        assert await link.recv() == pushed("down", "connection lost")
        await link.nothing()


async def test_all_sources_come_at_once_and_then_the_one_that_changes(tmp_path: Path) -> None:
    sources = [(Script(), ["BTCUSDT"]), (Script(), ["GOLD"])]
    sources[1][0].name, sources[1][0].simulated = "other", False
    async with serving(tmp_path, sources) as served, served.link() as link:
        await link.ask(WATCH)
        found = [(await link.recv())["data"] for _ in sources]
        assert [(one["source"], one["simulated"]) for one in found] == [("script", 1), ("other", 0)]
        sources[1][0].health.tell(Status.DOWN, "x")
        assert (await link.recv())["data"]["source"] == "other"
        await link.nothing()


async def test_a_client_that_did_not_ask_is_told_nothing(served: Served, source: Script) -> None:
    async with served.link() as link, served.link() as other:
        await link.subscribe(TRADE, "BTCUSDT")
        await other.ask(WATCH)
        source.health.tell(Status.DOWN, "x")
        assert [(await other.recv())["data"]["status"] for _ in range(2)] == ["connecting", "down"]
        await link.nothing()


async def test_it_ends_when_the_client_says_so(served: Served, source: Script) -> None:
    async with served.link() as link, served.link() as other:
        for one in (link, other):
            await one.ask(WATCH)
            await one.recv()
        assert (await link.ask(FORGET))["cmd_id"] == 28011
        source.health.tell(Status.STALE)
        assert (await other.recv())["data"]["status"] == "stale"
        await link.nothing()
        assert (await link.ask(FORGET))["ret"] == 200  # again
        await link.ask(WATCH)
        assert (await link.recv())["data"]["status"] == "stale"


async def test_asked_again_it_comes_again_and_each_change_once(served: Served, source: Script) -> None:
    async with served.link() as link:
        for _ in range(2):
            await link.ask(WATCH)
            assert await link.recv() == pushed("connecting")
        source.health.tell(Status.UP)
        assert await link.recv() == pushed("up")
        await link.nothing()


async def test_cancelling_market_data_leaves_it_and_the_other_way_round(
    served: Served, source: Script
) -> None:
    async with served.link() as link:
        await link.ask(WATCH)
        await link.recv()
        await link.subscribe(TRADE, "BTCUSDT")
        await link.ask(CANCEL, {"cancel_type": 0})
        source.health.tell(Status.UP)
        assert (await link.recv())["cmd_id"] == PUSH
        await link.subscribe(TRADE, "BTCUSDT")
        await link.ask(FORGET)
        source.health.tell(Status.DOWN)
        source.emit(trade())
        assert (await link.recv())["cmd_id"] == TRADE_PUSH


async def test_a_client_that_is_gone_is_told_nothing_more(served: Served, source: Script) -> None:
    async with served.link() as other:
        async with served.link() as link:
            await link.ask(WATCH)
            await link.recv()
        async with asyncio.timeout(120):
            while len(served.engine.gateway.callers) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        source.health.tell(Status.DOWN)
        assert (await other.ask(WATCH))["ret"] == 200
        assert (await other.recv())["data"]["status"] == "down"


async def test_a_plan_does_not_count_it(tmp_path: Path) -> None:
    async with serving(tmp_path, Script(), plan="free") as served, served.link() as link:
        for cmd_id in (WATCH, FORGET) * 3:
            assert (await link.ask(cmd_id))["ret"] == 200
        assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
        assert (await link.ask(HEARTBEAT))["ret"] == 200


async def test_strict_protocol_treats_it_as_the_other_extension(tmp_path: Path) -> None:
    async with serving(tmp_path, Script(), strict_protocol=True) as served, served.link() as link:
        assert (await link.ask(WATCH))["ret"] == 200
        assert (await link.recv())["cmd_id"] == PUSH
        assert (await link.ask(WATCH, {"other": 1}))["ret"] == 400
        await link.nothing()
