"""Measures what several processes deliver to many clients beside one process.

    python benchmarks/workers.py [--only a,b,c,d,e] [--rounds 3]

Prints Markdown tables. All but c have the clients and the source of `fanout.py`, which no setting names: so
what `tickwire serve --workers 2` starts, a market side and two workers on one port, is started here one by
one. c is the command itself, on its simulator. Servers may use every core, the load keeps to one of these: on
a machine of two it takes its part of what they have. CPU is that of all processes of a server. A source that
is saturated waits for clients, not for workers: with these it may run ahead, and then ticks are the older the
longer it runs. Needs Linux (epoll) and a C compiler.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import bench
from bench import Measured, NotMeasured, Options, Result, figure, per_cpu, ratio, spaced, written
from bus import sides
from fanout import CODES, ENOUGH, Scenario

ONE, WORKERS = "one process", 2
SEVERAL = f"--workers {WORKERS}"
SAME, OWN = "1 000 clients, the same 100 codes", "1 000 clients, each its own 20 of 100 codes"
COMMAND = Scenario("c", f"`tickwire serve` on its simulator, {SAME}, 100 000 frames/s", 1000, 0, 100)
SCENARIOS = [
    Scenario("a", f"{SAME}, 500 000 frames/s", 1000, 0, 500),
    Scenario("b", f"{OWN}, 500 000 frames/s", 1000, 20, 2500),
    COMMAND,
    Scenario("d", f"{SAME}, saturated", 1000, 0, 0),
    Scenario("e", f"{OWN}, saturated", 1000, 20, 0),
]
ANYWHERE = None, None
"""No core is a server's own."""


def load(scenario: Scenario, server: tuple[int, int], more: list[int], options: Options) -> Result:
    """What the load generator measures of a server that has these processes too."""
    arguments = {"connections": scenario.connections, "codes": CODES, "pick": scenario.pick}
    found = bench.run_load("load", server, options, arguments, *(f"--server-pid={one}" for one in more))
    each = per_cpu(found, "frames_per_s")
    return found | {"per_cpu": each, "us_a_frame": 1e6 / each}


def spread_out(scenario: Scenario, number: int, options: Options) -> Result:
    """The fan-out of a server of so many client sides, none for one process."""
    with sides(scenario.rate, number, ANYWHERE, share=True) as (market, gateways, _):
        port = (gateways or [market])[0][0]
        return load(scenario, (port, market[1]), [pid for _, pid in gateways], options)


def command(number: int, options: Options) -> Result:
    """The same of the command, and how many connections each of its workers has."""
    codes = [f"C{count:03}" for count in range(CODES)]
    names = [f'tickwire_connections{{family="other",worker="gateway {one + 1}"}}' for one in range(number)]
    counts: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        instruments = Path(folder) / "instruments.csv"
        head = "code,market,price_decimals,volume_decimals,turnover_decimals,levels"
        instruments.write_text("\n".join([head, *(f"{code},crypto,6,0,6,5" for code in codes), ""]))
        flags = ["--codes", ",".join(codes), "--rate", str(COMMAND.rate / CODES), "--workers", str(number)]
        # On a busy machine the last ticks that 1 000 subscribers are sent would come while it is measured.
        flags += ["--instruments", str(instruments), "--no-snapshot-on-subscribe"]
        with bench.tickwire(*flags, core=None) as (port, pid):
            look = threading.Timer(
                options.warmup + options.seconds / 2,
                lambda: counts.extend(bench.metrics(port, *names) if names else ()),
            )
            look.start()
            found = load(COMMAND, (port, pid), bench.children(pid), options)
            look.join()
    if number and sum(counts) != COMMAND.connections:
        raise NotMeasured(f"{sum(counts):.0f} of {COMMAND.connections} connections were counted")
    return found | {str(place): count for place, count in enumerate(counts)}


def table(scenario: Scenario, found: Mapping[str, Measured], *, aged: bool) -> None:
    """`aged` says that ticks carry the time at which they were made."""
    heads = ["frames/s", "of one process", "per second of CPU", "CPU, us a frame", "p50 ms", "p99 ms"]
    heads += ["server CPU", "load CPU"]
    bench.heads("server", *heads)
    for name, results in found.items():
        if isinstance(results, NotMeasured):
            bench.no_row(name, results, 1 + len(heads))
            continue
        frames_per_s = figure(results, "frames_per_s")
        asked = scenario.frames_per_s
        behind, ahead = frames_per_s < ENOUGH * asked, 0 < asked < ENOUGH * frames_per_s
        ratios = [ratio(results, found[ONE], key) for key in ("frames_per_s", "per_cpu")]
        known = aged and not behind  # else ticks are made late, and as young as others
        ages = [written(results, key, 1) if known else "-" for key in ("p50_ms", "p99_ms")]
        cpu = [written(results, key) for key in ("server_cpu", "load_cpu")]
        rate = spaced(round(frames_per_s, -2)) + " (behind)" * behind + " (catching up)" * ahead
        bench.row(name, rate, *ratios, written(results, "us_a_frame"), *ages, *cpu)
    print(flush=True)


def show_spread(results: Measured) -> None:
    """How the system has dealt connections out, round by round."""
    if not isinstance(results, NotMeasured):
        rounds = (" and ".join(f"{one[str(place)]:.0f}" for place in range(WORKERS)) for one in results)
        print(f"Of {COMMAND.connections} connections the workers have: {', '.join(rounds)}\n", flush=True)


def main() -> None:
    scenarios = {one.letter: one for one in SCENARIOS}
    given = bench.new_parser(__doc__, ",".join(scenarios)).parse_args()
    options = bench.begin(given, scenarios, "load")
    for letter in options.letters:
        scenario = scenarios[letter]
        way: Callable[[int, Options], Result] = partial(spread_out, scenario)
        if scenario is COMMAND:
            way = command
        print(f"{letter}. {scenario.title}\n")
        ways = {ONE: partial(way, 0, options), SEVERAL: partial(way, WORKERS, options)}
        found = options.measured(letter, ways)
        table(scenario, found, aged=scenario is not COMMAND)
        if scenario is COMMAND:
            show_spread(found[SEVERAL])


if __name__ == "__main__":
    main()
