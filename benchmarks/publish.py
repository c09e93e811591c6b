"""Measures how fast one publisher is taken, over a WebSocket and over HTTP.

    python benchmarks/publish.py [--only a,b] [--rounds 3]

Prints a Markdown table. The server runs on one core and the publisher on another. The limit is a server on
uvloop that reads the same bytes and acknowledges them as often, nothing else; beside it stands what the
reading of the lines as JSON takes by itself. A tick counts when it has been served: stored in its bars, and
sent to those who want it (here nobody does). Needs Linux.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import bench
from bench import LOAD_CORE, MIB, NotMeasured, Result, figure, on_core, spaced

from tickwire.store import load_catalogue
from tickwire.wire import read_published

SCENARIOS = {
    "a": ("WebSocket, 1 line a message", 1),
    "b": ("WebSocket, 10 lines a message", 10),
    "c": ("WebSocket, 500 lines a message", 500),
    "d": ("POST, one body", 0),
}
"""What is measured, and how many lines a message has; 0: all of them in the body of one request."""
TARGET = 50_000
TICKS = 60_000
"""Ticks per second of --seconds: so many are published, as fast as they are taken."""
PATH = "/v1/publish"
FIRST_SEQ = 1_000_000_000


class Load(NamedTuple):
    """What is sent: pieces of the same size, each of which is answered."""

    ticks: int
    pieces: list[bytes]


def ticks(count: int) -> list[bytes]:
    """Lines of the same length, of many codes in turn."""
    fine = (one for one in load_catalogue() if one.price_decimals >= 2 and one.volume_decimals >= 3)
    codes = [one.code for one in fine if len(one.code) == 7]
    now = time.time_ns() // 1_000_000
    return [
        b'{"type":"trade","code":"%s","time":%d,"price":"%d.%02d","volume":"0.%03d","direction":1,"seq":%d}'
        % (codes[n % len(codes)].encode(), now, 44_000 + n % 300, n % 100, n % 997 + 1, FIRST_SEQ + n)
        for n in range(count)
    ]


def load_of(lines: list[bytes], per_message: int) -> Load:
    """Lines as masked frames, or as one body."""
    if not per_message:
        return Load(len(lines), [b"\n".join(lines) + b"\n"])
    count = len(lines) // per_message * per_message
    messages = (b"\n".join(lines[n : n + per_message]) for n in range(0, count, per_message))
    return Load(count, [frame(message) for message in messages])


def frame(payload: bytes) -> bytes:
    """A frame of a client; its mask is zero, which is as good as any."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 2**16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return b"\x82" + length + bytes(4) + payload


def publish(server: tuple[int, int], load: Load, *, post: bool) -> Result:
    """Publishes to Tickwire."""
    port, pid = server
    with on_core(LOAD_CORE):
        if post:
            return timed(pid, load, lambda: post_body(port, load), lambda: served(port, load))
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(
                f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            if b" 101 " not in link.recv(4096):
                raise NotMeasured("the server refused the WebSocket")
            send = partial(exchange, link, load, answers())
            return timed(pid, load, send, partial(served, port, load))


def answers() -> Callable[[bytes], float]:
    """Counts the answers that begin in what comes piece by piece: one may begin at the end of a piece."""
    mark, rest = b'{"ret":200,', b""

    def count(data: bytes) -> int:
        nonlocal rest
        seen, rest = rest + data, (rest + data)[1 - len(mark) :]
        return seen.count(mark)

    return count


def acknowledge(server: tuple[int, int], load: Load) -> Result:
    """Sends the same to the bare server."""
    port, pid = server
    with on_core(LOAD_CORE), socket.create_connection(("127.0.0.1", port)) as link:
        return timed(pid, load, lambda: exchange(link, load, lambda data: len(data) / 180), lambda: None)


def timed(pid: int, load: Load, send: Callable[[], None], finish: Callable[[], None]) -> Result:
    """Ticks per second, and per second of the server's CPU; how its memory grew."""
    memory, cpu, began = bench.rss(pid), bench.cpu_seconds(pid), time.perf_counter()
    send()
    finish()
    took, used = time.perf_counter() - began, bench.cpu_seconds(pid) - cpu
    return {
        "rate": load.ticks / took,
        "per_cpu": load.ticks / max(used, 0.01),
        "cpu": used / took,
        "start": memory,
        "end": bench.rss(pid),
    }


def exchange(link: socket.socket, load: Load, count: Callable[[bytes], float]) -> None:
    """Sends everything, while another thread reads as many answers."""
    failed: list[str] = []

    def read() -> None:
        left = float(len(load.pieces))
        while left > 0.001:
            data = link.recv(2**18)
            if not data:
                failed.append("the server closed the connection")
                return
            left -= count(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for start in range(0, len(load.pieces), 100):
        link.sendall(b"".join(load.pieces[start : start + 100]))
    reader.join(300)
    if failed or reader.is_alive():
        raise NotMeasured(failed[0] if failed else "the server did not answer all messages")


def post_body(port: int, load: Load) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", PATH, load.pieces[0], {"content-type": "application/x-ndjson"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    if answer["ret"] != 200 or answer["data"]["accepted"] != load.ticks:
        raise NotMeasured(f"the server answered {json.dumps(answer)[:200]}")


def served(port: int, load: Load) -> None:
    """Waits until everything that was taken has been served."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", PATH)
        standing = json.loads(connection.getresponse().read())["data"]
        connection.close()
        if standing["seq"] != FIRST_SEQ + load.ticks - 1:
            raise NotMeasured(f"the last seq that was taken is {standing['seq']}")
        if not standing["queued"]:
            return
        time.sleep(0.005)


def decoded(lines: list[bytes]) -> float:
    """Lines that are read as JSON per second, without anything else."""
    with on_core(LOAD_CORE):
        began = time.perf_counter()
        for line in lines:
            read_published(line)
        return len(lines) / (time.perf_counter() - began)


def main() -> None:
    options = bench.begin(bench.new_parser(__doc__, ",".join(SCENARIOS)).parse_args(), SCENARIOS)
    count = int(TICKS * options.seconds)
    lines = ticks(count)
    print(
        f"One publisher, {spaced(len(lines))} trades of {len(lines[0])} bytes; "
        f"the target is {spaced(TARGET)} a second\n"
    )
    heads = ("ticks/s", "per second of CPU", "of the limit", "server CPU", "memory before and after")
    bench.heads("", *heads)
    for letter in options.letters:
        title, per_message = SCENARIOS[letter]
        ours: list[Result] = []
        limits: list[Result] = []
        try:
            for _ in options.turns(letter, [title]):
                load = load_of(ticks(count), per_message)  # anew: trades of a past minute are late
                with bench.tickwire("--source", "publish") as server:
                    ours.append(publish(server, load, post=not per_message))
                with bench.running(bench.python("bare.py", "publish", len(load.pieces[0]))) as server:
                    limits.append(acknowledge(server, load))
        except (NotMeasured, OSError) as problem:
            bench.no_row(f"{letter}. {title}", problem, 1 + len(heads))
            continue
        row(f"{letter}. {title}", ours, limits)
        row("limit", limits, limits)
    rate = spaced(bench.middle(decoded(lines) for _ in range(options.rounds)) or 0)
    bench.row("the lines read as JSON, alone", rate, rate, "-", "-", "-")


def row(name: str, results: list[Result], limits: list[Result]) -> None:
    pairs = zip(results, limits, strict=True)
    ratio = bench.middle((one["rate"] or 0) / (limit["rate"] or 1) for one, limit in pairs)
    memory = f"{figure(results, 'start') / MIB:.0f} → {figure(results, 'end') / MIB:.0f} MiB"
    rates = [spaced(figure(results, key)) for key in ("rate", "per_cpu")]
    bench.row(name, *rates, f"{ratio:.3f}", bench.written(results, "cpu"), memory)


if __name__ == "__main__":
    main()
