"""Measures the bars: ticks through their state, /kline beside bare uvicorn, and memory.

    python benchmarks/klines.py [--only a,b] [--rounds 3]

Prints Markdown tables. The server, or the state, runs on one core and the load generator on another. Judge
by the ratios of one run. Needs Linux and a C compiler.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import uvloop
from bench import (
    HERE,
    SERVER_CORE,
    NotMeasured,
    check,
    compile_tools,
    machine,
    middle,
    new_parser,
    on_core,
    prepare,
    rss,
    run_load,
    running,
    spaced,
)

from tickwire.bars import Bars
from tickwire.klines import Rules, Series
from tickwire.model import EXACT, Catalogue, Instrument, Trade
from tickwire.store import SqliteKlineStore, load_catalogue

STATE, HTTP, MEMORY = "a", "b", "c"
CODES = 600
RATE = 500_000
"""Ticks per second: the target, and the market time that the ticks of a second span."""
MIDNIGHT = int(datetime(2024, 4, 1, tzinfo=UTC).timestamp())
"""A Monday and the first of a month: bars of all types close."""
ADVANCE_EVERY = 0.25
TURN = 1000
"""Ticks between two turns of the event loop, as in a replay."""
CONNECTIONS = 64
MIB = 2**20


@dataclass(frozen=True)
class Question:
    title: str
    path: str
    data: dict[str, object]
    target: float | None = None

    @property
    def query(self) -> str:
        asked = quote(json.dumps({"trace": "", "data": self.data}))
        return f"/quote-b-api{self.path}?token=bench&query={asked}"


def bars_of(count: int) -> dict[str, object]:
    return {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": count}


QUESTIONS = [
    Question("/kline, 2 bars", "/kline", bars_of(2), 0.3),
    Question("/kline, 500 bars", "/kline", bars_of(500), 0.2),
    Question("/trade-tick", "/trade-tick", {"symbol_list": [{"code": "BTCUSDT"}]}),
]


@dataclass(frozen=True)
class Options:
    seconds: float
    warmup: float
    rounds: int
    build: Path


# a. The state.
@dataclass(frozen=True)
class Ticks:
    instruments: list[Instrument]
    trades: list[Trade]
    turnovers: list[Decimal]


def instruments() -> list[Instrument]:
    """Of all markets, as the catalogue has them."""
    return list(load_catalogue([]))[:CODES]


def make_ticks(codes: list[Instrument], count: int, per_ms: float) -> Ticks:
    """Trades of all codes in turn, half of them before midnight."""
    dice = random.Random(1)
    cents = [Decimal(dice.randrange(440_000, 443_000)).scaleb(-2) for _ in range(10_000)]
    volumes = [Decimal(dice.randrange(1, 1000)) for _ in range(9_973)]
    turnovers = [EXACT.multiply(price, volume) for price, volume in zip(cents, volumes, strict=False)]
    begin = MIDNIGHT * 1000 - int(count / per_ms / 2)
    trades = [
        Trade(
            codes[n % len(codes)].code,
            begin + int(n / per_ms),
            cents[n % len(cents)],
            volumes[n % len(volumes)],
            turnovers[n % len(turnovers)],
        )
        for n in range(count)
    ]
    return Ticks(codes, trades, [turnovers[n % len(turnovers)] for n in range(count)])


class Sum:
    """As little as a bar can be."""

    __slots__ = ("volume",)

    def __init__(self) -> None:
        self.volume = Decimal(0)


def bare(ticks: Ticks) -> float:
    sums = {one.code: Sum() for one in ticks.instruments}
    began = time.perf_counter()
    for trade in ticks.trades:
        held = sums[trade.code]
        held.volume = EXACT.add(held.volume, trade.volume)
    return time.perf_counter() - began


def through_series(ticks: Ticks) -> float:
    series = {one.code: Series(one) for one in ticks.instruments}
    began = time.perf_counter()
    for trade, turnover in zip(ticks.trades, ticks.turnovers, strict=True):
        series[trade.code].add(trade, turnover)
    return time.perf_counter() - began


def through_bars(ticks: Ticks) -> float:
    """With the catalogue's look-up, the market's clock and batches to the store, as the engine does it."""
    with tempfile.TemporaryDirectory() as folder:
        bars = Bars("benchmark", SqliteKlineStore(Path(folder) / "bars.db"), Rules())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_through_bars(ticks, bars))


async def _through_bars(ticks: Ticks, bars: Bars) -> float:
    catalogue = Catalogue(ticks.instruments)
    for trade, turnover in zip(ticks.trades[:CODES], ticks.turnovers, strict=False):
        bars.add(catalogue[trade.code], trade, turnover)  # which looks for what the store has of it
    keeping = asyncio.create_task(bars.keep())
    await asyncio.sleep(0)
    began = time.perf_counter()
    advance = began + ADVANCE_EVERY
    for start in range(CODES, len(ticks.trades), TURN):
        part = slice(start, start + TURN)
        for trade, turnover in zip(ticks.trades[part], ticks.turnovers[part], strict=True):
            bars.add(catalogue[trade.code], trade, turnover)
        await asyncio.sleep(0)
        if time.perf_counter() >= advance:
            bars.advance(trade.time)
            advance += ADVANCE_EVERY
    spent = time.perf_counter() - began
    keeping.cancel()
    await bars.close()
    return spent


WAYS: list[tuple[str, Callable[[Ticks], float]]] = [
    ("bare loop", bare),
    ("Series.add", through_series),
    ("Bars.add, advance and SQLite", through_bars),
]


def state(options: Options) -> None:
    print(f"{STATE}. Ticks/s through the bars of all types, {CODES} codes; the target is {spaced(RATE)}\n")
    print("| ticks per code and minute | way | ticks/s | of the bare loop |")
    print("|--:|---|--:|--:|")
    codes, count = instruments(), max(10 * CODES, int(options.seconds * RATE))
    for per_minute in (RATE * 60 // CODES, 100):
        ticks = make_ticks(codes, count, per_minute * CODES / 60_000)
        gc.freeze()
        rates: dict[str, list[float]] = {title: [] for title, _ in WAYS}
        with on_core(SERVER_CORE):
            for number in range(options.rounds):
                for title, way in WAYS:
                    print(f"{STATE} {title}, {per_minute} a minute, round {number + 1}", file=sys.stderr)
                    rates[title].append(count / way(ticks))
        for title, found in rates.items():
            ratio = middle(rate / limit for rate, limit in zip(found, rates["bare loop"], strict=True))
            print(f"| {spaced(per_minute)} | {title} | {spaced(middle(found) or 0)} | {ratio:.2f} |")
        gc.unfreeze()
    print(flush=True)


# b. HTTP.
def serve(folder: str, *more: str) -> list[str]:
    command = [sys.executable, "-m", "tickwire", "serve", "--port", "0", "--log-level", "warning"]
    return [*command, "--data-dir", folder, *more]


def size_of_answer(port: int, question: Question) -> int:
    """Asks until there is all that is asked for: with the first question the past is made."""
    for _ in range(50):
        with urlopen(f"http://127.0.0.1:{port}{question.query}", timeout=30) as answer:
            body: bytes = answer.read()
        data = json.loads(body)["data"]
        if len(data.get("kline_list", ())) == question.data.get("query_kline_num", 0):
            return len(body)
        time.sleep(0.1)
    raise NotMeasured(f"{question.title}: the server has not so many")


def ask(port: int, pid: int, path: str, options: Options) -> dict[str, float | None]:
    arguments = {
        "port": port,
        "server-pid": pid,
        "connections": CONNECTIONS,
        "warmup": options.warmup,
        "seconds": options.seconds,
        "path": path,
    }
    timeout = options.warmup + options.seconds + 30
    result = run_load(options.build / "http_load", arguments, timeout=timeout)
    if result["errors"]:
        raise NotMeasured(f"the server closed {result['errors']:.0f} of {CONNECTIONS} connections")
    return result


def http_round(options: Options) -> dict[str, dict[str, float | None]]:
    """What each question gives of us, and of bare uvicorn with bodies of the same sizes."""
    found: dict[str, dict[str, float | None]] = {}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, running(serve(folder)) as (port, pid):
        for question in QUESTIONS:
            sizes[question.title] = size_of_answer(port, question)
            found[question.title] = ask(port, pid, question.query, options)
    for question in QUESTIONS:
        size = sizes[question.title]
        bare_asgi = [sys.executable, str(HERE / "bare_asgi.py"), f"--bytes={size}"]
        with running(bare_asgi) as (port, pid):
            limit = ask(port, pid, question.query, options)
        ours = found[question.title]
        ours["ratio"] = (ours["requests_per_s"] or 0) / (limit["requests_per_s"] or 1)
        found[f"bare uvicorn, {spaced(size)} bytes"] = limit
    return found


def http(options: Options) -> None:
    print(f"{HTTP}. Requests over HTTP, {CONNECTIONS} connections\n")
    rounds = []
    for number in range(options.rounds):
        print(f"{HTTP} round {number + 1}", file=sys.stderr)
        try:
            rounds.append(http_round(options))
        except (NotMeasured, OSError) as problem:
            print(f"not measured: {problem}\n", flush=True)
            return
    print("| question | requests/s | of bare uvicorn | target | p50 ms | p99 ms | server CPU | load CPU |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    ours = {question.title: question for question in QUESTIONS}
    limits = [title for title in rounds[0] if title not in ours]
    for title, limit in zip(ours, limits, strict=True):
        for name in (title, limit):
            print(row(name, [one[name] for one in rounds if name in one], ours.get(name)))
    print(flush=True)


def row(name: str, results: Sequence[dict[str, float | None]], question: Question | None) -> str:
    def figure(key: str) -> float:
        return middle(one[key] for one in results) or 0

    target = f"≥ {question.target}" if question and question.target else "-"
    cells = [name, spaced(figure("requests_per_s")), f"{figure('ratio'):.2f}" if question else "-", target]
    cells += [f"{figure(key):.2f}" for key in ("p50_ms", "p99_ms", "server_cpu", "load_cpu")]
    return f"| {' | '.join(cells)} |"


# c. Memory.
def memory(options: Options) -> None:
    print(f"{MEMORY}. Memory\n", flush=True)
    wait = min(60, 12 * options.seconds)
    print(f"{MEMORY} server, {wait:.0f} s", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory() as folder, running(serve(folder, "--codes", "all")) as (_, pid):
            begun = rss(pid)
            time.sleep(wait)
            codes, grown = len(load_catalogue([])), rss(pid)
        print(
            f"`tickwire serve --codes all` ({codes} codes): {begun / MIB:.0f} MiB at its start, "
            f"{grown / MIB:.0f} MiB after {wait:.0f} s"
        )
    except NotMeasured as problem:
        print(f"`tickwire serve --codes all`: not measured: {problem}")
    print(f"{MEMORY} series", file=sys.stderr)
    minutes = min(1440, int(288 * options.seconds))
    hour, day = bytes_per_code(instruments(), min(60, minutes), minutes)
    print(
        f"`Series`, {CODES} codes with a trade a minute: {hour:,.0f} bytes per code after an hour, "
        f"{day:,.0f} after {minutes / 60:.1f} hours",
        flush=True,
    )


def bytes_per_code(codes: list[Instrument], *minutes: int) -> list[float]:
    """What the state of a code takes after so many minutes of trades, each a new one."""
    price, found = 440_000, []
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    series = [(Series(one), one.code) for one in codes]
    for minute in range(1, max(minutes) + 1):
        at = (MIDNIGHT + 60 * minute) * 1000
        for one, code in series:
            price += 1
            one.add(Trade(code, at, Decimal(price), Decimal(minute)), Decimal(price * minute))
        if minute in minutes:
            gc.collect()
            found.append((tracemalloc.get_traced_memory()[0] - before) / len(codes))
    tracemalloc.stop()
    return [found[sorted(set(minutes)).index(one)] for one in minutes]


def main() -> None:
    parts = {STATE: state, HTTP: http, MEMORY: memory}
    given = new_parser(__doc__, ",".join(parts)).parse_args()
    letters = given.only.split(",")
    check(parts, letters)
    prepare(given.rounds)
    options = Options(given.seconds, given.warmup, given.rounds, given.build.resolve())
    compile_tools(options.build, "http_load")

    print(f"{machine()}\n")
    for letter, measure in parts.items():
        if letter in letters:
            measure(options)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
