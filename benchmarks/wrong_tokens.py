"""Sends wrong tokens: half of them to HTTP, half to the WebSocket upgrade, each on a connection of its own.

    python benchmarks/wrong_tokens.py PORT RATE

Ends on SIGTERM and prints how many were answered with 401, and how many seconds it took.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
import time

AT_ONCE = 1000
HTTP = b"GET /quote-b-api/trade-tick?token=wrong%d HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
UPGRADE = (
    b"GET /quote-b-ws-api?token=wrong%d HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def attempt(port: int, request: bytes) -> bool:
    """Whether the answer was 401."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await reader.read(4096)
        return answer.startswith(b"HTTP/1.1 401")
    finally:
        writer.transport.abort()


async def attack(port: int, rate: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    began, refused = time.monotonic(), 0
    gate = asyncio.Semaphore(AT_ONCE)
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        nonlocal refused
        async with gate:
            was_refused = await attempt(port, (HTTP if number % 2 else UPGRADE) % number)
            refused += was_refused

    for number in itertools.count():
        if stop.is_set():
            break
        await asyncio.sleep(max(0, began + number / rate - time.monotonic()))
        task = asyncio.create_task(one(number))
        running.add(task)
        task.add_done_callback(running.discard)
    print(json.dumps({"refused": refused, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    asyncio.run(attack(int(sys.argv[1]), float(sys.argv[2])))
