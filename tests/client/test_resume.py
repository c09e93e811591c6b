"""A feed on a server that takes changes and resumes: nothing twice, and a gap only where it cannot be had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve

from tickwire import (
    Book,
    Correction,
    Feed,
    Gap,
    Kline,
    Position,
    Refusal,
    Subscribed,
    Trade,
    connect,
    sync,
)
from tickwire.client import Event
from tickwire.model import Family, Kind, moment

from ..server.test_resuming import forget, heard
from ..serving import Script, Served, book, serving, trade, until
from .alltick_stub import TOKEN, alltick
from .heard import Log
from .test_feed import feed_of
from .test_suite import OPTIONS, the

T0 = 1_788_529_064_027 // 60_000 * 60_000
HELLO, CHANGE, RESUME = 28000, 28012, 28016


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, plans={"desk": {"subscriptions": "1000/1s"}}, plan="desk") as served:
        yield served


class Reading:
    """What a feed gives, as it comes."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.seen: list[Event] = []

    async def until(self, count: int, kind: type[Event] = Trade) -> None:
        """Reads on until there are so many of a kind."""
        async with asyncio.timeout(120):
            while sum(isinstance(one, kind) for one in self.seen) < count:
                self.seen += await self.feed.batch()

    def times(self, code: str = "GOLD") -> list[int]:
        """Of the trades of a code, from T0 on."""
        return [one.time_ms - T0 for one in self.seen if isinstance(one, Trade) and one.code == code]

    @property
    def gaps(self) -> list[Gap]:
        return [one for one in self.seen if isinstance(one, Gap)]


class Hold:
    """Keeps clients out: connections are cut, and none is taken until it ends."""

    def __init__(self, served: Served) -> None:
        self.served = served

    async def __aenter__(self) -> None:
        gateway = self.served.engine.gateway
        gateway.draining = True
        for peer in [*gateway.callers]:
            peer.reset()
        await until(lambda: not gateway.callers)

    async def __aexit__(self, *_: object) -> None:
        self.served.engine.gateway.draining = False


async def emit(served: Served, script: Script, *events: Any) -> None:
    """The source yields these, and the market has them."""
    before = served.engine.market.events
    script.emit(*events)
    await heard(served, before + len(events))


def at(*times: int, code: str = "GOLD") -> list[Any]:
    return [trade(code, at=T0 + time) for time in times]


async def test_what_came_during_a_cut_is_given_once_and_in_order(served: Served, script: Script) -> None:
    async with feed_of(served) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD", "BTCUSDT"], books={"BTCUSDT": 2})
        await the(feed, Subscribed)
        await emit(served, script, *at(*range(5)), book("BTCUSDT"))
        await reading.until(5)
        await reading.until(1, Book)
        for count, begin in enumerate((5, 300), 2):
            async with Hold(served):
                await emit(served, script, *at(*range(begin, begin + 290)), *at(begin, code="BTCUSDT"))
                await emit(served, script, *(book("BTCUSDT", at=T0 + n) for n in range(begin, begin + 9)))
            await emit(served, script, *at(*range(begin + 290, begin + 295)))
            await reading.until(count, Book)
        await reading.until(597)
    assert reading.times() == [*range(595)]
    assert reading.times("BTCUSDT") == [5, 300]
    books = [one for one in reading.seen if isinstance(one, Book)]
    assert [(one.time_ms - T0, len(one.bids)) for one in books][1:] == [(13, 2), (308, 2)]
    assert reading.gaps == []


async def test_bars_that_closed_or_were_revised_meanwhile_come_before_the_one_that_forms(
    served: Served, script: Script
) -> None:
    async with feed_of(served) as feed:
        reading = Reading(feed)
        await feed.subscribe(klines=[("GOLD", "1m")])
        await the(feed, Subscribed)
        await emit(served, script, trade("GOLD", "1", at=T0))
        await reading.until(1, Kline)
        async with Hold(served):
            trades = [trade("GOLD", str(n + 1), at=T0 + 20_000 * n) for n in range(1, 8)]
            await emit(served, script, *trades)
            bars = served.engine.market.streams.bars(served.engine.catalogue["GOLD"], 1)
            await until(lambda: bars.last.kline.close == 8)  # type: ignore[union-attr]
        await reading.until(4, Kline)
        script.emit(trade("GOLD", "9", at=T0 + 150_000))
        await reading.until(5, Kline)
    found = [one for one in reading.seen if isinstance(one, Kline)]
    assert [(str(one.state), int(one.close)) for one in found[:1]] == [("forming", 1)]
    assert [(str(one.state), int(one.close)) for one in found[1:]] == [
        ("closed", 3),
        ("closed", 6),
        ("forming", 8),
        ("forming", 9),
    ]
    assert reading.gaps == []


async def test_what_cannot_be_had_is_a_gap_with_its_range_and_number(served: Served, script: Script) -> None:
    async with feed_of(served) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD", "BTCUSDT"])
        await the(feed, Subscribed)
        await emit(served, script, *at(0, 1), *at(0, code="BTCUSDT"))
        await reading.until(3)
        async with Hold(served):
            await emit(served, script, *at(*range(2, 10)))
            await forget(served)
            await emit(served, script, *at(10, 11))
        await emit(served, script, *at(1, code="BTCUSDT"))
        await reading.until(6)
    assert reading.times() == [0, 1, 10, 11]
    (gap,) = reading.gaps
    assert (gap.code, gap.kind, gap.missed) == ("GOLD", Kind.TRADE, 8)
    assert (gap.begin, gap.end) == (moment(T0 + 1), moment(T0 + 10))
    place = reading.seen.index(gap)
    assert next(one.time_ms - T0 for one in reading.seen[place:] if isinstance(one, Trade)) == 10


async def test_a_server_that_was_begun_anew_counts_in_another_epoch(tmp_path: Path) -> None:
    first, second = Script(), Script()
    async with serving(tmp_path, first) as served, feed_of(served) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD"], books=["GOLD"])
        await the(feed, Subscribed)
        await emit(served, first, *at(0, 1), book("GOLD", at=T0))
        await reading.until(2)
        await reading.until(1, Book)
        positions = feed.positions()
    async with serving(tmp_path, second) as served, feed_of(served, resume=positions) as feed:
        await emit(served, second, *at(5, 6), book("GOLD", at=T0 + 5))
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD"], books=["GOLD"])
        await reading.until(2)
        await reading.until(1, Book)
        assert reading.times() == [5, 6]
        assert [(one.kind, one.missed, one.begin) for one in reading.gaps] == [
            (Kind.TRADE, None, moment(T0 + 1))
        ]
        epochs = {(one.kind, one.epoch) for one in feed.positions()}
        assert epochs == {(kind, served.engine.market.epoch) for kind in (Kind.TRADE, Kind.DEPTH)}


async def test_lists_change_item_by_item(served: Served, script: Script) -> None:
    log = Log(served)
    async with feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD", "BTCUSDT"], klines={"GOLD": "1m"}, corrections=["GOLD"])
        for _ in range(3):
            await the(feed, Subscribed)
        await feed.subscribe(trades=["EURUSD"])
        await feed.unsubscribe(trades=["GOLD"])
        told = await the(feed, Subscribed)
        assert told == Subscribed(Kind.TRADE, ("BTCUSDT", "EURUSD"))
    asked = [message for _, message in log.heard]
    assert [one["cmd_id"] for one in asked] == [HELLO, CHANGE, CHANGE]
    assert asked[2]["data"] == {
        "add": [{"kind": "trade", "code": "EURUSD"}],
        "remove": [{"kind": "trade", "code": "GOLD"}],
    }


async def test_what_is_refused_is_told_item_by_item(tmp_path: Path) -> None:
    plans = {"small": {"codes": 2}}
    async with serving(tmp_path, Script(), plans=plans, plan="small") as served, feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD", "GOLDD", "BTCUSDT", "EURUSD"])
        told = await the(feed, Subscribed)
        assert told == Subscribed(Kind.TRADE, ("GOLD", "BTCUSDT"))
        found = [await the(feed, Refusal) for _ in range(2)]
        by_ret = {one.ret: one for one in found}
        assert by_ret[600].keys == ("GOLDD",)
        assert by_ret[600].again is None
        assert "GOLD" in (by_ret[600].nearest or ())
        assert by_ret[603].keys == ("EURUSD",)
        await feed.unsubscribe(trades=["GOLD"])
        told = await the(feed, Subscribed)
        assert told == Subscribed(Kind.TRADE, ("BTCUSDT", "EURUSD"))  # there is room now


# Patterns.
async def test_a_pattern_means_what_runs_and_what_begins_later(served: Served, script: Script) -> None:
    async with feed_of(served) as feed:
        reading = Reading(feed)
        await emit(served, script, *at(0, code="BTCUSDT"), *at(0))
        await feed.subscribe(trades=["*USDT"])
        await reading.until(1)
        await emit(served, script, *at(1, code="ETHUSDT"), *at(1))
        await reading.until(2)
        assert {one.code for one in feed.positions()} == {"BTCUSDT", "ETHUSDT"}
        async with Hold(served):
            await emit(served, script, *at(2, 3, code="BTCUSDT"), *at(2, code="ETHUSDT"))
            await emit(served, script, *at(2, code="SOLUSDT"), *at(2, 3, code="XRPUSDT"))
        await reading.until(7)
        assert [reading.times(code) for code in ("BTCUSDT", "ETHUSDT")] == [[0, 2, 3], [1, 2]]
        assert reading.times("SOLUSDT") == [2]  # it is its first: nothing is missing
        assert reading.times("XRPUSDT") == [3]
        assert [one.code for one in reading.gaps] == ["XRPUSDT"]
        await feed.unsubscribe(trades=["*USDT"])
        await feed.subscribe(trades=["ETHUSDT"])
        await until(lambda: len(served.engine.gateway.hub.wanted().get(Kind.TRADE, ())) == 1)
        await emit(served, script, *at(4, code="BTCUSDT"), *at(4, code="ETHUSDT"))
        await reading.until(8)
        assert reading.times("BTCUSDT")[-1] == 3
        assert reading.times("ETHUSDT") == [1, 2, 4]


async def test_a_pattern_is_of_the_family_that_its_end_says(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served, feed_of(served) as feed:
        await emit(served, script, trade("700.HK"), trade("AAPL.US"))
        await feed.subscribe(trades=["*.HK"])
        assert [*feed.links] == [Family.STOCK]
        assert (await the(feed, Trade)).code == "700.HK"


# Positions.
async def test_another_feed_goes_on_behind_what_the_program_was_given(served: Served, script: Script) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD"], klines={"GOLD": "1m"})
        await the(feed, Subscribed)
        await emit(served, script, *at(*range(10)))
        await until(lambda: len(feed._buffer) > 10)
        for number in range(4):  # of a batch that holds all of them
            assert (await the(feed, Trade)).time_ms == T0 + number
        positions = feed.positions()
    (one,) = (one for one in positions if one.kind is Kind.TRADE)
    epoch = served.engine.market.epoch
    assert one == Position(Kind.TRADE, "GOLD", epoch, epoch + 3, "", one.time_ms)
    await emit(served, script, *at(*range(10, 15)))
    async with feed_of(served, resume=positions) as feed:
        reading = Reading(feed)
        assert {one.kind for one in feed.positions()} == {Kind.TRADE, Kind.KLINE}  # not subscribed to yet
        await feed.subscribe(trades=["GOLD"], klines={"GOLD": "1m"})
        await reading.until(11)
        assert reading.times() == [*range(4, 15)]
        await reading.until(1, Kline)
        assert reading.gaps == []
        positions = feed.positions()
    await emit(served, script, *at(15, 16, 17))
    await forget(served)
    await emit(served, script, *at(18))
    async with feed_of(served, resume=positions) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD"])
        await reading.until(1)
        (gap,) = reading.gaps
        assert (gap.begin, gap.end, gap.missed) == (moment(T0 + 14), moment(T0 + 18), 3)


async def test_what_a_pattern_brought_goes_on_too(served: Served, script: Script) -> None:
    await emit(served, script, *at(0), *at(0, code="BTCUSDT"))
    async with feed_of(served) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["*"])
        await reading.until(2)
        positions = feed.positions()
    await emit(served, script, *at(1, 2))
    async with feed_of(served, resume=positions) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["*"])
        await reading.until(2)
        await emit(served, script, *at(3), *at(3, code="BTCUSDT"))
        await reading.until(4)
        assert (reading.times(), reading.times("BTCUSDT"), reading.gaps) == ([1, 2, 3], [3], [])


async def test_corrections_are_resumed(served: Served, script: Script) -> None:
    from tickwire.model import Correction as WireCorrection

    async with feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD"], corrections=["GOLD"])
        await the(feed, Subscribed)
        first = trade("GOLD", at=T0)
        await emit(served, script, first)
        await the(feed, Trade)
        async with Hold(served):
            script.emit(WireCorrection("GOLD", T0 + 1, first, None))
            stream = served.engine.market.streams.corrections(served.engine.catalogue["GOLD"])
            await until(lambda: stream.seq)
        found = await the(feed, Correction)
        assert (found.was.price, found.became) == (Decimal("79317.70"), None)


def test_the_synchronous_feed_has_positions_too(tmp_path: Path) -> None:
    script = Script()

    async def run() -> list[Position]:
        async with serving(tmp_path, script) as served:
            await emit(served, script, *at(0))
            return await asyncio.to_thread(read, served.url)

    def read(url: str) -> list[Position]:
        with sync.connect(url, token="t", plan="unlimited") as feed:
            feed.subscribe(trades=["GOLD"])
            next(one for one in feed if isinstance(one, Trade))
            positions = feed.positions()
        with sync.connect(url, token="t", plan="unlimited", resume=positions) as feed:
            feed.subscribe(trades=["GOLD"])
            next(one for one in feed if isinstance(one, Subscribed))
            script.emit(*at(1))
            assert next(one for one in feed if isinstance(one, Trade)).time_ms == T0 + 1
        return positions

    (one,) = asyncio.run(run())
    assert (one.code, one.time_ms, one.seq) == ("GOLD", T0, one.epoch)


# Elsewhere.
async def test_another_server_sees_no_request_that_it_does_not_know() -> None:
    async with alltick() as stub, connect(stub.url, token=TOKEN, plan="unlimited", options=OPTIONS) as feed:
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD", "*USDT"], books=["GOLD"])
        refused = await the(feed, Refusal)
        assert (refused.keys, refused.ret, refused.again) == (("*USDT",), 400, None)
        assert "Tickwire only" in refused.msg
        await reading.until(2, Subscribed)
        await stub.trade("GOLD", at=T0)
        await reading.until(1)
        assert feed.positions() == []
        await stub.cut()
        await reading.until(4, Subscribed)
        await stub.trade("GOLD", at=T0 + 5)
        await reading.until(2)
        assert len(reading.gaps) == 1
        asked = [(one["cmd_id"], [*one["data"]["symbol_list"]]) for _, one in stub.requests]
        assert (
            asked == [(22002, [{"code": "GOLD"}]), (22004, [{"code": "GOLD"}])] * 2
            or asked
            == [
                (22004, [{"code": "GOLD"}]),
                (22002, [{"code": "GOLD"}]),
            ]
            * 2
        )


async def test_positions_that_another_server_cannot_go_on_from_are_a_gap() -> None:
    positions = [Position(Kind.TRADE, "GOLD", 7, 9, "", T0)]
    async with (
        alltick() as stub,
        connect(stub.url, token=TOKEN, plan="unlimited", options=OPTIONS, resume=positions) as feed,
    ):
        reading = Reading(feed)
        await feed.subscribe(trades=["GOLD"])
        await reading.until(1, Subscribed)
        await stub.trade("GOLD", at=T0 + 5)
        await reading.until(1)
        (gap,) = reading.gaps
        assert (gap.begin, gap.end) == (moment(T0), moment(T0 + 5))


@pytest.mark.parametrize("answers", [True, False])
async def test_a_server_that_takes_the_subprotocol_for_its_own_is_spoken_to_as_ever(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.wire.conversation.PATIENCE", 0.05)
    asked: list[int] = []

    async def talk(client: ServerConnection) -> None:
        async for text in client:
            request = json.loads(text)
            asked.append(request["cmd_id"])
            known = request["cmd_id"] < HELLO
            if known or answers:
                ret = 200 if known else 400
                answer = {"ret": ret, "msg": "", "cmd_id": request["cmd_id"] + 1, "trace": "", "data": {}}
                await client.send(json.dumps(answer | {"seq_id": request["seq_id"]}))

    def first(_: ServerConnection, offered: Any) -> Any:
        return offered[0]

    async with serve(talk, "127.0.0.1", 0, select_subprotocol=first) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"http://127.0.0.1:{port}", token="t", plan="unlimited") as feed:
            await feed.subscribe(trades=["GOLD"])
            await the(feed, Subscribed)
    assert asked == [HELLO, 22004]


def test_the_vendor_s_own_servers_are_not_asked_at_all() -> None:
    for url, extended in (("https://quote.alltick.co", False), ("http://127.0.0.1:8600", True)):
        feed = connect(url, token="t")
        assert feed._options.extended is extended
