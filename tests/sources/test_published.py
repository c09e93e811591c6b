"""What is published as a source: order, duplicates, room, new instruments, what is kept of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from tickwire.errors import StoreError
from tickwire.model import Book, Catalogue, Instrument, Kind, Market, Trade
from tickwire.sources import Source, Status, published

from .publishing import NEW, NOW, SHIPPED, a_book, a_quote, a_source, a_trade, counts, reasons, served, take


def an_instrument(code: str) -> Instrument:
    return Instrument(
        code=code, market=Market.CRYPTO, price_decimals=3, volume_decimals=0, turnover_decimals=3, levels=2
    )


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


T = TypeVar("T")


async def turns_of(taking: Awaitable[T]) -> tuple[int, T]:
    """How many turns of the event loop others get meanwhile."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    found = await taking
    counting.cancel()
    return turns, found


async def test_a_flood_of_bad_lines_gives_way() -> None:
    source = a_source()
    turns, tally = await turns_of(take(source, *([b"x"] * 5000)))
    assert turns >= 5000 // published.BATCH - 1
    assert (tally.bad_lines, len(tally.bad), source.health.bad) == (5000, 100, 5000)


@pytest.mark.parametrize("code", ["BTCUSDT", "GOLD"])
async def test_corrections_give_way_taken_or_refused(code: str) -> None:
    """For each of them the trades are searched."""
    source = a_source()
    await take(source, *(a_trade(n) for n in range(1, 201)))
    lines = [{"type": "cancel", "code": code, "time": NOW, "trade": n, "seq": 200 + n} for n in range(1, 201)]
    turns, tally = await turns_of(take(source, *lines))
    assert (tally.accepted, tally.bad_lines) == ((200, 0) if code == "BTCUSDT" else (0, 200))
    assert turns >= 200 * published.CORRECTION // published.BATCH - 1


async def test_late_trades_give_way() -> None:
    """Each of them may change a closed bar of each type."""
    source = a_source()
    await take(source, *(a_trade(n, time=NOW - 1) for n in range(1, 401)))
    async with served(source) as taken:
        turns, events = await turns_of(taken.until(400))
    assert len(events) == 400
    assert turns >= 400 * published.LATE // published.BATCH - 1


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


async def test_called_again_it_goes_on_in_the_middle_of_a_batch() -> None:
    """What was taken of a publisher is not lost, and its room is given back."""
    source = a_source()
    await take(source, *(a_trade(seq) for seq in range(1, 11)))
    found: list[Any] = []
    while len(found) < 10:
        async with asyncio.timeout(120), aclosing(source.events()) as events:  # type: ignore[type-var]
            found += [await anext(events), await anext(events)]
    assert [event.source_seq for event in found if isinstance(event, Trade)] == list(range(1, 11))
    await take(source, a_trade(11))
    async with asyncio.timeout(120), aclosing(source.events()) as events:  # type: ignore[type-var]
        assert (await anext(events)).source_seq == 11  # type: ignore[union-attr]
        assert source.standing(source.publishers.named("p")).queued == 1
