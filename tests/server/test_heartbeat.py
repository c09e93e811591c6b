"""The heartbeat's cut, with a clock that the test moves: section 2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import CloseCode
from websockets.protocol import State

from tickwire.server import websocket

from ..serving import (
    CANCEL,
    DEPTH,
    HEARTBEAT,
    TRADE,
    Link,
    Script,
    Served,
    masked,
    serving,
    subscribed_codes,
    trade,
    upgrade,
)


class Clock:
    """A monotonic clock that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._looked = asyncio.Event()

    def __call__(self) -> float:
        self._looked.set()
        return self.now

    async def pass_to(self, seconds: float) -> None:
        """Shows that many seconds since the start; returns when the server has looked."""
        self.now = 1000.0 + seconds
        for _ in range(2):  # the first look may have been at something that was under way
            self._looked.clear()
            async with asyncio.timeout(120):
                await self._looked.wait()


@asynccontextmanager
async def ticking(
    path: Path, *, sweep: float = 0.02, **settings: Any
) -> AsyncIterator[tuple[Served, Clock, Link]]:
    """A server, its clock and a client that connected at 0 s. It looks every `sweep` real seconds."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket, "SWEEP", sweep)
        async with serving(path, Script(), clock=clock, **settings) as served, served.link() as link:
            yield served, clock, link


async def is_open(link: Link) -> bool:
    """Asks without giving a sign of life: what is no valid request is answered but does not count."""
    await link.send("nonsense")
    return bool((await link.answer())["ret"] == 400)


async def cut(link: Link) -> tuple[int | None, str | None]:
    """How the server closes."""
    async with asyncio.timeout(120):
        await link.socket.wait_closed()
    return link.socket.close_code, link.socket.close_reason


TIMED_OUT = (CloseCode.POLICY_VIOLATION, "heartbeat timeout")


async def test_a_silent_client_is_cut_at_30_s_and_not_before(tmp_path: Path) -> None:
    async with ticking(tmp_path, sweep=websocket.SWEEP) as (served, clock, link):
        await clock.pass_to(29.9)
        assert await is_open(link)
        await clock.pass_to(29.99)
        assert await is_open(link)
        clock.now = 1030.0
        assert await cut(link) == TIMED_OUT
        async with served.link() as other:  # and others are served
            assert (await other.ask(HEARTBEAT))["ret"] == 200


async def test_a_client_that_is_only_sent_to_is_cut(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (served, clock, link):
        await link.subscribe(TRADE, "BTCUSDT")
        script = served.engine.market.source
        assert isinstance(script, Script)
        await clock.pass_to(29)
        script.emit(trade())
        await link.push()
        clock.now = 1030.0
        assert await cut(link) == TIMED_OUT


BTC = {"symbol_list": [{"code": "BTCUSDT"}]}
SIGNS = {
    "heartbeat": {"cmd_id": HEARTBEAT, "seq_id": 1, "trace": "", "data": {}},
    "bare heartbeat": {"cmd_id": HEARTBEAT},
    "trades": {"cmd_id": TRADE, "seq_id": 1, "trace": "", "data": BTC},
    "depth": {"cmd_id": DEPTH, "seq_id": 1, "trace": "", "data": BTC},
    "cancel": {"cmd_id": CANCEL, "seq_id": 1, "trace": "", "data": {"cancel_type": 3}},
}


@pytest.mark.parametrize("sign", SIGNS)
async def test_a_valid_request_keeps_it_open(tmp_path: Path, sign: str) -> None:
    async with ticking(tmp_path) as (_, clock, link):
        for at in (29, 58, 87):
            await clock.pass_to(at)
            await link.send(SIGNS[sign])
            assert (await link.answer())["ret"] == 200
        await clock.pass_to(87 + 29.9)
        assert await is_open(link)
        clock.now = 1000.0 + 87 + 30
        assert await cut(link) == TIMED_OUT


async def test_a_protocol_ping_keeps_it_open(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (_, clock, link):
        for at in (29, 58):
            await clock.pass_to(at)
            async with asyncio.timeout(120):
                await (await link.socket.ping())
        await clock.pass_to(58 + 29.9)
        assert await is_open(link)
        clock.now = 1000.0 + 58 + 30
        assert await cut(link) == TIMED_OUT


NONSENSE: dict[str, object] = {
    "no json": "hello",
    "no object": "[]",
    "unknown command": {"cmd_id": 22008},
    "no command": {},
    "bad header": {"cmd_id": HEARTBEAT, "trace": "x" * 65},
    "bad data": {"cmd_id": HEARTBEAT, "data": 5},
    "empty list": {"cmd_id": TRADE, "data": {"symbol_list": []}},
    "bad cancel": {"cmd_id": CANCEL, "data": {"cancel_type": 9}},
    "binary": b"\xff\x00",
}


@pytest.mark.parametrize("what", NONSENSE)
async def test_nonsense_does_not(tmp_path: Path, what: str) -> None:
    async with ticking(tmp_path) as (_, clock, link):
        await clock.pass_to(29.9)
        await link.send(NONSENSE[what])
        assert (await link.answer())["ret"] == 400
        clock.now = 1030.0
        assert await cut(link) == TIMED_OUT


async def test_an_unasked_pong_does_not(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (_, clock, link):
        await clock.pass_to(29.9)
        await link.socket.pong(b"here")
        assert await is_open(link)
        clock.now = 1030.0
        assert await cut(link) == TIMED_OUT


async def test_half_a_message_does_not(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (served, clock, _), served.raw(upgrade()) as raw:
        await raw.head()
        await clock.pass_to(29.9)
        await raw.send(masked(1, b"x" * 999)[:500])
        await clock.pass_to(29.95)
        clock.now = 1030.0
        assert await raw.closing() == TIMED_OUT


async def test_under_strict_protocol_pings_do_not_count_and_heartbeats_do(tmp_path: Path) -> None:
    async with ticking(tmp_path, strict_protocol=True) as (_, clock, link):
        await clock.pass_to(20)
        await link.send(SIGNS["heartbeat"])
        assert (await link.answer())["ret"] == 200
        await clock.pass_to(45)
        async with asyncio.timeout(120):
            await (await link.socket.ping())  # answered, but no sign of life
        await clock.pass_to(49.9)
        assert link.socket.state is State.OPEN
        assert await is_open(link)
        clock.now = 1050.0
        assert await cut(link) == TIMED_OUT


async def test_each_connection_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (served, clock, first):
        await clock.pass_to(10)
        async with served.link() as second:
            await clock.pass_to(29.9)
            clock.now = 1030.0
            assert await cut(first) == TIMED_OUT
            await clock.pass_to(39.9)
            assert await is_open(second)
            clock.now = 1040.0
            assert await cut(second) == TIMED_OUT


async def test_a_cut_client_leaves_nothing_behind(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (served, clock, link):
        await link.subscribe(TRADE, "BTCUSDT", "GOLD")
        assert subscribed_codes(served.engine.gateway.hub) == {"BTCUSDT", "GOLD"}
        clock.now = 1030.0
        await cut(link)
        assert subscribed_codes(served.engine.gateway.hub) == set()
