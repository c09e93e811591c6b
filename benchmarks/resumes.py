"""Measures how long it takes until a thousand clients that were cut at once have all that they missed.

    python benchmarks/resumes.py [--only a,b,c] [--rounds 3]

Prints a Markdown table. The server on one core pushes 1 000 trades a second of 100 codes. All clients leave,
come back five seconds later, and ask for what they missed (28016); they only count what they are sent, on the
other core. Needs Linux.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any, cast

import bench
import uvloop
from bench import NotMeasured, Options, Result, figure, spaced, written

CLIENTS, CODES, RATE, AWAY = 1_000, 100, 1_000, 5.0
EACH = {"a": 1, "b": 20, "c": 100}
"""The codes of each client, the same of all."""
LIMIT = 10
"""Seconds that it may take."""
UPGRADE = (
    b"GET /quote-b-ws-api?token=t HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
RESUMING = "tickwire_resuming_clients"


def frame(cmd_id: int, data: dict[str, Any]) -> bytes:
    """A request as a client sends it, masked with zeros."""
    text = json.dumps({"cmd_id": cmd_id, "seq_id": 1, "data": data}).encode()
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + text


class Client(asyncio.Protocol):
    """Reads the first answer; of what follows it counts the bytes."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.upgraded: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.bytes = 0
        self._found = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.answer.done():
            return
        self._found += data
        if not self.upgraded.done():
            _, end, rest = self._found.partition(b"\r\n\r\n")
            if not end:
                return
            self._found = rest
            self.upgraded.set_result(None)
        size, at = (self._found[1], 2) if len(self._found) > 1 else (0, 2)
        if size > 125:
            more = 2 if size == 126 else 8
            size, at = int.from_bytes(self._found[2 : 2 + more], "big"), 2 + more
        if at < len(self._found) >= at + size:
            self.answer.set_result(json.loads(self._found[at : at + size])["data"])
            self._found = b""


async def client(port: int) -> Client:
    _, made = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    await made.upgraded
    return made


async def cut(port: int, pid: int, each: int) -> Result:
    """Cuts all, and waits until all have what they missed."""
    items = [{"kind": "trade", "code": f"C{number:03}"} for number in range(each)]
    clients = [await client(port) for _ in range(CLIENTS)]
    for one in clients:
        one.transport.write(frame(28012, {"add": items}))
    answers = [await one.answer for one in clients]
    for one in clients:
        one.transport.abort()
    last = {one["code"]: one for one in answers[-1]["added"]}
    positions = [item | {name: last[item["code"]][name] for name in ("epoch", "seq")} for item in items]
    await asyncio.sleep(AWAY)
    began, cpu = time.monotonic(), bench.cpu_seconds(pid)

    async def come_back() -> Client:
        one = await client(port)
        one.transport.write(frame(28016, {"items": positions}))
        states = {item["state"] for item in (await one.answer)["items"]}
        if states != {"resumed"}:
            raise NotMeasured(f"a client was told {sorted(states)}")
        return one

    back = await asyncio.gather(*(come_back() for _ in range(CLIENTS)))
    answered = time.monotonic() - began
    while (await asyncio.to_thread(bench.metrics, port, RESUMING))[0]:  # noqa: ASYNC110  # of another process
        await asyncio.sleep(0.2)
    result: Result = {
        "answered": answered,
        "seconds": time.monotonic() - began,
        "cpu": bench.cpu_seconds(pid) - cpu,
        "bytes": sum(one.bytes for one in back) / bench.MIB,
    }
    for one in back:
        one.transport.abort()
    return result


def resume(each: int) -> Result:
    with (
        bench.running(bench.python("server.py", "--codes", CODES, "--rate", RATE)) as (port, pid),
        bench.on_core(bench.LOAD_CORE),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(asyncio.wait_for(cut(port, pid, each), 120))


def main() -> None:
    options: Options = bench.begin(bench.new_parser(__doc__, ",".join(EACH)).parse_args(), EACH)
    print(f"{spaced(CLIENTS)} clients, away for {AWAY:g} s, {spaced(RATE)} trades/s of {CODES} codes\n")
    bench.heads("codes of each", "all answered, s", "all resumed, s", "server CPU, s", "MiB sent", "limit, s")
    for letter in options.letters:
        name = str(EACH[letter])
        results = options.measured(letter, {name: partial(resume, EACH[letter])})[name]
        if isinstance(results, NotMeasured):
            bench.no_row(name, results, 6)
            continue
        cells = (written(results, key, 1) for key in ("answered", "seconds", "cpu"))
        bench.row(name, *cells, spaced(round(figure(results, "bytes"))), f"≤ {LIMIT}")
    print(flush=True)


if __name__ == "__main__":
    main()
