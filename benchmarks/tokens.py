"""Measures what wrong tokens cost those who are connected, and what the check of a token costs.

    python benchmarks/tokens.py [--rounds 3]

Prints a Markdown table: the fan-out of a server that checks tokens, left alone and with 1 000 wrong tokens a
second, in turn. Needs Linux (epoll) and a C compiler.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import bench
from bench import MIB, NotMeasured, Options, Result, figure, on_core, spaced, written

from tickwire.access import Register, Token, digest_of, new_secret

CODES = 100
RATE = 1000
"""Wrong tokens a second."""
SCENARIOS = {
    "a": ("10 000 frames/s", 100, 100),
    "b": ("100 000 frames/s", 1000, 100),
    "c": ("saturated", 1000, 0),
}
"""What is measured, the number of clients, and the ticks per second; 0: as many as they take."""
CHECK = "d"
CHECKS = 200_000


@contextmanager
def wrong_tokens(port: int) -> Iterator[Result]:
    """Wrong tokens meanwhile; afterwards, how many of them were refused in a second."""
    found: Result = {}
    with on_core(bench.LOAD_CORE):
        attacker = subprocess.Popen(
            bench.python("wrong_tokens.py", port, RATE), stdout=subprocess.PIPE, text=True
        )
    try:
        yield found
    finally:
        attacker.send_signal(signal.SIGTERM)
        out, _ = attacker.communicate(timeout=20)
    said = json.loads(out)
    found["per_s"] = said["refused"] / said["seconds"]


def measure(clients: int, rate: int, options: Options, *, attacked: bool) -> Result:
    arguments = {"connections": clients, "codes": CODES, "pick": 0}
    command = bench.python("server.py", "--codes", CODES, "--rate", rate, "--token", "bench")
    with bench.running(command) as server:
        before = bench.rss(server[1])
        with wrong_tokens(server[0]) if attacked else nullcontext({"per_s": 0.0}) as found:
            result = bench.run_load("load", server, options, arguments)
        return result | found | {"grown": bench.rss(server[1]) - before}


def checks_per_second() -> float:
    """Tokens looked up among a thousand."""
    key = b"k" * 32
    secrets = [new_secret() for _ in range(1000)]
    register = Register(
        (
            Token(id=str(n), digest=digest_of(one, key), name=str(n), plan="free")
            for n, one in enumerate(secrets)
        ),
        key,
    )
    with on_core(bench.LOAD_CORE):
        began = time.perf_counter()
        for n in range(CHECKS):
            assert register.find(secrets[n % 1000], 0.0) is not None
        return CHECKS / (time.perf_counter() - began)


def main() -> None:
    given = bench.new_parser(__doc__, "a,b,c,d").parse_args()
    options = bench.begin(given, [*SCENARIOS, CHECK], "load")
    for letter in [one for one in options.letters if one in SCENARIOS]:
        title, clients, rate = SCENARIOS[letter]
        print(f"{letter}. {clients} clients, the same {CODES} codes, {title}\n")
        heads = ("frames/s", "of it alone", "p50 ms", "p99 ms", "server CPU", "memory grown by")
        bench.heads("wrong tokens/s", *heads)
        rounds: dict[str, list[Result]] = {"alone": [], "attacked": []}
        try:
            for how in options.turns(letter, [*rounds]):
                rounds[how].append(measure(clients, rate, options, attacked=how == "attacked"))
        except NotMeasured as problem:
            sys.exit(f"tokens: {problem}")
        for results in rounds.values():
            pairs = zip(results, rounds["alone"], strict=True)
            ratio = bench.middle(
                (one["frames_per_s"] or 0) / (alone["frames_per_s"] or 1) for one, alone in pairs
            )
            bench.row(
                f"{figure(results, 'per_s'):.0f}",
                spaced(round(figure(results, "frames_per_s"), -2)),
                f"{ratio:.2f}",
                *(written(results, key) for key in ("p50_ms", "p99_ms", "server_cpu")),
                f"{figure(results, 'grown') / MIB:.1f} MiB",
            )
        print(flush=True)
    if CHECK in options.letters:
        print(f"d. A token among 1 000 is found {spaced(checks_per_second())} times a second")


if __name__ == "__main__":
    main()
