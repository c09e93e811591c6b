"""Measures replays of clients' own: events a second at speed 0, and what a hundred of them cost live clients.

    python benchmarks/replays.py [--only a,b] [--rounds 3]

Prints Markdown tables. The server is on one core, its clients on the other. What is replayed is a day of one
code in the size of a stock's: 24 293 trades and 20 956 quotes. Judge by the ratios of one run. Needs Linux,
gcc and pyarrow.
"""

from __future__ import annotations

import asyncio
import json
import random
import select
import socket
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import bench
from bench import NotMeasured, Options, Result, figure, spaced, written
from websockets.asyncio.client import connect

import tickwire
from tickwire.model import Book, Level, Market, Trade
from tickwire.store.recordings import Recorder

LETTERS = {"a": "as fast as it is read", "b": "a hundred replays beside live clients"}
CODE, DAY, END = "BTCUSDT", "2026-09-04", "2026-09-06"
BEGIN = 1_788_528_600_000
"""The first moment of what is replayed, in milliseconds."""
TRADES, BOOKS = 24_293, 20_956
STEP = 520
"""Milliseconds between two events, about."""
TARGET = 100_000
REPLAYS, SPEEDS = 100, (1, 20)
"""Replays, and how much faster than it was each is: 2 and some 40 events a second."""
CLIENTS, CODES, RATE = 100, 100, 500
"""Live clients of so many codes, of which so many trades come a second."""
UPGRADE = (
    b"GET /quote-b-ws-api?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
Read: TypeAlias = Callable[[int], Coroutine[Any, Any, tuple[int, float]]]


def record(folder: Path) -> None:
    """That day, as a server would have recorded it."""
    dice, recorder = random.Random(1), Recorder(folder, "day")
    kinds = ["trade"] * TRADES + ["book"] * BOOKS
    dice.shuffle(kinds)
    price, cent = 18_000, Decimal("0.01")
    seqs = dict.fromkeys(kinds, BEGIN * 1000)
    for number, kind in enumerate(kinds):
        at, price = BEGIN + number * STEP, max(100, price + dice.randrange(-3, 4))
        if kind == "trade":
            event: Trade | Book = Trade(CODE, at, price * cent, Decimal(dice.randrange(1, 500)))
        else:
            bid, ask = (Level(one * cent, Decimal(dice.randrange(1, 900))) for one in (price - 1, price + 1))
            event = Book(CODE, at, (bid,), (ask,))
        recorder.record(event, Market.CRYPTO, at * 1000 + number, seqs[kind])
        seqs[kind] += 1
    recorder.close()


async def by_feed(port: int) -> tuple[int, float]:
    """Events that a backtest of the SDK was given, and the client's CPU seconds."""
    async with tickwire.connect(f"http://127.0.0.1:{port}") as feed:
        began, count = time.process_time(), 0
        replay = feed.replay(trades=[CODE], books=[CODE], start=DAY, end=END, speed=0)
        async with replay:
            async for event in replay:
                count += type(event) is not tickwire.ReplayStatus
        return count, time.process_time() - began


async def by_json(port: int, flags: str = "") -> tuple[int, float]:
    """The same of a plain loop of `websockets` and `json`."""
    url = f"ws://127.0.0.1:{port}/quote-b-ws-api?token=t{flags}"
    async with connect(url, compression=None, ping_interval=None, max_size=None) as socket:
        items = [{"kind": kind, "code": CODE} for kind in ("trade", "depth")]
        data = {"items": items, "from": BEGIN, "to": BEGIN + 10**9, "speed": 0, "step": 0}
        began, count = time.process_time(), 0
        await socket.send(json.dumps({"cmd_id": 28018, "seq_id": 1, "data": data}))
        async for message in socket:
            found = json.loads(message)
            for one in found if type(found) is list else [found]:
                if one["cmd_id"] in (22998, 22999):
                    count += 1
                elif one["cmd_id"] == 28996 and one["data"]["state"] == "complete":
                    return count, time.process_time() - began
    raise NotMeasured("the server closed the connection")


READERS: dict[str, Read] = {
    "feed.replay": by_feed,
    "websockets + json": by_json,
    "websockets + json, several a frame": partial(by_json, flags="&batch=1"),
}


def fast(name: str, folder: Path) -> Result:
    """Events a second of one reader, the best of five: what was never read comes from the disk first."""
    with bench.tickwire("--history", str(folder)) as (port, pid), bench.on_core(bench.LOAD_CORE):
        best: Result = {"per_s": 0.0}
        for _ in range(5):
            cpu, began = bench.cpu_seconds(pid), time.monotonic()
            count, client = asyncio.run(asyncio.wait_for(READERS[name](port), 120))
            seconds = time.monotonic() - began
            if count != TRADES + BOOKS:
                raise NotMeasured(f"{count} events came")
            if count / seconds > (best["per_s"] or 0):
                server = (bench.cpu_seconds(pid) - cpu) / count * 1e6
                best = {"per_s": count / seconds, "server": server, "client": client / count * 1e6}
        return best


def follow(port: int, count: int, speed: int) -> None:
    """So many clients replay, each from its own place, and read what they are sent, a hundred times a second
    and without a look at it: what they cost is not to be taken for what the server does."""
    poll, sockets = select.epoll(), dict[int, socket.socket]()
    for number in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(UPGRADE)
        while not one.recv(4096).endswith(b"\r\n\r\n"):
            pass
        items = [{"kind": kind, "code": CODE} for kind in ("trade", "depth")]
        begin = BEGIN + number * 100_000
        data = {"items": items, "from": begin, "to": BEGIN + 10**9, "speed": speed, "step": 0}
        asked = json.dumps({"cmd_id": 28018, "seq_id": 1, "data": data}).encode()
        one.sendall(b"\x81\xfe" + len(asked).to_bytes(2, "big") + bytes(4) + asked)  # masked with zeros
        one.setblocking(False)
        poll.register(one, select.EPOLLIN)
        sockets[one.fileno()] = one
    begun: set[int] = set()
    while True:
        for number, _ in poll.poll():
            said = sockets[number].recv(65536)
            if len(begun) < count and b'"replay"' in said:
                begun.add(number)
                if len(begun) == count:
                    print(port, flush=True)
        time.sleep(0.01)


def beside(count: int, speed: int, folder: Path, options: Options) -> Result:
    """How late live clients are while so many others replay."""
    command = bench.python("server.py", "--codes", CODES, "--rate", RATE, "--history", folder)
    arguments = {"connections": CLIENTS, "codes": CODES, "pick": 0}
    with bench.running(command) as running:
        others = bench.python("replays.py", "--follow", running[0], "--count", count, "--speed", speed)
        with bench.running(others, bench.LOAD_CORE) if count else nullcontext():
            return bench.run_load("load", running, options, arguments)


def main() -> None:
    parser = bench.new_parser(__doc__, ",".join(LETTERS))
    parser.add_argument("--follow", type=int, help="replay from the server on that port")
    parser.add_argument("--count", type=int, default=REPLAYS, help="so many at once")
    parser.add_argument("--speed", type=int, default=1, help="and so many times as fast as it was")
    given = parser.parse_args()
    if given.follow:
        follow(given.follow, given.count, given.speed)
    options = bench.begin(given, LETTERS, "load")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "ticks"
        record(folder)
        if "a" in options.letters:
            print(f"a. {LETTERS['a']}: {TRADES + BOOKS} events\n")
            bench.heads("reader", "events/s", "server CPU, us", "client CPU, us", "target")
            found = options.measured("a", {name: partial(fast, name, folder) for name in READERS})
            for name, results in found.items():
                if isinstance(results, NotMeasured):
                    bench.no_row(name, results, 5)
                    continue
                rate = spaced(round(figure(results, "per_s"), -2))
                costs = (written(results, side, 1) for side in ("server", "client"))
                bench.row(name, rate, *costs, f"≥ {spaced(TARGET)}" if name == "feed.replay" else "-")
            print(flush=True)
        if "b" in options.letters:
            print(f"b. {LETTERS['b']}: {CLIENTS} clients, {RATE} trades/s to each\n")
            bench.heads("", "frames/s", "p50 ms", "p99 ms", "of the p99 alone", "server CPU")
            ways = {"nobody replays": (0, 1)}
            for speed in SPEEDS:
                each = REPLAYS * speed * 1000 // STEP
                ways[f"{REPLAYS} replay {speed} times as fast, {each} events/s"] = REPLAYS, speed
            found = options.measured(
                "b", {name: partial(beside, *way, folder, options) for name, way in ways.items()}
            )
            alone = found["nobody replays"]
            for name, results in found.items():
                if isinstance(results, NotMeasured):
                    bench.no_row(name, results, 6)
                    continue
                ages = (written(results, key, 1) for key in ("p50_ms", "p99_ms"))
                frames = spaced(round(figure(results, "frames_per_s"), -2))
                ratio = bench.ratio(results, alone, "p99_ms")
                bench.row(name, frames, *ages, ratio, written(results, "server_cpu"))
            print(flush=True)


if __name__ == "__main__":
    main()
