"""The limits: as little as a server can do. Prints its port first.

`http` is uvicorn, set up as Tickwire sets it up: it answers everything with JSON of so many bytes.
`publish` reads, and acknowledges every so many bytes. `accept` takes connections, and without a look at it
answers the first thing that comes on one as the handshake of a WebSocket and the second with a frame of so
many bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from typing import cast

import uvicorn
import uvloop
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

EMPTY = len(json.dumps(""))
ACKNOWLEDGEMENT = b"x" * 180
HANDSHAKE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def http(listener: socket.socket, size: int) -> None:
    body = json.dumps("x" * max(0, size - EMPTY)).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    await uvicorn.Server(config).serve([listener])


class Bare(asyncio.Protocol):
    """A connection that publishes."""

    transport: asyncio.Transport

    def __init__(self, size: int) -> None:
        self._size = size
        self._read = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        before, self._read = self._read // self._size, self._read + len(data)
        if due := self._read // self._size - before:
            self.transport.write(ACKNOWLEDGEMENT * due)


class Taken(asyncio.Protocol):
    """A connection that is only taken."""

    transport: asyncio.Transport

    def __init__(self, size: int) -> None:
        self._answers = [bytes((0x81, size)) + b"x" * size, HANDSHAKE]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(self._answers.pop())


async def accept(listener: socket.socket, size: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Taken(size), sock=listener)
    await server.serve_forever()


async def publish(listener: socket.socket, size: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Bare(size), sock=listener)
    await server.serve_forever()


WAYS = {"http": http, "publish": publish, "accept": accept}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("bytes", type=int, help="of an answer, or of a message")
    given = parser.parse_args()
    with (
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        print(listener.getsockname()[1], flush=True)
        runner.run(WAYS[given.way](listener, given.bytes))


if __name__ == "__main__":
    main()
