"""In which form a connection is sent pushes (28022 and the flags of the upgrade), over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from ..serving import DEPTH, OTHER_WS, TRADE, Script, Served, book, serving, trade, until

OPTIONS, RESUME, KLINE, CANCEL = 28022, 28016, 28004, 22006
TRADE_PUSH, BOOK_PUSH = 22998, 22999
AT = 1_788_529_064_027 // 60_000 * 60_000
CODES = {"symbol_list": [{"code": "GOLD"}]}
UNREAD = 0.2
"""Seconds for the close of a connection that is left with pushes unread: the answer stands behind them."""
DEFAULTS = {"slow": "close", "max_rate": 0, "batch": 0, "times": 0, "encoding": "json"}


class Wire:
    """A client that keeps each frame as it came: what it holds, and whether it was binary."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[tuple[Any, bool]] = []

    async def frame(self) -> Any:
        async with asyncio.timeout(120):
            data = await self.socket.recv()
        binary = isinstance(data, bytes)
        found = msgspec.msgpack.decode(data) if isinstance(data, bytes) else json.loads(data)
        self.frames.append((found, binary))
        return found

    async def answer(self) -> Any:
        while "ret" not in (found := await self.frame()):
            pass
        return found

    async def ask(self, cmd_id: int, data: Any, *, packed: bool = False) -> Any:
        request = {"cmd_id": cmd_id, "seq_id": 3, "trace": "t", "data": data}
        await self.socket.send(msgspec.msgpack.encode(request) if packed else json.dumps(request))
        return await self.answer()

    async def pushes(self, count: int) -> list[Any]:
        """So many pushes at least, out of however many frames."""
        found: list[Any] = []
        while len(found) < count:
            one = await self.frame()
            if "ret" not in one:
                found += one if isinstance(one, list) else [one]
        return found


@asynccontextmanager
async def wire(served: Served, flags: str = "", **options: Any) -> AsyncIterator[Wire]:
    url = f"{served.url.replace('http', 'ws', 1)}{OTHER_WS}?token=t{flags}"
    options = {"ping_interval": None, "compression": None} | options
    async with connect(url, **options) as socket:
        yield Wire(socket)


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    plans = {"desk": {"subscriptions": "1000/1s"}}
    settings: dict[str, Any] = {"kline_push_interval": 0.05, "permessage_deflate": True}
    async with serving(tmp_path, script, plans=plans, plan="desk", **settings) as served:
        yield served


# Several a frame.
@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_what_came_together_stands_in_one_frame_in_its_order(
    served: Served, script: Script, encoding: str, compression: str | None
) -> None:
    flags = f"&batch=1&encoding={encoding}"
    async with wire(served, flags, compression=compression) as one, wire(served) as plain:
        for client in (one, plain):
            await client.ask(TRADE, CODES)
            await client.ask(DEPTH, CODES)
        events = [event for n in range(1, 51) for event in (trade("GOLD", str(n), at=AT + n), book("GOLD"))]
        script.emit(*events)
        pushes, alone = await one.pushes(100), await plain.pushes(100)
        for cmd_id in (TRADE_PUSH, BOOK_PUSH):
            assert [push for push in pushes if push["cmd_id"] == cmd_id] == [
                push for push in alone if push["cmd_id"] == cmd_id
            ]
        frames = [found for found, _ in one.frames if "ret" not in found]
        assert all(isinstance(found, list) for found in frames)
        assert len(frames) < 100 == len([found for found, _ in plain.frames if "ret" not in found])
        assert {binary for _, binary in one.frames} == {encoding == "msgpack"}


async def test_one_alone_and_what_answers_bring_stand_in_arrays_too(served: Served, script: Script) -> None:
    script.emit(trade("GOLD"))
    await until(lambda: served.engine.market.events == 1)
    async with wire(served, "&batch=1") as client:
        assert (await client.ask(TRADE, CODES))["ret"] == 200
        (last,) = await client.frame()
        assert last["cmd_id"] == TRADE_PUSH
        await client.ask(28008, {})
        (status,) = await client.frame()
        assert status["cmd_id"] == 28997
        script.emit(trade("GOLD"))
        assert [one["cmd_id"] for one in await client.frame()] == [TRADE_PUSH]
        epoch = served.engine.market.epoch
        await client.ask(TRADE, {"symbol_list": [{"code": "BTCUSDT"}]})
        item = {"kind": "trade", "code": "GOLD", "epoch": epoch, "seq": epoch}
        answer = await client.ask(RESUME, {"items": [item]})
        assert answer["data"]["items"][0]["state"] == "resumed"
        assert [one["data"]["seq"] for one in await client.frame()] == [epoch + 1]


async def test_no_frame_is_longer_than_clients_take(served: Served, script: Script) -> None:
    async with wire(served, "&batch=1", max_size=400_000) as client:
        await client.ask(TRADE, CODES)
        script.emit(*(trade("GOLD", at=AT + n) for n in range(8_000)))
        assert [one["data"]["tick_time"] for one in await client.pushes(8_000)] == [*range(AT, AT + 8_000)]


# msgpack.
async def test_requests_may_be_of_either_kind_and_answers_are_packed(tmp_path: Path, script: Script) -> None:
    async with (
        serving(tmp_path, script, strict_protocol=True) as served,
        wire(served, "&encoding=msgpack") as client,
    ):
        for packed in (True, False):
            answer = await client.ask(TRADE, CODES, packed=packed)
            assert (answer["ret"], answer["seq_id"], answer["trace"]) == (200, 3, "t")
        for wrong in (b"\xc1", b"", b"{", msgspec.msgpack.encode([1]), b"\x91" * 100_000):
            await client.socket.send(wrong)
            assert (await client.answer())["ret"] == 400
        script.emit(trade("GOLD", "4415.32"))
        (push,) = await client.pushes(1)
        assert push["data"]["price"] == "4415.32"
        assert push["data"].keys() == {
            *("code", "seq", "tick_time", "price", "volume", "turnover", "trade_direction")
        }
        assert all(binary for _, binary in client.frames)


# No more than so many a second.
async def test_what_lies_between_two_pushes_comes_as_one_with_exact_sums(
    served: Served, script: Script
) -> None:
    bar = {"symbol_list": [{"code": "GOLD", "kline_type": 1}]}
    async with (
        wire(served, "&max_rate=2") as few,
        wire(served, close_timeout=UNREAD) as plain,
    ):
        for client in (few, plain):
            for cmd_id, data in ((TRADE, CODES), (DEPTH, CODES), (KLINE, bar)):
                await client.ask(cmd_id, data)
        prices = ["5", "9", "2", "7"]
        for n in range(200):
            at = AT + n * 1_000
            script.emit(trade("GOLD", prices[n % 4], at=at, volume="1.25"), book("GOLD", at=at))
            if not n % 10:
                await until(lambda n=n: served.engine.market.events >= 2 * n)  # type: ignore[misc]
                await asyncio.sleep(0.01)
        trades: list[Any] = []
        epoch = served.engine.market.epoch
        others: list[Any] = []
        while not trades or trades[-1]["seq"] < epoch + 199:
            (push,) = await few.pushes(1)
            (trades if push["cmd_id"] == TRADE_PUSH else others).append(
                push["data"] | {"cmd_id": push["cmd_id"]}
            )
        assert len(trades) < 100
        counts = [one.get("trades", 1) for one in trades]
        assert sum(counts) == 200
        assert sum(Decimal(one["volume"]) for one in trades) == Decimal(250)
        firsts = [one.get("first_seq", one["seq"]) for one in trades]
        assert firsts == [epoch, *(one["seq"] + 1 for one in trades[:-1])]
        books = [one["seq"] for one in others if one["cmd_id"] == BOOK_PUSH]
        assert books == sorted(books)
        assert len(books) < 100
        while sum(one.get("state") == "closed" for one in others) < 3:
            (push,) = await few.pushes(1)
            others.append(push["data"] | {"cmd_id": push["cmd_id"]})
        closed = [one["timestamp"] for one in others if one.get("state") == "closed"]
        assert closed == [str(AT // 1000 + 60 * n) for n in range(3)], "none is left out"
        assert len(await plain.pushes(400)) >= 400


async def test_whoever_leaves_is_given_what_waits_and_who_goes_on_nothing_twice(
    served: Served, script: Script
) -> None:
    both = {"symbol_list": [{"code": "GOLD"}, {"code": "BTCUSDT"}]}
    leaving: list[tuple[int, Any]] = [
        (OPTIONS, {"max_rate": 0}),
        (OPTIONS, {"batch": 1, "encoding": "msgpack"}),
        (CANCEL, {"cancel_type": 0}),
        (TRADE, {"symbol_list": [{"code": "BTCUSDT"}]}),
        (DEPTH, both),
    ]
    for n, (cmd_id, data) in enumerate(leaving):
        async with wire(served, "&max_rate=1") as client:
            await client.ask(TRADE, both)
            first = served.engine.market.events
            script.emit(*(trade("GOLD", f"{n + 1}", volume="1.25") for n in range(5)))
            await until(lambda first=first: served.engine.market.events == first + 5)  # type: ignore[misc]
            answer = await client.ask(cmd_id, data)
            found = [one for one, _ in client.frames if one.get("cmd_id") == TRADE_PUSH]
            if cmd_id == DEPTH:  # what goes on need not have come yet
                await client.ask(CANCEL, {"cancel_type": 2})
                found = [one for one, _ in client.frames if one.get("cmd_id") == TRADE_PUSH]
            assert answer["ret"] == 200
            if n:  # the last one of before
                del found[0]
            assert sum(one["data"].get("trades", 1) for one in found) == 5
            assert sum(Decimal(one["data"]["volume"]) for one in found) == Decimal("6.25")


# Changed later.
async def test_options_count_from_behind_the_answer(served: Served, script: Script) -> None:
    async with wire(served) as client:
        await client.ask(TRADE, CODES)
        script.emit(trade("GOLD"))
        assert (await client.frame())["cmd_id"] == TRADE_PUSH
        assert (await client.ask(OPTIONS, {}))["data"] == DEFAULTS
        answer = await client.ask(OPTIONS, {"encoding": "msgpack", "batch": 1, "slow": "drop"})
        assert answer["data"] == DEFAULTS | {"encoding": "msgpack", "batch": 1, "slow": "drop"}
        script.emit(trade("GOLD"))
        assert [one["cmd_id"] for one in await client.frame()] == [TRADE_PUSH]
        assert [binary for _, binary in client.frames][-2:] == [False, True]
        answer = await client.ask(OPTIONS, {"encoding": "json"}, packed=True)
        assert answer["data"] == DEFAULTS | {"batch": 1, "slow": "drop"}
        await client.ask(OPTIONS, {"batch": 0, "max_rate": 1000})
        script.emit(trade("GOLD"))
        assert (await client.frame())["cmd_id"] == TRADE_PUSH
        for wrong in ({"slow": "x"}, {"batch": 2}, {"max_rate": 1001}, {"max_rate": -1}, {"encoding": "xml"}):
            assert (await client.ask(OPTIONS, wrong))["ret"] == 400
        assert (await client.ask(OPTIONS, {}))["data"] == DEFAULTS | {"max_rate": 1000, "slow": "drop"}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("batch=2", "batch is neither 0 nor 1"),
        ("batch=", "batch is neither 0 nor 1"),
        ("times=yes", "times is neither 0 nor 1"),
        ("encoding=xml", "encoding is none of json, msgpack"),
        ("max_rate=1001", "max_rate is no number from 0 to 1000"),
        ("max_rate=fast", "max_rate is no number from 0 to 1000"),
    ],
)
async def test_a_value_that_there_is_not_is_refused(served: Served, flag: str, message: str) -> None:
    head = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{served.url}{OTHER_WS}?token=t&{flag}", headers=head | {"Sec-WebSocket-Key": "A" * 22 + "=="}
        )
    assert (answer.status_code, answer.json()["msg"]) == (400, message)


# Who chose what, beside one another.
async def test_each_gets_the_same_in_its_own_form_and_what_is_alike_is_made_once(
    served: Served, script: Script
) -> None:
    forms = ["", "&batch=1", "&encoding=msgpack", "&batch=1&encoding=msgpack", "&slow=conflate"]
    async with (
        wire(served, forms[0]) as a,
        wire(served, forms[1]) as b,
        wire(served, forms[2]) as c,
        wire(served, forms[3]) as d,
        wire(served, forms[4]) as e,
    ):
        everybody = (a, b, c, d, e)
        for client in everybody:
            await client.ask(TRADE, CODES)
        topic = next(one for (_, code, _), one in served.engine.gateway.hub._topics.items() if code == "GOLD")
        assert len(topic.views) == 4, "a policy of slowness is no form"
        script.emit(*(trade("GOLD", str(n)) for n in range(1, 40)))
        first, *others = [await client.pushes(39) for client in everybody]
        assert all(one == first for one in others)


@pytest.mark.parametrize("slow", ["close", "conflate", "drop"])
@pytest.mark.parametrize("form", ["batch=1", "encoding=msgpack", "batch=1&encoding=msgpack&max_rate=1000"])
async def test_who_falls_behind_stays_in_its_form(
    tmp_path: Path, script: Script, form: str, slow: str
) -> None:
    async with (
        serving(tmp_path, script, send_buffer=4096, client_buffer=64 << 20) as served,
        wire(served, f"&{form}&slow={slow}", max_queue=1, close_timeout=UNREAD) as client,
    ):
        await client.ask(TRADE, CODES)
        hub = served.engine.gateway.hub
        sent = 0
        while not len(hub.outboxes):
            script.emit(*(trade("GOLD", at=AT + sent + n, volume="1") for n in range(500)))
            sent += 500
            await until(lambda sent=sent: served.engine.market.events == sent)  # type: ignore[misc]
        script.emit(*(trade("GOLD", at=AT + sent + n, volume="1") for n in range(500)))
        sent += 500
        total, last = Decimal(0), 0
        while last < served.engine.market.epoch + sent - 1:
            for push in await client.pushes(1):
                if push["cmd_id"] == TRADE_PUSH:
                    total += Decimal(push["data"]["volume"])
                    last = push["data"]["seq"]
        if slow != "drop":
            assert total == sent
        assert {binary for _, binary in client.frames} == {"msgpack" in form}
        batched = {isinstance(found, list) for found, _ in client.frames if "ret" not in found}
        assert batched == {"batch" in form}
