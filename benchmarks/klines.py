"""Measures the bars: ticks through their state, /kline beside bare uvicorn, and memory.

    python benchmarks/klines.py [--only a,b] [--rounds 3]

Prints Markdown tables. The server, or the state, runs on one core and the load generator on another.
Judge by the ratios of one run, and where a CPU is well below 1 by those per CPU: other work took the
core. Needs Linux and a C compiler.
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
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeAlias
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

from tickwire.assembly import build
from tickwire.config import load
from tickwire.klines import Rules, Series
from tickwire.machine import REAL
from tickwire.market.bars import Archive, Bars, Batches
from tickwire.market.side import MarketSide
from tickwire.model import EXACT, Catalogue, Instrument, Trade
from tickwire.store import Database, SqliteFile, SqliteKlineStore, load_catalogue

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
RING = 64 * 1024 * 1024
"""Bytes of the ring, as a server has it unless it is set."""
MIB = 2**20

Result: TypeAlias = dict[str, float | None]
"""What a load generator measures."""


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
    began = time.process_time()
    for trade in ticks.trades:
        held = sums[trade.code]
        held.volume = EXACT.add(held.volume, trade.volume)
    return time.process_time() - began


def through_series(ticks: Ticks) -> float:
    series = {one.code: Series(one) for one in ticks.instruments}
    began = time.process_time()
    for trade, turnover in zip(ticks.trades, ticks.turnovers, strict=True):
        series[trade.code].add(trade, turnover)
    return time.process_time() - began


def through_bars(ticks: Ticks) -> float:
    """With the catalogue's look-up, the market's clock and batches to the store, as the engine does it."""
    with tempfile.TemporaryDirectory() as folder, closing(SqliteFile(Path(folder) / "bars.db")) as file:
        archive = Archive("benchmark", SqliteKlineStore(file), Database(file, REAL.wall), clock=REAL.wall)
        bars = Bars(archive, Rules(), lambda _: None)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_through_bars(ticks, bars, Batches(archive, bars)))


async def _through_bars(ticks: Ticks, bars: Bars, batches: Batches) -> float:
    catalogue = Catalogue(ticks.instruments)
    for trade, turnover in zip(ticks.trades[:CODES], ticks.turnovers, strict=False):
        bars.add(catalogue[trade.code], trade, turnover)
    assert await batches.write()  # which looks for what the store has of them
    keeping = asyncio.create_task(batches.run())
    await asyncio.sleep(0)
    began, advance = time.process_time(), time.perf_counter() + ADVANCE_EVERY
    for start in range(CODES, len(ticks.trades), TURN):
        part = slice(start, start + TURN)
        for trade, turnover in zip(ticks.trades[part], ticks.turnovers[part], strict=True):
            bars.add(catalogue[trade.code], trade, turnover)
        await asyncio.sleep(0)
        if time.perf_counter() >= advance:
            bars.advance(trade.time)
            advance += ADVANCE_EVERY
    spent = time.process_time() - began
    keeping.cancel()
    return spent


def through_market(ticks: Ticks, ring_bytes: int) -> float:
    """From a source to the hub, with bars, the ring and the store, while nobody is subscribed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        settings = load({"source": "publish", "data_dir": folder, "ring_bytes": ring_bytes}, environment={})
        with closing(build(settings)) as engine:
            return runner.run(_through_market(ticks, engine.market))


async def _through_market(ticks: Ticks, market: MarketSide) -> float:
    bars, batches = market.feeds.first.bars, market.feeds.first.batches
    for trade in ticks.trades[:CODES]:
        market.take(trade)
    assert await batches.write()
    keeping = asyncio.create_task(batches.run())
    await asyncio.sleep(0)
    began, advance = time.process_time(), time.perf_counter() + ADVANCE_EVERY
    for start in range(CODES, len(ticks.trades), TURN):
        for trade in ticks.trades[start : start + TURN]:
            market.take(trade)
        await asyncio.sleep(0)
        if time.perf_counter() >= advance:
            bars.advance(trade.time)
            await market.ring.cut()
            advance += ADVANCE_EVERY
    await market.ring.cut()
    spent = time.process_time() - began
    keeping.cancel()
    return spent


WAYS: list[tuple[str, Callable[[Ticks], float]]] = [
    ("bare loop", bare),
    ("Series.add", through_series),
    ("Bars.add, advance and SQLite", through_bars),
    ("source, market, bars, ring, hub", partial(through_market, ring_bytes=RING)),
    ("the same, the ring packed at once", partial(through_market, ring_bytes=0)),
]


def state(options: Options) -> None:
    print(f"{STATE}. Ticks through the bars of all types, {CODES} codes; the target is {spaced(RATE)}\n")
    print("| ticks per code and minute | way | ticks per second of CPU | of the bare loop |")
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


def ask(port: int, pid: int, path: str, options: Options) -> Result:
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


def http_round(question: Question, options: Options) -> tuple[Result, Result]:
    """What the question gives of us, and of bare uvicorn with a body of the same size right after it."""
    with tempfile.TemporaryDirectory() as folder, running(serve(folder)) as (port, pid):
        size = size_of_answer(port, question)
        ours = ask(port, pid, question.query, options)
    with running([sys.executable, str(HERE / "bare_asgi.py"), f"--bytes={size}"]) as (port, pid):
        limit = ask(port, pid, question.query, options)
    ours["ratio"] = (ours["requests_per_s"] or 0) / (limit["requests_per_s"] or 1)
    ours["cpu_ratio"] = per_cpu(ours) / per_cpu(limit)
    limit["bytes"] = size
    return ours, limit


def per_cpu(result: Result) -> float:
    """Requests in a second of the server's CPU: what others take of the core does not count."""
    return (result["requests_per_s"] or 0) / (result["server_cpu"] or 1)


def http(options: Options) -> None:
    print(f"{HTTP}. Requests over HTTP, {CONNECTIONS} connections\n")
    heads = "requests/s | of bare uvicorn | per CPU | target | p50 ms | p99 ms | server CPU | load CPU"
    print(f"| | {heads} |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for question in QUESTIONS:
        rounds = []
        try:
            for number in range(options.rounds):
                print(f"{HTTP} {question.title}, round {number + 1}", file=sys.stderr)
                rounds.append(http_round(question, options))
        except (NotMeasured, OSError) as problem:
            print(f"| {question.title} | not measured: {str(problem).replace('|', '/')} | | | | | | | |")
            continue
        target = f"≥ {question.target}" if question.target else "-"
        size = spaced(rounds[0][1]["bytes"] or 0)
        print(row(question.title, [ours for ours, _ in rounds], target))
        print(row(f"bare uvicorn, {size} bytes", [limit for _, limit in rounds], "-"))
    print(flush=True)


def row(name: str, results: Sequence[Result], target: str) -> str:
    def figure(key: str, digits: int = 2) -> str:
        value = middle(one.get(key) for one in results)
        return "-" if value is None else f"{value:.{digits}f}"

    rate = spaced(middle(one["requests_per_s"] for one in results) or 0)
    times = [figure(key, 1) for key in ("p50_ms", "p99_ms")]
    cells = [name, rate, figure("ratio"), figure("cpu_ratio"), target, *times]
    return f"| {' | '.join([*cells, figure('server_cpu'), figure('load_cpu')])} |"


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
    hour, day = bytes_per_code(instruments(), [min(60, minutes), minutes])
    print(
        f"`Series`, {CODES} codes with a trade a minute: {hour:,.0f} bytes per code after an hour, "
        f"{day:,.0f} after {minutes / 60:.1f} hours",
        flush=True,
    )


def bytes_per_code(codes: list[Instrument], minutes: list[int]) -> list[float]:
    """What the state of a code takes after so many minutes, ascending, with a trade in each."""
    price, done, found = 440_000, 0, []
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    series = [(Series(one), one.code) for one in codes]
    for until in minutes:
        for minute in range(done + 1, until + 1):
            at = (MIDNIGHT + 60 * minute) * 1000
            for one, code in series:
                price += 1
                one.add(Trade(code, at, Decimal(price), Decimal(minute)), Decimal(price * minute))
        done = until
        gc.collect()
        found.append((tracemalloc.get_traced_memory()[0] - before) / len(codes))
    tracemalloc.stop()
    return found


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
