"""Measures the fan-out: the same frames through a bare C program, Tickwire, and its peers.

    python benchmarks/fanout.py [--only a,c] [--servers limit,tickwire] [--rounds 3]

Prints a Markdown table. The server runs on one core and the load generator on another.
Figures depend on the machine and the hour; the ratio to the limit of the same run does not,
or far less. Where a saturated server shows a CPU well below 1, other work took its core: run again,
with more rounds, and compare per second of CPU. Peers are installed by `benchmarks/peer.py`.
Needs Linux (epoll) and a C compiler.
"""

from __future__ import annotations

import resource
import threading
import time
from functools import partial
from typing import NamedTuple

import bench
from bench import NotMeasured, Options, Result, figure, per_cpu, spaced, written
from peer import PEERS, command_of

CODES = 100
ENOUGH = 0.95  # of the rate asked for; below, a server counts as behind
SPARE_FILES = 200  # descriptors a server may need beside its connections


class Scenario(NamedTuple):
    letter: str
    title: str
    connections: int
    pick: int  # codes each client wants; 0: all of them
    rate: int  # ticks per second; 0: as fast as it goes

    @property
    def frames_per_s(self) -> float:
        """What a server that keeps up delivers; 0 when there is no rate to keep."""
        return self.connections * self.rate * (self.pick or CODES) / CODES


SCENARIOS = [
    Scenario("a", "1 000 clients, the same 100 codes, 100 000 frames/s", 1000, 0, 100),
    Scenario("b", "1 000 clients, the same 100 codes, saturated", 1000, 0, 0),
    Scenario("c", "1 000 clients, each its own 20 of 100 codes, 100 000 frames/s", 1000, 20, 500),
    Scenario("d", "1 000 clients, each its own 20 of 100 codes, saturated", 1000, 20, 0),
]
SIMULATOR = "f"
OUTBOXES = ("tickwire_outboxes", "tickwire_outbox_bytes", "tickwire_outbox_bytes_limit")
STALLED = Scenario("g", "950 clients that read, the same 100 codes, 95 000 frames/s", 950, 0, 100)
STALL = 50
SEND_BUFFER = 16 * 1024  # of each socket, so that those who stop reading are noticed at once
IDLE = Scenario("e", "idle connections", 10_000, 0, 1)
LIMIT, TICKWIRE, PURE, SECURE = "limit", "tickwire", "tickwire-python", "tickwire-tls"
READY = "tickwire-ready"
SERVERS = [LIMIT, TICKWIRE, PURE, SECURE, READY, *PEERS]
OWN_SATURATED = (PURE, READY)
"""What is measured where own sets are saturated, and nowhere else."""


def load(scenario: Scenario, server: str, options: Options, *more: str) -> Result:
    """What the load generator measures, frames per second of the server's CPU beside it."""
    given = ["--codes", str(CODES), "--rate", str(scenario.rate)]
    commands = {
        LIMIT: [str(options.build / "limit"), *given],
        TICKWIRE: bench.python("server.py", *given),
        PURE: ["env", "TICKWIRE_ACCELERATOR=off", *bench.python("server.py", *given)],
        SECURE: bench.python("server.py", *given, "--tls"),
        READY: bench.python("server.py", *given, "--ready"),
    }
    command = commands.get(server) or [*command_of(server), *given]
    protocol = PEERS[server].protocol if server in PEERS else "alltick"
    arguments = {
        "connections": scenario.connections,
        "codes": CODES,
        "pick": scenario.pick,
        "protocol": protocol,
    }
    with bench.running(command) as running:
        result = bench.run_load(
            "load-tls" if server == SECURE else "load", running, options, arguments, *more
        )
    return result if "--idle" in more else result | {"per_cpu": per_cpu(result, "frames_per_s")}


def measure(scenario: Scenario, servers: list[str], options: Options) -> None:
    ways = {server: partial(load, scenario, server, options) for server in servers}
    found = options.measured(scenario.letter, ways)
    limits = found.get(LIMIT)
    for server, results in found.items():
        if isinstance(results, NotMeasured):
            bench.no_row(server, results, 8)
            continue
        # A server that is behind makes its ticks late: the age of a frame then tells nothing.
        behind = figure(results, "frames_per_s") < ENOUGH * scenario.frames_per_s
        ages = ["-"] * 2 if behind else [written(results, key, 1) for key in ("p50_ms", "p99_ms")]
        closed = max(one["closed"] or 0 for one in results)
        frames_per_s = spaced(round(figure(results, "frames_per_s"), -2))
        frames_per_s += " (behind)" * behind + (f" ({closed:.0f} clients lost)" if closed else "")
        cpu = [written(results, key) for key in ("server_cpu", "load_cpu")]
        ratios = [bench.ratio(results, limits, key, 3) for key in ("frames_per_s", "per_cpu")]
        bench.row(server, frames_per_s, *ratios, *ages, *cpu)


def idle(options: Options) -> str:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    scenario, note = IDLE, ""
    if hard != resource.RLIM_INFINITY and hard - SPARE_FILES < IDLE.connections:
        scenario = IDLE._replace(connections=hard - SPARE_FILES)
        note = f" (not {IDLE.connections}: the hard limit of open files is {hard})"
    found = options.once(IDLE.letter, TICKWIRE, partial(load, scenario, TICKWIRE, options, "--idle"))
    names = ("bytes_per_connection", "server_rss_before", "server_rss_after")
    each, before, after = ((found[name] or 0) / 1024 for name in names)
    return (
        f"Memory of tickwire with {scenario.connections} idle connections{note}: {each:.1f} KiB each "
        f"({before / 1024:.0f} MiB before, {after / 1024:.0f} MiB with them)"
    )


def simulator(options: Options) -> str:
    """What the simulator costs with nobody listening."""

    def spent() -> Result:
        with bench.tickwire() as (_, pid):
            time.sleep(options.warmup)
            before, began = bench.cpu_seconds(pid), time.monotonic()
            time.sleep(max(options.seconds, 10))
            return {"cores": (bench.cpu_seconds(pid) - before) / (time.monotonic() - began)}

    found = options.once(SIMULATOR, TICKWIRE, spent)
    cores = found["cores"]
    return f"CPU of `tickwire serve` on its default set of simulated codes, no clients: {cores:.3f} cores"


def stall(count: int, options: Options) -> Result:
    """So many clients stop reading; what waits for them at the end, and what may."""
    arguments = {"connections": STALLED.connections + count, "codes": CODES, "pick": 0, "stall": count}
    rate = ("--codes", CODES, "--rate", STALLED.rate)
    found: list[float] = []
    with bench.running(bench.python("server.py", *rate, "--send-buffer", SEND_BUFFER)) as running:
        look = threading.Timer(
            options.warmup + options.seconds, lambda: found.extend(bench.metrics(running[0], *OUTBOXES))
        )
        look.start()
        result = bench.run_load("load", running, options, arguments)
        look.join()
    if not found:
        raise NotMeasured("the server did not tell its metrics")
    return result | dict(zip(("outboxes", "outbox_bytes", "outbox_bytes_limit"), found, strict=True))


def stalled(options: Options) -> None:
    """What clients that stop reading do to the others, and what they take."""
    print(f"{STALLED.letter}. {STALLED.title}; beside them {STALL} with `slow=conflate` that stop reading\n")
    bench.heads("", "frames/s", "p50 ms", "p99 ms", "server CPU", "MiB", "KiB each", "in outboxes")
    counts = {"nobody stops": 0, f"{STALL} stop": STALL}
    found = options.measured(
        STALLED.letter, {name: partial(stall, count, options) for name, count in counts.items()}
    )
    alone = found["nobody stops"]
    for name, results in found.items():
        if isinstance(results, NotMeasured):
            bench.no_row(name, results, 8)
            continue
        each = "-"
        if counts[name] and not isinstance(alone, NotMeasured):
            taken = figure(results, "server_rss") - figure(alone, "server_rss")
            each = f"{taken / STALL / 1024:.0f}"
        numbers = [written(results, key, 1) for key in ("p50_ms", "p99_ms")]
        rest = [written(results, "server_cpu"), f"{figure(results, 'server_rss') / bench.MIB:.0f}", each]
        frames_per_s = spaced(round(figure(results, "frames_per_s"), -2))
        bench.row(name, frames_per_s, *numbers, *rest, written(results, "outboxes", 0))
    print(flush=True)


def main() -> None:
    parser = bench.new_parser(__doc__, "a,b,c,d,e,f,g")
    parser.add_argument("--servers", default=",".join(SERVERS), help=f"which of {','.join(SERVERS)} (all)")
    given = parser.parse_args()
    servers = given.servers.split(",")
    bench.check(SERVERS, servers)
    options = bench.begin(given, "abcdefg", "load", "load-tls", "limit")
    for scenario in SCENARIOS:
        if scenario.letter in options.letters:
            print(f"{scenario.letter}. {scenario.title}\n")
            ratios, ages = ("of the limit", "per second of CPU"), ("p50 ms", "p99 ms")
            bench.heads("server", "frames/s", *ratios, *ages, "server CPU", "load CPU")
            left_out = () if scenario.pick and not scenario.rate else OWN_SATURATED
            measure(scenario, [one for one in SERVERS if one in servers and one not in left_out], options)
            print(flush=True)
    if STALLED.letter in options.letters:
        stalled(options)
    for letter, alone in ((IDLE.letter, idle), (SIMULATOR, simulator)):
        if letter in options.letters:
            try:
                print(f"{letter}. {alone(options)}\n", flush=True)
            except NotMeasured as problem:
                print(f"{letter}. Not measured: {problem}\n", flush=True)


if __name__ == "__main__":
    main()
