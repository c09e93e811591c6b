"""Sends events once around: published, recorded, replayed, and published again.

    python benchmarks/roundtrip.py [--events 1000000]

A first server is published to and records; a second replays that recording flat out; a client of it publishes
what it is sent to a third, which records again. Both recordings must hold the same events, in the same order
per code and kind.
Prints the rate of each step, beside a client that only reads the file, and the most memory of each server.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

from bench import MIB, heads, machine, row, rss, spaced, tickwire
from websockets.asyncio.client import ClientConnection, connect

from tickwire.model import Correction, Trade
from tickwire.store.recordings import Recordings

CODES = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "GOLD", "EURUSD"]
LEVELS = {"BTCUSDT": 5, "ETHUSDT": 5, "SOLUSDT": 5, "GOLD": 1, "EURUSD": 1}
BATCH = 500
"""Lines of a message."""
AHEAD = 8
"""Messages under way without an answer."""
TRADE, DEPTH = 22004, 22002


def lines(count: int) -> Iterator[bytes]:
    """Trades, and a book after every second one."""
    dice, at = Random(1), int(time.time() * 1000) - 3_600_000
    for number in range(1, count + 1):
        at += dice.random() < 0.5
        code = dice.choice(CODES)
        price = Decimal(dice.randint(100_000, 200_000)).scaleb(-2)
        line: dict[str, object] = {"code": code, "time": at, "seq": number}
        if number % 3:
            line |= {
                "type": "trade",
                "price": str(price),
                "volume": str(dice.randint(1, 99)),
                "direction": number % 3,
            }
        else:
            steps = [Decimal(n + 1).scaleb(-2) for n in range(LEVELS[code])]
            line |= {
                "type": "book",
                "bids": [[str(price - step), "3"] for step in steps],
                "asks": [[str(price + step), "4"] for step in steps],
            }
        yield json.dumps(line, separators=(",", ":")).encode()


class Publisher:
    """A publisher that has a few messages under way, as the answers allow."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._under_way = 0
        self.accepted = 0

    async def send(self, batch: list[bytes]) -> None:
        while self._under_way >= AHEAD:
            await self._answer()
        await self._socket.send(b"\n".join(batch))
        self._under_way += 1

    async def finish(self) -> int:
        while self._under_way:
            await self._answer()
        return self.accepted

    async def _answer(self) -> None:
        data = json.loads(await self._socket.recv())["data"]
        if data["bad_lines"]:
            sys.exit(f"roundtrip: refused: {data['bad'][0]}")
        self.accepted += data["accepted"]
        self._under_way -= 1


def feed(port: int) -> connect:
    """A WebSocket to publish to."""
    return connect(f"ws://127.0.0.1:{port}/v1/publish", compression=None, max_size=None)


async def publish(port: int, made: list[bytes]) -> float:
    """Publishes these; returns lines per second."""
    async with feed(port) as socket:
        publisher, began = Publisher(socket), time.perf_counter()
        for place in range(0, len(made), BATCH):
            await publisher.send(made[place : place + BATCH])
        assert await publisher.finish() == len(made)
        return len(made) / (time.perf_counter() - began)


async def carry(source: int, target: int, count: int) -> float:
    """A client of one server that publishes what it is sent to another; returns events per second."""
    url = f"ws://127.0.0.1:{source}/quote-b-ws-api?token=bench"
    async with (
        connect(url, compression=None, max_size=None, max_queue=None) as reader,
        feed(target) as writer,
    ):
        for cmd_id in (TRADE, DEPTH):
            symbols = [{"code": code} for code in CODES]
            await reader.send(json.dumps({"cmd_id": cmd_id, "data": {"symbol_list": symbols}}))
        publisher, batch, began, seen = Publisher(writer), [], 0.0, 0
        while seen < count:
            message = json.loads(await reader.recv())
            if "ret" in message:
                continue
            began = began or time.perf_counter()
            seen += 1
            batch.append(again(message["data"], seen))
            if len(batch) == BATCH:
                await publisher.send(batch)
                batch = []
        await publisher.send(batch) if batch else None
        assert await publisher.finish() == count
        return count / (time.perf_counter() - began)


def again(data: dict[str, object], number: int) -> bytes:
    """What was pushed as a line to publish."""
    line = {"code": data["code"], "time": data["tick_time"], "seq": number}
    if "price" in data:
        line |= {name: data[name] for name in ("price", "volume", "turnover")}
        line |= {"type": "trade", "direction": data["trade_direction"]}
    else:
        sides: dict[str, list[dict[str, str]]] = {side: data[side] for side in ("bids", "asks")}  # type: ignore[misc]
        line |= {
            "type": "book",
            **{side: [[one["price"], one["volume"]] for one in levels] for side, levels in sides.items()},
        }
    return json.dumps(line, separators=(",", ":")).encode()


def content(folder: Path) -> tuple[int, dict[tuple[str, str], str]]:
    """How many events a recording holds, and what they come to per code and kind: numbers by their value."""
    found: dict[tuple[str, str], hashlib._Hash] = {}
    count = 0
    for recorded in Recordings(folder).read(None, None, None):
        event = recorded.event
        count += 1
        if isinstance(event, Trade):
            numbers = [event.price, event.volume, event.turnover or Decimal(0), Decimal(event.direction)]
        elif isinstance(event, Correction):
            numbers = [event.was.price, event.was.volume, Decimal(event.became is not None)]
        else:
            numbers = [
                Decimal(len(event.bids)),
                *(one for level in (*event.bids, *event.asks) for one in (level.price, level.volume)),
            ]
        digest = found.setdefault((event.code, type(event).__name__), hashlib.sha256())
        digest.update(f"{event.time} {' '.join(format(one.normalize(), 'f') for one in numbers)}\n".encode())
    return count, {key: digest.hexdigest() for key, digest in found.items()}


def most(pid: int) -> int:
    """The most memory that a server had, in MiB."""
    return rss(pid, "VmHWM") // MIB


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    count = parser.parse_args().events
    made = [*lines(count)]
    size = sum(map(len, made))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        first, second = folder / "first", folder / "second"
        source = ["--source", "publish", "--record"]
        with tickwire(*source, str(first), core=None) as (port, pid):
            published = asyncio.run(publish(port, made))
            peak = most(pid)
        replay = ["--source", "replay", "--file", str(first), "--speed", "0", "--hold"]
        with (
            tickwire(*replay, "--client-buffer", "67108864", core=None) as (port, pid),
            tickwire(*source, str(second), core=None) as (target, recorder),
        ):
            carried = asyncio.run(carry(port, target, count))
            peaks = most(pid), most(recorder)
        began = time.perf_counter()
        ours, theirs = content(first), content(second)
        compared = 2 * count / (time.perf_counter() - began)
        if ours[0] != count or ours != theirs:
            odd = [key for key in ours[1] if ours[1][key] != theirs[1].get(key)]
            sys.exit(f"roundtrip: {ours[0]} and {theirs[0]} of {count} events, not equal: {odd}")
        stored = sum(path.stat().st_size for path in first.rglob("*.parquet"))
    began = time.perf_counter()
    for line in made:
        json.loads(line)
    bare = count / (time.perf_counter() - began)
    print(f"\n## Once around: {spaced(count)} events of {len(CODES)} codes, two thirds of them trades\n")
    print(f"{machine()}, {os.cpu_count()} cores for all of it\n")
    heads("step", "events/s", "most memory of the server")
    row("published over one WebSocket, and recorded", spaced(published), f"{peak} MiB")
    memory = f"{peaks[0]} and {peaks[1]} MiB"
    row("replayed to a client that publishes and so records it again", spaced(carried), memory)
    row("read from a recording and compared", spaced(compared), "")
    row("`json.loads` of the same lines, nothing else", spaced(bare), "")
    print(f"\nAll {spaced(count)} events of both recordings are equal, in order per code and kind. ", end="")
    print(f"A line has {size / count:.0f} bytes, an event at rest {stored / count:.1f}.")


if __name__ == "__main__":
    main()
