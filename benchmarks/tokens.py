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
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench import (
    HERE,
    LOAD_CORE,
    NotMeasured,
    check,
    compile_tools,
    machine,
    new_parser,
    on_core,
    prepare,
    rss,
    run_load,
    running,
    spaced,
)

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
SETUP_SECONDS = 150


@contextmanager
def wrong_tokens(port: int) -> Iterator[dict[str, float]]:
    """Wrong tokens meanwhile; afterwards, how many were refused in how many seconds."""
    found: dict[str, float] = {}
    with on_core(LOAD_CORE):
        attacker = subprocess.Popen(
            [sys.executable, str(HERE / "wrong_tokens.py"), str(port), str(RATE)],
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        yield found
    finally:
        attacker.send_signal(signal.SIGTERM)
        out, _ = attacker.communicate(timeout=20)
    found |= json.loads(out)


def measure(
    clients: int, rate: int, build: Path, seconds: float, warmup: float, *, attacked: bool
) -> dict[str, float]:
    command = [sys.executable, str(HERE / "server.py"), "--codes", str(CODES), "--rate", str(rate)]
    arguments = {
        "connections": clients,
        "codes": CODES,
        "pick": 0,
        "warmup": warmup,
        "seconds": seconds,
    }
    with running([*command, "--token", "bench"]) as (port, pid):
        arguments |= {"port": port, "server-pid": pid}
        before, found = rss(pid), {}
        timeout = warmup + seconds + SETUP_SECONDS
        if attacked:
            with wrong_tokens(port) as found:
                result = run_load(build / "load", arguments, timeout=timeout)
            found["per_s"] = found["refused"] / found["seconds"]
        else:
            result = run_load(build / "load", arguments, timeout=timeout)
        found["grown"] = rss(pid) - before
    return {name: value for name, value in result.items() if value is not None} | found


def checks_per_second() -> float:
    """Tokens looked up among a thousand."""
    from tickwire.access import Register, Token, digest_of, new_secret

    key = b"k" * 32
    secrets = [new_secret() for _ in range(1000)]
    register = Register(
        (
            Token(id=str(n), digest=digest_of(one, key), name=str(n), plan="free")
            for n, one in enumerate(secrets)
        ),
        key,
    )
    with on_core(LOAD_CORE):
        began = time.perf_counter()
        for n in range(CHECKS):
            assert register.find(secrets[n % 1000], 0.0) is not None
        return CHECKS / (time.perf_counter() - began)


def main() -> None:
    given = new_parser(__doc__, "a,b,c,d").parse_args()
    letters = given.only.split(",")
    check([*SCENARIOS, CHECK], letters)
    prepare(given.rounds)
    build = given.build.resolve()
    compile_tools(build, "load")
    print(f"{machine()}\n")
    for letter in [one for one in letters if one in SCENARIOS]:
        title, clients, rate = SCENARIOS[letter]
        print(f"{letter}. {clients} clients, the same {CODES} codes, {title}\n")
        print("| wrong tokens/s | frames/s | of it alone | p50 ms | p99 ms | server CPU | memory grown by |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        rounds: defaultdict[bool, list[dict[str, float]]] = defaultdict(list)
        for number in range(given.rounds):
            for attacked in (False, True):
                print(f"{letter} attacked: {attacked}, round {number + 1}", file=sys.stderr)
                rounds[attacked].append(
                    measure(clients, rate, build, given.seconds, given.warmup, attacked=attacked)
                )
        for results in rounds.values():

            def figure(name: str, results: list[dict[str, float]] = results) -> float:
                return median(one.get(name, 0.0) for one in results)

            pairs = zip(results, rounds[False], strict=True)
            ratio = median(one["frames_per_s"] / alone["frames_per_s"] for one, alone in pairs)
            print(
                f"| {figure('per_s'):.0f} | {spaced(round(figure('frames_per_s'), -2))} | {ratio:.2f} | "
                f"{figure('p50_ms'):.2f} | {figure('p99_ms'):.2f} | {figure('server_cpu'):.2f} | "
                f"{figure('grown') / 2**20:.1f} MiB |"
            )
        print(flush=True)
    if CHECK in letters:
        print(f"d. A token among 1 000 is found {spaced(checks_per_second())} times a second")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except NotMeasured as problem:
        sys.exit(f"tokens: {problem}")
