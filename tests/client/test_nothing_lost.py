"""Nothing that was sent while connected is missing or doubled, and nothing is asked too fast."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickwire.client import Backoff, Options
from tickwire.machine import Network, carry_in_python
from tickwire.model import KlineUpdate, Trade
from tickwire.server.websocket import WebSocket
from tickwire.wire import Pushed, Refusal, Subscribed, Terms

from ..serving import Script, book, serving, trade, until
from .bench import QUICK, Owner, linked
from .heard import Log, begin, url

T0 = 1788529064027
PLAIN = Options(Terms(spacing=1.1), Backoff(first=0.05, most=0.2), close_timeout=0.5, extended=False)
MESSY = (
    {"do": "refuse", "status": 503, "chance": 0.3},
    {"do": "duplicate", "chance": 0.2},
    {"do": "out-of-order", "chance": 0.2},
    {"do": "answer", "ret": 500, "requests": [22004], "chance": 0.1},
    {"do": "delay", "by": [0.01, 0.05], "chance": 0.3},
)


def frames(data: bytes) -> Iterator[bytes]:
    """The payloads of a server's text frames."""
    while data:
        size, head = data[1], 2
        if size > 125:
            head += 2 if size == 126 else 8
            size = int.from_bytes(data[2:head], "big")
        if data[0] == 0x81:
            yield data[head : head + size]
        data = data[head + size :]


class Tap:
    """All that a server writes to WebSockets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: dict[WebSocket, list[bytes]] = {}
        monkeypatch.setattr(Network, "carry", staticmethod(carry_in_python))  # the way that goes by here
        write, push = WebSocket._write, WebSocket.push

        def heard(websocket: WebSocket, data: bytes) -> None:
            if not websocket.transport.is_closing():
                self.written.setdefault(websocket, []).append(data)

        def tapped(websocket: WebSocket, data: bytes) -> None:
            heard(websocket, data)
            write(websocket, data)

        def pushed(websocket: WebSocket, data: bytes) -> bool:
            if websocket._ending is None:
                heard(websocket, data)
            return push(websocket, data)

        monkeypatch.setattr(WebSocket, "_write", tapped)
        monkeypatch.setattr(WebSocket, "push", pushed)

    def pushes(self) -> list[tuple[int, str, int]]:
        """Command, code and `seq` of all pushes, behind the answer to each upgrade."""
        found: list[tuple[int, dict[str, Any]]] = []
        for written in self.written.values():
            messages = [json.loads(one) for one in frames(b"".join(written).partition(b"\r\n\r\n")[2])]
            found += [(one["cmd_id"], one["data"]) for one in messages if "ret" not in one]
        return [(cmd_id, data["code"], data["seq"]) for cmd_id, data in found]


def received(owner: Owner) -> list[tuple[int, str, int]]:
    """The same of what was told."""
    kinds = [(22998 if isinstance(one.event, Trade) else 22999, one) for one in owner.of(Pushed)]
    return [(cmd_id, one.event.code, one.seq) for cmd_id, one in kinds]


def time_of(told: object) -> int:
    """The time of a trade or a book; 0 of all else."""
    if isinstance(told, Pushed) and not isinstance(told.event, KlineUpdate):
        return told.event.time
    return 0


async def drink(owner: Owner) -> None:
    """Takes everything."""
    while True:
        owner.told += await owner.buffer.batch()


@pytest.mark.parametrize("reset", [False, True])
async def test_nothing_sent_while_connected_is_missing_or_doubled(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch, reset: bool
) -> None:
    """Under cuts, refusals, duplicates and disorder; the truth is what the server wrote.

    A reset loses what was under way: that, and only that, may be missing then.
    """
    tap = Tap(monkeypatch)
    codes = ["BTCUSDT", "GOLD", "EURUSD"]
    async with serving(tmp_path, script, seed=5) as served, linked(url(served), QUICK) as (link, owner):
        link.add(trades=codes, books=dict.fromkeys(codes, 0))
        await owner.take(Subscribed, 2)
        begin(served, {"do": "disconnect", "after": [0.2, 0.6], "reset": reset}, *MESSY)
        taking = asyncio.create_task(drink(owner))
        number = T0
        async with asyncio.timeout(120):
            while link.connected <= 4 or link.conversation.duplicates <= 10 or len(received(owner)) <= 1000:
                for code in codes:
                    number += 1
                    script.emit(trade(code, at=number), book(code, 1, number))
                await asyncio.sleep(0.002)
        for run in served.engine.market.scenarios.running:
            served.engine.market.scenarios.stop(run.number)
        last = number + 1
        for code in codes:
            script.emit(trade(code, at=last), book(code, 1, last))
        await until(lambda: sum(time_of(one) == last for one in owner.told[-300:]) == 2 * len(codes))
        taking.cancel()
        assert [one for one, times in Counter(received(owner)).items() if times > 1] == []
        assert {*received(owner)} <= {*tap.pushes()}
        assert reset or {*received(owner)} == {*tap.pushes()}


async def test_subscriptions_keep_the_spacing_of_the_plan_also_across_connections(
    tmp_path: Path, script: Script
) -> None:
    async with serving(tmp_path, script, plan="basic", takeover_after=0) as served:
        log = Log(served)
        async with asyncio.timeout(120), linked(url(served), PLAIN) as (link, owner):
            codes = ["BTCUSDT", "GOLD", "EURUSD", "ETHUSDT", "USOIL"]
            resets = 0
            for count in itertools.count():
                link.add(trades=codes[: count % 5 + 1], books={codes[count % 5]: 0})
                link.remove(trades=codes[count % 3 : count % 3 + 1])
                if (
                    count % 40 == 39
                    and resets < 3
                    and link.connected == resets + 1
                    and served.engine.gateway.callers
                ):
                    next(iter(served.engine.gateway.callers)).reset()
                    resets += 1
                if link.connected == 4 and all(len([*log.of(cmd_id)]) >= 3 for cmd_id in (22002, 22004)):
                    break
                await asyncio.sleep(0.02)
                owner.rest()
            link.add(trades=codes)
            await until(lambda: [*log.of(22004)][-1:] and {*log.of(22004)[-1][1]} == {*codes})
            for cmd_id in (22002, 22004):
                times = [at for at, _ in log.of(cmd_id)]
                assert min(later - at for at, later in itertools.pairwise(times)) >= 1.0
            owner.rest()
            assert owner.of(Refusal) == []
            assert link.connected == 4


async def test_changes_and_resumes_keep_the_spacing_of_the_plan_too(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script, plan="basic", takeover_after=0) as served:
        log = Log(served)
        codes = itertools.cycle(["BTCUSDT", "GOLD", "EURUSD", "ETHUSDT", "USOIL"])
        async with (
            asyncio.timeout(120),
            linked(url(served), PLAIN._replace(extended=True)) as (link, owner),
        ):
            for count in itertools.count():
                code = next(codes)
                link.add(trades=[code], books={code: count % 3})
                link.remove(books=[next(codes)])
                if len(log.of(28012)) >= 2 * link.connected and link.connected <= 2 and owner.of(Subscribed):
                    next(iter(served.engine.gateway.callers)).reset()
                    await until(lambda before=link.connected: link.connected > before)  # type: ignore[misc]
                if len(log.of(28012)) >= 6 and len(log.of(28016)) >= 2:
                    break
                await asyncio.sleep(0.02)
                owner.rest()
            for cmd_id in (28012, 28016):
                times = [at for at, _ in log.of(cmd_id)]
                assert min(later - at for at, later in itertools.pairwise(times)) >= 1.0
            owner.rest()
            assert owner.of(Refusal) == []
            assert log.of(22004) == []
