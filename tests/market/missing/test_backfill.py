"""Bars that are completed from a source's history: the truth is what one who saw every trade has."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.errors import SourceError
from tickwire.klines import Closed, Series
from tickwire.klines.series import DEFAULTS
from tickwire.machine import REAL
from tickwire.market.bars import Archive, Bars, Batches
from tickwire.market.missing import Backfill, Depths, Filling, Ledger
from tickwire.market.missing.backfill import Hole
from tickwire.model import Instrument, Kline, KlineType, Trade, turnover
from tickwire.store import Backlog, Database, GapStore, SqliteFile, SqliteKlineStore, load_catalogue

from ...serving import Script, until

CATALOGUE = load_catalogue()
BTC, HSBC = CATALOGUE["BTCUSDT"], CATALOGUE["5.HK"]
T0 = 1788480000  # 2026-09-04, Friday, midnight UTC
MINUTE, HOUR, DAY = KlineType.MINUTE, KlineType.HOUR, KlineType.DAY


def trades(instrument: Instrument, begin: int, end: int, every: float, seed: int = 1) -> list[Trade]:
    """Trades at random moments between two, in seconds."""
    dice = random.Random(seed)
    at, found, price = begin * 1000, [], 79000
    while (at := at + int(dice.uniform(0.1, 2) * every * 1000)) < end * 1000:
        price += dice.randint(-9, 9)
        found.append(Trade(instrument.code, at, Decimal(price), Decimal(dice.randint(1, 9))))
    return found


class Past:
    """The history of a server that saw every trade."""

    def __init__(self, instrument: Instrument, seen: Iterable[Trade], most: int = 500) -> None:
        self.most = most
        self.asked: list[tuple[KlineType, int, int | None]] = []
        self.fails = False
        self._instrument = instrument
        self._seen = list(seen)
        self._made: tuple[int, dict[tuple[KlineType, int], Kline], Series] | None = None
        self.now = 0
        """In seconds."""

    def bars(self, kline_type: KlineType) -> list[Kline]:
        """All of them, the last one forming."""
        _, found, series = self._made if self._made and self._made[0] == self.now else self._make()
        forming = series.forming(kline_type)
        bars = [bar for (one, _), bar in found.items() if one is kline_type]
        return bars + ([forming] if forming is not None else [])

    def _make(self) -> tuple[int, dict[tuple[KlineType, int], Kline], Series]:
        series = Series(self._instrument)
        found: dict[tuple[KlineType, int], Kline] = {}
        for trade in self._seen:
            if trade.time < self.now * 1000:
                for closed in series.add(trade, turnover(self._instrument, trade)):
                    found[closed.kline.kline_type, closed.kline.time] = closed.kline
        for closed in series.advance(self.now * 1000):
            found[closed.kline.kline_type, closed.kline.time] = closed.kline
        self._made = self.now, found, series
        return self._made

    async def klines(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> list[Kline]:
        self.asked.append((kline_type, count, end))
        await asyncio.sleep(0)
        if self.fails:
            raise SourceError("no answer")
        return [bar for bar in self.bars(kline_type) if end is None or bar.time <= end][-count:]


class Noting(Ledger):
    """A ledger that shows which codes are whole."""

    def __init__(self, source: Script, file: SqliteFile, database: Database) -> None:
        super().__init__(source, GapStore(file), Backlog(database, "gaps"))
        self.codes: list[str] = []
        self.whole = asyncio.Event()

    def filled(self, code: str) -> None:
        super().filled(code)
        self.codes.append(code)
        self.whole.set()


class Bench:
    """A source with a past, its bars, and a clock that is moved."""

    def __init__(self, instrument: Instrument, past: Past) -> None:
        self.instrument, self.past = instrument, past
        self.source = Script()
        file = SqliteFile(None)
        database = Database(file, REAL.wall)
        self.revised: list[Closed] = []
        self.archive = Archive("s", SqliteKlineStore(file), database, clock=REAL.wall)
        self.bars = Bars(self.archive, DEFAULTS, self.revised.extend)
        self.batches = Batches(self.archive, self.bars)
        self.ledger = Noting(self.source, file, database)
        self.begin()

    def begin(self) -> None:
        depths = Depths(self.archive)
        filling = Filling(self.source, self.past, self.archive, self.bars, depths)
        self.backfill = Backfill(self.source, self.bars, depths, filling, self.ledger, self.revised.extend)

    def go(self, to: float, hears: Iterable[Trade] = ()) -> None:
        """Time passes, in which these trades are heard."""
        for trade in hears:
            self.bars.add(self.instrument, trade, turnover(self.instrument, trade))
        self.source.now = int(to * 1000)
        self.past.now = int(to)
        self.bars.advance(self.source.now)

    def missed(self, begin: float | None, end: float) -> None:
        """A hole, in seconds."""
        known = None if begin is None else int(begin * 1000)
        if begin is None and not self.backfill.knows(self.instrument):
            known = 0
        self.bars.hole(self.instrument, known, int(end * 1000))
        self.backfill.hole(self.instrument, None if begin is None else int(begin * 1000), int(end * 1000))

    async def reach(self, kline_type: KlineType, count: int = 500, end: int | None = None) -> list[Kline]:
        await self.backfill.reach(self.instrument, kline_type, count=count, end=end)
        return await self.bars.joined(self.instrument, kline_type, count=count, end=end)


def shown(bars: Iterable[Kline]) -> list[tuple[object, ...]]:
    return [
        (bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover, bar.incomplete)
        for bar in bars
    ]


def between(all_of: Iterable[Trade], begin: float, end: float) -> list[Trade]:
    return [one for one in all_of if begin * 1000 <= one.time < end * 1000]


async def caught_up() -> tuple[list[Trade], Bench]:
    """Two hours of trades, and one who came at T0 and has all that was before, ten minutes later."""
    all_of = trades(BTC, T0 - 4000, T0 + 7200, 5)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0)
    bench.missed(None, T0)
    bench.go(T0 + 600, between(all_of, T0, T0 + 600))
    await bench.reach(DAY)
    return all_of, bench


@pytest.mark.parametrize("instrument", [BTC, HSBC], ids=lambda one: one.code)
async def test_who_comes_late_has_the_bars_of_who_was_there(instrument: Instrument) -> None:
    all_of = trades(instrument, T0 - 3 * 86400, T0 + 8 * 3600, 40)
    past = Past(instrument, all_of)
    bench, came = Bench(instrument, past), T0 + 7 * 3600 + 1234.5
    bench.go(came)
    bench.missed(None, came)
    bench.go(came + 70, between(all_of, came, came + 70))
    for kline_type in KlineType:
        found = await bench.reach(kline_type)
        truth = past.bars(kline_type)
        assert shown(found) == shown(truth)[-len(found) :], kline_type
        assert len(found) == min(500, len(truth))
    bench.go(T0 + 8 * 3600 - 1, between(all_of, came + 70, T0 + 8 * 3600 - 1))
    for kline_type in KlineType:
        assert shown(await bench.reach(kline_type, 20)) == shown(past.bars(kline_type)[-20:]), kline_type


async def test_nothing_is_asked_for_twice() -> None:
    all_of = trades(BTC, T0 - 86400, T0 + 3600, 30)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0 + 1800)
    bench.missed(None, T0 + 1800)
    bench.go(T0 + 1890, between(all_of, T0 + 1800, T0 + 1890))
    await bench.reach(MINUTE)
    assert [kline_type for kline_type, _, _ in bench.past.asked] == [MINUTE], "what is waited for comes first"
    for _ in range(2):
        for kline_type in KlineType:
            await bench.reach(kline_type, 10)
    asked = len(bench.past.asked)
    assert sorted(kline_type for kline_type, _, _ in bench.past.asked) == [MINUTE, HOUR, DAY]
    await bench.batches.write()
    bench.begin()  # another run
    await bench.reach(MINUTE)
    assert len(bench.past.asked) == asked


async def test_paging_goes_as_deep_as_the_history() -> None:
    all_of = trades(BTC, T0 - 86400, T0 + 100, 45)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0 + 90)
    end: int | None = None
    found: list[Kline] = []
    while page := await bench.reach(MINUTE, 300, end):
        found = page + found
        end = page[0].time - 1
    assert shown(found) == shown(one for one in bench.past.bars(MINUTE) if one.time < T0 + 60)
    pages = [end for kline_type, _, end in bench.past.asked if kline_type is MINUTE]
    assert len(pages) == len(set(pages))


async def test_a_hole_is_closed_with_one_request() -> None:
    all_of, bench = await caught_up()
    asked = len(bench.past.asked)
    bench.missed(T0 + 630, T0 + 905)
    bench.go(T0 + 900, between(all_of, T0 + 600, T0 + 630))
    bench.go(T0 + 1000, between(all_of, T0 + 905, T0 + 1000))
    incomplete = [bar.time for bar in await bench.bars.joined(BTC, MINUTE, count=20) if bar.incomplete]
    assert incomplete == [T0 + 600, T0 + 900]
    for kline_type in KlineType:
        await bench.reach(kline_type, 20)
        assert shown(await bench.bars.joined(BTC, kline_type, count=20)) == shown(
            bench.past.bars(kline_type)[-20:]
        )
    assert len(bench.past.asked) == asked + 1
    assert bench.ledger.codes == [BTC.code] * 2
    assert {one.kline.time for one in bench.revised if one.kline.kline_type is MINUTE} >= set(
        range(T0 + 600, T0 + 901, 60)
    )


async def test_a_hole_is_closed_unasked_when_its_last_minute_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tickwire.market.missing.backfill.BEAT", 0.01)
    all_of, bench = await caught_up()
    asked = len(bench.past.asked)
    bench.missed(T0 + 630, T0 + 700)
    bench.go(T0 + 719, between(all_of, T0 + 700, T0 + 719))
    bench.ledger.whole.clear()
    looks: list[bool] = []
    settled = bench.backfill._settled

    def look(hole: Hole) -> bool:
        looks.append(settled(hole))
        return looks[-1]

    monkeypatch.setattr(bench.backfill, "_settled", look)
    running = asyncio.create_task(bench.backfill.run())
    await until(lambda: len(looks) > 2)
    assert len(bench.past.asked) == asked
    bench.go(T0 + 790, between(all_of, T0 + 719, T0 + 790))
    async with asyncio.timeout(120):
        await bench.ledger.whole.wait()
    running.cancel()
    for kline_type in KlineType:
        assert shown(await bench.bars.joined(BTC, kline_type, count=20)) == shown(
            bench.past.bars(kline_type)[-20:]
        )


async def test_larger_types_are_fetched_when_nobody_waits_and_lack_what_was_before_until_then() -> None:
    all_of = trades(BTC, T0 - 86400 * 2, T0 + 12 * 3600, 60)
    came = T0 + 11 * 3600
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(came)
    bench.missed(None, came)
    bench.go(came + 90, between(all_of, came, came + 90))
    assert shown(await bench.reach(MINUTE, 50)) == shown(bench.past.bars(MINUTE)[-50:])
    assert [kline_type for kline_type, _, _ in bench.past.asked] == [MINUTE]
    day = bench.bars.forming(BTC, DAY)
    assert day is not None
    assert day.incomplete
    running = asyncio.create_task(bench.backfill.run())
    await until(lambda: len(bench.past.asked) == 3 and not bench.backfill._behind)
    running.cancel()
    for kline_type in KlineType:
        assert shown(await bench.reach(kline_type, 2)) == shown(bench.past.bars(kline_type)[-2:]), kline_type
    assert len(bench.past.asked) == 3


async def test_after_a_long_hole_larger_bars_are_made_anew_and_told_when_all_are_there() -> None:
    all_of = trades(BTC, T0 - 86400 * 2, T0 + 86400, 60)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0)
    bench.missed(None, T0)
    bench.go(T0 + 90, between(all_of, T0, T0 + 90))
    await bench.reach(DAY, 2)
    asked = len(bench.past.asked)
    back = T0 + 12 * 3600
    bench.missed(T0 + 90, back)
    bench.go(back + 90, between(all_of, back, back + 90))
    bench.ledger.codes.clear()
    assert shown(await bench.reach(MINUTE, 50)) == shown(bench.past.bars(MINUTE)[-50:])
    assert [kline_type for kline_type, _, _ in bench.past.asked[asked:]] == [MINUTE]
    assert bench.ledger.codes == []
    running = asyncio.create_task(bench.backfill.run())
    await until(lambda: bench.ledger.codes)
    running.cancel()
    for kline_type in KlineType:
        assert shown(await bench.reach(kline_type, 3)) == shown(bench.past.bars(kline_type)[-3:]), kline_type
    hours = [one.kline.time for one in bench.revised if one.kline.kline_type is HOUR]
    assert sorted(hours) == [*range(T0, back, 3600)]


async def test_an_answer_that_lacks_something_says_so_and_the_log_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tickwire.market.missing.backfill.PATIENCE", 0.01)
    bench = Bench(BTC, Past(BTC, trades(BTC, T0 - 4000, T0 + 60, 5)))
    turn = asyncio.Event()
    give = bench.past.klines

    async def wait(*asked: Any, **more: Any) -> list[Kline]:
        await turn.wait()
        return await give(*asked, **more)

    monkeypatch.setattr(bench.past, "klines", wait)
    bench.go(T0)
    with capture_logs() as logs:
        for _ in range(3):
            assert not await bench.backfill.reach(BTC, MINUTE, count=10, end=None)
    assert [one["event"] for one in logs] == ["bars are answered in part"]
    assert bench.backfill.partial == 3
    turn.set()
    monkeypatch.setattr("tickwire.market.missing.backfill.PATIENCE", 20.0)
    assert await bench.backfill.reach(BTC, MINUTE, count=10, end=None)
    assert len(bench.past.asked) == 1
    await bench.backfill.end()


async def test_a_source_that_fails_is_left_alone_for_a_while() -> None:
    bench = Bench(BTC, Past(BTC, trades(BTC, T0 - 4000, T0 + 60, 5)))
    bench.past.fails = True
    bench.go(T0)
    assert await bench.reach(MINUTE) == []
    assert len(bench.past.asked) == 1
    assert await bench.reach(MINUTE) == []
    assert len(bench.past.asked) == 1
    bench.backfill._failed.clear()
    bench.past.fails = False
    assert shown(await bench.reach(MINUTE)) == shown(bench.past.bars(MINUTE))


async def test_what_stocks_lack_is_not_asked_for() -> None:
    bench = Bench(HSBC, Past(HSBC, trades(HSBC, T0 - 4000, T0 + 60, 5)))
    bench.go(T0)
    assert await bench.reach(KlineType.HOURS_2) == []
    assert bench.past.asked == []


async def test_a_hole_is_closed_for_codes_whose_bars_nobody_asked_for() -> None:
    all_of = trades(BTC, T0 - 4000, T0 + 7200, 5)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0)
    bench.missed(None, T0)
    bench.go(T0 + 630, between(all_of, T0, T0 + 630))
    bench.missed(T0 + 630, T0 + 700)
    bench.go(T0 + 790, between(all_of, T0 + 700, T0 + 790))
    running = asyncio.create_task(bench.backfill.run())
    async with asyncio.timeout(120):
        await bench.ledger.whole.wait()
    running.cancel()
    assert [kline_type for kline_type, _, _ in bench.past.asked] == [MINUTE]
    minutes = await bench.bars.joined(BTC, MINUTE, count=12)
    assert shown(minutes) == shown(bench.past.bars(MINUTE)[-12:])
    for kline_type in KlineType:  # and the rest when somebody does
        assert shown(await bench.reach(kline_type, 20)) == shown(bench.past.bars(kline_type)[-20:])


async def test_what_begins_while_its_past_is_fetched_is_completed_behind_it() -> None:
    all_of = trades(BTC, T0 - 4000, T0 + 7200, 5)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0 + 10)
    asking = asyncio.create_task(bench.reach(MINUTE))
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.past.asked
    bench.missed(None, T0 + 11)
    await asking
    bench.go(T0 + 80, between(all_of, T0 + 11, T0 + 80))
    for kline_type in KlineType:
        assert shown(await bench.reach(kline_type, 9)) == shown(bench.past.bars(kline_type)[-9:])
    assert len(bench.past.asked) == 4, "the minute in which it began costs one request more"
    assert all(end is None or end > 0 for _, _, end in bench.past.asked)


class Turns:
    """Has requests of a bench wait until they are let go."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = 0
        self.let = asyncio.Semaphore(0)
        self._give = bench.past.klines
        monkeypatch.setattr(bench.past, "klines", self.klines)

    async def klines(self, *asked: Any, **more: Any) -> list[Kline]:
        self.waiting += 1
        await self.let.acquire()
        self.waiting -= 1
        return await self._give(*asked, **more)


async def test_a_minute_that_ends_while_a_request_waits_costs_no_other_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_of = trades(BTC, T0 - 7200, T0 + 7200, 5)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0 + 52)
    bench.missed(None, T0 + 52)
    turns = Turns(bench, monkeypatch)
    asking = asyncio.create_task(bench.reach(MINUTE, 100))
    await until(lambda: turns.waiting == 1)
    bench.go(T0 + 64, between(all_of, T0 + 52, T0 + 64))
    turns.let.release()
    assert shown(await asking) == shown(bench.past.bars(MINUTE)[-100:])
    assert len(bench.past.asked) == 1
    assert bench.backfill.partial == 0
    assert not bench.backfill._holes


async def test_bars_that_were_whole_when_they_came_are_not_called_partial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_of = trades(BTC, T0 - 7200, T0 + 7200, 5)
    bench = Bench(BTC, Past(BTC, all_of))
    bench.go(T0 + 30)
    bench.missed(None, T0 + 30)
    reached = bench.backfill._reached

    def end_minute(*args: Any) -> None:
        bench.go(T0 + 64, between(all_of, T0 + 30, T0 + 64))
        reached(*args)

    monkeypatch.setattr(bench.backfill, "_reached", end_minute)
    assert await bench.backfill.reach(BTC, MINUTE, count=100, end=None)
    assert bench.backfill.partial == 0


async def test_bars_behind_a_hole_do_not_wait_for_it() -> None:
    all_of, bench = await caught_up()
    asked = len(bench.past.asked)
    bench.missed(T0 + 630, T0 + 700)
    bench.go(T0 + 1300, between(all_of, T0 + 700, T0 + 1300))
    assert shown(await bench.reach(MINUTE, 5)) == shown(bench.past.bars(MINUTE)[-5:])
    assert len(bench.past.asked) == asked
    assert shown(await bench.reach(MINUTE, 50)) == shown(bench.past.bars(MINUTE)[-50:])
    assert len(bench.past.asked) == asked + 1


async def test_what_nobody_waits_for_does_not_go_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.market.missing.backfill.BEAT", 0.01)
    all_of, bench = await caught_up()
    bench.missed(T0 + 630, T0 + 700)
    bench.go(T0 + 790, between(all_of, T0 + 700, T0 + 790))
    other = CATALOGUE["ETHUSDT"]
    turns = Turns(bench, monkeypatch)
    asking = asyncio.create_task(bench.backfill.reach(other, MINUTE, count=10, end=None))
    await until(lambda: turns.waiting == 1)
    looks = 0
    settled = bench.backfill._settled

    def look(hole: Hole) -> bool:
        nonlocal looks
        looks += 1
        return settled(hole)

    monkeypatch.setattr(bench.backfill, "_settled", look)
    running = asyncio.create_task(bench.backfill.run())
    await until(lambda: looks > 3)
    assert turns.waiting == 1
    turns.let.release()
    await asking
    await until(lambda: turns.waiting == 1)  # now it is its turn
    for _ in range(3):
        turns.let.release()
    async with asyncio.timeout(120):
        await bench.ledger.whole.wait()
    running.cancel()
