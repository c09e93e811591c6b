"""Measures the client: typed events of a feed, beside a plain loop of websockets and json.

    python benchmarks/client.py [--only a,b] [--rounds 3]

Prints a Markdown table. A server that only writes runs on one core, the client on another; both clients
read the same bytes. Judge by the ratios of one run. Needs Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import bench
from bench import NotMeasured, Options, spaced
from websockets.asyncio.client import connect
from websockets.sync.server import ServerConnection, serve

import tickwire
from tickwire.client import Plan

LETTERS = {"a": "trades", "b": "books of 5 levels"}
CODES = [f"CODE{number}" for number in range(20)]
PER_SECOND = 40_000
"""Events that are made for each second that is asked for."""
TARGET = 0.75
T0 = 1788529064027
PATH = "/quote-b-ws-api"


def volume(number: int) -> str:
    """Hardly ever the same again, like those of coins."""
    return f"{number * 7919 % 10**7 / 10**5:.5f}"


def trade(number: int) -> dict[str, Any]:
    return {
        "code": CODES[number % len(CODES)],
        "seq": 10**15 + number,
        "tick_time": T0 + number,
        "price": f"{4415 + number % 997 / 100:.2f}",
        "volume": volume(number),
        "turnover": f"{4415 * (1 + number % 50) + number % 100 / 100:.2f}",
        "trade_direction": number % 3,
    }


def book(number: int) -> dict[str, Any]:
    def side(step: int) -> list[dict[str, str]]:
        return [
            {
                "price": f"{4415 + number % 97 + step * level:.2f}",
                "volume": volume(number * 10 + step * level),
            }
            for level in range(1, 6)
        ]

    head = {"code": CODES[number % len(CODES)], "seq": 10**15 + number, "tick_time": T0 + number}
    return head | {"bids": side(-1), "asks": side(1)}


MAKE: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {"a": (22998, trade), "b": (22999, book)}


def frames(letter: str, count: int) -> list[bytes]:
    """That many text frames, a hundred to a piece."""
    cmd_id, make = MAKE[letter]
    pieces, piece = [], bytearray()
    for number in range(count):
        text = json.dumps({"cmd_id": cmd_id, "data": make(number)}, separators=(",", ":")).encode()
        head = bytes((0x81, len(text))) if len(text) < 126 else b"\x81\x7e" + len(text).to_bytes(2, "big")
        piece += head + text
        if number % 100 == 99:
            pieces.append(bytes(piece))
            piece.clear()
    return [*pieces, bytes(piece)]


def serve_frames(letter: str, count: int) -> None:
    """Answers a subscription, and writes all frames; prints its port first."""
    pieces = frames(letter, count)

    def talk(client: ServerConnection) -> None:
        request = json.loads(client.recv())
        answer = {"ret": 200, "msg": "ok", "cmd_id": request["cmd_id"] + 1, "seq_id": request["seq_id"]}
        client.send(json.dumps(answer | {"trace": "", "data": {}}))
        with contextlib.suppress(OSError):
            for piece in pieces:
                client.socket.sendall(piece)
            client.socket.recv(1)

    with serve(talk, "127.0.0.1", 0, compression=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


async def by_json(port: int, letter: str, count: int) -> float:
    """CPU seconds that the events take in a plain loop."""
    cmd_id = MAKE[letter][0]
    request = {"cmd_id": cmd_id - 998 + 2 * (letter == "a"), "seq_id": 1, "trace": "", "data": {}}
    seen = 0
    async with connect(f"ws://127.0.0.1:{port}{PATH}", compression=None, ping_interval=None) as socket:
        await socket.send(json.dumps(request))
        began = time.process_time()
        async for message in socket:
            data = json.loads(message)
            if data["cmd_id"] == cmd_id:
                seen += 1
                if seen == count:
                    break
        return time.process_time() - began


async def by_feed(port: int, letter: str, count: int) -> float:
    """The same as typed events."""
    wanted, seen = (tickwire.Trade if letter == "a" else tickwire.Book), 0
    plan = Plan(subscribe_spacing=0.0)
    async with tickwire.connect(f"http://127.0.0.1:{port}", plan=plan, overflow="wait") as feed:
        await feed.subscribe(trades=CODES if letter == "a" else (), books=CODES if letter == "b" else ())
        began = time.process_time()
        async for event in feed:
            if type(event) is wanted:
                seen += 1
                if seen == count:
                    break
        return time.process_time() - began


def measure(letter: str, options: Options) -> None:
    readers = {"websockets + json": by_json, "feed": by_feed}
    rates: dict[str, list[float]] = {title: [] for title in readers}
    count = int(options.seconds * PER_SECOND)
    command = bench.python("client.py", "--serve", letter, "--count", count)
    for title in options.turns(LETTERS[letter], [*readers]):
        with bench.running(command) as (port, _), bench.on_core(bench.LOAD_CORE):
            reading = readers[title](port, letter, count)
            rates[title].append(count / asyncio.run(asyncio.wait_for(reading, 120)))
    plain = rates["websockets + json"]
    for title, found in rates.items():
        ratio = bench.middle(one / limit for one, limit in zip(found, plain, strict=True))
        target = f"≥ {TARGET}" if title == "feed" else "-"
        bench.row(LETTERS[letter], title, spaced(bench.middle(found) or 0), f"{ratio:.2f}", target)


def main() -> None:
    parser = bench.new_parser(__doc__, ",".join(LETTERS))
    parser.add_argument("--serve", help="be the server of that scenario")
    parser.add_argument("--count", type=int, default=0, help="frames that it writes")
    given = parser.parse_args()
    if given.serve:
        serve_frames(given.serve, given.count)
        return
    options = bench.begin(given, LETTERS)
    bench.heads("", "reader", "events per second of CPU", "of the plain loop", "target")
    for letter in options.letters:
        try:
            measure(letter, options)
        except (NotMeasured, OSError) as problem:
            bench.no_row(LETTERS[letter], problem, 5)


if __name__ == "__main__":
    main()
