"""What goes past an event loop to a socket, and keeps the order of what goes through it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from tickwire.machine import REAL, Writer

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Ends(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


def over(loop: Callable[[], asyncio.AbstractEventLoop], use: Callable[..., Awaitable[None]]) -> None:
    """A connection, and what is used of it: its transport, its writer, its protocol and the other end."""

    async def run() -> None:
        running = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            ours.setblocking(False)
            theirs, _ = listener.accept()
        with theirs:
            theirs.setblocking(False)
            transport, ends = await running.create_connection(Ends, sock=ours)
            try:
                await use(transport, REAL.network.writer(transport), ends, theirs)
            finally:
                transport.abort()
                await ends.lost.wait()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_the_socket_does_not_take_comes_back(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def use(transport: asyncio.Transport, writer: Writer, _: Ends, theirs: socket.socket) -> None:
        assert writer.write(b"first ") == b""
        data = bytes(2**26)
        rest = writer.write(data)
        assert 0 < len(rest) < len(data)
        transport.write(b"second")
        assert transport.get_write_buffer_size() == 6
        assert writer.write(b"third") == b"third"  # while something waits
        taken = len(b"first ") + len(data) - len(rest) + len(b"second")
        running, got = asyncio.get_running_loop(), b""
        while len(got) < taken:
            got += await running.sock_recv(theirs, 2**20)
        assert (got[:6], got[-6:]) == (b"first ", b"second")

    over(loop, use)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_waits_is_counted_until_the_other_end_has_it(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def use(transport: asyncio.Transport, writer: Writer, _: Ends, theirs: socket.socket) -> None:
        assert writer.waiting() == 0
        transport.write(writer.write(bytes(2**26)))
        buffered = transport.get_write_buffer_size()
        assert 0 < buffered < 2**26
        assert writer.waiting() > buffered or sys.platform != "linux"
        running, taken = asyncio.get_running_loop(), 0
        while taken < 2**26:
            taken += len(await running.sock_recv(theirs, 2**20))
        async with asyncio.timeout(120):
            while writer.waiting():  # noqa: ASYNC110  # what has arrived is yet to be acknowledged
                await asyncio.sleep(0)
        transport.close()
        assert writer.waiting() == 0

    over(loop, use)


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_goes_to_a_descriptor_that_may_be_another_s(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def use(transport: asyncio.Transport, writer: Writer, ends: Ends, theirs: socket.socket) -> None:
        transport.close()
        assert writer.write(b"x") == b""
        await ends.lost.wait()
        assert writer.write(b"x") == b""
        assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""

    over(loop, use)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_can_be_reset(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def use(_: asyncio.Transport, writer: Writer, ends: Ends, theirs: socket.socket) -> None:
        writer.reset()
        await ends.lost.wait()
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(theirs, 1)

    over(loop, use)
