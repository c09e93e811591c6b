"""Sends wrong tokens: half of them to HTTP, half to the WebSocket upgrade, each on a connection of its own.

    python benchmarks/wrong_tokens.py PORT RATE

Ends on SIGTERM and prints how many were answered with 401, and how many seconds it took.
"""

from __future__ import annotations

import asyncio
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


async def attempt(gate: asyncio.Semaphore, port: int, request: bytes) -> bool:
    """Whether the answer was 401."""
    async with gate:
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
    began, gate = time.monotonic(), asyncio.Semaphore(AT_ONCE)
    attempts: list[asyncio.Task[bool]] = []
    while not stop.is_set():
        number = len(attempts)
        await asyncio.sleep(max(0, began + number / rate - time.monotonic()))
        request = (HTTP if number % 2 else UPGRADE) % number
        attempts.append(asyncio.create_task(attempt(gate, port, request)))
    refused = sum(one.result() for one in attempts if one.done() and not one.exception())
    print(json.dumps({"refused": refused, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    asyncio.run(attack(int(sys.argv[1]), float(sys.argv[2])))
