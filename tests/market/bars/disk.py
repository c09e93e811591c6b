"""A store whose calls wait or fail when a test says so, and bars on it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from decimal import Decimal
from functools import cache
from typing import Any

from tickwire.errors import StoreError
from tickwire.klines import Closed, Grid, Past
from tickwire.klines.series import DEFAULTS
from tickwire.machine import REAL
from tickwire.market.bars import Archive, Bars, Batches, Pasts, Retention
from tickwire.model import Instrument, Kline, KlineType, Trade, turnover
from tickwire.store import Database, SqliteFile, SqliteKlineStore, load_catalogue

BTC = load_catalogue()["BTCUSDT"]
GRID = Grid(BTC)
T0 = 1788480000  # 2026-09-04, midnight UTC
MINUTE, HOUR = KlineType.MINUTE, KlineType.HOUR
ALL = 10**6


class Disk(SqliteKlineStore):
    """A store in memory whose writes wait until they may go on, or fail."""

    def __init__(self) -> None:
        self.file = SqliteFile(None)
        self.database = Database(self.file, REAL.wall)
        super().__init__(self.file)
        self.under_way = threading.Event()
        self.may_go = threading.Event()
        self.may_go.set()
        self.failures: list[bool] = []
        """Whether the next writes fail, first come first."""
        self.unreadable = False
        self.reading = threading.Event()
        self.read_may_go = threading.Event()
        self.read_may_go.set()

    def write(self, source: str, bars: Iterable[Kline], *more: Any, **named: Any) -> None:
        fails = self.failures.pop(0) if self.failures else False
        self.under_way.set()
        assert self.may_go.wait(30)
        if fails:
            raise StoreError("The disk is full.")
        super().write(source, bars, *more, **named)

    def read(self, *asked: Any, **named: Any) -> list[Kline]:
        self._check()
        found = super().read(*asked, **named)
        self.reading.set()
        assert self.read_may_go.wait(30)
        return found

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        self._check()
        return super().restore(source, codes, count)

    def _check(self) -> None:
        if self.unreadable:
            raise StoreError("The disk cannot be read.")


class Clock:
    def __init__(self, now: float = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Run(Bars):
    """Bars with all that keeps them."""

    def __init__(
        self,
        store: Disk,
        source: str = "s",
        *,
        repeats: bool = False,
        clock: Clock | None = None,
        maker: Executor | None = None,
        on_clock: bool = False,
    ) -> None:
        self.archive = Archive(source, store, store.database, clock=clock or Clock())
        self.revised: list[Closed] = []
        super().__init__(self.archive, DEFAULTS, self.revised.extend, repeats=repeats, on_clock=on_clock)
        self.batches = Batches(self.archive, self)
        self.past: Past | None = None
        self.pasts = Pasts(self._past_of, self.archive, self, self.batches, maker)
        self.retention = Retention({}, self.archive, self, self.pasts, clock=REAL.wall)

    def _past_of(self, instrument: Instrument, key: str | None) -> Past | None:
        return self.past

    async def end(self) -> None:
        await self.pasts.end()
        await self.batches.end()


def a_run(store: Disk, *, repeats: bool = False, clock: Clock | None = None) -> Run:
    """What a start of the program makes of the store."""
    return Run(store, repeats=repeats, clock=clock)


@cache
def price(at: int) -> Decimal:
    return Decimal(100 + at * 7919 % 1000) / 10


def take(bars: Bars, ats: Iterable[int]) -> None:
    """A trade at each of these seconds."""
    for at in ats:
        one = Trade("BTCUSDT", at * 1000, price(at), Decimal("0.1"))
        bars.add(BTC, one, turnover(BTC, one))


def figures(bars: Iterable[Kline]) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]]:
    return [(b.time, b.open, b.high, b.low, b.close, b.volume, b.turnover) for b in bars]


@cache
def money(at: int) -> Decimal:
    """The turnover of the trade at that second."""
    return round(price(at) * Decimal("0.1"), 2)


@cache
def opened_at(kline_type: KlineType, at: int) -> int:
    """A test reckons with the same seconds hundreds of times."""
    return GRID.open_time(kline_type, at)


async def check(bars: Bars, ats: Iterable[int]) -> None:
    """What is read, of every type, is what these trades make: no hole, no double."""
    for kline_type in KlineType:
        groups: dict[int, list[int]] = {}
        for at in sorted(ats):
            groups.setdefault(opened_at(kline_type, at), []).append(at)
        expected = [
            (
                opened,
                price(group[0]),
                max(map(price, group)),
                min(map(price, group)),
                price(group[-1]),
                len(group) * Decimal("0.1"),
                sum(map(money, group)),
            )
            for opened, group in groups.items()
        ]
        assert figures((await bars.read(BTC, kline_type, count=ALL)).bars) == expected, kline_type.name


def some_hours(seed: int = 3, count: int = 260) -> list[int]:
    """Seconds of trades over two midnights, with gaps of minutes and of an hour."""
    dice = random.Random(seed)
    at = T0 - 20 * 3600
    found: list[int] = []
    while len(found) < count:
        at += dice.choice([1, 5, 20, 50, 61, 240, 240, 1900])
        found.append(at)
    return found


def stored(disk: Disk, kline_type: KlineType = MINUTE) -> list[tuple[int, Decimal]]:
    """Times and volumes of what stands in the store."""
    unreadable, disk.unreadable = disk.unreadable, False
    try:
        return [(bar.time, bar.volume) for bar in disk.read("s", "BTCUSDT", kline_type, count=1000)]
    finally:
        disk.unreadable = unreadable
