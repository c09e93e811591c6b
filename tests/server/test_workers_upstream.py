"""Several processes share one account upstream: tokens share its room, wherever their clients are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from tickwire.model import Kind

from ..serving import OTHER_WS, PATIENCE, TRADE, Link, Program, Script, program, serving, trade, until
from .publishing import a_token

ALICE, BOB = ["BTCUSDT", "GOLD", "EURUSD", "USOIL", "Silver"], ["ETHUSDT", "GOLD", "SOLUSDT"]
BY_TURNS = {"BTCUSDT", "ETHUSDT", "GOLD", "SOLUSDT", "EURUSD"}
EACH = 4
"""Clients of a token, which the system deals out among the processes."""


@contextlib.asynccontextmanager
async def linked(node: Program, token: str) -> AsyncIterator[list[Link]]:
    url = node.url.replace("http", "ws", 1) + f"{OTHER_WS}?token={token}"
    async with contextlib.AsyncExitStack() as stack:
        opened = [connect(url, ping_interval=None, compression=None) for _ in range(EACH)]
        yield [Link(await stack.enter_async_context(one)) for one in opened]


async def without(node: Program, token: str) -> int:
    """How many codes of a token have no place upstream."""
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        answer = await http.get(f"{node.url}/v1/usage", params={"token": token})
    (mine,) = answer.json()["data"]["token_list"]
    return int(mine["without"])


async def test_tokens_get_alike_at_whichever_process(tmp_path: Path, script: Script) -> None:
    async with contextlib.AsyncExitStack() as stack:
        up = await stack.enter_async_context(serving(tmp_path / "up", script))
        alice, bob = (a_token(tmp_path / "data", name=name) for name in ("alice", "bob"))
        source = ("--source", "alltick", "--upstream-url", up.url, "--upstream-token", "t")
        node = await stack.enter_async_context(
            program(tmp_path, "--workers", "2", *source, "--upstream-plan", "free")  # which has five places
        )

        def carried() -> set[str]:
            return {one.code for one in up.engine.gateway.hub.wanted()[Kind.TRADE]}

        first = await stack.enter_async_context(linked(node, alice))
        for link in first:
            assert (await link.subscribe(TRADE, *ALICE))["ret"] == 200
        try:
            await until(lambda: carried() == {*ALICE}, patience=20)
        finally:
            print(carried(), node.log)
        async with linked(node, bob) as second:
            for link in second:
                assert (await link.subscribe(TRADE, *BOB))["ret"] == 200
            try:
                await until(lambda: carried() == BY_TURNS, patience=30)
            finally:
                print(carried(), node.log[-800:])
            script.emit(trade("ETHUSDT", price="7"), trade("GOLD", price="8"), trade("BTCUSDT", price="9"))
            for links, codes in ((first, {"GOLD", "BTCUSDT"}), (second, {"GOLD", "ETHUSDT"})):
                for link in links:
                    assert {(await link.push())["data"]["code"] for _ in codes} == codes
            assert (await without(node, alice), await without(node, bob)) == (2, 0)
            told = await second[0].ask(28012, {"add": [{"kind": "depth", "code": "GOLD"}]})
            assert [one["state"] for one in told["data"]["added"]] == ["ok"]
        await until(lambda: carried() >= {*ALICE}, patience=2 * PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while await without(node, alice):  # noqa: ASYNC110  # another process is asked
                await asyncio.sleep(0.1)
