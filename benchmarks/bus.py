"""Measures what it costs to serve clients in other processes than the one that takes the data.

    python benchmarks/bus.py [--only a,b,c] [--rounds 3]

Prints a Markdown table. A market side takes 20 000 trades a second of 100 codes; the first client side has a
client, who wants all of them as they pass between processes. With one process both sides are one. As fast as
it goes there is no client, and what a client side does not take in time it asks for later. The market side
has the first core, the client sides and the load the second one. Needs Linux.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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


WAYS = {
    "a": Way("one process", 0, RATE),
    "b": Way("Unix sockets, 1 client side", 1, RATE),
    "c": Way("Unix sockets, 2 client sides", 2, RATE),
    "d": Way("Unix sockets, 4 client sides, as fast as it goes", 4, 0),
}


@contextmanager
def sides(
    rate: int, number: int, cores: tuple[int | None, int | None], *, share: bool = False
) -> Iterator[list[tuple[int, int]]]:
    """A market side and so many client sides, each kind on its core; the port and the process id of each.
    Client sides may share a port."""
    server = bench.python("server.py", "--codes", CODES, "--rate", rate)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        bus = Path(folder) / "bus"
        found = [opened.enter_context(bench.running([*server, "--bus", str(bus)], cores[0]))]
        gateway = bench.python("server.py", "--codes", CODES, "--bus", bus, "--gateway")
        for count in range(number):
            port = ["--shared-port", str(found[-1][0] if count else 0)] if share else []
            found.append(opened.enter_context(bench.running([*gateway, *port], cores[1])))
        yield found


def pass_on(way: Way, options: Options) -> Result:
    """What both sides use for a tick, and how old ticks are when the client of the first one has them."""
    cores = bench.SERVER_CORE, bench.LOAD_CORE
    with sides(way.rate, way.gateways, cores) as (market, *gateways):
        time.sleep(options.warmup)
        pids = [pid for _, pid in (market, *gateways)]
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
    each = sum(spent[1:]) / way.gateways if way.gateways else 0.0
    return result | {
        "ticks_per_s": ticks / seconds,
        "market_us": spent[0] / ticks * 1e6,
        "gateway_us": each / ticks * 1e6,
    }


def main() -> None:
    options = bench.begin(bench.new_parser(__doc__, ",".join(WAYS)).parse_args(), WAYS, "load")
    bench.heads("way", "ticks/s", "market side, us a tick", "client side, us a tick", "p50 ms", "p99 ms")
    for letter in options.letters:
        way = WAYS[letter]
        results = options.measured(letter, {way.title: partial(pass_on, way, options)})[way.title]
        if isinstance(results, NotMeasured):
            bench.no_row(way.title, results, 6)
            continue
        keys = ("market_us", "gateway_us", *(("p50_ms", "p99_ms") if way.rate else ()))
        cells = [written(results, key, 1) for key in keys] + ["-"] * (4 - len(keys))
        bench.row(way.title, spaced(bench.figure(results, "ticks_per_s")), *cells)
    print(flush=True)


if __name__ == "__main__":
    main()
