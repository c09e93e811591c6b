"""What the benchmarks share: a core for each side, C programs, servers that end, and medians."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import IO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = Path(sys.argv[0]).stem
CFLAGS = ["-O2", "-Wall", "-Wextra", "-std=gnu11"]
TLS = "-tls"
START_SECONDS = 30
SERVER_CORE, LOAD_CORE = 0, 1


class NotMeasured(Exception):
    """A server or the load generator failed; the text says how, in one line."""


def new_parser(doc: str | None, letters: str) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seconds", type=float, default=5, help="how long to measure (5)")
    parser.add_argument("--warmup", type=float, default=2, help="seconds before that (2)")
    parser.add_argument("--only", default=letters, help=f"scenarios, by letter ({letters})")
    parser.add_argument("--rounds", type=int, default=1, help="repeat, alternating; medians (1)")
    parser.add_argument("--build", type=Path, default=ROOT / "build/bench", help="for the C programs")
    return parser


def check(known: Iterable[str], asked: Iterable[str]) -> None:
    """Ends the program where something is asked for that there is not."""
    if unknown := set(asked) - set(known):
        sys.exit(f"{NAME}: not known: {', '.join(sorted(unknown))}")


def prepare(rounds: int) -> None:
    """Makes room for connections, and sees to it that no server outlives us."""
    if rounds < 1:
        sys.exit(f"{NAME}: --rounds from 1")
    if sys.platform != "linux":
        sys.exit(f"{NAME}: needs Linux: the load generator is built on epoll")
    # Children inherit it: a server has one descriptor per client.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def compile_tools(build: Path, *names: str) -> None:
    """Compiles those C programs; `load-tls` is `load` under TLS, and is left out where OpenSSL's headers are
    missing."""
    cc = shutil.which("cc")
    if cc is None:
        sys.exit(f"{NAME}: no C compiler (cc) found; on Debian: apt-get install gcc libc6-dev")
    build.mkdir(parents=True, exist_ok=True)
    for name in names:
        tls = name.endswith(TLS)
        source, program = HERE / f"{name.removesuffix(TLS)}.c", build / name
        more = ["-DTLS", "-lssl", "-lcrypto"] if tls else []
        done = subprocess.run([cc, *CFLAGS, "-o", program, source, *more], check=False, capture_output=tls)
        if done.returncode and not tls:
            sys.exit(f"{NAME}: {source.name} does not compile")


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """We and the children started in here keep to the n-th core that we may use."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(cores) > 1:
        os.sched_setaffinity(0, {sorted(cores)[number]})
    try:
        yield
    finally:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores)


def last_line(text: str) -> str:
    """What a program said last."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "no message"


def _first_line(process: subprocess.Popen[str], errors: IO[str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_SECONDS):
            raise NotMeasured(f"the server printed no port within {START_SECONDS} s")
    line = process.stdout.readline()
    if not line:
        process.wait(START_SECONDS)
        errors.seek(0)
        raise NotMeasured(f"the server did not start: {last_line(errors.read())}")
    return line.strip()


@contextmanager
def running(command: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A server on its core that first prints its port, or a URL; gives its port and its process id."""
    with tempfile.TemporaryFile("w+") as errors, ExitStack() as stack:
        with on_core(SERVER_CORE):
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            )
        try:
            line = _first_line(process, errors)
            port = line.rpartition(":")[2]
            if not port.isdecimal():
                raise NotMeasured(f"the server's first line is no port: {line}")
            try:
                yield int(port), process.pid
            except NotMeasured as problem:
                with suppress(subprocess.TimeoutExpired):  # it runs: the fault is as the load generator says
                    status = process.wait(1)
                    errors.seek(0)
                    said = last_line(errors.read())
                    raise NotMeasured(f"the server ended with status {status}: {said}") from problem
                raise
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def run_load(
    program: Path, arguments: Mapping[str, object], *more: str, timeout: float
) -> dict[str, float | None]:
    """What a load generator measures, from its core."""
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    try:
        with on_core(LOAD_CORE):
            done = subprocess.run(
                [program, *flags, *more], capture_output=True, text=True, check=False, timeout=timeout
            )
    except subprocess.TimeoutExpired:
        raise NotMeasured("the load generator did not end") from None
    if done.returncode:
        raise NotMeasured(last_line(done.stderr))
    result: dict[str, float | None] = json.loads(done.stdout)
    return result


def middle(values: Iterable[float | None]) -> float | None:
    """The median of those that are known."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def spaced(value: float) -> str:
    """A large number for a person."""
    return f"{value:,.0f}".replace(",", " ")


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> int:
    """Bytes of memory that a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def machine() -> str:
    """Where this was measured."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for name, _, value in fields if name.strip() == "model name"), model)
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
