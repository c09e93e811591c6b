"""Publishing over a WebSocket: answers, order, floods, and how connections end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from tickwire.server import publish_socket, shell
from tickwire.server.publish_socket import PublishSocket
from tickwire.wire import MAX_MESSAGE

from ..serving import masked, until, upgrade
from .publishing import NEW, PATH, Desk, a_trade, desk_in, packed

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELLO = upgrade(PATH, "").replace(b"Host: x", b"Host: 127.0.0.1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server without tokens."""
    async with desk_in(tmp_path_factory.mktemp("publish")) as desk:
        yield desk


def sockets(desk: Desk) -> set[PublishSocket]:
    return desk.served.server._websockets._publishers


async def test_each_message_is_answered_by_its_number(desk: Desk) -> None:
    async with desk.socket() as talk:
        first = await talk.send(a_trade(), "{", a_trade())
        assert (first["message"], first["accepted"], first["bad_lines"]) == (1, 2, 1)
        assert [one["line"] for one in first["bad"]] == [2]
        second = await talk.send(a_trade(7), a_trade(7))
        assert (second["message"], second["duplicates"], second["seq"]) == (2, 1, 7)
        await talk.socket.send(packed(a_trade()).decode())
        third = await talk.answer()
        assert (third["message"], third["accepted"]) == (3, 1)
        assert 0 <= third["queued"] <= third["limit"] == 20_000


async def test_a_new_instrument_between_prices(desk: Desk) -> None:
    async with desk.socket() as talk:
        data = await talk.send(NEW, a_trade(code="MYIDX", price="1.001"))
        assert (data["accepted"], data["bad"]) == (2, [])
        await desk.served_all()
    assert (await desk.last_trade("MYIDX"))["price"] == "1.001"


async def test_many_messages_at_once_are_all_taken_in_order(desk: Desk) -> None:
    count = 3000
    async with desk.socket("?publisher=many") as talk:
        for seq in range(1, count + 1):
            await talk.socket.send(packed(a_trade(seq)))
        answers = [await talk.answer() for _ in range(count)]
    assert [one["message"] for one in answers] == [*range(1, count + 1)]
    assert [one["seq"] for one in answers] == [*range(1, count + 1)]
    assert sum(one["accepted"] for one in answers) == count


async def test_what_was_sent_before_a_close_is_taken(desk: Desk) -> None:
    await desk.served_all()
    before = desk.served.engine.market.feeds.first.events
    async with desk.served.raw(HELLO.replace(PATH.encode(), f"{PATH}?publisher=closing".encode())) as raw:
        assert b" 101 " in await raw.head()
        frames = b"".join(masked(1, packed(a_trade(seq))) for seq in range(1, 51))
        await raw.send(frames + masked(8, b"\x03\xe8"))
        await raw.closing()
    await until(lambda: desk.served.engine.market.feeds.first.events == before + 50)


async def test_a_cut_in_the_middle_of_a_message(desk: Desk) -> None:
    async with desk.served.raw(HELLO.replace(PATH.encode(), f"{PATH}?publisher=cut".encode())) as raw:
        await raw.head()
        whole = masked(1, packed(*(a_trade(seq) for seq in range(1, 11))))
        await raw.send(whole + masked(1, packed(*(a_trade(seq) for seq in range(11, 21))))[:-5])
        assert (await raw.frame())[0] == 1
    async with desk.socket("?publisher=cut") as talk:
        assert (await desk.standing("cut"))["seq"] == 10
        data = await talk.send(*(a_trade(seq) for seq in range(1, 21)))
        assert (data["duplicates"], data["accepted"]) == (10, 10)


async def test_fragments_are_joined(desk: Desk) -> None:
    message = packed(a_trade(), a_trade())
    async with desk.served.raw(HELLO) as raw:
        await raw.head()
        await raw.send(masked(1, message[:9], fin=False) + masked(9, b"?") + masked(0, message[9:]))
        opcodes = {}
        for _ in range(2):
            opcode, payload = await raw.frame()
            opcodes[opcode] = payload
        assert opcodes[10] == b"?"
        assert json.loads(opcodes[1])["data"]["accepted"] == 2


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (masked(1, b"\xff\xfe"), 1007),
        (masked(1, b"x" * (MAX_MESSAGE + 1)), 1009),
        (masked(3, b"x"), 1002),
        (masked(0, b"x"), 1002),
        (masked(1, b"x", rsv=4), 1002),
    ],
)
async def test_frames_that_end_the_connection(desk: Desk, frames: bytes, code: int) -> None:
    async with desk.served.raw(HELLO) as raw:
        await raw.head()
        await raw.send(frames)
        assert (await raw.closing())[0] == code
    assert (await desk.data(packed(a_trade())))["accepted"] == 1


async def test_bytes_that_are_no_frames(desk: Desk) -> None:
    for _ in range(20):
        async with desk.served.raw(HELLO) as raw:
            await raw.head()
            await raw.send(os.urandom(2000))
    assert (await desk.data(packed(a_trade())))["accepted"] == 1


async def test_whoever_reads_no_answers_is_read_no_further(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty messages are answered by ten times their size: that must not pile up."""
    async with desk.served.raw(HELLO, receive_buffer=4096) as raw:
        await raw.head()
        (socket,) = sockets(desk)
        flood = masked(1, b"\n") * 20_000
        sending = asyncio.create_task(raw.send(flood * 10))
        await until(lambda: not socket._writable.is_set())
        taken = socket._count
        for _ in range(100):
            await asyncio.sleep(0)
        assert socket._count == taken
        assert len(socket._messages) < 200_000
        assert socket.transport.get_write_buffer_size() < 2**18
        # And it does not stay for ever.
        later = desk.served.engine.gateway.clock() + 2 * publish_socket.QUIET + 1
        monkeypatch.setattr(shell, "LINGER", 0)
        socket.check(later)
        await until(lambda: socket not in sockets(desk))
        sending.cancel()


async def test_a_publisher_waits_for_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.published, "limit", 0)
    async with desk.socket("?publisher=room") as talk:
        for seq in range(1, 4):
            await talk.socket.send(packed(a_trade(seq)))
        await desk.standing()
        assert (await desk.standing("room"))["seq"] == 0
        monkeypatch.undo()
        desk.published._freed.set()
        assert [(await talk.answer())["seq"] for _ in range(3)] == [1, 2, 3]


async def test_a_publisher_from_whom_nothing_comes_is_pinged_and_then_gone(desk: Desk) -> None:
    async with desk.served.raw(HELLO) as raw:
        await raw.head()
        (socket,) = sockets(desk)
        clock = desk.served.engine.gateway.clock
        socket.check(clock() + publish_socket.QUIET - 1)
        socket.check(clock() + publish_socket.QUIET + 1)
        assert (await raw.frame())[0] == 9
        socket.check(clock() + 2 * publish_socket.QUIET + 1)
        assert await raw.closing() == (1008, "nothing heard for too long")


async def test_a_pong_keeps_it(desk: Desk) -> None:
    async with desk.socket() as talk:
        (socket,) = sockets(desk)
        heard = socket._frames.heard
        socket.check(heard + publish_socket.QUIET + 1)
        async with asyncio.timeout(120):
            while socket._frames.heard == heard:  # the client answers pings while it reads
                await talk.socket.ping()
                await asyncio.sleep(0)
        assert (await talk.send(a_trade()))["accepted"] == 1


async def test_it_ends_with_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with desk_in(tmp_path_factory.mktemp("end")) as desk, desk.socket() as talk:
        await talk.send(a_trade())
        desk.served.server.stop()
        with pytest.raises(ConnectionClosed) as ended:
            await talk.answer()
    assert ended.value.rcvd is not None
    assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1001, "server shutdown")
