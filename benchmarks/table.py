"""Measures what Tickwire is held to, and prints it as one table: each figure beside its limit and its target.

    python benchmarks/table.py [--rounds 3]

Runs the benchmarks that have a row in it, some ten minutes a round; they print their own tables too. Peers
that are not installed are left out (`benchmarks/peer.py`). What is saturated is judged by what it does in a
second of the server's CPU, so that what others take of its core does not count.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import bench
from bench import Measured, NotMeasured, Result, figure, quotient

RUNS = {"fanout.py": "a,b,c,d,e,f,g", "ticks.py": "a,b,c", "connections.py": "a", "klines.py": "b"}
"""The benchmarks, and what is run of them."""
ASKED, ENOUGH = 95_000, 0.95
"""Frames per second at which ages are compared, at the least, and how much of it must arrive."""
STALLED = 50


class Judged(NamedTuple):
    """What a row says."""

    figure: str
    beside: str
    value: float
    """What is held against the target."""
    is_part: bool = True
    """Whether that is the figure as a part of what stands beside it."""


def count(value: float) -> str:
    """In three digits."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def milliseconds(value: float) -> str:
    return f"{value:.1f} ms"


def kibibytes(value: float) -> str:
    return f"{value / 1024:.1f} KiB"


def mebibytes(value: float) -> str:
    return f"{value / bench.MIB:.1f} MiB"


def cores(value: float) -> str:
    return f"{value:.3f} cores"


Found: TypeAlias = Mapping[str, Measured]
Judge: TypeAlias = Callable[[Found], Judged]


def known(found: Found, name: str) -> list[Result]:
    """What was measured under that name. Raises NotMeasured."""
    results = found.get(name, NotMeasured("left out"))
    if isinstance(results, NotMeasured):
        raise NotMeasured(f"{name}: {results}")
    return results


def against(key: str, ours: str, theirs: str, shown: Callable[[float], str] = count) -> Judge:
    """One as a part of the other."""

    def judge(found: Found) -> Judged:
        mine, others = known(found, ours), known(found, theirs)
        value = quotient(mine, others, key)
        if value is None:
            raise NotMeasured(f"{ours}: no {key}")
        if shown is milliseconds:  # ticks that are made late are as young as others
            rates = [figure(results, "frames_per_s") for results in (mine, others)]
            if rates[1] < ENOUGH * ASKED:
                raise NotMeasured(f"{theirs}: behind the rate that was asked for, {count(rates[1])} frames/s")
            if rates[0] < ENOUGH * rates[1]:
                return Judged(f"behind: {count(rates[0])} frames/s", beside(theirs, "-"), math.inf)
        return Judged(shown(figure(mine, key)), beside(theirs, shown(figure(others, key))), value)

    return judge


def alone(key: str, ours: str, shown: Callable[[float], str], unit: float = 1, limit: str = "") -> Judge:
    """A figure by itself, in units of its target; what limits it may stand beside it."""

    def judge(found: Found) -> Judged:
        value = figure(known(found, ours), key)
        other = beside(limit, shown(figure(known(found, limit), key))) if limit else "-"
        return Judged(shown(value), other, value / unit, is_part=False)

    return judge


def beside(name: str, value: str) -> str:
    """A figure of what was kept under that name."""
    server = name.split(" ", 2)[2].rpartition(": ")[2]
    return f"{value} ({'bare C' if server == 'limit' else server})"


def held_by_stalled(found: Found) -> Judged:
    """The memory of each client that stopped reading, in MiB."""
    before, after = (figure(known(found, name), "server_rss") for name in (NOBODY_STOPS, SOME_STOP))
    each = (after - before) / STALLED
    return Judged(kibibytes(each), "-", each / bench.MIB, is_part=False)


def accelerated(found: Found) -> Judged:
    """The fan-out to own sets where the accelerator runs."""
    command = [sys.executable, "-m", "tickwire", "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=False)
    if "with the accelerator" not in version.stdout:
        raise NotMeasured("the accelerator has not been built")
    return against("per_cpu", "fanout d tickwire", "fanout d limit")(found)


def bounded(found: Found) -> Judged:
    """What waits for all clients, as a part of what may."""
    results = known(found, SOME_STOP)
    waits, may = figure(results, "outbox_bytes"), figure(results, "outbox_bytes_limit")
    return Judged(mebibytes(waits), f"{mebibytes(may)} (the bound)", waits / may)


NOBODY_STOPS, SOME_STOP = "fanout g nobody stops", f"fanout g {STALLED} stop"
SHARED, OWN = "1 000 clients, the same 100 codes", "1 000 clients, own 20 of 100 codes"
AT_RATE, UNDER_TLS = "at 100 000 frames/s", "under TLS, beside plain"
COMING, BARE = "connections a tickwire, a code each", "connections a bare accept"
FIVE, BARS = "klines b /trade-tick, 5 codes", "klines b /kline, 500 bars"

ROWS: list[tuple[str, Judge, str]] = [
    (f"{SHARED}, saturated", against("per_cpu", "fanout b tickwire", "fanout b limit"), "≥ 0.85"),
    (
        f"{OWN}, saturated, pure Python",
        against("per_cpu", "fanout d tickwire-python", "fanout d limit"),
        "≥ 0.6",
    ),
    ("- with the accelerator", accelerated, "≥ 0.75"),
    (
        "- where frames come ready-made",
        against("per_cpu", "fanout d tickwire-ready", "fanout d limit"),
        "≥ 0.9",
    ),
    ("- beside uWebSockets", against("per_cpu", "fanout d tickwire", "fanout d uWebSockets"), "≥ 4"),
    (
        f"{SHARED}, {AT_RATE}: p99",
        against("p99_ms", "fanout a tickwire", "fanout a limit", milliseconds),
        "≤ 1.2",
    ),
    (
        f"{OWN}, {AT_RATE}: p99",
        against("p99_ms", "fanout c tickwire", "fanout c limit", milliseconds),
        "≤ 1.2",
    ),
    (
        f"{SHARED}, saturated, {UNDER_TLS}",
        against("per_cpu", "fanout b tickwire-tls", "fanout b tickwire"),
        "≥ 0.3",
    ),
    (
        f"{OWN}, saturated, {UNDER_TLS}",
        against("per_cpu", "fanout d tickwire-tls", "fanout d tickwire"),
        "≥ 0.3",
    ),
    (
        f"{SHARED}, {AT_RATE}, {UNDER_TLS}: p50",
        against("p50_ms", "fanout a tickwire-tls", "fanout a tickwire", milliseconds),
        "≤ 1.6",
    ),
    (
        f"{OWN}, {AT_RATE}, {UNDER_TLS}: p50",
        against("p50_ms", "fanout c tickwire-tls", "fanout c tickwire", milliseconds),
        "≤ 1.6",
    ),
    (
        "an idle connection of 10 000",
        alone("bytes_per_connection", "fanout e tickwire", kibibytes, 1024),
        "≤ 7 KiB",
    ),
    (
        "new connections a second, token and subscription",
        alone("per_cpu", COMING, count, limit=BARE),
        "≥ 1000",
    ),
    (
        f"{STALLED} of 1 000 clients stop reading: p99 of the others",
        against("p99_ms", SOME_STOP, NOBODY_STOPS, milliseconds),
        "≤ 1.1",
    ),
    ("- memory of each of them", held_by_stalled, "≤ 1 MiB"),
    ("- what waits for all of them", bounded, "≤ 1"),
    (
        "source, market, bars, ring, hub, no clients: ticks/s",
        alone("per_cpu", "ticks a tickwire", count),
        "≥ 100000",
    ),
    ("the same into the recorder", alone("per_cpu", "ticks b tickwire", count), "≥ 50000"),
    ("/trade-tick of 5 codes", against("per_cpu", FIVE, f"{FIVE}: bare uvicorn"), "≥ 0.5"),
    ("/kline of 500 bars", against("per_cpu", BARS, f"{BARS}: bare uvicorn"), "≥ 0.5"),
    ("the default simulator", alone("cores", "fanout f tickwire", cores), "≤ 0.05 cores"),
]


def run(programs: Sequence[str], options: list[str]) -> Found:
    """Runs these benchmarks, and gives what they kept."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "figures.jsonl"
        for program in programs:
            letters = RUNS[program]
            print(f"## {program} --only {letters}\n", flush=True)
            command = [*bench.python(program, "--only", letters), *options]
            if subprocess.run(command, env=os.environ | {bench.KEPT: str(kept)}, check=False).returncode:
                print(f"{program} failed\n", flush=True)
        lines = map(json.loads, kept.read_text().splitlines()) if kept.exists() else ()
        return {
            line["name"]: NotMeasured(line["problem"]) if line["problem"] else line["rounds"]
            for line in lines
        }


def show(found: Found) -> None:
    bench.heads("measure", "figure", "beside it", "of it", "target", "")
    for measure, judge, target in ROWS:
        try:
            said = judge(found)
        except NotMeasured as problem:
            bench.row(measure, "-", "-", "-", target, f"not measured: {problem}")
            continue
        sign, bound = target.split()[:2]
        met = said.value >= float(bound) if sign == "≥" else said.value <= float(bound)
        part = f"{said.value:.2f}" if said.is_part and math.isfinite(said.value) else "-"
        bench.row(measure, said.figure, said.beside, part, target, "met" if met else "**missed**")


def main() -> None:
    given = bench.new_parser(__doc__, ",".join(RUNS)).parse_args()
    programs = given.only.split(",")
    bench.check(RUNS, programs)
    options = [f"--{name}={getattr(given, name)}" for name in ("seconds", "warmup", "rounds", "build")]
    found = run(programs, options)
    print(f"## All that Tickwire is held to\n\n{bench.machine()}\n")
    show(found)


if __name__ == "__main__":
    main()
