"""A relay of a Tickwire that is cut from it: what was missed comes late rather than never, and bars count
it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import tickwire
from tickwire.client import RealClock
from tickwire.machine import REAL
from tickwire.model import Kind, KlineType, Trade
from tickwire.sources import Began, Broke, Mended, Snapshot, Status
from tickwire.sources.relay import Relay

from ...client.test_feed import feed_of
from ...server.publishing import desk_in, now, packed
from ...server.test_corrections import cancel, correct
from ...server.test_corrections import trade as line
from ...server.test_resuming import forget
from ...serving import Script, Served, book, serving, trade, until
from ...wire_cutter import Wire, wire_to
from .bench import CATALOGUE, QUICK, push, relaying, upstream

CODES = ("GOLD", "BTCUSDT")
MINUTE = 60_000
HELD = (KlineType.MINUTE, KlineType.MINUTES_5, KlineType.HOUR, KlineType.DAY)


class Hands:
    """A clock of both kinds that goes on by itself, and that a test moves on."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.begin = (self.millis() // MINUTE + 1) * MINUTE
        """The minute in which a test begins, in milliseconds."""
        self.to(500)

    def time(self) -> float:
        return time.monotonic() + self.shift

    def millis(self) -> int:
        return REAL.millis() + int(self.shift * 1000)

    def to(self, at: float) -> None:
        """So many milliseconds after the begin."""
        self.shift += max(self.begin + at - self.millis(), 0) / 1000


class Row:
    """A server with a script, a wire to it, a server that relays it, and a client of that."""

    def __init__(self, script: Script, up: Served, wire: Wire, down: Served, feed: tickwire.Feed) -> None:
        self.hands = Hands()
        self.script, self.up, self.wire, self.down, self.feed = script, up, wire, down, feed
        self.seen: list[tickwire.client.Event] = []
        self.emitted: list[Trade] = []
        self.count = 0
        """Events that upstream has been given."""
        self.asked: list[dict[str, Any]] = []
        up.ear.listener = lambda one: self.asked.append(json.loads(one.text))

    @property
    def bars(self) -> Any:
        return self.down.engine.market.feeds.first.bars

    async def emit(self, *ats: int, codes: tuple[str, ...] = CODES) -> None:
        """Trades of these codes happen so many milliseconds after the begin, each when it is time."""
        for at in ats:
            self.at(at, *codes)
        await until(lambda: self.up.engine.market.events >= self.count)

    async def live(self, *ats: int, lost: int = 0) -> None:
        """Trades happen one after the other, and the client reads each at its time, but for so many of those
        before."""
        for at in ats:
            await self.emit(at)
            await self.read(len(self.emitted) - lost)

    def at(self, at: int, *codes: str) -> None:
        """A trade of each of these happens."""
        self.hands.to(at)
        made = [trade(code, str(100 + at // 1000 % 77), "1.5", self.hands.begin + at) for code in codes]
        self.script.now = self.hands.begin + at
        self.script.emit(*made)
        self.emitted += made
        self.count += len(made)

    def reached(self, code: str) -> int:
        """How many milliseconds after the begin the last trade was that the relay has."""
        last = self.down.engine.market.streams.last_trade(CATALOGUE[code])
        return 0 if last is None else last.time - self.hands.begin

    async def read(self, count: int) -> None:
        """Reads on until the client has had so many trades."""
        while sum(isinstance(one, tickwire.Trade) for one in self.seen) < count:
            self.seen += await self.feed.batch()

    def given(self, code: str) -> list[tuple[int, str]]:
        return [
            (one.time_ms - self.hands.begin, f"{one.price:f}")
            for one in self.seen
            if isinstance(one, tickwire.Trade) and one.code == code
        ]

    def had(self, code: str) -> list[tuple[int, str]]:
        return [(one.time - self.hands.begin, f"{one.price:.2f}") for one in self.emitted if one.code == code]

    async def cut(self) -> None:
        health = self.down.engine.market.source.health
        await until(lambda: health.status is Status.UP)
        self.wire.cut()
        await until(lambda: health.status is Status.DOWN)

    async def both(self, code: str, since: int) -> tuple[list[Any], list[Any]]:
        """The closed bars of both servers from that minute on, all that a client sees of each."""
        found = []
        for served in (self.up, self.down):
            bars, instrument = served.engine.market.feeds.first.bars, CATALOGUE[code]
            own: list[Any] = []
            for kline_type in HELD:
                held = await bars.joined(instrument, kline_type, count=500)
                own += [
                    (one.kline_type, one.time, one.open, one.high, one.low, one.close, one.volume)
                    for one in held
                    if one.time * 1000 >= self.hands.begin + since
                ]
            found.append(own)
        return found[0], found[1]

    async def standing(self) -> dict[str, Any]:
        (source,) = (await self.down.request("GET", "/readyz")).json()["sources"]
        return dict(source)

    async def gaps(self) -> list[dict[str, Any]]:
        found = (await self.down.get("/v1/gaps")).json()["data"]["gap_list"]
        return [one for one in found if one["reason"] != "the server did not run"]

    @property
    def fetched(self) -> int:
        """Requests for bars upstream."""
        return sum("kline_type" in one.get("data", {}) for one in self.asked)


@contextlib.asynccontextmanager
async def a_row(folder: Path, *, probe: bool = True, **upstream: Any) -> AsyncIterator[Row]:
    script, hands = Script(), Hands()
    script.codes = CODES
    async with (
        serving(folder / "up", script, late_window=3600, **upstream) as up,
        wire_to(up.url) as wire,
    ):
        relay = Relay(
            CATALOGUE,
            wire.url,
            token=lambda: "t",
            keep=CODES,
            silence=0.0,
            probe=probe,
            options=QUICK,
            clock=RealClock(hands.time),
            wall=hands.millis,
            dice=REAL.dice,
        )
        async with serving(folder / "down", relay) as down, feed_of(down) as feed:
            row = Row(script, up, wire, down, feed)
            row.hands = hands
            await row.emit(600)
            await feed.subscribe(trades=CODES)
            await until(lambda: {*CODES} <= down.engine.market.feeds.first.missing._complete)
            await row.read(len(CODES))
            yield row


async def test_an_outage_longer_than_the_late_window_is_resumed_and_no_bar_is_fetched(tmp_path: Path) -> None:
    async with a_row(tmp_path) as row:
        await row.emit(61_000, 75_000)
        await row.read(6)
        await row.cut()
        await row.emit(80_000)
        await row.emit(*range(90_000, 260_000, 7_000), codes=("GOLD",))
        await row.emit(261_000)
        gold = CATALOGUE["GOLD"]
        lacking = row.bars.forming(gold, KlineType.HOUR)
        assert lacking is not None
        assert lacking.incomplete
        await until(lambda: row.bars.forming(gold, KlineType.MINUTE) is None)  # the clock has closed it
        row.wire.join()
        await row.read(len(row.emitted))
        await row.live(262_000, 301_000, 361_000)
        for code in CODES:
            assert row.given(code) == row.had(code)
            theirs, ours = await row.both(code, MINUTE)
            assert ours == theirs
            for bar in await row.bars.joined(CATALOGUE[code], KlineType.MINUTE, count=9):
                assert bar.incomplete is (bar.time * 1000 == row.hands.begin), bar
        assert row.fetched == 0
        standing = await row.standing()
        assert (standing["resumed"], standing["gaps"], standing["late"]) == (2, 0, 0)
        assert standing["status"] == "up"
        gaps = await row.gaps()
        assert sorted(code for gap in gaps for code in gap["codes"]) == ["BTCUSDT", "GOLD"]
        assert all(gap["filled"] == gap["end"] for gap in gaps)
        assert not [one for one in row.seen if isinstance(one, tickwire.Gap)]


@pytest.mark.parametrize("strict", [False, True])
async def test_cut_after_cut_gives_each_trade_once(tmp_path: Path, *, strict: bool) -> None:
    async with a_row(tmp_path, strict_protocol=strict) as row:
        at = 61_000
        for number in range(6):
            await row.emit(at, at + 1)
            if number % 2:  # else it may be cut before it has gone on
                await until(lambda: not row.down.engine.market.feeds.first.missing._since)
            await row.cut()
            await row.emit(*range(at + 2, at + 42, 2))
            row.wire.join()
            await row.emit(at + 1_000)
            at += 29_000
        await row.read(len(row.emitted))
        await row.live(301_000)
        for code in CODES:
            assert row.given(code) == row.had(code)
            theirs, ours = await row.both(code, MINUTE)
            assert ours == theirs
        assert row.fetched == 0
        standing = await row.standing()
        assert standing["resumed"] >= 6
        assert (standing["gaps"], standing["late"]) == (0, 0)


async def test_a_cut_while_what_was_missed_still_comes(tmp_path: Path) -> None:
    async with a_row(tmp_path) as row:
        await row.emit(61_000)
        await row.cut()
        for at in range(62_000, 152_000, 30):
            row.at(at, *CODES)
        await row.emit(152_000)
        for _ in range(5):
            row.wire.join(100_000)
            await until(lambda: row.wire.is_cut)
            await until(lambda: row.down.engine.market.source.health.status is Status.DOWN)
        assert max(map(row.reached, CODES)) > 62_000
        assert min(map(row.reached, CODES)) < 152_000
        row.wire.join()
        await row.emit(181_000)
        await row.read(len(row.emitted))
        standing = await row.standing()
        assert (standing["gaps"], standing["late"]) == (0, 0)
        for code in CODES:
            assert row.given(code) == row.had(code)
            theirs, ours = await row.both(code, MINUTE)
            assert ours == theirs
        assert row.fetched == 0


async def test_what_upstream_has_let_go_of_is_a_gap_whose_bars_are_fetched(tmp_path: Path) -> None:
    async with a_row(tmp_path) as row:
        await row.emit(61_000)
        await row.read(4)
        await row.cut()
        await row.emit(70_000, 80_000)
        await forget(row.up)
        await row.emit(100_000, 125_000)
        row.wire.join()
        await row.read(4 + 4)
        assert [at for at, _ in row.given("GOLD")] == [600, 61_000, 100_000, 125_000]
        gaps = [one for one in row.seen if isinstance(one, tickwire.Gap)]
        assert sorted(one.code for one in gaps) == ["BTCUSDT", "GOLD"]
        await row.live(130_000, 184_000, 241_000, lost=4)
        missing = row.down.engine.market.feeds.first.missing
        await until(lambda: not missing.backfill._holes)  # type: ignore[union-attr]
        for code in CODES:
            theirs, ours = await row.both(code, MINUTE)
            assert ours == theirs
        standing = await row.standing()
        assert (standing["resumed"], standing["gaps"]) == (0, 2)
        assert row.fetched > 0
        await until(lambda: not missing._ledger._entries)
        assert all(gap["filled"] > gap["end"] for gap in await row.gaps())


async def test_an_upstream_that_is_asked_for_nothing_beyond_the_documents_leaves_a_gap(
    tmp_path: Path,
) -> None:
    async with a_row(tmp_path, probe=False) as row:
        await row.emit(61_000)
        await row.read(4)
        await row.cut()
        await row.emit(70_000)
        row.wire.join()
        await until(lambda: row.down.engine.market.source.health.status is Status.UP)
        await until(lambda: not row.down.engine.market.feeds.first.missing._since)
        assert {one.get("cmd_id", 0) for one in row.asked} <= {0, 22000, 22002, 22004}
        standing = await row.standing()
        assert (standing["resumed"], standing["gaps"]) == (0, 2)


async def test_an_upstream_that_knows_no_positions_is_asked_as_the_documents_have_it() -> None:
    async with upstream() as server, relaying(server.url, keep=["BTCUSDT"], probe=True) as consumer:
        await consumer.began("BTCUSDT")
        await server.callers[0].send(push(7))
        server.callers[0].socket.transport.abort()
        await consumer.take(Broke)
        await consumer.take(Began, 2)
        await server.callers[-1].send(push(8))
        await until(lambda: len(consumer.of(Trade)) + len(consumer.of(Snapshot)) == 2)
        assert consumer.of(Mended) == []
        for caller in server.callers:
            assert {one["cmd_id"] for one in caller.requests} <= {22000, 22002, 22004}
            assert caller.codes() == ["BTCUSDT"]


async def test_corrections_of_an_outage_come_behind_the_trades_that_they_correct(tmp_path: Path) -> None:
    relay: dict[str, Any] = {"source": "alltick", "upstream_token": "t", "upstream_plan": "unlimited"}
    async with (
        desk_in(tmp_path / "desk") as desk,
        wire_to(desk.served.url) as wire,
        serving(tmp_path / "relay", upstream_url=wire.url, codes=["BTCUSDT"], **relay) as second,
        feed_of(second) as feed,
    ):
        hub = desk.served.engine.gateway.hub
        await feed.subscribe(trades=["BTCUSDT"], corrections=["BTCUSDT"])
        await until(lambda: any(one.kind is Kind.CORRECTION for one in hub._wanted[Kind.CORRECTION]))
        await desk.data(packed(line(1, now(), "99")))
        seen: list[tickwire.client.Event] = []
        kinds = (tickwire.Trade, tickwire.Correction)
        while not any(isinstance(one, tickwire.Trade) for one in seen):
            seen += await feed.batch()
        wire.cut()
        await until(lambda: second.engine.market.source.health.status is Status.DOWN)
        await desk.data(
            packed(line(2, now(), "100"), line(3, now(), "200"), correct(4, 2, "101"), cancel(5, 3))
        )
        wire.join()
        while sum(isinstance(one, kinds) for one in seen) < 5:
            seen += await feed.batch()
        _, first, other, corrected, cancelled = [one for one in seen if isinstance(one, kinds)]
        assert isinstance(corrected, tickwire.Correction)
        assert isinstance(cancelled, tickwire.Correction)
        assert isinstance(first, tickwire.Trade)
        assert isinstance(other, tickwire.Trade)
        assert (corrected.was.price, cancelled.was.price) == (first.price, other.price)
        assert [first.price, other.price] == [100, 200]
        assert cancelled.became is None
        assert not [one for one in seen if isinstance(one, tickwire.Gap)]


async def test_books_go_on_too(tmp_path: Path) -> None:
    async with a_row(tmp_path) as row:
        await row.feed.subscribe(books=["BTCUSDT"])
        row.script.emit(book("BTCUSDT", at=row.hands.begin + 1_000))
        row.count += 1
        while not any(isinstance(one, tickwire.Book) for one in row.seen):
            row.seen += await row.feed.batch()
        await row.cut()
        for n in (2, 3):
            row.script.emit(book("BTCUSDT", levels=n, at=row.hands.begin + 1_000 * n))
            row.count += 1
        await row.emit(4_000)
        row.wire.join()
        await row.read(4)
        books = [one for one in row.seen if isinstance(one, tickwire.Book)]
        while len(books) < 2:
            row.seen += await row.feed.batch()
            books = [one for one in row.seen if isinstance(one, tickwire.Book)]
        assert [len(one.bids) for one in books] == [5, 3]
