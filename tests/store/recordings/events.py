"""Events to record, and waiting for what a recorder does in its threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from tickwire.model import Book, Correction, Direction, Event, Level, Market, Trade
from tickwire.sources.simulated_markets import SimulatedMarkets
from tickwire.sources.simulator import DEFAULT_CODES
from tickwire.store import load_catalogue
from tickwire.store.recordings import Gap, Recorded, Recorder, Recordings

Row: TypeAlias = tuple[Event, Market, int, int]
"""What `record` takes."""

BEGIN = 1_788_530_574_453
"""2026-09-04 13:22:54 UTC."""
NOW = BEGIN * 1000
"""In microseconds."""
A_DAY = 86_400_000
CATALOGUE = load_catalogue([])


def _events() -> Iterator[Row]:
    """The events of the simulator, of all markets, with the two clocks and a `seq` per code."""
    markets = SimulatedMarkets(CATALOGUE, DEFAULT_CODES, seed=7, rate=20)
    markets.open(BEGIN)
    seqs: dict[str, int] = {}
    now, count = BEGIN, 0
    while True:
        now += 500
        for event in markets.due(now):
            seqs[event.code] = seqs.get(event.code, 0) + 1
            yield event, CATALOGUE[event.code].market, now * 1000 + count % 997, seqs[event.code]
            count += 1


KEPT = 20_000
"""So many of them are made once for all tests, as far as one asks; more would keep a hundred megabytes."""
_made: list[Row] = []
_making = _events()


def simulated(count: int) -> list[Row]:
    """The first events of the simulator."""
    if count > KEPT:
        return [*islice(_events(), count)]
    _made.extend(islice(_making, max(0, count - len(_made))))
    return _made[:count]


def trade(number: int = 0, *, code: str = "BTCUSDT", at: int = BEGIN, price: str = "79317.7") -> Row:
    event = Trade(code, at, Decimal(price), Decimal("0.5"), Decimal("39658.85"), Direction.BUY, number)
    return event, Market.CRYPTO, at * 1000 + 17, number


def book(number: int = 0, *, code: str = "BTCUSDT", at: int = BEGIN, levels: int = 3) -> Row:
    bids = tuple(Level(Decimal(100 - n), Decimal(n + 1) / 8) for n in range(levels))
    asks = tuple(Level(Decimal(101 + n), Decimal(n + 1) / 8) for n in range(levels))
    return Book(code, at, bids, asks), Market.CRYPTO, at * 1000 + 17, number


def put(recorder: Recorder, rows: Iterable[Row]) -> None:
    for row in rows:
        recorder.record(*row)


def recorded(folder: Path, rows: Iterable[Row], **options: object) -> None:
    """Records these, and ends."""
    recorder = Recorder(folder, "simulator", **options)  # type: ignore[arg-type]
    put(recorder, rows)
    recorder.close()


def rows_of(events: Iterable[Recorded]) -> list[Row]:
    return [
        (one.event, one.market, one.received, one.seq)
        for one in events
        if not isinstance(one.event, Correction)
    ]


def everything(folder: Path) -> list[Row]:
    return rows_of(Recordings(folder).read())


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Returns once it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)


def sealed_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("kind=*/market=*/date=*/*.parquet"))


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("_tickwire/*.journal"))


def started(folder: Path, now: int = NOW) -> None:
    """A start and an end at that microsecond."""
    Recorder(folder, "simulator", clock=lambda: now / 1e6).close()


def gaps(folder: Path) -> list[Gap]:
    return Recordings(folder).contents().gaps


class Clock:
    """A wall clock that a test sets."""

    def __init__(self, now: float = BEGIN / 1000) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
