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
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import bench
import uvloop
from bench import MIB, Measured, NotMeasured, Options, Result, figure, per_cpu, spaced, written

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


@dataclass(frozen=True)
class Question:
    title: str
    path: str
    data: dict[str, object]
    count: int
    target: float

    @property
    def query(self) -> str:
        asked = quote(json.dumps({"trace": "", "data": self.data}))
        return f"/quote-b-api{self.path}?token=bench&query={asked}"


FIVE = ["BTCUSDT", "ETHUSDT", "GOLD", "EURUSD", "Silver"]


def bars_of(count: int) -> dict[str, object]:
    return {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": count}


QUESTIONS = [
    Question("/kline, 2 bars", "/kline", bars_of(2), 2, 0.3),
    Question("/kline, 500 bars", "/kline", bars_of(500), 500, 0.5),
    Question(
        "/trade-tick, 5 codes", "/trade-tick", {"symbol_list": [{"code": code} for code in FIVE]}, 5, 0.5
    ),
]


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

    def take(part: slice) -> None:
        for trade, turnover in zip(ticks.trades[part], ticks.turnovers[part], strict=True):
            bars.add(catalogue[trade.code], trade, turnover)

    return await _through(ticks, take, bars, batches, lambda: None)


async def _through(
    ticks: Ticks,
    take: Callable[[slice], None],
    bars: Bars,
    batches: Batches,
    cut: Callable[[], object],
) -> float:
    """CPU seconds that all of them take, beside a clock and batches to the store; `cut` keeps the ring."""
    take(slice(CODES))
    assert await batches.write()  # which looks for what the store has of them
    keeping = asyncio.create_task(batches.run())
    await asyncio.sleep(0)
    began, advance = time.process_time(), time.perf_counter() + ADVANCE_EVERY
    for start in range(CODES, len(ticks.trades), TURN):
        part = slice(start, start + TURN)
        take(part)
        await asyncio.sleep(0)
        if time.perf_counter() >= advance:
            bars.advance(ticks.trades[part][-1].time)
            cut()
            advance += ADVANCE_EVERY
    cut()
    spent = time.process_time() - began
    keeping.cancel()
    return spent


def through_market(ticks: Ticks) -> float:
    """From a source to the hub, with bars, the ring and the store, while nobody is subscribed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        settings = load({"source": "publish", "data_dir": folder}, environment={})
        with closing(build(settings)) as engine:
            return runner.run(_through_market(ticks, engine.market))


async def _through_market(ticks: Ticks, market: MarketSide) -> float:
    def take(part: slice) -> None:
        for trade in ticks.trades[part]:
            market.take(trade)

    first = market.feeds.first
    return await _through(ticks, take, first.bars, first.batches, market.ring.cut)


WAYS: dict[str, Callable[[Ticks], float]] = {
    "bare loop": bare,
    "Series.add": through_series,
    "Bars.add, advance and SQLite": through_bars,
    "source, market, bars, ring, hub": through_market,
}


def state(options: Options) -> None:
    print(f"{STATE}. Ticks through the bars of all types, {CODES} codes; the target is {spaced(RATE)}\n")
    bench.heads("way", "ticks per code and minute", "ticks per second of CPU", "of the bare loop")
    codes, count = instruments(), max(10 * CODES, int(options.seconds * RATE))
    for per_minute in (RATE * 60 // CODES, 100):
        ticks = make_ticks(codes, count, per_minute * CODES / 60_000)
        gc.freeze()
        rates: dict[str, list[float]] = {title: [] for title in WAYS}
        with bench.on_core(bench.SERVER_CORE):
            for title in options.turns(f"{STATE}, {per_minute} a minute,", [*WAYS]):
                rates[title].append(count / WAYS[title](ticks))
        for title, found in rates.items():
            ratio = bench.middle(rate / limit for rate, limit in zip(found, rates["bare loop"], strict=True))
            bench.row(title, spaced(per_minute), spaced(bench.middle(found) or 0), f"{ratio:.2f}")
        gc.unfreeze()
    print(flush=True)


# b. HTTP.
def size_of_answer(port: int, question: Question) -> int:
    """Asks until there is all that is asked for: with the first question the past is made."""
    for _ in range(50):
        with urlopen(f"http://127.0.0.1:{port}{question.query}", timeout=30) as answer:
            body: bytes = answer.read()
        data = json.loads(body)["data"]
        if len(data.get("kline_list") or data.get("tick_list") or ()) == question.count:
            return len(body)
        time.sleep(0.1)
    raise NotMeasured(f"{question.title}: the server has not so many")


def ask(server: tuple[int, int], path: str, options: Options) -> Result:
    result = bench.run_load("http_load", server, options, {"connections": CONNECTIONS, "path": path})
    if result["errors"]:
        raise NotMeasured(f"the server closed {result['errors']:.0f} of {CONNECTIONS} connections")
    return result | {"per_cpu": per_cpu(result, "requests_per_s")}


def ask_tickwire(question: Question, options: Options) -> Result:
    with bench.tickwire() as server:
        size_of_answer(server[0], question)
        return ask(server, question.query, options)


def ask_uvicorn(question: Question, size: int, options: Options) -> Result:
    """The same of bare uvicorn, with a body of that size."""
    with bench.running(bench.python("bare.py", "http", size)) as server:
        return ask(server, question.query, options)


def http(options: Options) -> None:
    print(f"{HTTP}. Requests over HTTP, {CONNECTIONS} connections\n")
    ratios, times = ("of bare uvicorn", "per CPU", "target"), ("p50 ms", "p99 ms")
    bench.heads("", "requests/s", *ratios, *times, "server CPU", "load CPU")
    for question in QUESTIONS:
        try:
            with bench.tickwire() as server:
                size = size_of_answer(server[0], question)
        except (NotMeasured, OSError) as problem:
            bench.no_row(question.title, problem, 9)
            continue
        limit = f"{question.title}: bare uvicorn"
        found = options.measured(
            HTTP,
            {
                question.title: partial(ask_tickwire, question, options),
                limit: partial(ask_uvicorn, question, size, options),
            },
        )
        row(question.title, found[question.title], found[limit], f"≥ {question.target}")
        row(f"bare uvicorn, {spaced(size)} bytes", found[limit], None, "-")
    print(flush=True)


def row(name: str, results: Measured, limits: Measured | None, target: str) -> None:
    if isinstance(results, NotMeasured):
        bench.no_row(name, results, 9)
        return
    ratios = [bench.ratio(results, limits, key) for key in ("requests_per_s", "per_cpu")]
    times = [written(results, key, 1) for key in ("p50_ms", "p99_ms")]
    cpu = [written(results, key) for key in ("server_cpu", "load_cpu")]
    bench.row(name, spaced(figure(results, "requests_per_s")), *ratios, target, *times, *cpu)


# c. Memory.
def memory(options: Options) -> None:
    print(f"{MEMORY}. Memory\n", flush=True)
    wait = min(60, 12 * options.seconds)
    print(f"{MEMORY} server, {wait:.0f} s", file=sys.stderr)
    try:
        with bench.tickwire("--codes", "all") as (_, pid):
            begun = bench.rss(pid)
            time.sleep(wait)
            codes, grown = len(load_catalogue([])), bench.rss(pid)
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
    options = bench.begin(bench.new_parser(__doc__, ",".join(parts)).parse_args(), parts, "http_load")
    for letter, measure in parts.items():
        if letter in options.letters:
            measure(options)


if __name__ == "__main__":
    main()
