"""Measures what connections cost: how many come and go in a second, and what permessage-deflate saves.

    python benchmarks/connections.py [--rounds 3]

Prints Markdown tables. A connection is counted when its token has been checked and its subscription answered;
beside it a bare server that takes connections and answers the same bytes unread. Needs Linux (epoll) and a C
compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import bench
from bench import Measured, NotMeasured, Options, Result, figure, per_cpu, spaced, written

CODES = 100
AT_ONCE = 50
"""Connections that are under way."""
ANSWER = 72
"""Bytes of the answer to a subscription."""
BARE = "bare accept"
PICKS = {BARE: 1, "tickwire, a code each": 1, "tickwire, their own 20 codes each": 20}
"""The codes that each connection subscribes to."""
COMING = "a"
DEFLATE = {"b": ("10 000 frames/s", 100), "c": ("saturated", 0)}
"""What is measured of compression, and the ticks per second; 0: as many as clients take."""
CLIENTS = 100


def come(server: str, options: Options) -> Result:
    """Connections that come, subscribe and go."""
    command = bench.python("bare.py", "accept", ANSWER)
    if server != BARE:
        command = bench.python("server.py", "--codes", CODES, "--rate", 1, "--token", "bench")
    arguments = {"connections": AT_ONCE, "codes": CODES, "pick": PICKS[server]}
    with bench.running(command) as running:
        found = bench.run_load("load", running, options, arguments, "--churn")
    return found | {"per_cpu": per_cpu(found, "connections_per_s")}


def push(rate: int, options: Options, *flags: str) -> Result:
    """The fan-out to clients that all take what is compressed, or do not."""
    command = bench.python("server.py", "--codes", CODES, "--rate", rate, "--deflate")
    arguments = {"connections": CLIENTS, "codes": CODES, "pick": 0}
    with bench.running(command) as running:
        found = bench.run_load("load", running, options, arguments, *flags)
    return found | {"each": (found["bytes_per_s"] or 0) / (found["frames_per_s"] or 1)}


def coming(options: Options) -> None:
    print(f"{COMING}. Connections that come, subscribe, and go\n")
    bench.heads("server", "connections/s", "server CPU", "connections per second of CPU", "load CPU")
    table(
        options.measured(COMING, {server: partial(come, server, options) for server in PICKS}),
        lambda results: [
            spaced(figure(results, "connections_per_s")),
            written(results, "server_cpu"),
            spaced(figure(results, "per_cpu")),
            written(results, "load_cpu"),
        ],
    )


def compression(letter: str, options: Options) -> None:
    title, rate = DEFLATE[letter]
    print(f"{letter}. {CLIENTS} clients, the same {CODES} codes, {title}\n")
    bench.heads("pushes", "frames/s", "bytes a frame", "bytes/s", "server CPU")
    ways = {"plain": partial(push, rate, options), "deflate": partial(push, rate, options, "--deflate")}
    table(
        options.measured(letter, ways),
        lambda results: [
            spaced(round(figure(results, "frames_per_s"), -2)),
            written(results, "each", 0),
            spaced(round(figure(results, "bytes_per_s"), -3)),
            written(results, "server_cpu"),
        ],
    )


def table(found: Mapping[str, Measured], cells: Callable[[list[Result]], list[str]]) -> None:
    """The rows of what was measured, with four figures each."""
    for name, results in found.items():
        if isinstance(results, NotMeasured):
            bench.no_row(name, results, 5)
        else:
            bench.row(name, *cells(results))
    print(flush=True)


def main() -> None:
    given = bench.new_parser(__doc__, "a,b,c").parse_args()
    options = bench.begin(given, [COMING, *DEFLATE], "load")
    for letter in options.letters:
        if letter == COMING:
            coming(options)
        else:
            compression(letter, options)


if __name__ == "__main__":
    main()
