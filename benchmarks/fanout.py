"""Measures the fan-out: the same frames through a bare C program, Tickwire and a Python peer.

    python benchmarks/fanout.py [--only a,c] [--servers limit,tickwire] [--rounds 3]

Prints a Markdown table. The server runs on one core and the load generator on another.
Figures depend on the machine and the hour; the ratio to the limit of the same run does not,
or far less. Where a saturated server shows a CPU well below 1, other work took its core: run again,
with more rounds. Needs Linux (epoll) and a C compiler, and nothing but the standard library.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import (
    HERE,
    ROOT,
    NotMeasured,
    check,
    compile_tools,
    cpu_seconds,
    machine,
    middle,
    new_parser,
    prepare,
    run_load,
    running,
    spaced,
)

CODES = 100
SETUP_SECONDS = 150  # the load generator itself gives up after 120
ENOUGH = 0.95  # of the rate asked for; below, a server counts as behind
SPARE_FILES = 200  # descriptors a server may need beside its connections


@dataclass(frozen=True)
class Scenario:
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


@dataclass(frozen=True)
class Figures:
    frames_per_s: float
    ratio: float | None  # to the limit of the same scenario and round
    p50_ms: float | None
    p99_ms: float | None
    server_cpu: float
    load_cpu: float
    closed: float


@dataclass(frozen=True)
class Options:
    seconds: float
    warmup: float
    rounds: int
    build: Path


def command(server: str, rate: int, build: Path) -> list[str]:
    arguments = ["--codes", str(CODES), "--rate", str(rate)]
    match server:
        case "limit":
            return [str(build / "limit"), *arguments]
        case "tickwire" | "tickwire-tls":
            program = HERE / "server.py"
            if not program.exists():
                raise NotMeasured(f"{program.relative_to(ROOT)} is missing")
            return [sys.executable, str(program), *arguments, *(["--tls"] if server == SECURE else [])]
        case _:
            return [sys.executable, str(HERE / "peer_broadcast.py"), *arguments]


def load(scenario: Scenario, server: str, options: Options, *more: str) -> dict[str, float | None]:
    generator = options.build / ("load-tls" if server == SECURE else "load")
    if not generator.exists():
        raise NotMeasured("no headers of OpenSSL found; on Debian: apt-get install libssl-dev")
    with running(command(server, scenario.rate, options.build)) as (port, pid):
        arguments = {
            "port": port,
            "server-pid": pid,
            "connections": scenario.connections,
            "codes": CODES,
            "pick": scenario.pick,
            "warmup": options.warmup,
            "seconds": options.seconds,
        }
        timeout = options.warmup + options.seconds + SETUP_SECONDS
        return run_load(generator, arguments, *more, timeout=timeout)


def summary(rounds: list[dict[str, float | None]], ratios: list[float]) -> Figures:
    """The median of each figure by itself."""

    def figure(name: str) -> float:
        return middle([one[name] for one in rounds]) or 0

    return Figures(
        frames_per_s=figure("frames_per_s"),
        ratio=median(ratios) if ratios else None,
        p50_ms=middle([one["p50_ms"] for one in rounds]),
        p99_ms=middle([one["p99_ms"] for one in rounds]),
        server_cpu=figure("server_cpu"),
        load_cpu=figure("load_cpu"),
        closed=max(one["closed"] or 0 for one in rounds),
    )


def measure(scenario: Scenario, servers: list[str], options: Options) -> dict[str, Figures | NotMeasured]:
    """All servers one after the other, and that once per round: so that a noisy minute hits all."""
    rounds: dict[str, list[dict[str, float | None]]] = {server: [] for server in servers}
    ratios: dict[str, list[float]] = {server: [] for server in servers}
    failed: dict[str, NotMeasured] = {}
    for number in range(options.rounds):
        limit: float | None = None
        for server in servers:
            if server in failed:
                continue
            print(f"{scenario.letter} {server}, round {number + 1}", file=sys.stderr)
            try:
                result = load(scenario, server, options)
            except NotMeasured as problem:
                failed[server] = problem
                continue
            rounds[server].append(result)
            frames = result["frames_per_s"] or 0
            if server == "limit":
                limit = frames
            if limit:
                ratios[server].append(frames / limit)
    return {server: failed.get(server) or summary(rounds[server], ratios[server]) for server in servers}


def row(scenario: Scenario, server: str, result: Figures | NotMeasured) -> str:
    if isinstance(result, NotMeasured):
        return f"| {server} | not measured: {str(result).replace('|', '/')} | | | | | |"
    frames = spaced(round(result.frames_per_s, -2))
    # A server that is behind makes its ticks late: the age of a frame then tells nothing.
    behind = result.frames_per_s < ENOUGH * scenario.frames_per_s
    latencies = [None, None] if behind else [result.p50_ms, result.p99_ms]
    if behind:
        frames += " (behind)"
    if result.closed:
        frames += f" ({result.closed:.0f} clients lost)"
    cells = [
        server,
        frames,
        "-" if result.ratio is None else f"{result.ratio:.3f}",
        *("-" if value is None else f"{value:.1f}" for value in latencies),
        f"{result.server_cpu:.2f}",
        f"{result.load_cpu:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def idle(options: Options) -> str:
    possible = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_FILES
    wanted = IDLE.connections
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] == resource.RLIM_INFINITY or possible >= wanted:
        scenario, note = IDLE, ""
    else:
        scenario = Scenario(IDLE.letter, IDLE.title, possible, IDLE.pick, IDLE.rate)
        note = f" (not {wanted}: the hard limit of open files is {possible + SPARE_FILES})"
    print("e tickwire", file=sys.stderr)
    start = f"e. Memory of tickwire with {scenario.connections} idle connections{note}: "
    try:
        result = load(scenario, "tickwire", options, "--idle")
    except NotMeasured as problem:
        return f"{start}not measured: {problem}"
    names = ("bytes_per_connection", "server_rss_before", "server_rss_after")
    each, before, after = ((result[name] or 0) / 1024 for name in names)
    return f"{start}{each:.1f} KiB each ({before / 1024:.0f} MiB before, {after / 1024:.0f} MiB with them)"


def simulator(options: Options) -> str:
    """What the simulator costs with nobody listening."""
    start = "f. CPU of `tickwire serve` on its default set of simulated codes, no clients: "
    with tempfile.TemporaryDirectory() as folder:
        serve = [sys.executable, "-m", "tickwire", "serve", "--port", "0", "--data-dir", folder]
        try:
            with running(serve) as (_, pid):
                time.sleep(options.warmup)
                spent, began = cpu_seconds(pid), time.monotonic()
                time.sleep(max(options.seconds, 10))
                cores = (cpu_seconds(pid) - spent) / (time.monotonic() - began)
        except NotMeasured as problem:
            return f"{start}not measured: {problem}"
    return f"{start}{cores:.3f} cores"


def arguments() -> argparse.Namespace:
    parser = new_parser(__doc__, "a,b,c,d,e,f")
    parser.add_argument("--servers", default=",".join(SERVERS), help=f"which of {','.join(SERVERS)} (all)")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    letters, servers = given.only.split(","), given.servers.split(",")
    check([*(scenario.letter for scenario in SCENARIOS), IDLE.letter, SIMULATOR], letters)
    check(SERVERS, servers)
    prepare(given.rounds)
    options = Options(given.seconds, given.warmup, given.rounds, given.build.resolve())
    compile_tools(options.build, "load", "load-tls", "limit")

    print(f"{machine()}\n")
    for scenario in SCENARIOS:
        if scenario.letter not in letters:
            continue
        results = measure(scenario, [s for s in SERVERS if s in servers], options)
        print(f"{scenario.letter}. {scenario.title}\n")
        print("| server | frames/s | of the limit | p50 ms | p99 ms | server CPU | load CPU |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for server, result in results.items():
            print(row(scenario, server, result))
        print(flush=True)
    if IDLE.letter in letters:
        print(f"{idle(options)}\n", flush=True)
    if SIMULATOR in letters:
        print(simulator(options))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
