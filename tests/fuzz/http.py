"""What is fuzzed of HTTP: each target takes any bytes, and raises only where something is wrong.

What it may raise of what is bad, it takes as an answer; whatever else is a find.
"""

from __future__ import annotations

import asyncio
import atexit
from functools import cache
from typing import Any

import uvicorn
from websockets.http11 import Request

from tickwire.config import Settings
from tickwire.machine import REAL
from tickwire.server.bounds import Held
from tickwire.server.guests import Guests
from tickwire.server.http_protocol import HttpProtocol
from tickwire.server.traffic import Traffic


class Wire(asyncio.Transport):
    """The far end of an HTTP connection: takes what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.said = bytearray()
        self.ended = False

    def write(self, data: Any) -> None:
        """Takes it."""
        self.said += data

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.ended

    def close(self) -> None:
        """Ends both sides."""
        self.ended = True

    abort = write_eof = pause_reading = resume_reading = lambda self: None

    def can_write_eof(self) -> bool:
        """As a socket does."""
        return True

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def set_protocol(self, protocol: Any) -> None:
        """Behind an upgrade others go on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """They."""
        return self._protocol


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Reads a body and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


class Upgraded(asyncio.Protocol):
    """What an upgrade leads to."""

    def __init__(self, *_: object) -> None:
        pass

    def upgrade(self, request: Request) -> None:
        """Its request came."""


@cache
def _runner() -> asyncio.Runner:
    made = asyncio.Runner()
    atexit.register(made.close)
    return made


def http(data: bytes) -> None:
    """Bytes to the parser of requests, in pieces whose size the first byte tells."""

    async def talk() -> None:
        configured = uvicorn.Config(_app, ws=Upgraded, log_config=None, lifespan="off")
        configured.load()
        loop = asyncio.get_running_loop()
        state = Guests(Settings(), REAL.network)
        one = HttpProtocol(
            Held("requests", 2**20),
            Traffic(),
            config=configured,
            server_state=state,
            app_state={},
            _loop=loop,
        )
        wire = Wire()
        one.connection_made(wire)
        size = (data[0] + 1) * 4 if data else 1
        for at in range(1, len(data), size):
            piece = data[at : at + size]
            if not wire.ended:
                one.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(4):
            await asyncio.sleep(0)
        one.connection_lost(None)
        for task in [*state.tasks]:
            await asyncio.wait([task])
            task.result()
        assert not wire.said or wire.said.startswith(b"HTTP/1.1 ")
        assert b"HTTP/1.1 500" not in wire.said

    _runner().run(talk())
