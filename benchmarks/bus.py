"""Measures what it costs to serve clients in other processes than the one that takes the data.

    python benchmarks/bus.py [--only a,b,c] [--rounds 3]

Prints a Markdown table. A market side takes 20 000 trades a second of 100 codes; the first client side has a
client, who wants all of them as they pass between processes. With one process both sides are one. As fast as
it goes there is no client, and what a client side does not take in time it asks for later. The market side
has the first core, the client sides and the load the second one. Needs Linux.
"""

from __future__ import annotations

import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import bench
from bench import NotMeasured, Options, Result, spaced, written

CODES, RATE = 100, 20_000
EVENTS = "tickwire_events_total"


class Way(NamedTuple):
    """So many client sides, none for one process, and how many ticks a second are asked for."""

    title: str
    gateways: int
    rate: int
    over_nats: bool = False


WAYS = {
    "a": Way("one process", 0, RATE),
    "b": Way("Unix sockets, 1 client side", 1, RATE),
    "c": Way("Unix sockets, 2 client sides", 2, RATE),
    "d": Way("Unix sockets, 4 client sides, as fast as it goes", 4, 0),
    "e": Way("NATS, 1 client side", 1, RATE, over_nats=True),
    "f": Way("NATS, 2 client sides", 2, RATE, over_nats=True),
    "g": Way("NATS, 4 client sides, as fast as it goes", 4, 0, over_nats=True),
}


class Sides(NamedTuple):
    """Port and process of the market side and of each client side, and the process of what is between."""

    market: tuple[int, int]
    gateways: list[tuple[int, int]]
    broker: int | None


@contextmanager
def nats(core: int | None, jetstream: Path | None = None) -> Iterator[tuple[str, int]]:
    """A server of NATS: its URL and its process. It keeps what JetStream does in that folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        raise NotMeasured("nats-server is not installed")
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    kept = [] if jetstream is None else ["-js", "-sd", str(jetstream)]
    command = [*pinned, str(program), "-a", "127.0.0.1", "-p", str(port), *kept]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield f"nats://127.0.0.1:{port}", process.pid
        finally:
            process.kill()


@contextmanager
def sides(
    rate: int,
    number: int,
    cores: tuple[int | None, int | None],
    *,
    share: bool = False,
    over_nats: bool = False,
) -> Iterator[Sides]:
    """A market side and so many client sides, each kind on its core; NATS is on that of the client sides.
    Client sides may share a port."""
    server = bench.python("server.py", "--codes", CODES, "--rate", rate)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        bus, broker = f"{folder}/bus", None
        if over_nats:
            bus, broker = opened.enter_context(nats(cores[1]))
        found = [opened.enter_context(bench.running([*server, "--bus", bus], cores[0]))]
        gateway = bench.python("server.py", "--codes", CODES, "--bus", bus, "--gateway")
        for count in range(number):
            port = ["--shared-port", str(found[-1][0] if count else 0)] if share else []
            found.append(opened.enter_context(bench.running([*gateway, *port], cores[1])))
        yield Sides(found[0], found[1:], broker)


def pass_on(way: Way, options: Options) -> Result:
    """What both sides use for a tick, and how old ticks are when the client of the first one has them."""
    cores = bench.SERVER_CORE, bench.LOAD_CORE
    with sides(way.rate, way.gateways, cores, over_nats=way.over_nats) as (market, gateways, broker):
        time.sleep(options.warmup)
        pids = [pid for _, pid in (market, *gateways)] + ([] if broker is None else [broker])
        cpu, began = [bench.cpu_seconds(pid) for pid in pids], time.monotonic()
        before = bench.metrics(market[0], EVENTS)[0]
        result: Result = {}
        if way.rate:
            arguments = {"connections": 1, "codes": CODES, "pick": 0, "protocol": "alltick"}
            result = bench.run_load("load", (gateways or [market])[0], options, arguments)
        else:
            time.sleep(options.seconds)
        ticks = bench.metrics(market[0], EVENTS)[0] - before
        spent = [bench.cpu_seconds(pid) - one for pid, one in zip(pids, cpu, strict=True)]
        seconds = time.monotonic() - began
    between = 0.0 if broker is None else spent.pop()
    each = sum(spent[1:]) / way.gateways if way.gateways else 0.0
    return result | {
        "ticks_per_s": ticks / seconds,
        "market_us": spent[0] / ticks * 1e6,
        "gateway_us": each / ticks * 1e6,
        "broker_us": between / ticks * 1e6,
    }


def main() -> None:
    options = bench.begin(bench.new_parser(__doc__, ",".join(WAYS)).parse_args(), WAYS, "load")
    us = "market side, us a tick", "client side, us a tick", "NATS, us a tick"
    bench.heads("way", "ticks/s", *us, "p50 ms", "p99 ms")
    for letter in options.letters:
        way = WAYS[letter]
        results = options.measured(letter, {way.title: partial(pass_on, way, options)})[way.title]
        if isinstance(results, NotMeasured):
            bench.no_row(way.title, results, 7)
            continue
        keys = ("market_us", "gateway_us", "broker_us", *(("p50_ms", "p99_ms") if way.rate else ()))
        cells = [written(results, key, 1) for key in keys] + ["-"] * (5 - len(keys))
        bench.row(way.title, spaced(bench.figure(results, "ticks_per_s")), *cells)
    print(flush=True)


if __name__ == "__main__":
    main()
