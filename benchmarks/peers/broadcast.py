"""The Python peer: the same contract served with ``websockets.asyncio.server.broadcast``.

Prints its port as the first line; ends on SIGTERM. One WebSocket message per frame.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import defaultdict
from contextlib import suppress

import uvloop
from frames import UNSENT_LIMIT, Pace, codes_of, frames, parser, wanted
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

BATCH = 20  # ticks at a time: more would shut out the sockets when a rate is beyond reach


class Market:
    """Makes ticks round-robin over the codes and knows who wants which."""

    def __init__(self, codes: int) -> None:
        self._frames = frames(codes_of(codes))
        self._wanted: defaultdict[str, set[ServerConnection]] = defaultdict(set)
        self._subscribed: set[ServerConnection] = set()

    async def client(self, connection: ServerConnection) -> None:
        try:
            with suppress(ConnectionClosed):
                async for text in connection:
                    for code in wanted(str(text)):
                        self._wanted[code].add(connection)
                        self._subscribed.add(connection)
        finally:
            self._subscribed.discard(connection)
            for connections in self._wanted.values():
                connections.discard(connection)

    def tick(self) -> None:
        code, text = next(self._frames)
        broadcast(self._wanted[code], text)

    async def run_at(self, rate: float) -> None:
        pace = Pace(rate)
        while True:
            for _ in range(pace.due(BATCH)):
                self.tick()
            await asyncio.sleep(pace.wait)

    async def run_saturated(self) -> None:
        while True:
            unsent = (c.transport.get_write_buffer_size() for c in self._subscribed)
            if max(unsent, default=UNSENT_LIMIT + 1) > UNSENT_LIMIT:
                await asyncio.sleep(0.001)
                continue
            for _ in range(BATCH):
                self.tick()
            await asyncio.sleep(0)


async def main(codes: int, rate: float) -> None:
    market = Market(codes)
    async with serve(market.client, "127.0.0.1", 0, compression=None, backlog=1024) as server:
        ticking = asyncio.create_task(market.run_at(rate) if rate else market.run_saturated())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ticking.cancel)
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        with suppress(asyncio.CancelledError):
            await ticking
        server.close(close_connections=False)
        for connection in list(server.connections):
            connection.transport.abort()


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # no warning for every send to a client that left
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(options.codes, options.rate))
