"""One suite for the feed and the API, against our server and against one that behaves like AllTick's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest

from tickwire import (
    Book,
    Feed,
    Gap,
    Kline,
    Refusal,
    RequestRefused,
    Status,
    Subscribed,
    Trade,
    Unauthorized,
    connect,
)
from tickwire.client import Backoff, Event, Options, Plan
from tickwire.model import Direction, Family, Kind, moment
from tickwire.wire import Terms

from ..serving import Script, book, serving, trade, until
from .alltick_stub import TOKEN, alltick
from .heard import begin

T0 = 1788529064027
OPTIONS = Options(Terms(heartbeat=5.0, mute=5.0), Backoff(first=0.01, most=0.02), close_timeout=0.2)
FAST = Plan(subscribe_spacing=0.0)
CODES = ("BTCUSDT", "GOLD", "AAPL.US")

One = TypeVar("One", bound=Event)


@dataclass
class Place:
    """A server of the protocol, and what a test lets happen there."""

    name: str
    url: str
    trade: Callable[[str, int], Awaitable[None]]
    book: Callable[[str, int], Awaitable[None]]
    cut: Callable[[], Awaitable[None]]
    wanted: Callable[[], set[str]]
    expire: Callable[[], None]
    resumes: bool = False

    def connect(self, **options: object) -> Feed:
        return connect(self.url, **{"token": TOKEN, "plan": FAST, "options": OPTIONS, **options})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def ours(folder: Path) -> AsyncIterator[Place]:
    script = Script()
    async with serving(folder, script) as served:

        async def push_trade(code: str, at: int) -> None:
            script.emit(trade(code, at=at))

        async def push_book(code: str, at: int) -> None:
            script.emit(book(code, 1, at))

        async def cut() -> None:
            for peer in [*served.engine.gateway.callers]:
                peer.close(1011, "cut")

        def wanted() -> set[str]:
            by_kind = served.engine.gateway.hub.wanted()
            return {one.code for one in by_kind.get(Kind.TRADE, ())}

        def expire() -> None:
            begin(served, {"do": "expire-token"})

        yield Place("tickwire", served.url, push_trade, push_book, cut, wanted, expire, resumes=True)


@contextlib.asynccontextmanager
async def vendor(*, texts: bool, pairs: bool) -> AsyncIterator[Place]:
    async with alltick(texts=texts, pairs=pairs) as stub:
        yield Place(
            "alltick",
            stub.url,
            lambda code, at: stub.trade(code, at=at),
            lambda code, at: stub.book(code, at=at),
            stub.cut,
            lambda: stub.wanted(22004),
            lambda: setattr(stub, "token", "another"),
        )


async def test_a_server_that_counts_anew_costs_nothing_and_leaves_a_gap() -> None:
    async with alltick() as stub, connect(stub.url, token=TOKEN, plan=FAST, options=OPTIONS) as feed:
        await feed.subscribe(trades=["GOLD"], books=["GOLD"])
        for _ in range(2):
            await the(feed, Subscribed)
        seen: list[Event] = []
        for number in range(100):
            if number == 50:
                stub.count_from(1)
            await stub.trade("GOLD", at=T0 + number)
            await stub.book("GOLD", at=T0 + number)
        for _ in range(100):
            await the(feed, Trade, seen)
        times = [one.time_ms for one in seen if isinstance(one, Trade)]
        assert times == [*range(T0, T0 + 100)]
        gaps = [one for one in seen if isinstance(one, Gap)]
        assert {(one.kind, one.code, one.reason, one.missed) for one in gaps} == {
            (Kind.TRADE, "GOLD", "the server counts anew", None),
            (Kind.DEPTH, "GOLD", "the server counts anew", None),
        }
        assert [one.begin for one in gaps if one.kind is Kind.TRADE] == [moment(T0 + 49)]


async def test_one_wrong_time_costs_no_right_trade_and_what_is_dropped_is_a_gap() -> None:
    async with alltick() as stub, connect(stub.url, token=TOKEN, plan=FAST, options=OPTIONS) as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        seen: list[Event] = []
        for number in range(20):
            if number == 10:
                await stub.trade("GOLD", at=4_000_000_000_000)
                stub.count_from(50)
            await stub.trade("GOLD", at=T0 + number)
        stub.count_from(1)
        for _ in range(3):
            await stub.trade("GOLD", at=T0 + 5)
        stub.count_from(10_000)
        await stub.trade("GOLD", at=T0 + 20)
        for _ in range(22):
            await the(feed, Trade, seen)
        times = [one.time_ms for one in seen if isinstance(one, Trade)]
        assert times == [*range(T0, T0 + 10), 4_000_000_000_000, *range(T0 + 10, T0 + 21)]
        gaps = [(one.reason, one.missed) for one in seen if isinstance(one, Gap)]
        assert gaps == [("the server counts anew", None), ("the server sends numbers of before", 3)]


@pytest.fixture(params=["tickwire", "alltick", "odd alltick"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    name = str(request.param)
    odd = name == "odd alltick"
    made = ours(tmp_path) if name == "tickwire" else vendor(texts=odd, pairs=odd)
    async with made as found:
        yield found


async def the(feed: Feed, kind: type[One], seen: list[Event] | None = None) -> One:
    """The next event of that kind; what came before it is put into `seen`."""
    async with asyncio.timeout(120):
        async for event in feed:
            if seen is not None:
                seen.append(event)
            if isinstance(event, kind):
                return event
    raise AssertionError("the feed ended")


async def test_typed_events_of_both_families_come_over_two_sockets(place: Place) -> None:
    async with place.connect() as feed:
        await feed.subscribe(trades=["GOLD", "AAPL.US"], books={"GOLD": 1})
        for _ in range(3):
            await the(feed, Subscribed)
        assert {*feed.links} == {Family.STOCK, Family.OTHER}
        await place.trade("GOLD", T0)
        found = await the(feed, Trade)
        assert (found.code, found.time_ms) == ("GOLD", T0)
        assert (found.time.isoformat(), found.seq > 0) == ("2026-09-04T13:37:44.027000+00:00", True)
        assert isinstance(found.price, Decimal)
        assert isinstance(found.direction, Direction)
        await place.trade("AAPL.US", T0)
        assert (await the(feed, Trade)).code == "AAPL.US"
        await place.book("GOLD", T0)
        deep = await the(feed, Book)
        assert (deep.code, len(deep.bids)) == ("GOLD", 1)
        assert deep.best_bid == deep.bids[0]


async def test_subscriptions_are_added_and_removed_one_by_one(place: Place) -> None:
    async with place.connect() as feed:
        for code in ("BTCUSDT", "GOLD"):
            await feed.subscribe(trades=[code])
            await the(feed, Subscribed)
        assert place.wanted() == {"BTCUSDT", "GOLD"}
        await feed.unsubscribe(trades=["BTCUSDT"])
        await the(feed, Subscribed)
        assert place.wanted() == {"GOLD"}
        await place.trade("BTCUSDT", T0)
        await place.trade("GOLD", T0)
        assert (await the(feed, Trade)).code == "GOLD"


async def test_after_a_cut_all_comes_back_and_every_stream_that_cannot_be_resumed_has_its_gap(
    place: Place,
) -> None:
    async with place.connect() as feed:
        await feed.subscribe(trades=CODES[:2], books=CODES[:1])
        for _ in range(2):
            await the(feed, Subscribed)
        for code in CODES[:2]:
            await place.trade(code, T0)
            await the(feed, Trade)
        await place.cut()
        seen: list[Event] = []
        for _ in range(2):
            await the(feed, Subscribed, seen)
        await place.book("BTCUSDT", T0 + 4)
        for code in CODES[:2]:
            await place.trade(code, T0 + 5)
        await until(lambda: place.wanted() == {*CODES[:2]})
        while sum(type(one) in (Trade, Book) for one in seen) < 3:
            seen += await asyncio.wait_for(feed.batch(), 120)
        states = [one.state for one in seen if isinstance(one, Status)]
        assert states == ["down", "connecting", "up"]
        gaps = [one for one in seen if isinstance(one, Gap)]
        if place.resumes:
            assert gaps == []
            return
        assert {(one.kind, one.code, one.missed) for one in gaps} == {
            (Kind.TRADE, "BTCUSDT", None),
            (Kind.TRADE, "GOLD", None),
            (Kind.DEPTH, "BTCUSDT", None),
        }
        assert len(gaps) == 3
        for gap in gaps:
            event = next(one for one in seen[seen.index(gap) :] if isinstance(one, (Trade, Book)))
            assert (event.code, event.time) == (gap.code, gap.end)
            assert (gap.begin is None) == (gap.kind is Kind.DEPTH)


async def test_nothing_comes_twice(place: Place) -> None:
    async with place.connect() as feed:
        await feed.subscribe(trades=CODES)
        for _ in range(2):
            await the(feed, Subscribed)
        for number in range(30):
            await place.trade(CODES[number % 3], T0 + number)
        found = [await the(feed, Trade) for _ in range(30)]
        assert sorted(one.time_ms for one in found) == [*range(T0, T0 + 30)]
        await place.trade("GOLD", T0 + 31)
        assert (await the(feed, Trade)).time_ms == T0 + 31


async def test_a_token_that_expires_is_the_end_and_says_so(place: Place) -> None:
    async with place.connect() as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        place.expire()
        await place.cut()
        with pytest.raises(Unauthorized, match="token invalid") as caught:
            await the(feed, Trade)
        assert (caught.value.ret, caught.value.retryable) == (401, False)
        assert TOKEN not in str(caught.value)
        with pytest.raises(Unauthorized):
            await feed.api.latest_trades("GOLD")


async def test_klines_are_pushed_or_refused(place: Place) -> None:
    async with place.connect() as feed:
        await feed.subscribe(klines={"GOLD": "1m"})
        if place.name != "tickwire":
            refused = await the(feed, Refusal)
            assert (refused.kind, refused.keys, refused.ret) == (Kind.KLINE, (("GOLD", 1),), 400)
            return
        await the(feed, Subscribed)
        await place.trade("GOLD", T0)
        bar = await the(feed, Kline)
        assert (bar.code, bar.interval, bar.state) == ("GOLD", "1m", "forming")
        assert bar.time_ms == T0 - T0 % 60_000
        await feed.unsubscribe(klines=[("GOLD", 1)])
        await the(feed, Subscribed)


async def test_the_user_is_told_of_states_at_once(place: Place) -> None:
    told: list[Status] = []
    async with place.connect(on_state=told.append) as feed:
        await feed.subscribe(trades=["GOLD"])
        await until(lambda: len(told) == 2)
        await place.cut()
        await until(lambda: len(told) >= 5)
    assert [one.state for one in told[:5]] == ["connecting", "up", "down", "connecting", "up"]
    assert {one.family for one in told} == {Family.OTHER}
    assert told[-1].state == "down"


async def test_the_last_trades_and_books_over_http(place: Place) -> None:
    async with place.connect() as feed:
        for code in ("GOLD", "AAPL.US"):
            await place.trade(code, T0)
        await place.book("GOLD", T0)

        async def there() -> bool:
            return len(await feed.api.latest_trades(["GOLD", "AAPL.US"])) == 2

        async with asyncio.timeout(120):
            while not await there():
                pass
        found = await feed.api.latest_trades(["GOLD", "nonsense", "AAPL.US"])
        assert [one.code for one in found] == ["GOLD", "AAPL.US"]
        assert {one.time_ms for one in found} == {T0}
        assert [one.code for one in await feed.api.books("GOLD")] == ["GOLD"]
        with pytest.raises(RequestRefused, match="code invalid") as caught:
            await feed.api.latest_trades(["nonsense"])
        assert caught.value.ret == 600
