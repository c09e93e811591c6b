"""A database with all tables filled, and what is done to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

from tickwire.access import Token, digest_of
from tickwire.model import Instrument, Kline, KlineType, Market, Suspension, SuspensionList
from tickwire.store import (
    File,
    GapStore,
    InstrumentStore,
    SuspensionStore,
    TokenStore,
    klines_of,
)

PAGE = 4096
T0 = 1_700_000_040  # 2023-11-14T22:14Z
SOURCE = "simulator"
TYPES = (KlineType.MINUTE, KlineType.DAY)
CODES = ("GOLD", "BTCUSDT", "黄金")


def a_bar(code: str, kline_type: KlineType, n: int) -> Kline:
    one = Decimal(n) / 100
    prices = one, one + 1, one - 1, one, Decimal(n), one * n
    time = T0 + 60 * n
    return Kline(code, kline_type, time, *prices, 1000 * time, 7, n % 9 == 0)


BARS = {
    (code, kline_type): [a_bar(code, kline_type, n) for n in range(1, 80)]
    for code in CODES
    for kline_type in TYPES
}
TOKENS = {
    f"name {n}": Token(
        id=f"{n:08x}",
        digest=digest_of(f"secret {n}", b"k" * 32),
        name=f"name {n}",
        plan="free",
        markets=frozenset({Market.CRYPTO} if n % 2 else ()),
        created=n,
        revoked=5 if n % 3 == 0 else None,
    )
    for n in range(40)
}
SUSPENSIONS = [
    Suspension(
        exchange=SuspensionList.NYSE,
        symbol=f"SYM{n}",
        publish_date=f"2026-09-{1 + n % 28:02} 10:00:00",
        halt_reason=("News; pending", f"{n}"),
    )
    for n in range(60)
]
INSTRUMENTS = [
    Instrument(
        code=f"MY{n}",
        market=Market.CRYPTO,
        price_decimals=n % 5,
        volume_decimals=2,
        turnover_decimals=3,
        levels=5,
    )
    for n in range(40)
]
NOTES = {f"past:CODE{n}": f"made {n}" for n in range(60)}


class Stores:
    """All stores of a file."""

    def __init__(self, file: File, key_path: Path) -> None:
        self.bars = klines_of(file)
        self.tokens = TokenStore(file, key_path)
        self.suspensions = SuspensionStore(file)
        self.gaps = GapStore(file)
        self.instruments = InstrumentStore(file)

    def fill(self) -> None:
        for bars in BARS.values():
            self.bars.write(SOURCE, bars, NOTES)
        for token in TOKENS.values():
            self.tokens.add(token)
        self.suspensions.add("", SUSPENSIONS)
        for n in range(60):
            self.gaps.end(self.gaps.open("alltick", Market.CRYPTO, CODES, n, f"reason {n}"), n + 5)
        for instrument in INSTRUMENTS:
            self.instruments.put(instrument)


class Desk:
    """A database with all tables filled, whose pages can be damaged where they lie."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = bytearray(content)

    def pages(self, table: str) -> list[int]:
        """The numbers of the pages that hold the rows of a table, from 0."""
        with in_memory(self.content) as memory:
            query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
            (root,) = memory.execute(query, (table,)).fetchone()
        return self._leaves(root - 1)

    def _leaves(self, page: int) -> list[int]:
        """Those below a page, by SQLite's file format."""
        content = self.content[PAGE * page : PAGE * (page + 1)]
        if content[0] not in (2, 5):
            return [page]
        number = int.from_bytes
        pointers = range(12, 12 + 2 * number(content[3:5], "big"), 2)
        cells = [number(content[at : at + 2], "big") for at in pointers]
        below = [number(content[at : at + 4], "big") - 1 for at in (*cells, 8)]
        return [leaf for one in below for leaf in self._leaves(one)]

    def destroy(self, *pages: int) -> None:
        """Overwrites these pages, and writes the file."""
        for page in pages:
            self.content[PAGE * page : PAGE * (page + 1)] = b"\xa5" * PAGE
        self.path.write_bytes(self.content)


@contextmanager
def in_memory(content: bytes | bytearray) -> Iterator[sqlite3.Connection]:
    """A copy of a database, which there needs no log."""
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.deserialize(bytes(content[:18] + b"\1\1" + content[20:]))
        yield memory


def bars_in(desk: Desk, pages: list[int]) -> set[tuple[str, int, int]]:
    """The codes and times of the bars whose texts stand in these pages."""
    with in_memory(desk.content) as memory:
        query = "SELECT code, type, time, volume, turnover FROM kline JOIN series ON id = series"
        rows = memory.execute(query).fetchall()
    return {
        (code, kline_type, time)
        for code, kline_type, time, volume, turnover in rows
        for page in pages
        if f"{volume}{turnover}".encode() in desk.content[PAGE * page : PAGE * (page + 1)]
    }
