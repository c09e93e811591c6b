"""Outages of a source: what is incomplete in its bars, and what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import pytest

from tickwire.klines.series import DEFAULTS
from tickwire.machine import REAL
from tickwire.market.bars import Archive, Bars
from tickwire.market.missing import Ledger, Missing
from tickwire.model import KlineType, Trade
from tickwire.sources import Began, Broke, Mended
from tickwire.store import Backlog, Database, GapStore, SqliteFile, SqliteKlineStore, load_catalogue
from tickwire.store.gaps import Gap

from ...serving import Script

CATALOGUE = load_catalogue()
BTC = CATALOGUE["BTCUSDT"]
T0 = 1788480000_000
MINUTE = 60_000


class Desk(NamedTuple):
    """A source, its bars, and what is missing of it."""

    source: Script
    bars: Bars
    missing: Missing
    gaps: GapStore
    backlog: Backlog

    async def ledger(self) -> list[Gap]:
        await self.backlog.drain()
        return self.gaps.page(None, 0, None, 9)

    def trade(self, at: int) -> None:
        one = Trade("BTCUSDT", at, Decimal(1), Decimal(1))
        self.bars.add(BTC, one, Decimal(1))


def a_desk(database: Database, file: SqliteFile, *, live: bool) -> Desk:
    source, gaps, backlog = Script(), GapStore(file), Backlog(database, "gaps")
    source.live = live
    source.now = T0
    bars = Bars(
        Archive("script", SqliteKlineStore(file), database, clock=lambda: T0 / 1000), DEFAULTS, lambda _: None
    )
    missing = Missing(source, bars, CATALOGUE, Ledger(source, gaps, backlog))
    return Desk(source, bars, missing, gaps, backlog)


@pytest.fixture(params=[False, True], ids=["not live", "live"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    file = SqliteFile(None)
    database = Database(file, REAL.wall)
    yield a_desk(database, file, live=request.param)
    database.close()


async def test_a_failure_of_the_source_is_a_gap_of_what_came_from_it(desk: Desk) -> None:
    if desk.source.live:
        desk.missing.began(Began(("BTCUSDT", "GOLD"), T0 - MINUTE))
    expected = ("BTCUSDT", "GOLD") if desk.source.live else ("BTCUSDT",)
    desk.missing.failed("no answer")
    found = await desk.ledger()
    assert {code for gap in found for code in gap.codes} == {*expected}
    assert {(gap.begin, gap.end, gap.reason) for gap in found} == {(T0, None, "no answer")}
    desk.missing.failed("again")  # nothing more goes missing
    assert await desk.ledger() == found
    desk.source.now = T0 + MINUTE
    if desk.source.live:
        desk.missing.began(Began(expected, desk.source.now))
    else:
        desk.missing.recovered()
    assert {gap.end for gap in await desk.ledger()} == {T0 + MINUTE}


async def test_who_tells_of_an_outage_gets_the_closed_bars_that_it_touches(desk: Desk) -> None:
    for at in (T0 + 1_000, T0 + MINUTE + 1_000, T0 + 2 * MINUTE):
        desk.trade(at)
    await desk.bars.ready([BTC])
    closed = desk.missing.broke(Broke(("BTCUSDT",), T0 + MINUTE + 2_000, "cut"))
    minutes = [bar for bar, revised in closed if revised and bar.kline_type is KlineType.MINUTE]
    assert [(bar.time * 1000, bar.incomplete) for bar in minutes] == [(T0 + MINUTE, True)]
    assert desk.missing.began(Began(("BTCUSDT",), T0 + 2 * MINUTE + 5_000)) == []
    forming = desk.bars.forming(BTC, KlineType.MINUTE)
    assert forming is not None
    assert forming.incomplete


async def test_what_comes_after_all_is_no_hole_in_bars_and_a_gap_that_was_filled_at_once(desk: Desk) -> None:
    both = ("BTCUSDT", "ETHUSDT")
    desk.missing.began(Began(both, T0 - MINUTE))
    for at in (T0 + 1_000, T0 + MINUTE + 1_000, T0 + 2 * MINUTE):
        desk.trade(at)
    await desk.bars.ready([BTC])
    desk.missing.broke(Broke(both, T0 + MINUTE + 2_000, "cut"))
    assert desk.missing.lost([*both, "GOLD"]) == [*both]
    closed = desk.missing.mended(Mended(("BTCUSDT",), T0 + 5 * MINUTE))
    assert [(bar.kline_type, bar.incomplete) for bar, _ in closed if bar.kline_type is KlineType.MINUTE] == [
        (KlineType.MINUTE, False)
    ]
    (gap,) = await desk.ledger()
    assert (gap.end, gap.filled) == (None, None)
    desk.trade(T0 + MINUTE + 3_000)
    desk.missing.mended(Mended(("ETHUSDT", "GOLD"), T0 + 6 * MINUTE))  # of gold nothing was missing
    (gap,) = await desk.ledger()
    assert (gap.begin, gap.end) == (T0 + MINUTE + 2_000, T0 + 6 * MINUTE)
    assert gap.filled is not None
    assert (desk.missing.resumed, desk.missing.gaps) == (2, 0)
    assert desk.missing.lost(both) == []


async def test_what_comes_after_all_of_some_codes_leaves_the_gap_of_the_others(desk: Desk) -> None:
    both = ("BTCUSDT", "ETHUSDT")
    desk.missing.began(Began(both, T0 - MINUTE))
    desk.missing.broke(Broke(both, T0, "cut"))
    desk.missing.mended(Mended(("BTCUSDT",), T0 + MINUTE))
    desk.missing.began(Began(("ETHUSDT",), T0 + MINUTE))
    (gap,) = await desk.ledger()
    assert (gap.end, gap.filled) == (T0 + MINUTE, None)
    assert (desk.missing.resumed, desk.missing.gaps) == (1, 1)


async def test_what_nobody_wants_any_more_is_no_gap(desk: Desk) -> None:
    desk.missing.began(Began(("BTCUSDT",), T0 - MINUTE))
    desk.missing.broke(Broke(("BTCUSDT",), T0, ""))
    assert await desk.ledger() == []
    desk.missing.began(Began(("BTCUSDT",), T0 + MINUTE))
    assert await desk.ledger() == []


async def test_what_an_earlier_run_left_open_ends_at_the_start(desk: Desk) -> None:
    desk.gaps.open("script", "crypto", ["BTCUSDT"], T0 - MINUTE, "cut")
    desk.missing.start()
    (gap,) = await desk.ledger()
    assert gap.end == T0
