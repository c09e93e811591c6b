"""Measures the fan-out: the same frames through a bare C program, Tickwire and a Python peer.

    python benchmarks/fanout.py [--only a,c] [--servers limit,tickwire] [--rounds 3]

Prints a Markdown table. The server runs on one core and the load generator on another.
Figures depend on the machine and the hour; the ratio to the limit of the same run does not,
or far less. Where a saturated server shows a CPU well below 1, other work took its core: run again,
with more rounds. Needs Linux (epoll) and a C compiler.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import NamedTuple

import bench
from bench import NotMeasured, Options, Result, figure, spaced, written

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
IDLE = Scenario("e", "idle connections", 10_000, 0, 1)
SECURE = "tickwire-tls"
SERVERS = ["limit", "tickwire", SECURE, "websockets.broadcast"]


def load(scenario: Scenario, server: str, options: Options, *more: str) -> Result:
    given = ["--codes", str(CODES), "--rate", str(scenario.rate)]
    command = {
        "limit": [str(options.build / "limit"), *given],
        "tickwire": bench.python("server.py", *given),
        SECURE: bench.python("server.py", *given, "--tls"),
    }
    peer = bench.python("peer_broadcast.py", *given)
    arguments = {"connections": scenario.connections, "codes": CODES, "pick": scenario.pick}
    with bench.running(command.get(server, peer)) as running:
        generator = "load-tls" if server == SECURE else "load"
        return bench.run_load(generator, running, options, arguments, *more)


def measure(scenario: Scenario, servers: list[str], options: Options) -> None:
    rounds: dict[str, list[Result]] = {server: [] for server in servers}
    failed: dict[str, NotMeasured] = {}
    limit: float | None = None  # of the same round
    for server in options.turns(scenario.letter, servers):
        if server == servers[0]:
            limit = None
        if server in failed:
            continue
        try:
            result = load(scenario, server, options)
        except NotMeasured as problem:
            failed[server] = problem
            continue
        frames = result["frames_per_s"] or 0
        limit = frames if server == "limit" else limit
        rounds[server].append(result | {"ratio": frames / limit if limit else None})
    for server, results in rounds.items():
        if server in failed:
            bench.no_row(server, failed[server], 7)
            continue
        # A server that is behind makes its ticks late: the age of a frame then tells nothing.
        behind = figure(results, "frames_per_s") < ENOUGH * scenario.frames_per_s
        ages = ["-"] * 2 if behind else [written(results, key, 1) for key in ("p50_ms", "p99_ms")]
        closed = max(one["closed"] or 0 for one in results)
        frames_per_s = spaced(round(figure(results, "frames_per_s"), -2))
        frames_per_s += " (behind)" * behind + (f" ({closed:.0f} clients lost)" if closed else "")
        cpu = [written(results, key) for key in ("server_cpu", "load_cpu")]
        bench.row(server, frames_per_s, written(results, "ratio", 3), *ages, *cpu)


def idle(options: Options) -> str:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    scenario, note = IDLE, ""
    if hard != resource.RLIM_INFINITY and hard - SPARE_FILES < IDLE.connections:
        scenario = IDLE._replace(connections=hard - SPARE_FILES)
        note = f" (not {IDLE.connections}: the hard limit of open files is {hard})"
    print("e tickwire", file=sys.stderr)
    result = load(scenario, "tickwire", options, "--idle")
    names = ("bytes_per_connection", "server_rss_before", "server_rss_after")
    each, before, after = ((result[name] or 0) / 1024 for name in names)
    return (
        f"Memory of tickwire with {scenario.connections} idle connections{note}: {each:.1f} KiB each "
        f"({before / 1024:.0f} MiB before, {after / 1024:.0f} MiB with them)"
    )


def simulator(options: Options) -> str:
    """What the simulator costs with nobody listening."""
    with bench.tickwire() as (_, pid):
        time.sleep(options.warmup)
        spent, began = bench.cpu_seconds(pid), time.monotonic()
        time.sleep(max(options.seconds, 10))
        cores = (bench.cpu_seconds(pid) - spent) / (time.monotonic() - began)
    return f"CPU of `tickwire serve` on its default set of simulated codes, no clients: {cores:.3f} cores"


def main() -> None:
    parser = bench.new_parser(__doc__, "a,b,c,d,e,f")
    parser.add_argument("--servers", default=",".join(SERVERS), help=f"which of {','.join(SERVERS)} (all)")
    given = parser.parse_args()
    servers = given.servers.split(",")
    bench.check(SERVERS, servers)
    options = bench.begin(given, "abcdef", "load", "load-tls", "limit")
    for scenario in SCENARIOS:
        if scenario.letter in options.letters:
            print(f"{scenario.letter}. {scenario.title}\n")
            bench.heads("server", "frames/s", "of the limit", "p50 ms", "p99 ms", "server CPU", "load CPU")
            measure(scenario, [one for one in SERVERS if one in servers], options)
            print(flush=True)
    for letter, alone in ((IDLE.letter, idle), (SIMULATOR, simulator)):
        if letter in options.letters:
            try:
                print(f"{letter}. {alone(options)}\n", flush=True)
            except NotMeasured as problem:
                print(f"{letter}. Not measured: {problem}\n", flush=True)


if __name__ == "__main__":
    main()
