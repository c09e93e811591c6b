"""A client that does not take what it is sent is closed within a bound, and disturbs nobody."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire.market import intake
from tickwire.server import shell, websocket

from ..serving import DEPTH, HEARTBEAT, TRADE, Raw, Script, Served, book, masked, serving, trade, upgrade

BOUND = 256 * 1024
BATCH = 200
FRAME = 1024  # bytes that one frame stays below
LIMIT = 200_000  # events after which a test gives up
RECEIVE_BUFFER = 4096
SEND_BUFFER = 32 * 1024
SLOW = (1008, f"too slow: over {BOUND} bytes unread")

Scenario = Callable[[], Awaitable[None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario on each event loop: their transports buffer differently."""
    factory = None
    if request.param == "uvloop":
        if sys.platform == "win32":
            pytest.skip("there is no uvloop on Windows")
        import uvloop

        factory = uvloop.new_event_loop

    def run_scenario(scenario: Scenario) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(120):
                await scenario()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded())

    return run_scenario


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What waits in a client's transport after each push, whenever it is more than ever before."""
    found = [0]
    push = websocket.WebSocket.push

    def watched(self: websocket.WebSocket, data: bytes) -> bool:
        taken = push(self, data)
        found.append(max(found[-1], self.transport.get_write_buffer_size()))
        del found[:-1]
        return taken

    monkeypatch.setattr(websocket.WebSocket, "push", watched)
    return found


def subscription(*codes: str) -> bytes:
    text = msgspec.json.encode({"cmd_id": TRADE, "data": {"symbol_list": list(codes)}})
    depth = msgspec.json.encode({"cmd_id": DEPTH, "data": {"symbol_list": list(codes)}})
    return masked(1, text) + masked(1, depth)


async def subscribed(raw: Raw, *codes: str) -> None:
    assert (await raw.head()).startswith(b"http/1.1 101 ")
    await raw.send(subscription(*codes))
    for _ in range(2):
        assert b'"ret":200' in (await raw.frame())[1]


async def flood(served: Served, script: Script, until: Callable[[], bool], raw: Raw) -> int:
    """Emits batches of trades and books, each once `raw` has received the one before; returns how many
    events. Checks that every one arrives there, in order."""
    following: dict[int, int] = {}
    for batch in count():
        if until():
            return batch * BATCH
        assert batch * BATCH < LIMIT, "the slow client was never closed"
        script.emit(*(event for _ in range(BATCH // 2) for event in (trade(), book())))
        for _ in range(BATCH):
            _, payload = await raw.frame()
            push = msgspec.json.decode(payload)
            kind, seq = push["cmd_id"], push["data"]["seq"]
            assert seq == following.get(kind, seq)
            following[kind] = seq + 1
    raise AssertionError


def test_a_client_that_never_reads_is_closed_and_the_others_get_everything(
    tmp_path: Path, run: Callable[[Scenario], None], peaks: list[int]
) -> None:
    async def scenario() -> None:
        script = Script()
        async with (
            serving(tmp_path, script, client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
            served.raw(upgrade()) as fast,
        ):
            await subscribed(slow, "BTCUSDT")
            await subscribed(fast, "BTCUSDT")
            members: dict[Any, Any] = served.engine.gateway.hub._members
            assert len(members) == 2
            sent = await flood(served, script, lambda: len(members) == 1, fast)
            assert sent > BOUND // FRAME
            assert BOUND < peaks[0] <= BOUND + BATCH * FRAME  # the bound, and one flush at the most
            # What it reads now: all frames up to the cut, in order and whole, then the reason.
            seqs: dict[int, list[int]] = {22998: [], 22999: []}
            while (frame := await slow.frame())[0] == 1:
                push = msgspec.json.decode(frame[1])
                seqs[push["cmd_id"]].append(push["data"]["seq"])
            assert frame[0] == 8
            assert (int.from_bytes(frame[1][:2], "big"), frame[1][2:].decode()) == SLOW
            for found in seqs.values():
                assert found == list(range(found[0], found[0] + len(found)))
            received = sum(map(len, seqs.values()))
            assert BOUND // FRAME < received <= sent
            script.emit(trade())
            assert b'"cmd_id":22998' in (await fast.frame())[1]

    run(scenario)


def test_a_client_that_still_does_not_read_is_dropped(
    tmp_path: Path, run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "LINGER", 0.2)

    async def scenario() -> None:
        script = Script()
        async with (
            serving(tmp_path, script, client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
            served.raw(upgrade()) as fast,
        ):
            await subscribed(slow, "BTCUSDT")
            await subscribed(fast, "BTCUSDT")
            alive = served.server._websockets.alive
            await flood(served, script, lambda: len(alive) == 1, fast)
            assert len(served.engine.gateway.hub._members) == 1
            assert len(served.server.server_state.connections) == 1

    run(scenario)


@pytest.mark.parametrize(
    "ask",
    [masked(1, b'{"cmd_id":22000}'), masked(1, b"x"), masked(9, b"p" * 125)],
    ids=["heartbeats", "nonsense", "pings"],
)
def test_a_client_that_asks_without_reading_the_answers_is_closed(
    tmp_path: Path, run: Callable[[Scenario], None], ask: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "LINGER", 20.0)  # a busy machine reads slowly

    async def scenario() -> None:
        async with (
            serving(tmp_path, Script(), client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
            served.link() as other,
        ):
            await slow.head()
            (socket,) = (
                one
                for one in served.server._websockets.alive
                if one._ending is None
                and one.transport.get_extra_info("peername") == slow.writer.get_extra_info("sockname")
            )
            peak, draining = 0, asyncio.create_task(slow.writer.drain())
            while socket._ending is None:
                if draining.done():
                    slow.writer.write(ask * 500)
                    draining = asyncio.create_task(slow.writer.drain())
                await asyncio.sleep(0)
                peak = max(peak, socket.transport.get_write_buffer_size())
            draining.cancel()
            assert BOUND < peak < BOUND + 2**20  # the answers to one read of the socket at the most
            assert (await other.ask(HEARTBEAT))["ret"] == 200
            assert await slow.closing() == SLOW

    run(scenario)


def test_a_patient_source_waits_for_slow_readers(
    tmp_path: Path, run: Callable[[Scenario], None], peaks: list[int]
) -> None:
    events = 10_000

    async def scenario() -> None:
        script = Script(patient=True)
        async with (
            serving(tmp_path, script, client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
            served.raw(upgrade()) as fast,
        ):
            await subscribed(slow, "BTCUSDT")
            await subscribed(fast, "BTCUSDT")
            waiting = asyncio.create_task(held(served))
            script.emit(*(trade() for _ in range(events)))
            await waiting
            assert served.engine.market.events < events
            for found in await asyncio.gather(seqs(slow), seqs(fast)):
                assert found == list(range(found[0], found[0] + events))
            assert served.engine.market.events == events
            assert peaks[0] <= BOUND

    async def seqs(raw: Raw) -> list[int]:
        found: list[int] = []
        data, at = b"", 0
        while len(found) < events:
            piece = await raw.reader.read(2**16)
            assert piece, "the server hung up"
            data, at = data[at:] + piece, 0
            while len(data) >= (end := at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")) > at + 4:
                assert data[at : at + 2] == b"\x81\x7e"  # text of more than 125 bytes
                found.append(msgspec.json.decode(data[at + 4 : end])["data"]["seq"])
                at = end
        return found

    async def held(served: Served) -> None:
        """Returns when the source waits for somebody."""
        entered = asyncio.Event()
        wait = served.engine.market.intake._wait_for_relief

        async def watched() -> None:
            entered.set()
            await wait()

        served.engine.market.intake._wait_for_relief = watched  # type: ignore[method-assign]
        await entered.wait()

    run(scenario)


def test_a_patient_source_does_not_wait_for_ever(
    tmp_path: Path, run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "RELIEF_WAIT", 0.05)

    async def scenario() -> None:
        script = Script(patient=True)
        async with (
            serving(tmp_path, script, client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
            served.raw(upgrade()) as fast,
        ):
            await subscribed(slow, "BTCUSDT")
            await subscribed(fast, "BTCUSDT")
            members: dict[Any, Any] = served.engine.gateway.hub._members
            await flood(served, script, lambda: len(members) == 1, fast)
            assert await slow.closing() == SLOW

    run(scenario)


def test_a_client_that_leaves_while_it_is_slow_lets_a_patient_source_go_on(
    tmp_path: Path, run: Callable[[Scenario], None]
) -> None:
    async def scenario() -> None:
        script = Script(patient=True)
        async with (
            serving(tmp_path, script, client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
            served.raw(upgrade()) as fast,
        ):
            await subscribed(slow, "BTCUSDT")
            await subscribed(fast, "BTCUSDT")
            total = 10_000
            script.emit(*(trade() for _ in range(total)))
            received = 0
            while not served.engine.market.intake.slow:
                await fast.frame()
                received += 1
            slow.writer.transport.abort()
            while received < total:
                assert (await fast.frame())[0] == 1
                received += 1
            assert not served.engine.market.intake.slow

    run(scenario)


def test_the_bound_holds_while_a_connection_closes(tmp_path: Path, run: Callable[[Scenario], None]) -> None:
    async def scenario() -> None:
        async with (
            serving(tmp_path, Script(), client_buffer=BOUND, send_buffer=SEND_BUFFER) as served,
            served.raw(upgrade(), receive_buffer=RECEIVE_BUFFER) as slow,
        ):
            await slow.head()
            (socket,) = served.server._websockets.alive
            socket.close(1008, "heartbeat timeout")  # as the sweep does
            pings, peak = masked(9, b"p" * 125) * 500, 0
            for _ in range(200):  # 13 MB
                slow.writer.write(pings)
                await asyncio.wait([asyncio.create_task(slow.writer.drain())], timeout=0.1)
                if socket not in served.server._websockets.alive or socket.transport.is_closing():
                    break
                peak = max(peak, socket.transport.get_write_buffer_size())
            assert peak < BOUND + 2**20

    run(scenario)
