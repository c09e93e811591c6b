"""Measures how many ticks a server takes when nobody listens: from its source to the hub.

    python benchmarks/ticks.py [--only a,b,c] [--rounds 3]

Prints a Markdown table: as it is, with a recorder beside it, which writes everything to the disk, and with
nothing kept for those who resume. The source makes trades of 100 codes as fast as they are taken.
Needs Linux.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import bench
from bench import NotMeasured, Options, Result, per_cpu, spaced, written

CODES = 100
WAYS: dict[str, tuple[str, Sequence[str]]] = {
    "a": ("source, market, bars, ring, hub", ()),
    "b": ("the same into the recorder", ["--record"]),
    "c": ("the same without the ring", ["--ring-seconds", "0"]),
}
EVENTS = "tickwire_events_total"
LOST, WAITING = (
    f'tickwire_recording_{what}{{source="benchmark"}}' for what in ("lost_events_total", "waiting_events")
)


def take(flags: Sequence[str], options: Options) -> Result:
    """Ticks per second that a server takes; what it records counts when it is in the journal."""
    records = "--record" in flags

    def taken(port: int) -> float:
        if not records:
            return bench.metrics(port, EVENTS)[0]
        events, lost, waiting = bench.metrics(port, EVENTS, LOST, WAITING)
        return events - lost - waiting

    with bench.running(bench.python("server.py", "--codes", CODES, "--rate", 0, *flags)) as (port, pid):
        time.sleep(options.warmup)
        before, cpu, began = taken(port), bench.cpu_seconds(pid), time.monotonic()
        time.sleep(options.seconds)
        count, wall = taken(port) - before, time.monotonic() - began
        found: Result = {"ticks_per_s": count / wall, "server_cpu": (bench.cpu_seconds(pid) - cpu) / wall}
        lost = bench.metrics(port, LOST)[0] if records else 0
    return found | {"per_cpu": per_cpu(found, "ticks_per_s"), "lost": lost}


def main() -> None:
    options = bench.begin(bench.new_parser(__doc__, ",".join(WAYS)).parse_args(), WAYS)
    bench.heads("way", "ticks/s", "per second of CPU", "server CPU", "lost")
    for letter in options.letters:
        title, flags = WAYS[letter]
        results = options.measured(letter, {"tickwire": partial(take, flags, options)})["tickwire"]
        if isinstance(results, NotMeasured):
            bench.no_row(title, results, 5)
            continue
        rates = [spaced(bench.figure(results, key)) for key in ("ticks_per_s", "per_cpu")]
        bench.row(title, *rates, written(results, "server_cpu"), written(results, "lost", 0))
    print(flush=True)


if __name__ == "__main__":
    main()
