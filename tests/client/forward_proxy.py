"""A forward proxy on loopback: CONNECT, and requests for whole URLs, as RFC 9110 has them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class ForwardProxy:
    """What it was asked for, as `METHOD target`. Every name leads to this machine: only the port counts.

    With `password` ("name:password") it lets nobody else pass.
    """

    def __init__(self, password: str = "") -> None:
        self.asked: list[str] = []
        self.url = ""
        self.serving: set[asyncio.Task[None]] = set()
        self._password = base64.b64encode(password.encode()).decode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which is that of one server from its first request on."""
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.decode().split("\r\n")[0].split(" ")
        self.asked.append(f"{method} {target}")
        if self._password and f"Basic {self._password}" not in head.decode():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return
        parts = urlsplit(target if "://" in target else f"//{target}")
        try:
            there, back = await asyncio.open_connection("127.0.0.1", parts.port)
        except ConnectionRefusedError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            path = target.removeprefix(f"{parts.scheme}://{parts.netloc}")
            back.write(head.replace(target.encode(), path.encode(), 1))
        try:
            await asyncio.gather(_carry(reader, back), _carry(there, writer))
        finally:
            back.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes from one to the other until one of them ends."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def forward_proxy(password: str = "") -> AsyncIterator[ForwardProxy]:
    """One that runs."""
    proxy = ForwardProxy(password)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    name = f"{password}@" if password else ""
    proxy.url = f"http://{name}127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in (serving := [*proxy.serving]):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # in which sockets are closed
