"""What is published as a source: order, duplicates, room, new instruments, what is kept of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tickwire.errors import SourceError, StoreError
from tickwire.model import Book, Catalogue, Event, Instrument, Kind, Market, Trade
from tickwire.sources import Published, QuoteTrades, Resent, Source, Status, published
from tickwire.store import load_catalogue
from tickwire.wire import Tally

NOW = 1_800_000_000_000
SHIPPED = load_catalogue()
ONE = Decimal(1)
NEW = {
    "type": "instrument",
    "code": "MYIDX",
    "market": "crypto",
    "price_decimals": 3,
    "volume_decimals": 0,
    "turnover_decimals": 3,
    "levels": 2,
}


def a_source(
    catalogue: Catalogue | None = None, keep: Callable[[Instrument], object] = id, **options: Any
) -> Published:
    """`keep` is called in a thread."""

    async def kept(instrument: Instrument) -> None:
        await asyncio.to_thread(keep, instrument)

    made = catalogue or Catalogue(SHIPPED)
    return Published(made, ["BTCUSDT"], keep=kept, **{"wall": lambda: NOW} | options)


def an_instrument(code: str) -> Instrument:
    return Instrument(
        code=code, market=Market.CRYPTO, price_decimals=3, volume_decimals=0, turnover_decimals=3, levels=2
    )


def a_trade(seq: int = 0, code: str = "BTCUSDT", **more: Any) -> dict[str, Any]:
    line = {"type": "trade", "code": code, "time": NOW, "price": 5, "volume": 1} | more
    return line | {"seq": seq} if seq else line


def a_book(*bids: tuple[int, int], kind: str = "book", code: str = "BTCUSDT") -> dict[str, Any]:
    return {"type": kind, "code": code, "time": NOW, "bids": bids, "asks": []}


def a_quote(code: str = "GOLD", **more: Any) -> dict[str, Any]:
    return {"type": "quote", "code": code, "time": NOW, "bid": "4000.00", "ask": "4000.25"} | more


async def take(source: Published, *lines: dict[str, Any] | bytes, by: str = "p", **options: Any) -> Tally:
    """Publishes these; the tally of it."""
    publisher = source.publishers.named(by)
    tally = source.tally(publisher)
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    await source.take(publisher, encoded, tally, **options)
    return tally


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.accepted, tally.duplicates, tally.bad_lines, tally.seq


def reasons(tally: Tally) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in tally.bad]


class Taken:
    """What a source has yielded, as it goes on."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Condition()

    async def consume(self, source: Published) -> None:
        async with aclosing(source.events()) as events:  # type: ignore[type-var]
            async for event in events:
                assert not isinstance(event, Resent)
                self.events.append(event)
                async with self._changed:
                    self._changed.notify_all()

    async def until(self, count: int) -> list[Event]:
        """The events when there are so many."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= count)
        return self.events


@asynccontextmanager
async def served(source: Published) -> AsyncIterator[Taken]:
    """Its events while it is served."""
    taken = Taken()
    consuming = asyncio.create_task(taken.consume(source))
    try:
        yield taken
    finally:
        consuming.cancel()
        await asyncio.wait([consuming])


# What it is.
async def test_it_keeps_the_contract() -> None:
    source: Source = a_source()
    assert (source.name, source.simulated, source.patient) == ("publish", False, False)
    assert (source.round_the_clock, source.live, source.limited, source.history) == (
        False,
        False,
        False,
        None,
    )
    assert source.codes == ["BTCUSDT"]
    assert source.market_time() == NOW
    assert all(source.serves(one) for one in SHIPPED)
    assert not source.serves(an_instrument("MYIDX"))
    assert source.past(SHIPPED["GOLD"]) is None
    assert not source.want(Kind.TRADE, ["BTCUSDT"], subscribed=True)
    assert source.room(Kind.TRADE, ["BTCUSDT"]) == ["BTCUSDT"]


async def test_health() -> None:
    source = a_source()
    assert source.health.status is Status.CONNECTING
    async with served(source) as taken:
        await asyncio.sleep(0)
        assert (source.health.status, source.health.reason) == (Status.UP, "nothing published yet")
        await take(source, a_trade(time=NOW - 250), b"what", b"")
        await taken.until(1)
        assert (source.health.status, source.health.reason) == (Status.UP, "")
        assert (source.health.bad, source.health.lag) == (1, 250)


# Events.
async def test_events_come_in_the_order_of_the_lines() -> None:
    source = a_source()
    async with served(source) as taken:
        tally = await take(source, a_trade(price=1), a_book((1, 1)), a_trade(price=2), a_quote())
        events = await taken.until(5)
    assert counts(tally) == (4, 0, 0, 0)
    assert [type(event) for event in events] == [Trade, Book, Trade, Book, Trade]
    assert [event.code for event in events] == ["BTCUSDT"] * 3 + ["GOLD"] * 2


async def test_a_bad_line_is_told_with_its_number_and_the_others_pass() -> None:
    source = a_source()
    async with served(source) as taken:
        tally = await take(
            source,
            a_trade(),
            b"{",
            b"",
            b"  \r",
            a_trade(code="NOSUCH"),
            a_trade(price="1.234"),
            a_trade(time=NOW + 60_001),
            a_trade(time=NOW + 60_000),
        )
        assert len(await taken.until(2)) == 2
    assert counts(tally) == (2, 0, 4, 0)
    assert tally.lines == 8
    assert [line for line, _ in reasons(tally)] == [2, 5, 6, 7]
    assert reasons(tally)[1:] == [
        (5, "code 'NOSUCH' is unknown"),
        (6, "price 1.234 has more than 2 decimals"),
        (7, "time is too far ahead of the server's clock"),
    ]


async def test_a_delta_goes_on_from_the_book_before_it() -> None:
    source = a_source()
    async with served(source) as taken:
        tally = await take(source, a_book((9, 1), kind="delta"), a_book((9, 1)), a_book((8, 1), kind="delta"))
        assert reasons(tally) == [(1, "a delta of BTCUSDT needs a whole book before it")]
        last = (await taken.until(2))[-1]
        assert isinstance(last, Book)
        assert [int(level.price) for level in last.bids] == [9, 8]
        # After a delta that is refused nobody knows what the book is.
        tally = await take(source, a_book((0, 1), kind="delta"), a_book((7, 1), kind="delta"))
        assert [line for line, _ in reasons(tally)] == [1, 2]
        assert counts(await take(source, a_book((6, 1)), a_book((5, 1), kind="delta"))) == (2, 0, 0, 0)


async def test_an_index_has_no_book() -> None:
    source = a_source()
    tally = await take(source, a_book((1, 1), code=".DJI.US"), a_quote(".DJI.US"), a_trade(code=".DJI.US"))
    assert reasons(tally) == [(1, ".DJI.US has no book"), (2, ".DJI.US has no book")]


@pytest.mark.parametrize(
    ("way", "prices"),
    [
        (QuoteTrades.BID, ["4000.00", None, "4000.01"]),
        (QuoteTrades.MID, ["4000.13", None, None]),  # 4000.125, half up
        (QuoteTrades.NONE, [None, None, None]),
    ],
)
async def test_a_quote_is_a_trade_where_trade_is_by_quotes(
    way: QuoteTrades, prices: list[str | None]
) -> None:
    for line, price in zip(
        [a_quote(seq=5), a_quote(bid=None), a_quote(bid="4000.01", ask=None)], prices, strict=True
    ):
        source = a_source(quote_trades=way)
        await take(source, line)
        async with served(source) as taken:
            events = await taken.until(1 if price is None else 2)
        assert isinstance(events[0], Book)
        assert events[1:] == (
            []
            if price is None
            else [Trade("GOLD", NOW, Decimal(price), Decimal(0), source_seq=line.get("seq", 0))]
        )


async def test_a_quote_of_what_trades_by_trades_is_a_book_only() -> None:
    source = a_source()
    await take(source, a_quote("BTCUSDT"), a_quote("AAPL.US"))
    async with served(source) as taken:
        assert [type(event) for event in await taken.until(2)] == [Book, Book]


async def test_a_token_may_publish_what_it_may_read() -> None:
    source = a_source()
    allows: Callable[[Instrument], bool] = lambda one: one.market is Market.CRYPTO  # noqa: E731
    lines = [a_trade(), a_trade(code="GOLD"), NEW, NEW | {"code": "A", "market": "forex"}]
    tally = await take(source, *lines, allows=allows)
    assert reasons(tally) == [(2, "the token may not publish GOLD"), (4, "the token may not publish A")]
    assert tally.accepted == 2


# Sequence.
async def test_what_was_taken_is_not_taken_again() -> None:
    source = a_source()
    async with served(source) as taken:
        assert counts(await take(source, a_trade(1), a_trade(5), a_trade(5), a_trade(4))) == (2, 2, 0, 5)
        assert counts(await take(source, a_trade(5), a_trade(6), a_trade())) == (2, 1, 0, 6)
        assert len(await taken.until(4)) == 4
        assert source.standing(source.publishers.named("p")).seq == 6


async def test_each_publisher_counts_alone() -> None:
    source = a_source()
    assert counts(await take(source, a_trade(9), by="one")) == (1, 0, 0, 9)
    assert counts(await take(source, a_trade(2), by="two")) == (1, 0, 0, 2)


async def test_a_bad_line_leaves_its_number_free() -> None:
    source = a_source()
    assert counts(await take(source, a_trade(1), a_trade(2, price="x"))) == (1, 0, 1, 1)
    assert counts(await take(source, a_trade(1), a_trade(2))) == (1, 1, 0, 2)


async def test_what_is_noted_is_what_was_yielded() -> None:
    source = a_source()
    await take(source, *(a_trade(n) for n in range(1, 4)), a_quote(seq=4), a_trade(), by="a")
    assert source.publishers.notes() == {}
    noted = []
    async with aclosing(source.events()) as events:  # type: ignore[type-var]
        for _ in range(6):
            await anext(events)
            noted.append(source.publishers.named("a").applied)
    # The quote is reached with its second event, the trade.
    assert noted == [1, 2, 3, 3, 4, 4]
    assert source.publishers.notes() == {"publisher:a": "4"}
    assert source.publishers.notes() == {}


async def test_it_goes_on_where_it_was() -> None:
    source = a_source()
    source.publishers.restore({"publisher:a": "7"})
    assert counts(await take(source, a_trade(7), a_trade(8), by="a")) == (1, 1, 0, 8)
    assert counts(await take(source, a_trade(7), by="b")) == (1, 0, 0, 7)


async def test_after_a_crash_at_any_event_every_trade_is_counted_once() -> None:
    """Whenever what was kept was kept, going on after it gives all trades, and none twice."""
    lines = [a_trade(seq, volume=seq) if seq % 3 else a_quote(seq=seq, bid=seq) for seq in range(1, 13)]
    for crash in range(1, 17):
        counted: list[int] = []
        first = a_source()
        await take(first, *lines)
        async with aclosing(first.events()) as events:  # type: ignore[type-var]
            for _ in range(crash):
                event = await anext(events)
                if isinstance(event, Trade):
                    counted.append(event.source_seq)
            kept = first.publishers.notes()
        second = a_source()
        second.publishers.restore(kept)
        await take(second, *lines, a_trade(code="AAPL.US"))
        async with aclosing(second.events()) as events:  # type: ignore[type-var]
            while not isinstance(event := await anext(events), Trade) or event.code != "AAPL.US":
                if isinstance(event, Trade):
                    counted.append(event.source_seq)
        assert counted == [*range(1, 13)], crash


async def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.publishers.MOST_PUBLISHERS", 2)
    source = a_source()
    assert source.publishers.named("a") is source.publishers.named("a")
    source.publishers.named("b")
    with pytest.raises(SourceError, match="2 publishers"):
        source.publishers.named("c")


# Room.
async def test_it_waits_for_room_and_goes_on() -> None:
    source = a_source(limit=100)
    taking = asyncio.create_task(take(source, *(a_trade(n) for n in range(1, 3001))))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not taking.done()
    queued = source.standing(source.publishers.named("p")).queued
    assert 100 <= queued <= 100 + published.BATCH
    async with served(source) as taken:
        events = await taken.until(3000)
        assert counts(await taking) == (3000, 0, 0, 3000)
    assert [event.source_seq for event in events if isinstance(event, Trade)] == [*range(1, 3001)]


async def test_who_has_no_patience_is_told_how_far_he_came() -> None:
    source = a_source(limit=100)
    publisher = source.publishers.named("p")
    tally = source.tally(publisher)
    lines = [json.dumps(a_trade(n)).encode() for n in range(1, 3001)]
    with pytest.raises(TimeoutError):
        await source.take(publisher, lines, tally, patience=0.01)
    assert counts(tally) == (published.BATCH, 0, 0, published.BATCH)
    assert (tally.lines, tally.queued, tally.limit) == (published.BATCH, published.BATCH, 100)
    async with served(source) as taken:
        assert counts(await take(source, *(a_trade(n) for n in range(1, 3001)))) == (2500, 500, 0, 3000)
        assert len(await taken.until(3000)) == 3000


async def test_deep_books_take_the_room_of_their_levels() -> None:
    source = a_source(limit=1000)
    deep = a_book(*((5000 - n, 1) for n in range(1000)))
    taking = asyncio.create_task(take(source, *([deep] * 10)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert source.standing(source.publishers.named("p")).queued == 1001
    async with served(source) as taken:
        await taken.until(10)
        assert counts(await taking) == (10, 0, 0, 0)


async def test_a_flood_of_bad_lines_gives_way() -> None:
    source = a_source()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    tally = await take(source, *([b"x"] * 5000))
    counting.cancel()
    assert turns >= 5000 // published.BATCH - 1
    assert (tally.bad_lines, len(tally.bad), source.health.bad) == (5000, 100, 5000)


async def test_events_give_way_to_the_event_loop() -> None:
    source = a_source()
    async with served(source) as taken:
        await take(source, *(a_trade(n) for n in range(1, 5001)))
        assert source.standing(source.publishers.named("p")).queued <= 5 * published.BATCH
        await taken.until(5000)


# New instruments.
async def test_a_new_instrument_is_kept_then_known_to_the_next_line() -> None:
    kept: list[Instrument] = []
    catalogue = Catalogue(SHIPPED)

    def keep(instrument: Instrument) -> None:
        assert threading.current_thread() is not threading.main_thread()
        assert instrument.code not in catalogue
        kept.append(instrument)

    source = a_source(catalogue, keep=keep)
    lines = [a_trade(1, "MYIDX"), NEW | {"seq": 2}, a_trade(3, "MYIDX", price="1.234"), NEW | {"seq": 4}]
    async with served(source) as taken:
        tally = await take(source, *lines)
        (event,) = await taken.until(1)
    assert reasons(tally) == [(1, "code 'MYIDX' is unknown")]
    assert counts(tally) == (3, 0, 1, 4)
    assert event.code == "MYIDX"
    assert [one.code for one in kept] == ["MYIDX"]
    assert catalogue["MYIDX"] is kept[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "BTCUSDT"}, "BTCUSDT is defined otherwise, and stays so while the server runs"),
        ({"code": "XAUUSD"}, "XAUUSD is another name of an instrument"),
        ({"calendar": "moon"}, "calendar is none of"),
    ],
)
async def test_an_instrument_that_is_refused(changes: dict[str, Any], reason: str) -> None:
    kept: list[Instrument] = []
    tally = await take(a_source(keep=kept.append), NEW | changes)
    assert reason in reasons(tally)[0][1]
    assert kept == []


async def test_there_is_an_end_to_new_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.published_lines.MOST_INSTRUMENTS", len(SHIPPED) + 1)
    tally = await take(a_source(), NEW, NEW | {"code": "B"}, NEW)
    assert reasons(tally) == [(2, f"there are {len(SHIPPED) + 1} instruments already")]
    assert tally.accepted == 2


async def test_an_instrument_that_cannot_be_kept_is_not_known_and_may_be_sent_again() -> None:
    full = True

    def keep(_: Instrument) -> None:
        if full:
            raise StoreError("the disk is full")

    catalogue = Catalogue(SHIPPED)
    source = a_source(catalogue, keep=keep)
    publisher = source.publishers.named("p")
    tally = source.tally(publisher)
    lines = [json.dumps(line).encode() for line in (a_trade(1), NEW | {"seq": 2}, a_trade(3, "MYIDX"))]
    with pytest.raises(StoreError):
        await source.take(publisher, lines, tally)
    assert counts(tally) == (1, 0, 0, 1)
    assert "MYIDX" not in catalogue
    full = False
    tally = source.tally(publisher)
    await source.take(publisher, lines, tally)
    assert counts(tally) == (2, 1, 0, 3)


async def test_all_stays_in_order_while_an_instrument_is_kept() -> None:
    going, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def keep(_: Instrument) -> None:
        loop.call_soon_threadsafe(going.set)
        assert may_end.wait(5)

    source = a_source(keep=keep)
    one = asyncio.create_task(take(source, a_trade(1), NEW | {"seq": 2}, a_trade(3, "MYIDX")))
    await going.wait()
    other = asyncio.create_task(take(source, a_trade(3), a_trade(4)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not other.done()
    may_end.set()
    tallies = await asyncio.gather(one, other)
    assert sum(tally.accepted for tally in tallies) == 4
    assert sum(tally.duplicates for tally in tallies) == 1
    async with served(source) as taken:
        events = await taken.until(3)
    assert [event.source_seq for event in events if isinstance(event, Trade)] == [1, 3, 4]


async def test_a_definition_whose_publisher_is_cancelled_goes_on() -> None:
    going, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    kept: list[Instrument] = []

    def keep(instrument: Instrument) -> None:
        loop.call_soon_threadsafe(going.set)
        assert may_end.wait(20)
        kept.append(instrument)

    source = a_source(keep=keep)
    one = asyncio.create_task(take(source, NEW | {"seq": 1}))
    await going.wait()
    one.cancel()
    await asyncio.wait([one])
    other = asyncio.create_task(
        take(source, NEW | {"seq": 1}, NEW | {"price_decimals": 1}, a_trade(2, "MYIDX"))
    )
    for _ in range(10):
        await asyncio.sleep(0)
    assert not other.done()
    may_end.set()
    tally = await other
    assert counts(tally) == (1, 1, 1, 2)
    assert [one.price_decimals for one in kept] == [3]


async def test_a_definition_keeps_nobody_waiting_but_its_own_publisher() -> None:
    going, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    kept: list[str] = []

    def keep(instrument: Instrument) -> None:
        loop.call_soon_threadsafe(going.set)
        assert may_end.wait(20)
        kept.append(instrument.code)

    source = a_source(keep=keep)
    one = asyncio.create_task(take(source, NEW | {"seq": 1}, a_trade(2, "MYIDX"), by="one"))
    await going.wait()
    assert counts(await take(source, a_trade(1), a_trade(), a_quote(seq=2), by="two", patience=20)) == (
        3,
        0,
        0,
        2,
    )
    # An instrument of another waits for its turn, and so does what comes after it, on whatever connection.
    tally = source.tally(three := source.publishers.named("three"))
    lines = [
        json.dumps(line).encode() for line in (a_trade(1), NEW | {"code": "B", "seq": 2}, a_trade(3, "B"))
    ]
    with pytest.raises(TimeoutError):
        await source.take(three, lines, tally, patience=0)
    assert (counts(tally), tally.lines) == ((1, 0, 0, 1), 1)
    again = asyncio.create_task(source.take(three, lines, tally := source.tally(three)))
    other = asyncio.create_task(take(source, a_trade(4, "B"), by="three"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not again.done()
    assert not other.done()
    may_end.set()
    await again
    assert counts(await one) == (2, 0, 0, 2)
    assert counts(tally)[:3] == (2, 1, 0)
    assert counts(await other) == (1, 0, 0, 4)
    assert kept == ["MYIDX", "B"]


async def test_nothing_is_taken_before_a_line_that_could_not_be_kept() -> None:
    full = True

    def keep(_: Instrument) -> None:
        if full:
            raise StoreError("the disk is full")

    source = a_source(keep=keep)
    publisher = source.publishers.named("p")
    with pytest.raises(StoreError):
        await take(source, a_trade(1), NEW | {"seq": 5})
    for lines in ([a_trade(6)], [a_trade(), a_trade(7)], [NEW | {"code": "B", "seq": 8}]):
        with pytest.raises(StoreError, match="seq 5"):
            await take(source, *lines)
    assert publisher.taken == 1
    assert counts(await take(source, a_trade(1), a_trade())) == (1, 1, 0, 1)  # no matter of these
    assert counts(await take(source, a_trade(9), by="other")) == (1, 0, 0, 9)
    full = False
    lines = [NEW | {"seq": 5}, a_trade(6, "MYIDX"), a_trade(7)]
    assert counts(await take(source, *lines)) == (3, 0, 0, 7)


@pytest.mark.parametrize("first", [a_trade(3), a_trade(5, code="NOSUCH")])
async def test_a_lower_line_or_a_refusal_ends_the_wait_for_one_that_is_missing(first: dict[str, Any]) -> None:
    def keep(_: Instrument) -> None:
        raise StoreError("the disk is full")

    source = a_source(keep=keep)
    with pytest.raises(StoreError):
        await take(source, NEW | {"seq": 5})
    with pytest.raises(StoreError):
        await take(source, b"{", a_trade(6))
    assert (await take(source, first, a_trade(6))).seq == 6


# After a kill.
class Recorded:
    """A recording that has reached these."""

    id = "r"

    def __init__(self, **positions: int) -> None:
        self.positions = positions

    def reach(self, publisher: str, seq: int) -> None:
        self.positions[publisher] = max(seq, self.positions.get(publisher, 0))

    def reached(self, publisher: str) -> int:
        return self.positions.get(publisher, 0)


@pytest.mark.parametrize(("counted", "recorded"), [(5, 3), (3, 5), (4, 4), (0, 5)])
async def test_what_only_one_of_the_two_has_is_taken_by_the_other(counted: int, recorded: int) -> None:
    source = a_source()
    notes = {"publisher:p": f"{counted} r"} if counted else {}
    source.publishers.restore(notes, Recorded(p=recorded), "r")
    lower, upper = sorted((counted, recorded))
    assert source.standing(source.publishers.named("p")).seq == lower
    tally = await take(source, *(a_quote(seq=seq) for seq in range(1, 8)))
    assert counts(tally) == (7 - lower, lower, 0, 7)
    assert tally.durable == lower
    async with aclosing(source.events()) as events:  # type: ignore[type-var]
        seen = [await anext(events) for _ in range(2 * (7 - lower))]
    halves, whole = seen[: 2 * (upper - lower)], seen[2 * (upper - lower) :]
    assert not any(isinstance(event, Resent) for event in whole)
    for event in halves:
        assert isinstance(event, Resent)
        assert (event.counted, event.recorded) == (counted > recorded, recorded > counted)


async def test_what_was_recorded_elsewhere_is_not_asked_for() -> None:
    source, recording = a_source(), Recorded(p=3)
    source.publishers.restore({"publisher:p": "5 other", "publisher:q": "7"}, recording, "r")
    assert source.standing(source.publishers.named("p")).durable == 5
    assert source.standing(source.publishers.named("q")).seq == 7
    assert recording.positions == {"p": 5, "q": 7}
    assert source.publishers.notes() == {"publisher:p": "5 r", "publisher:q": "7 r"}


async def test_durable_is_what_both_have() -> None:
    source, recording = a_source(), Recorded()
    source.publishers.restore({}, recording, "r")
    publisher = source.publishers.named("p")
    await take(source, *(a_trade(seq) for seq in range(1, 11)))
    async with served(source) as taken:
        await taken.until(10)
        await asyncio.sleep(0)
    assert source.publishers.durable(publisher) == 0
    source.publishers.kept(source.publishers.notes() | {"alive": "1"})
    assert source.publishers.durable(publisher) == 10
    recording.positions["p"] = 8
    assert source.publishers.durable(publisher) == 8
    recording.id = ""  # it has stopped
    assert source.publishers.durable(publisher) == 8  # the notes do not say so yet
    notes = source.publishers.notes()
    assert notes == {"publisher:p": "10"}
    source.publishers.kept(notes)
    assert source.publishers.durable(publisher) == 10


async def test_called_again_it_goes_on_in_the_middle_of_a_batch() -> None:
    """What was taken of a publisher is not lost, and its room is given back."""
    source = a_source()
    await take(source, *(a_trade(seq) for seq in range(1, 11)))
    found: list[Event | Resent] = []
    while len(found) < 10:
        async with asyncio.timeout(20), aclosing(source.events()) as events:  # type: ignore[type-var]
            found += [await anext(events), await anext(events)]
    assert [event.source_seq for event in found if isinstance(event, Trade)] == list(range(1, 11))
    await take(source, a_trade(11))
    async with asyncio.timeout(20), aclosing(source.events()) as events:  # type: ignore[type-var]
        assert (await anext(events)).source_seq == 11  # type: ignore[union-attr]
        assert source.standing(source.publishers.named("p")).queued == 1
