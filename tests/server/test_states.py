"""What instruments do, pushed to clients that follow it (28024), over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from ..serving import TRADE, Link, Served, serving, until

FOLLOW, FORGET, STATE_PUSH, CANCEL = 28024, 28026, 28994, 22006


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, codes=["GOLD", "BTCUSDT"]) as served:
        yield served


async def told(link: Link) -> tuple[str, str]:
    """The code and the state of the next push, of one that says so."""
    while (push := await link.push())["cmd_id"] != STATE_PUSH:
        pass
    assert push["data"].keys() == {"code", "state", "time"}
    return push["data"]["code"], push["data"]["state"]


async def begin(served: Served, **step: Any) -> int:
    """Begins a scenario of one step; its number."""
    answer = await served.request("POST", "/admin/scenario", json={"step": [step]})
    number: int = answer.json()["number"]
    return number


async def test_each_is_told_how_it_is_and_each_change(served: Served) -> None:
    async with served.link() as one, served.link() as other:
        assert (await one.subscribe(FOLLOW, "GOLD", "NOPE", "BTCUSDT"))["ret"] == 200
        assert {await told(one), await told(one)} == {("GOLD", "open"), ("BTCUSDT", "open")}
        number = await begin(served, do="halt", codes=["GOLD"])
        assert await told(one) == ("GOLD", "halted")
        await other.subscribe(FOLLOW, "GOLD")
        assert await told(other) == ("GOLD", "halted")
        await served.request("DELETE", f"/admin/scenario/{number}")
        assert await told(one) == ("GOLD", "open")
        assert await told(other) == ("GOLD", "open")


async def test_a_list_replaces_the_one_before_and_ends_by_itself(served: Served) -> None:
    async with served.link() as one, served.link() as other:
        await one.subscribe(FOLLOW, "GOLD")
        await told(one)
        await one.subscribe(FOLLOW, "BTCUSDT")
        assert await told(one) == ("BTCUSDT", "open")
        await other.subscribe(FOLLOW, "GOLD", "BTCUSDT")
        assert {await told(other), await told(other)} == {("GOLD", "open"), ("BTCUSDT", "open")}
        await begin(served, do="halt", codes=["GOLD"])
        assert await told(other) == ("GOLD", "halted")
        await begin(served, do="halt", codes=["BTCUSDT"])
        assert await told(one) == ("BTCUSDT", "halted"), "nothing of GOLD came"
        assert await told(other) == ("BTCUSDT", "halted")
        assert (await one.ask(CANCEL, {"cancel_type": 0}))["ret"] == 200
        assert (await other.ask(FORGET))["ret"] == 200
        await begin(served, do="resume", codes=["BTCUSDT"])
        assert await told(one) == ("BTCUSDT", "open"), "22006 does not end it"
        await other.nothing()


async def test_who_left_is_forgotten(served: Served) -> None:
    async with served.link() as link:
        await link.subscribe(FOLLOW, "GOLD")
        await told(link)
        await link.subscribe(TRADE, "GOLD")
    async with served.link() as link:
        await link.subscribe(FOLLOW, "GOLD")
        await told(link)
        assert len(served.engine.gateway.states._followed) == 1


async def test_a_look_costs_what_is_followed_and_not_how_many_follow_it(served: Served) -> None:
    states = served.engine.gateway.states
    async with contextlib.AsyncExitStack() as stack:
        links = [await stack.enter_async_context(served.link()) for _ in range(20)]
        for link in links:
            await link.subscribe(FOLLOW, "GOLD", "XAUUSD", "BTCUSDT")
            assert {(await told(link))[0] for _ in range(3)} == {"GOLD", "XAUUSD", "BTCUSDT"}
        touched: list[str] = []

        class Watched(dict[Any, Any]):
            """Who follows a code; notes when they are gone through."""

            def __iter__(self) -> Iterator[Any]:
                touched.append("followers")
                return super().__iter__()

        for code, followers in [*states._followers.items()]:
            states._followers[code] = Watched(followers)
        look, asked = states._look, asyncio.Event()

        async def watched() -> None:
            await look()
            asked.set()

        states._look = watched  # type: ignore[method-assign]
        for _ in range(3):
            asked.clear()
            await asked.wait()
        assert touched == []
        await begin(served, do="halt", codes=["GOLD"])
        for link in links:
            found = {await told(link), await told(link)}
            assert found == {("GOLD", "halted"), ("XAUUSD", "halted")}
        assert touched == ["followers"]
    async with served.link() as link:
        await link.subscribe(FOLLOW, "BTCUSDT")
        await told(link)
        await until(lambda: {code: len(some) for code, some in states._followers.items()} == {"BTCUSDT": 1})
