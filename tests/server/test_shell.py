"""What a WebSocket may leave unread or unfinished, be it a client's or a publisher's, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire import wire
from tickwire.machine import Network, carry_in_python, untaken
from tickwire.server import shell, websocket
from tickwire.server.shell import Shell

from ..serving import (
    HEARTBEAT,
    OTHER_WS,
    PATIENCE,
    TRADE,
    Raw,
    Script,
    Served,
    masked,
    serving,
    trade,
    until,
    upgrade,
)
from .publishing import PATH

BOUND = 256 * 1024
KINDS = {"client": upgrade(), "publisher": upgrade(PATH, "").replace(b"Host: x", b"Host: 127.0.0.1")}
PING = masked(9, b"p" * 125)
BEAT = masked(1, b'{"cmd_id":22000}')
both = pytest.mark.parametrize("kind", KINDS)


@contextlib.asynccontextmanager
async def opened(folder: Path, kind: str, **settings: Any) -> AsyncIterator[tuple[Served, Raw, Shell]]:
    """A server, a socket that reads only when told, and the server's side of it."""
    async with (
        serving(folder, source="publish", client_buffer=BOUND, **settings) as served,
        served.raw(KINDS[kind], receive_buffer=4096) as raw,
    ):
        assert (await raw.head()).startswith(b"http/1.1 101 ")
        sockets = served.server._websockets
        everyone: list[Shell] = [*sockets.alive, *sockets._publishers]
        (one,) = everyone
        yield served, raw, one


async def waiting(raw: Raw, data: bytes) -> None:
    """Sends what the server may not take any more."""
    task = asyncio.create_task(raw.send(data))
    await asyncio.wait([task], timeout=0.2)


@both
async def test_pings_without_reading_the_pongs_end_at_the_bound(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "LINGER", PATIENCE)  # in which a busy machine reads what was said last
    async with opened(tmp_path, kind) as (_, raw, socket):
        peak = 0
        while socket._ending is None:
            await waiting(raw, PING * 500)
            peak = max(peak, socket.transport.get_write_buffer_size())
        assert peak < BOUND + 2**20
        assert await raw.closing() == (1008, f"too slow: over {BOUND} bytes unread")


@both
async def test_what_is_not_read_is_not_kept_for_ever(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs of life do not help: whoever sends them and reads nothing would pin its buffer."""
    monkeypatch.setattr(shell, "LINGER", 0.1)

    async def live() -> None:
        while True:
            await raw.send(PING)
            await asyncio.sleep(0.02)

    async with opened(tmp_path, kind, unread_timeout=1) as (served, raw, socket):
        with capture_logs() as logged:
            while not socket.transport.get_write_buffer_size():  # until more is unread than the system takes
                await waiting(raw, PING * 100)
            assert not socket.is_ending
            living = asyncio.create_task(live())
            await until(lambda: not served.server.server_state.connections)
            living.cancel()
        (line,) = (line for line in logged if line["event"] == "client closed: too slow")
        assert line["reason"] == "hardly anything read in 1 s"
        assert served.server._websockets.unread.closed == {"unread_timeout": 1}


async def test_who_reads_slowly_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "UNREAD_LEAST", 1000)
    monkeypatch.setattr(websocket, "SWEEP", 3600)
    monkeypatch.setattr(wire.session, "HEARTBEAT_TIMEOUT", 3600)
    async with opened(tmp_path, "client") as (served, raw, socket):
        while socket.transport.get_write_buffer_size() < 10_000:
            await waiting(raw, PING * 100)
        clock, timeout = served.engine.gateway.clock, served.server._websockets.unread.timeout
        now = clock()
        socket.check(now)
        before = socket._waiting
        assert before is not None
        while socket._written - untaken(socket.transport) - before.taken < before.least:
            assert (await raw.frame())[0] == 10
        while not socket.transport.get_write_buffer_size():
            await waiting(raw, PING * 100)
        socket.check(now + timeout)
        assert not socket.is_ending
        again = socket._waiting
        assert again is not None
        assert again.since == now + timeout
        socket.check(now + 2 * timeout - 0.1)
        assert not socket.is_ending
        while not socket.transport.get_write_buffer_size():
            await waiting(raw, PING * 100)
        socket._waiting = again._replace(taken=socket._written - untaken(socket.transport) - again.least + 1)
        socket.check(now + 2 * timeout)
        assert socket.is_ending


@both
async def test_a_message_in_fragments_must_end(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, kind) as (served, raw, socket):
        await raw.send(masked(1, b"x", fin=False) + masked(0, b"y", fin=False) + masked(9, b"?"))
        assert await raw.frame() == (10, b"?")
        clock = served.engine.gateway.clock
        socket.check(clock() + wire.frames.MESSAGE_TIMEOUT - 1)
        await raw.send(masked(9, b"!"))
        while (frame := await raw.frame()) != (10, b"!"):
            assert frame[0] == 9
        socket.check(clock() + wire.frames.MESSAGE_TIMEOUT - 0.1)
        socket._ending = None
        if kind == "client":  # pings are signs of life of the session
            monkeypatch.setattr(wire.session, "HEARTBEAT_TIMEOUT", 100)
        socket.check(clock() + wire.frames.MESSAGE_TIMEOUT)
        while (frame := await raw.frame())[0] == 9:
            pass
        assert frame == (8, b"\x03\xf0a message was not completed in time")


@both
@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        (masked(1, b"\xff\xfe"), 1007, "text is not UTF-8"),
        (masked(1, b"a", fin=False) + masked(0, b"\xff"), 1007, "text is not UTF-8"),
        (masked(1, b"a", fin=False) + masked(8, b"\x03\xe8bye"), 1000, "bye"),
        (masked(8, b"\x03\xe8bye"), 1000, "bye"),
        (masked(1, b"x" * 2**20, fin=False) + masked(0, b"x"), 1009, None),
        (masked(9, b"p", fin=False), 1002, None),
        (masked(9, b"p" * 126), 1002, None),
        (masked(8, b"\x03"), 1002, None),
    ],
)
async def test_both_end_alike(
    tmp_path: Path, kind: str, frames: bytes, code: int, reason: str | None
) -> None:
    """A Close inside a message is echoed: it may stand there (RFC 6455, 5.4; Autobahn's case 7.1.5)."""
    async with opened(tmp_path, kind) as (_, raw, __):
        await raw.send(frames)
        found = await raw.closing()
        assert found[0] == code
        assert reason is None or found[1] == reason


@both
async def test_who_never_answers_a_close_is_dropped(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "LINGER", 0.2)
    async with opened(tmp_path, kind) as (served, raw, socket):
        socket.close(1008, "heartbeat timeout")
        assert (await raw.closing())[0] == 1008
        await until(lambda: not served.server.server_state.connections)


@both
async def test_thousands_of_frames_at_once_hold_nobody_up(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = turn = 0
    go_on, hear = Shell._go_on, {one: one._hear for one in Shell.__subclasses__()}

    def counted(self: Shell, data: bytes, *, heard: object) -> int:
        nonlocal most, turn
        frames = hear[type(self)](self, data)
        turn += frames
        most = max(most, turn)
        return frames

    def begun(self: Shell) -> None:
        nonlocal turn
        turn = 0
        go_on(self)

    monkeypatch.setattr(Shell, "_go_on", begun)
    for one in hear:
        monkeypatch.setattr(one, "_hear", functools.partialmethod(counted, heard=None))
    async with opened(tmp_path, kind) as (_, raw, __):
        await raw.send(masked(1, b"", fin=False) + masked(0, b"", fin=False) * 50_000 + PING)
        assert (await raw.frame())[0] == 10
        assert most <= 2 * shell.SMALL_PIECE / 6 + 1  # no frame has fewer bytes


async def test_messages_in_pieces_are_all_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, source="publish") as served, served.link() as link:
        for kind in KINDS.values():
            async with served.raw(kind) as raw:
                assert (await raw.head()).startswith(b"http/1.1 101 ")
                big = masked(1, b" " * 500_000 + b"{}")
                sending = asyncio.create_task(raw.send((BEAT * 200 + big) * 5))
                answers = [(await raw.frame())[0] for _ in range(201 * 5)]
                assert answers == [1] * 201 * 5
                await sending
        assert (await link.ask(HEARTBEAT))["ret"] == 200


async def test_a_client_that_cannot_be_written_to_is_ended_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    monkeypatch.setattr(Network, "carry", staticmethod(carry_in_python))  # the way that goes by here
    async with serving(tmp_path, script) as served, served.link() as broken, served.link() as other:
        sockets = served.server._websockets.alive
        (first,) = (
            one for one in sockets if one.transport.get_extra_info("peername") == broken.socket.local_address
        )
        for link in (broken, other):
            assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200

        def fail(_: bytes) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(first, "push", fail)
        with capture_logs() as logged:
            for _ in range(3):
                script.emit(trade())
                assert (await other.push())["data"]["code"] == "BTCUSDT"
            await broken.socket.wait_closed()
        assert [line["event"] for line in logged if line["log_level"] == "error"] == [
            "a client cannot be written to and is dropped"
        ]
        await until(lambda: len(sockets) == 1)


async def test_a_sweep_that_fails_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one connection that cannot be checked keeps nobody else open."""
    monkeypatch.setattr(websocket, "SWEEP", 0.01)
    monkeypatch.setattr(wire.session, "HEARTBEAT_TIMEOUT", 0.0)
    check = websocket.WebSockets.check
    failed = asyncio.Event()

    async def failing(self: websocket.WebSockets, now: float) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("the sweep is broken")
        await check(self, now)

    monkeypatch.setattr(websocket.WebSockets, "check", failing)
    with capture_logs() as logged:
        async with serving(tmp_path, source="publish") as served, served.raw(upgrade(OTHER_WS)) as raw:
            await raw.head()
            assert await raw.closing() == (1008, "heartbeat timeout")
    (line,) = (line for line in logged if line["log_level"] == "error")
    assert (line["task"], line["reason"]) == ("sweep of connections", "RuntimeError: the sweep is broken")
