"""What the benchmarks share: a core for each side, C programs, servers that end, medians and tables."""

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
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import IO, NamedTuple, TypeAlias

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = Path(sys.argv[0]).stem
CFLAGS = ["-O2", "-Wall", "-Wextra", "-std=gnu11"]
TLS = "-tls"
START_SECONDS = 60
END_SECONDS = 120
"""As long as a large recording takes to be sealed."""
SETUP_SECONDS = 150
"""A load generator itself gives up after 120."""
SERVER_CORE, LOAD_CORE = 0, 1
MIB = 2**20
KEPT = "BENCH_FIGURES"
"""The environment variable that names the file in which figures are kept for `table.py`."""

Result: TypeAlias = dict[str, float | None]
"""What a load generator measures."""


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


Measured: TypeAlias = list[Result] | NotMeasured
"""What was measured, a result a round, or why nothing was."""


class Options(NamedTuple):
    """What a benchmark is asked for."""

    letters: list[str]
    seconds: float
    warmup: float
    rounds: int
    build: Path

    def turns(self, letter: str, names: Sequence[str]) -> Iterator[str]:
        """All of these one after the other, and that once per round: so that a noisy minute hits all."""
        for number in range(1, self.rounds + 1):
            for name in names:
                print(f"{letter} {name}, round {number}", file=sys.stderr)
                yield name

    def measured(self, letter: str, ways: Mapping[str, Callable[[], Result]]) -> dict[str, Measured]:
        """What each of these measures in each round, kept for the table of all; one that fails is not tried
        again."""
        rounds: dict[str, list[Result]] = {name: [] for name in ways}
        failed: dict[str, NotMeasured] = {}
        for name in self.turns(letter, [*ways]):
            if name not in failed:
                try:
                    rounds[name].append(ways[name]())
                except (NotMeasured, OSError) as problem:
                    failed[name] = NotMeasured(str(problem))
        for name in ways:
            keep(f"{letter} {name}", failed.get(name, rounds[name]))
        return {name: failed.get(name, rounds[name]) for name in ways}

    def once(self, letter: str, name: str, way: Callable[[], Result]) -> Result:
        """The same of one, once. Raises NotMeasured."""
        found = self._replace(rounds=1).measured(letter, {name: way})[name]
        if isinstance(found, NotMeasured):
            raise found
        return found[0]


def begin(given: argparse.Namespace, known: Iterable[str], *tools: str) -> Options:
    """Compiles these C programs, makes room for connections, and sees to it that no server outlives us.

    `known` are the letters that there are. Prints where this is measured.
    """
    letters = given.only.split(",")
    check(known, letters)
    if given.rounds < 1:
        sys.exit(f"{NAME}: --rounds from 1")
    if sys.platform != "linux":
        sys.exit(f"{NAME}: needs Linux: the load generator is built on epoll")
    # Children inherit it: a server has one descriptor per client.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    options = Options(letters, given.seconds, given.warmup, given.rounds, given.build.resolve())
    if tools:
        compile_tools(options.build, *tools)
    print(f"{machine()}\n", flush=True)
    return options


def check(known: Iterable[str], asked: Iterable[str]) -> None:
    """Ends the program where something is asked for that there is not."""
    if unknown := set(asked) - set(known):
        sys.exit(f"{NAME}: not known: {', '.join(sorted(unknown))}")


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
def on_core(number: int | None) -> Iterator[None]:
    """We and the children started in here keep to the n-th core that we may use; None: to all of these."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(cores) > 1 and number is not None:
        os.sched_setaffinity(0, {sorted(cores)[number]})
    try:
        yield
    finally:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores)


def python(program: str, *arguments: object) -> list[str]:
    """The command of a program that lies beside this."""
    return [sys.executable, str(HERE / program), *map(str, arguments)]


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
def running(command: Sequence[str], core: int | None = SERVER_CORE) -> Iterator[tuple[int, int]]:
    """A server on its core that first prints its port, or a URL; gives its port and its process id."""
    with tempfile.TemporaryFile("w+") as errors, ExitStack() as stack:
        with on_core(core):
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
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def tickwire(*arguments: str, core: int | None = SERVER_CORE) -> Iterator[tuple[int, int]]:
    """`tickwire serve` with an empty data directory; gives its port and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tickwire", "serve", "--port", "0", "--log-level", "warning"]
        with running([*command, "--data-dir", folder, *arguments], core) as server:
            yield server


def run_load(
    program: str, server: tuple[int, int], options: Options, arguments: Mapping[str, object], *more: str
) -> Result:
    """What a load generator measures of a server, given as its port and process id, from its core."""
    generator = options.build / program
    if not generator.exists():
        raise NotMeasured("no headers of OpenSSL found; on Debian: apt-get install libssl-dev")
    times = {"warmup": options.warmup, "seconds": options.seconds}
    given = {"port": server[0], "server-pid": server[1], **times, **arguments}
    flags = [f"--{name}={value}" for name, value in given.items()]
    timeout = sum(times.values()) + SETUP_SECONDS
    try:
        with on_core(LOAD_CORE):
            done = subprocess.run(
                [generator, *flags, *more], capture_output=True, text=True, check=False, timeout=timeout
            )
    except subprocess.TimeoutExpired:
        raise NotMeasured("the load generator did not end") from None
    if done.returncode:
        raise NotMeasured(last_line(done.stderr))
    result: Result = json.loads(done.stdout)
    return result


def keep(name: str, measured: Measured) -> None:
    """Keeps that for the table of all, under the name of this benchmark and that one."""
    if path := os.environ.get(KEPT):
        problem = str(measured) if isinstance(measured, NotMeasured) else ""
        line = {"name": f"{NAME} {name}", "problem": problem, "rounds": [] if problem else measured}
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")


def per_cpu(result: Result, key: str) -> float:
    """How many of these there were in a second of the server's CPU: what others take of the core does not
    count."""
    return (result[key] or 0) / (result["server_cpu"] or 1)


def middle(values: Iterable[float | None]) -> float | None:
    """The median of those that are known."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ratio(results: Measured, others: Measured | None, key: str, digits: int = 2) -> str:
    """The median of what was measured as parts of the same of others, round by round, for a table."""
    if others is None or isinstance(results, NotMeasured) or isinstance(others, NotMeasured):
        return "-"
    found = quotient(results, others, key)
    return "-" if found is None else f"{found:.{digits}f}"


def quotient(results: Sequence[Result], others: Sequence[Result], key: str) -> float | None:
    """The same as a number; None if either was not measured."""
    pairs = [(one.get(key), other.get(key)) for one, other in zip(results, others, strict=True)]
    return middle(one / other if one is not None and other else None for one, other in pairs)


def figure(results: Iterable[Result], key: str) -> float:
    """The median of what was measured under that name; 0 if nothing was."""
    return middle(one.get(key) for one in results) or 0


def written(results: Iterable[Result], key: str, digits: int = 2) -> str:
    """The same for a table."""
    value = middle(one.get(key) for one in results)
    return "-" if value is None else f"{value:.{digits}f}"


def spaced(value: float) -> str:
    """A large number for a person."""
    return f"{value:,.0f}".replace(",", " ")


def heads(*names: str) -> None:
    """Begins a Markdown table: a column of text, and others of numbers."""
    row(*names)
    print(f"|---|{'--:|' * (len(names) - 1)}", flush=True)


def row(*cells: str) -> None:
    """A row of it."""
    print(f"| {' | '.join(cells)} |", flush=True)


def no_row(name: str, problem: Exception, columns: int) -> None:
    """The row, in a table of so many columns, of what could not be measured."""
    row(name, f"not measured: {str(problem).replace('|', '/')}", *[""] * (columns - 2))


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process has started itself."""
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def rss(pid: int, field: str = "VmRSS") -> int:
    """Bytes of memory that a process has; with VmHWM the most that it had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def metrics(port: int, *names: str) -> list[float]:
    """Some of a server's metrics, by name, with their labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found = dict(line.rpartition(" ")[::2] for line in lines if not line.startswith("#"))
    if lacking := [name for name in names if name not in found]:
        raise NotMeasured(f"the server has no metric {lacking[0]}")
    return [float(found[name]) for name in names]


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
