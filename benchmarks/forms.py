"""Measures what a push costs in each form that a connection may choose: bytes, and CPU of both sides.

    python benchmarks/forms.py [--rounds 3]

Prints a Markdown table. A server on one core pushes the trades of 100 codes to 20 connections, which a Python
program on the other reads with `websockets`, and with `json` or `msgspec`. Judge by the ratios of one run.
Needs Linux.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import bench
import msgspec
from bench import NotMeasured, Options, Result, figure, spaced, written
from websockets.asyncio.client import ClientConnection, connect

CODES, CLIENTS = 100, 20
RATE = 2_000
"""Ticks per second, each for every client."""
PATH = "/quote-b-ws-api?token=bench"
Read = Callable[[Any], Any]
FORMS: dict[str, tuple[str, bool, Read]] = {
    "JSON": ("", False, json.loads),
    "JSON, compressed": ("", True, json.loads),
    "several a frame": ("&batch=1", False, json.loads),
    "several a frame, compressed": ("&batch=1", True, json.loads),
    "msgpack": ("&encoding=msgpack", False, msgspec.msgpack.decode),
    "msgpack, several a frame": ("&encoding=msgpack&batch=1", False, msgspec.msgpack.decode),
}
"""The flags of each, whether it is compressed, and what reads it."""


async def read(port: int, form: str, options: Options) -> tuple[int, int, float, float]:
    """Pushes and frames that came in that time, the client's CPU seconds, and how long it was."""
    flags, compressed, decode = FORMS[form]
    pushes = frames = 0

    async def follow(socket: ClientConnection) -> None:
        nonlocal pushes, frames
        async for message in socket:
            found = decode(message)
            frames += 1
            pushes += len(found) if type(found) is list else 1

    url = f"ws://127.0.0.1:{port}{PATH}{flags}"
    ways = {"compression": "deflate" if compressed else None, "ping_interval": None}
    sockets = [await connect(url, **ways) for _ in range(CLIENTS)]  # type: ignore[arg-type]
    codes = [{"code": f"C{number:03}"} for number in range(CODES)]
    for socket in sockets:
        await socket.send(json.dumps({"cmd_id": 22004, "seq_id": 1, "data": {"symbol_list": codes}}))
    tasks = [asyncio.create_task(follow(socket)) for socket in sockets]
    await asyncio.sleep(options.warmup)
    before, cpu, began = (pushes, frames), time.process_time(), time.monotonic()
    await asyncio.sleep(options.seconds)
    taken = pushes - before[0], frames - before[1], time.process_time() - cpu, time.monotonic() - began
    for task in tasks:
        task.cancel()
    for socket in sockets:
        socket.transport.abort()
    return taken


def push(form: str, options: Options) -> Result:
    command = bench.python("server.py", "--codes", CODES, "--rate", RATE, "--deflate")
    with bench.running(command) as (port, pid), bench.on_core(bench.LOAD_CORE):
        sent, cpu = _sent(port), bench.cpu_seconds(pid)
        pushes, frames, client, seconds = asyncio.run(read(port, form, options))
        share = seconds / (seconds + options.warmup)  # both sides are alike before
        return {
            "pushes_per_s": pushes / seconds,
            "pushes_a_frame": pushes / frames,
            "bytes": (_sent(port) - sent) * share / pushes,
            "server": (bench.cpu_seconds(pid) - cpu) * share / pushes * 1e6,
            "client": client / pushes * 1e6,
        }


def _sent(port: int) -> float:
    (found,) = bench.metrics(port, 'tickwire_websocket_sent_bytes_total{kind="push"}')
    return found


def main() -> None:
    options = bench.begin(bench.new_parser(__doc__, "a").parse_args(), ["a"])
    print(f"a. {RATE:,} ticks/s of {CODES} codes to {CLIENTS} clients, a push of each\n")
    bench.heads("form", "pushes/s", "pushes a frame", "bytes", "server CPU, us", "client CPU, us")
    found = options.measured("a", {form: partial(push, form, options) for form in FORMS})
    for form, results in found.items():
        if isinstance(results, NotMeasured):
            bench.no_row(form, results, 6)
            continue
        bench.row(
            form,
            spaced(round(figure(results, "pushes_per_s"), -2)),
            *(written(results, name, 1) for name in ("pushes_a_frame", "bytes", "server", "client")),
        )
    print(flush=True)


if __name__ == "__main__":
    main()
