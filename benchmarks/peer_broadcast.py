"""The Python peer: the same contract served with ``websockets.asyncio.server.broadcast``.

Prints its port as the first line; ends on SIGTERM. One WebSocket message per frame.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import time
from collections import defaultdict
from contextlib import suppress

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

SUBSCRIBE = 22004
UNSENT_LIMIT = 256 * 1024  # bytes per connection, before a saturated run waits
BATCH = 20  # ticks at a time: more would shut out the sockets when a rate is beyond reach


class Market:
    """Makes ticks round-robin over the codes and knows who wants which."""

    def __init__(self, codes: int) -> None:
        self.codes = [f"C{i:03d}" for i in range(codes)]
        self.wanted: defaultdict[str, set[ServerConnection]] = defaultdict(set)
        self.subscribed: set[ServerConnection] = set()
        self._next = 0

    async def client(self, connection: ServerConnection) -> None:
        try:
            with suppress(ConnectionClosed):
                async for text in connection:
                    message = json.loads(text)
                    if message["cmd_id"] == SUBSCRIBE:
                        for symbol in message["data"]["symbol_list"]:
                            self.wanted[symbol["code"]].add(connection)
                        self.subscribed.add(connection)
        finally:
            self.subscribed.discard(connection)
            for connections in self.wanted.values():
                connections.discard(connection)

    def tick(self) -> None:
        code = self.codes[self._next]
        self._next = (self._next + 1) % len(self.codes)
        stamp = time.monotonic_ns() // 1000
        broadcast(
            self.wanted[code],
            f'{{"cmd_id":22998,"data":{{"code":"{code}","seq":1788530574453,"tick_time":1788530573000,'
            f'"price":"4415.320000","volume":"{stamp:013d}","turnover":"35322.560000","trade_direction":1}}}}',
        )

    async def run_at(self, rate: float) -> None:
        due = time.monotonic()
        while True:
            for _ in range(BATCH):
                if due > time.monotonic():
                    break
                self.tick()
                due += 1 / rate
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def run_saturated(self) -> None:
        while True:
            unsent = (c.transport.get_write_buffer_size() for c in self.subscribed)
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0, help="ticks per second; 0: saturated")
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # no warning for every send to a client that left
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(options.codes, options.rate))
