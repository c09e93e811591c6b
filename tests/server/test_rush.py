"""Clients that all come back at once, as when a network has failed: some hundred, or 5 000 in `make soak`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from functools import partial
from pathlib import Path
from typing import cast

from ..serving import masked, program, until, upgrade

SOAK = os.environ.get("TICKWIRE_SOAK") == "1"
CLIENTS, HEALTHY = 5000 if SOAK else 400, 20
SECONDS = 10.0
"""In which all of them are served, in the soak."""
BEAT = 8.0
"""Seconds between two heartbeats."""
SUBSCRIPTION = masked(
    1, b'{"cmd_id":22004,"seq_id":1,"trace":"","data":{"symbol_list":[{"code":"BTCUSDT"}]}}'
)
HEARTBEAT = masked(1, b'{"cmd_id":22000,"seq_id":2,"trace":"","data":{}}')


class Client(asyncio.Protocol):
    """One of many: comes, subscribes, reads."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._entered = False
        self._beat = time.monotonic()
        self._said = b""
        self.served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.bytes = 0
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.served.done():
            if (now := time.monotonic()) - self._beat > BEAT:
                self._beat = now
                self.transport.write(HEARTBEAT)
            return
        self._said += data
        if not self._entered and b"\r\n\r\n" in self._said:
            self._entered = True
            self.transport.write(SUBSCRIPTION)
        if b'"cmd_id":22998' in self._said:
            self.served.set_result(None)

    def has_more_than(self, count: int) -> bool:
        """Whether it has read more bytes than that."""
        return self.bytes > count

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.served.done():
            reset = isinstance(exc, ConnectionResetError) and not self._said
            told = f"not served: {self._said[:200]!r}"
            self.served.set_exception(ConnectionResetError() if reset else ConnectionError(told))


async def come(host: str, port: int, count: int) -> list[Client]:
    """So many clients, all at once, that have been served. One that the system resets, because more wait than
    it lets, comes again, as every client does."""
    loop = asyncio.get_running_loop()

    async def one() -> Client:
        while True:
            plain = socket.socket()
            plain.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                plain.connect((host, port))
            try:
                await loop.sock_sendall(plain, upgrade())  # at once: the transport may take our loop a while
            except ConnectionError:
                plain.close()
                continue
            _, client = await loop.create_connection(Client, sock=plain)
            with contextlib.suppress(ConnectionResetError):
                await client.served
                return client

    return await asyncio.gather(*(one() for _ in range(count)))


async def test_all_who_come_back_at_once_are_served_and_nobody_else_is_cut(tmp_path: Path) -> None:
    async with program(tmp_path) as server, asyncio.timeout(300):
        host, port = server.url.removeprefix("http://").split(":")
        healthy = await come(host, int(port), HEALTHY)
        crowd = await come(host, int(port), CLIENTS)
        for _ in range(2):
            for one in crowd:
                one.transport.abort()
            before = {one: one.bytes for one in healthy}
            began = time.monotonic()
            crowd = await come(host, int(port), CLIENTS)
            took = time.monotonic() - began
            assert not any(one.closed for one in (*healthy, *crowd))
            for one, was in before.items():
                await until(partial(one.has_more_than, was))
            if SOAK:
                print(f"\n{CLIENTS} clients came back within {took:.1f} s")
                assert took < SECONDS
        for one in (*healthy, *crowd):
            one.transport.abort()
        assert "handshakes are dropped" not in server.log
        await server.end()
