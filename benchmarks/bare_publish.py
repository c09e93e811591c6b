"""As little as a server can do that is published to: it reads, and acknowledges every so many bytes.

Prints its port first.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import uvloop

ANSWER = b"x" * 180


class Bare(asyncio.Protocol):
    """A connection."""

    transport: asyncio.Transport

    def __init__(self, size: int) -> None:
        self._size = size
        self._read = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        before, self._read = self._read // self._size, self._read + len(data)
        if due := self._read // self._size - before:
            self.transport.write(ANSWER * due)


async def serve(size: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Bare(size), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, required=True, help="of a message")
    size = parser.parse_args().bytes
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(size))


if __name__ == "__main__":
    main()
