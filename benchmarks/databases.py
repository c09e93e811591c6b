"""Measures reads of 500 bars, and batches as a server writes them, in PostgreSQL beside SQLite.

    python benchmarks/databases.py postgresql://HOST/NAME [MONTHS]

The database is one that may be filled with some years of minutes, 24 months if it is not said. Prints
a Markdown table. Judge by the ratios: the two take turns.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from tickwire.model import Kline, KlineType
from tickwire.store import KlineStore, klines_of, open_file

ROUNDS, READ, CODES = 200, 500, 600
MONTH = 31 * 86_400
END = 1_793_404_800  # 2026-10-31


def a_bar(code: str, at: int) -> Kline:
    price = Decimal("67123.45") + at // 60 % 100
    prices = (price, price + 1, price - 1, price)
    return Kline(
        code, KlineType.MINUTE, at, *prices, Decimal("12.345678"), Decimal("829012.34"), at * 1000, at * 1000
    )


def timed(calls: list[Callable[[int], object]]) -> list[float]:
    """The median of each in milliseconds, taken in turns."""
    took: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS):
        for call, times in zip(calls, took, strict=True):
            begun = time.perf_counter()
            call(number)
            times.append(time.perf_counter() - begun)
    return [statistics.median(times) * 1000 for times in took]


def main(url: str, months: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_file(Path(folder, "bars.db"))) as lite,
        closing(open_file(Path(folder), url)) as server,
    ):
        stores: list[KlineStore] = [klines_of(lite), klines_of(server)]
        for store in stores:
            for month in range(months):
                last = END - month * MONTH
                store.write("bench", [a_bar("BTCUSDT", last - 60 * n) for n in range(2_000)])

        def read(store: KlineStore) -> Callable[[int], object]:
            return lambda number: store.read(
                "bench", "BTCUSDT", KlineType.MINUTE, count=READ, end=END - 60 * 7 * number
            )

        def write(store: KlineStore) -> Callable[[int], object]:
            batch = [f"CODE{n}" for n in range(CODES)]
            return lambda number: store.write(
                "bench", [a_bar(code, END + number // 60 * 60) for code in batch], {"alive": str(number)}
            )

        print(f"| {months} months | SQLite | PostgreSQL | |\n|---|---|---|---|")
        for title, made in ((f"read of {READ} bars", read), (f"batch of {CODES} codes", write)):
            one, other = timed([made(store) for store in stores])
            print(f"| {title} | {one:.2f} ms | {other:.2f} ms | {other / one:.1f} × |")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 24)
