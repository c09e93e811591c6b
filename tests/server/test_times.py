"""When a push came and went, for who asks for it (the flag `times`), over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tickwire.store.recordings import Recordings

from ..serving import DEPTH, TRADE, Script, Served, book, serving, trade, until
from .publishing import a_trade, desk_in, packed
from .test_options import AT, CODES, KLINE, OPTIONS, RESUME, TRADE_PUSH, Wire, wire

TIMES = ["receive_time", "publish_time", "send_time"]
REPLAY, CORRECTION = 28018, 28028


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, kline_push_interval=0.05, permessage_deflate=True) as served:
        yield served


def micros() -> int:
    return time.time_ns() // 1000


def times_of(push: dict[str, Any]) -> list[str]:
    """The names of those that it says, which come last."""
    names = [*push["data"]]
    said = [name for name in names if name in TIMES]
    assert names[len(names) - len(said) :] == said
    return said


def place(push: dict[str, Any]) -> tuple[int, int]:
    return push["cmd_id"], push["data"]["seq"]


def without(push: dict[str, Any]) -> dict[str, Any]:
    return push | {"data": {name: one for name, one in push["data"].items() if name not in TIMES}}


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    "flags",
    ["&times=1", "&times=1&batch=1", "&times=1&encoding=msgpack", "&times=1&batch=1&encoding=msgpack"],
)
async def test_a_push_is_the_same_with_its_times_behind(
    served: Served, script: Script, flags: str, compression: str | None
) -> None:
    async with wire(served, flags, compression=compression) as one, wire(served) as plain:
        for client in (one, plain):
            await client.ask(TRADE, CODES)
            await client.ask(DEPTH, CODES)
        before = micros()
        script.emit(
            *(event for n in range(1, 6) for event in (trade("GOLD", str(n), at=AT + n), book("GOLD")))
        )
        pushes, alone = await one.pushes(10), await plain.pushes(10)
        after = micros()
        for push in pushes:
            assert times_of(push) == TIMES
            received, published, sent = (push["data"][name] for name in TIMES)
            assert before <= received <= published <= sent <= after
        assert sorted(map(without, pushes), key=place) == sorted(alone, key=place)
        together = {push["data"]["send_time"] for push in pushes}
        assert len(together) < len(pushes), "it is the flush's"


async def test_who_does_not_ask_gets_what_there_was_before(served: Served, script: Script) -> None:
    async with wire(served, "&times=1") as one, wire(served) as plain, wire(served, "&times=0") as other:
        for client in (one, plain, other):
            await client.ask(TRADE, CODES)
        script.emit(trade("GOLD"))
        assert times_of(await one.frame()) == TIMES
        assert (await plain.frame()) == (await other.frame())
        assert times_of(plain.frames[-1][0]) == []
        (topic,) = (one for one in served.engine.gateway.hub._topics.values() if len(one.views) > 1)
        assert len(topic.views) == 2


async def test_it_is_made_once_for_all_who_ask(served: Served, script: Script) -> None:
    async with wire(served, "&times=1") as one, wire(served, "&times=1") as two:
        for client in (one, two):
            await client.ask(TRADE, CODES)
        script.emit(*(trade("GOLD", str(n)) for n in range(1, 20)))
        assert await one.pushes(19) == await two.pushes(19)


async def test_it_can_be_chosen_later(served: Served, script: Script) -> None:
    async with wire(served) as client:
        await client.ask(TRADE, CODES)
        for chosen in (1, 0):
            assert (await client.ask(OPTIONS, {"times": chosen}))["data"]["times"] == chosen
            script.emit(trade("GOLD"))
            assert times_of(await client.frame()) == TIMES * chosen
        assert (await client.ask(OPTIONS, {"times": 2}))["ret"] == 400


async def test_the_last_event_says_when_it_was_received(served: Served, script: Script) -> None:
    before = micros()
    script.emit(trade("GOLD"))
    await until(lambda: served.engine.market.events == 1)
    after = micros()
    for flags in ("&times=1", "&times=1&batch=1&encoding=msgpack"):
        async with wire(served, flags) as client:
            await client.ask(TRADE, CODES)
            (push,) = await client.pushes(1)
            assert times_of(push) == ["receive_time", "send_time"]
            assert before <= push["data"]["receive_time"] <= after < push["data"]["send_time"]


async def test_bars_are_received_from_nowhere(served: Served, script: Script) -> None:
    minute = {"symbol_list": [{"code": "GOLD", "kline_type": 1}]}
    async with wire(served, "&times=1") as client:
        await client.ask(KLINE, minute)
        script.emit(trade("GOLD"))
        (push,) = await client.pushes(1)
        assert times_of(push) == ["publish_time", "send_time"]
        assert push["data"]["state"] == "forming"


async def test_what_is_thinned_says_when_the_last_one_was_received(served: Served, script: Script) -> None:
    async with wire(served, "&times=1&max_rate=1000") as client:
        await client.ask(TRADE, CODES)
        script.emit(*(trade("GOLD", str(n)) for n in range(1, 2000)))
        found: list[dict[str, Any]] = []
        while sum(one["data"].get("trades", 1) for one in found) < 1999:
            found += await client.pushes(1)
        assert len(found) < 1999
        assert {*map(tuple, map(times_of, found))} == {("receive_time", "send_time")}
        assert found[-1]["data"]["receive_time"] <= found[-1]["data"]["send_time"]


@pytest.mark.parametrize("slow", ["close", "conflate", "drop"])
async def test_who_falls_behind_is_told_too(tmp_path: Path, script: Script, slow: str) -> None:
    async with (
        serving(tmp_path, script, send_buffer=4096, client_buffer=64 << 20) as served,
        wire(served, f"&times=1&slow={slow}", max_queue=1) as client,
    ):
        await client.ask(TRADE, CODES)
        hub, sent = served.engine.gateway.hub, 0
        while not len(hub.outboxes):
            sent += 1000
            script.emit(*(trade("GOLD") for _ in range(1000)))
            await asyncio.sleep(0)
        script.emit(*(trade("GOLD") for _ in range(1000)))
        count = 0
        while count < sent + 1000:
            for push in await client.pushes(1):
                if push["cmd_id"] == TRADE_PUSH:
                    count += push["data"].get("trades", 1)
                    assert "send_time" in times_of(push)
                    assert "receive_time" in times_of(push)


async def test_what_was_missed_says_when_it_was_sent(served: Served, script: Script) -> None:
    script.emit(*(trade("GOLD", str(n)) for n in range(1, 40)))
    await until(lambda: served.engine.market.events == 39)
    item: dict[str, Any] = {"kind": "trade", "code": "GOLD", "epoch": served.engine.market.epoch, "seq": 0}
    sent = []
    for flags in ("&times=1", "&times=1", "&times=1&batch=1&encoding=msgpack", ""):
        async with wire(served, flags) as client:
            await client.ask(RESUME, {"items": [item]})
            pushes = await client.pushes(39)
            assert [*map(times_of, pushes)] == [["send_time"] if flags else []] * 39
            sent += [push["data"]["send_time"] for push in pushes[-1:] if flags]
            script.emit(trade("GOLD"))
            (live,) = await client.pushes(1)
            assert times_of(live) == (TIMES if flags else [])
            item["seq"] += 1 if item["seq"] else served.engine.market.epoch
    assert sent == sorted({*sent})


async def test_what_is_replayed_says_when_it_was_received_then(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    async with desk_in(tmp_path / "data", record=ticks) as desk:
        await desk.data(packed(a_trade(1, "GOLD", price="1"), a_trade(2, "GOLD", price="2")))
        line = {"type": "cancel", "code": "GOLD", "time": int(time.time() * 1000), "trade": 1, "seq": 3}
        await desk.data(packed(line))
        recorder = desk.served.engine.market.feeds.first.recorder
        assert recorder is not None
        await until(lambda: recorder.status().events == 3)
        items = [{"kind": kind, "code": "GOLD"} for kind in ("trade", "correction")]
        until_then = micros()
        for flags in ("&times=1", "&times=1&encoding=msgpack", ""):
            async with wire(desk.served, flags) as client:
                await client.ask(REPLAY, {"items": items, "speed": 0, "to": int(time.time() * 1000) + 60_000})
                pushes = [one for one in await replayed(client) if "replay" in one["data"]]
                assert [*map(times_of, pushes)] == [["receive_time", "send_time"] if flags else []] * 3
                for push in pushes if flags else ():
                    assert push["data"]["receive_time"] < until_then < push["data"]["send_time"]
                if flags:
                    received = [push["data"]["receive_time"] for push in pushes]
    assert received == [one.received for one in Recordings(ticks).read()]


async def replayed(client: Wire) -> list[dict[str, Any]]:
    """All pushes up to the end of a replay."""
    found: list[dict[str, Any]] = []
    while not (found and found[-1]["cmd_id"] == 28996 and found[-1]["data"]["state"] == "complete"):
        found += await client.pushes(1)
    return found


async def test_a_correction_says_its_own(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, wire(desk.served, "&times=1") as client:
        await desk.data(packed(a_trade(1, "GOLD")))
        await client.ask(CORRECTION, CODES)
        line = {"type": "cancel", "code": "GOLD", "time": int(time.time() * 1000), "trade": 1, "seq": 2}
        await desk.data(json.dumps(line).encode())
        (push,) = await client.pushes(1)
        assert times_of(push) == TIMES
