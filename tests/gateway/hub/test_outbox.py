"""Outboxes: what a client is sent that cannot keep up, and what it is told of what it was not sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tickwire.bus import StreamEvent
from tickwire.gateway.hub import Hub, Sparing, outbox
from tickwire.gateway.hub.digest import is_passing
from tickwire.model import Correction, Kind, Kline, KlineState, KlineType, KlineUpdate, Slow, Trade
from tickwire.wire import Want

from .bench import CATALOGUE, EPOCH, STREAMS, Loop, Reader, book, check_consistent, check_empty, fed, want
from .bench import publish as publish_events

BOUND = 20_000
NAMED = {slow: Sparing(slow, named=True) for slow in Slow}
PLAIN = Sparing(Slow.CONFLATE)
TRADE, DEPTH, KLINE, CORRECTION, SPARED = 22998, 22999, 28998, 28992, 28995


@pytest.fixture
def hub(loop: Loop) -> Hub:
    return fed(loop.soon, bound=BOUND, wall=lambda: 5.0)


def messages(data: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Command and data of each push in a run of frames."""
    found = []
    while data:
        size, start = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
        message = json.loads(data[start : start + size])
        found.append((message["cmd_id"], message["data"]))
        data = data[start + size :]
    return found


def got(reader: Reader) -> list[tuple[int, dict[str, Any]]]:
    """What came since the last time."""
    found = messages(b"".join(reader.writes))
    reader.writes.clear()
    return found


def trade(price: int, volume: str = "1", direction: int = 1, code: str = "BTCUSDT") -> Trade:
    return Trade(code, price, Decimal(price), Decimal(volume), None, direction)


def bar(minute: int, state: KlineState, close: int = 1, code: str = "BTCUSDT") -> KlineUpdate:
    one = Decimal(1)
    return KlineUpdate(
        Kline(code, KlineType.MINUTE, minute * 60, one, one, one, Decimal(close), one, one), state
    )


def publish(hub: Hub, *events: StreamEvent) -> None:
    for event in events:
        STREAMS[hub].publish(CATALOGUE[event.code], event)


def bars_of(code: str) -> Want:
    return Want(code, CATALOGUE[code], kline_type=KlineType.MINUTE)


def subscribed(hub: Hub, sparing: Sparing, *codes: str) -> Reader:
    """A client that wants all of these codes."""
    reader = Reader()
    reader.sparing = sparing
    for kind in (Kind.TRADE, Kind.DEPTH, Kind.CORRECTION):
        hub.subscribe(reader, kind, [want(code) for code in codes or ("BTCUSDT",)])
    hub.subscribe(reader, Kind.KLINE, [bars_of(code) for code in codes or ("BTCUSDT",)])
    return reader


def stall(hub: Hub, loop: Loop, *readers: Reader) -> None:
    """They read no more, and the hub has seen it: of one trade a part waits in their transports."""
    for reader in readers:
        reader.unread = 1
    publish(hub, trade(1))
    loop.turn()
    for reader in readers:
        got(reader)


def release(hub: Hub, loop: Loop, reader: Reader) -> None:
    """It has read all."""
    reader.unread = 0
    if reader.spared:
        hub.ready(reader)
    settle(loop)


def settle(loop: Loop) -> None:
    while loop.turn():
        pass


def brief(pushed: Iterable[tuple[int, dict[str, Any]]], command: int) -> list[int]:
    """The numbers of what came of a kind."""
    return [data["seq"] - EPOCH for number, data in pushed if number == command]


# Each policy.
def test_conflate_makes_one_of_the_trades_and_keeps_the_newest_book(hub: Hub, loop: Loop) -> None:
    slow, quick = subscribed(hub, NAMED[Slow.CONFLATE]), subscribed(hub, NAMED[Slow.CLOSE])
    stall(hub, loop, slow)
    got(quick)
    publish(hub, trade(100, "0.5"), book(price=1), trade(103, "0.25", 2), trade(99, "2"), book(price=2))
    loop.turn()
    publish(hub, trade(101, "0.1"))
    loop.turn()
    assert (slow.writes, slow.spared, slow.kept) == ([], True, 4 * outbox.ENTRY)
    seen = [data for number, data in got(quick) if number == TRADE]
    release(hub, loop, slow)
    (_, several), (number, newest), *notices = sorted(got(slow), key=lambda one: one[0])
    assert several == {
        "code": "BTCUSDT",
        "seq": EPOCH + 4,
        "tick_time": 101,
        "price": "101.00",
        "volume": "2.85000",
        "turnover": "283.85",  # 50.00 + 25.75 + 198.00 + 10.10
        "trade_direction": 0,
        "trades": 4,
        "open_price": "100.00",
        "high_price": "103.00",
        "low_price": "99.00",
        "first_seq": EPOCH + 1,
    }
    for field in ("volume", "turnover"):
        assert Decimal(several[field]) == sum(Decimal(one[field]) for one in seen)
    assert (number, newest["seq"], newest["tick_time"]) == (DEPTH, EPOCH + 1, 2)
    assert sorted(notices, key=lambda one: str(one[1]["kind"])) == [  # the kinds come in any order
        (SPARED, {"kind": "depth", "dropped": 1, "codes": ["BTCUSDT"], "since": 5000}),
        (SPARED, {"kind": "trade", "dropped": 4, "codes": ["BTCUSDT"], "since": 5000}),
    ]
    assert hub.outboxes.conflated == {Kind.TRADE: 4, Kind.DEPTH: 1}
    assert (hub.pushes(quick), hub.pushes(slow)) == (7, 3)
    # It is back in its lane, and nothing is left of it.
    publish(hub, trade(102, "1"))
    loop.turn()
    assert [data["price"] for _, data in got(slow)] == ["102.00"]
    assert not len(hub.outboxes)
    assert slow.kept == 0
    assert hub.topic(Kind.TRADE, CATALOGUE["BTCUSDT"]).digest is None
    assert not hub.outboxes.marks.held


def test_a_single_trade_is_itself(hub: Hub, loop: Loop) -> None:
    slow = subscribed(hub, NAMED[Slow.CONFLATE])
    stall(hub, loop, slow)
    publish(hub, trade(100), book())
    loop.turn()
    release(hub, loop, slow)
    assert sorted((number, "trades" in data) for number, data in got(slow)) == [
        (TRADE, False),
        (DEPTH, False),
    ]
    assert not hub.outboxes.conflated


def test_bars_that_closed_and_corrections_all_come(hub: Hub, loop: Loop) -> None:
    slow = subscribed(hub, NAMED[Slow.CONFLATE])
    stall(hub, loop, slow)
    forming, closed, revised = KlineState
    publish(hub, bar(1, forming, 1), bar(1, forming, 2), bar(1, closed, 3), bar(2, forming, 4))
    was = trade(100)
    publish(hub, was, Correction("BTCUSDT", 7, was, None, EPOCH + 1))
    loop.turn()
    publish(hub, bar(2, closed, 5), bar(1, revised, 6), bar(3, forming, 7), bar(3, forming, 8))
    publish(hub, trade(101), Correction("BTCUSDT", 8, was, trade(99), EPOCH + 1))
    loop.turn()
    release(hub, loop, slow)
    found = got(slow)
    bars = [(data["close_price"], data["state"]) for number, data in found if number == KLINE]
    assert bars == [("3.00", "closed"), ("5.00", "closed"), ("6.00", "revised"), ("8.00", "forming")]
    numbers = [number for number, _ in found if number in (TRADE, CORRECTION)]
    assert numbers == [TRADE, CORRECTION, CORRECTION]  # behind what they correct
    notices = {data["kind"]: data["dropped"] for number, data in found if number == SPARED}
    assert notices == {"trade": 2, "kline": 4}


def test_what_comes_between_two_slices_is_neither_lost_nor_told_twice(
    hub: Hub, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SLICE", 1)
    slow = subscribed(hub, NAMED[Slow.CONFLATE], "BTCUSDT", "GOLD")
    stall(hub, loop, slow)
    prices, found = iter(range(100, 200)), []
    for _ in range(3):
        publish(hub, trade(next(prices)), trade(next(prices), code="GOLD"))
    loop.turn()
    for _ in range(10):  # a slice goes out, and is not taken at once
        slow.unread, before = 0, len(slow.writes)
        hub.ready(slow)
        slow.on_push = lambda: setattr(slow, "unread", 1)
        settle(loop)
        assert len(slow.writes) == before + 1
        publish(hub, trade(next(prices)), trade(next(prices), code="GOLD"))
        loop.turn()
    slow.on_push = lambda: None
    release(hub, loop, slow)
    found = [data for number, data in got(slow) if number == TRADE]
    for code in ("BTCUSDT", "GOLD"):
        of_code = [one for one in found if one["code"] == code]
        assert sum(one.get("trades", 1) for one in of_code) == 13
        assert sum(Decimal(one["volume"]) for one in of_code) == 13
        for one, following in pairwise(of_code):
            assert following.get("first_seq", following["seq"]) == one["seq"] + 1
    assert not hub.outboxes.marks.held


def test_drop_leaves_out_the_oldest_beyond_the_bound(hub: Hub, loop: Loop) -> None:
    slow = subscribed(hub, NAMED[Slow.DROP])
    stall(hub, loop, slow)
    publish(hub, bar(1, KlineState.CLOSED), bar(2, KlineState.FORMING))
    loop.turn()
    for price in range(1000):
        publish(hub, trade(price))
        loop.turn()
        assert slow.kept <= BOUND
    assert slow.kept > BOUND - 200
    release(hub, loop, slow)
    found = got(slow)
    seqs = brief(found, TRADE)
    assert seqs == [*range(seqs[0], 1001)]
    assert [data["state"] for number, data in found if number == KLINE] == ["closed", "forming"]
    (notice,) = [data for number, data in found if number == SPARED]
    assert notice == {"kind": "trade", "dropped": seqs[0] - 1, "codes": ["BTCUSDT"], "since": 5000}
    assert hub.outboxes.dropped == {Kind.TRADE: seqs[0] - 1}
    assert hub.pushes(slow) == 1 + len(seqs) + 2


@pytest.mark.parametrize("slow", [Slow.CONFLATE, Slow.DROP])
def test_a_plain_client_loses_nothing_but_books_that_were_replaced(hub: Hub, loop: Loop, slow: Slow) -> None:
    reader = subscribed(hub, Sparing(slow))
    stall(hub, loop, reader)
    for price in range(300):
        publish(hub, book(price=price))
        if price % 10 == 0:
            publish(hub, trade(price), book(price=price))
        loop.turn()
    assert not reader.gave_up
    release(hub, loop, reader)
    found = got(reader)
    assert brief(found, TRADE) == [*range(1, 31)]
    assert brief(found, DEPTH) == [329]
    assert [number for number, _ in found if number == SPARED] == []
    assert hub.outboxes.conflated == {Kind.DEPTH: 329}


def test_a_plain_client_is_closed_when_its_trades_pass_the_bound(hub: Hub, loop: Loop) -> None:
    reader = subscribed(hub, PLAIN)
    stall(hub, loop, reader)
    count = 0
    while not reader.gave_up:
        publish(hub, trade(1), book())
        loop.turn()
        count += 1
    assert BOUND - 2000 < reader.kept < BOUND + 2000
    assert count > 100


@pytest.mark.parametrize("slow", [Slow.CONFLATE, Slow.DROP])
def test_what_nobody_may_miss_passes_the_bound_only_once(hub: Hub, loop: Loop, slow: Slow) -> None:
    reader = subscribed(hub, NAMED[slow])
    stall(hub, loop, reader)
    for minute in range(200):
        publish(hub, bar(minute, KlineState.CLOSED))
        loop.turn()
        hub.look()
    assert reader.gave_up


def test_close_gets_all_of_it_through_its_transport(hub: Hub, loop: Loop) -> None:
    reader = subscribed(hub, NAMED[Slow.CLOSE])
    stall(hub, loop, reader)
    for price in range(100):
        publish(hub, trade(price), book())
        loop.turn()
    assert (len(reader.writes), reader.spared, len(hub.outboxes)) == (100, False, 1)
    reader.unread = 0
    publish(hub, trade(1))
    loop.turn()
    assert not len(hub.outboxes)
    assert brief(got(reader), TRADE) == [*range(1, 102)]


# What clients do meanwhile.
@pytest.mark.parametrize("slow", [Slow.CONFLATE, Slow.DROP])
def test_what_was_published_before_a_list_changes_goes_before_the_answer(
    hub: Hub, loop: Loop, slow: Slow
) -> None:
    reader = subscribed(hub, NAMED[slow])
    stall(hub, loop, reader)
    publish(hub, trade(100), trade(101), book())
    loop.turn()
    hub.cancel(reader, [Kind.DEPTH])
    found = got(reader)
    assert {number for number, _ in found} == {TRADE, DEPTH}
    publish(hub, trade(102), book())
    loop.turn()
    assert got(reader) == []
    release(hub, loop, reader)
    found = got(reader)
    assert brief(found, TRADE) == [3]
    assert brief(found, DEPTH) == []
    check_consistent(hub)
    hub.leave(reader)
    check_empty(hub)
    assert not hub.outboxes.marks.held


def test_a_first_bar_does_not_overtake_what_waits(hub: Hub, loop: Loop) -> None:
    reader = subscribed(hub, NAMED[Slow.CONFLATE])
    stall(hub, loop, reader)
    publish(hub, bar(1, KlineState.CLOSED, 3), bar(2, KlineState.FORMING, 4))
    loop.turn()
    hub.repeat(reader, Kind.KLINE, bars_of("BTCUSDT"))
    bars = [data["close_price"] for number, data in got(reader) if number == KLINE]
    assert bars == ["3.00", "4.00", "4.00"]


def test_a_client_is_told_once_a_second_at_most(hub: Hub, loop: Loop) -> None:
    reader = subscribed(hub, NAMED[Slow.CONFLATE])
    told = []
    for _ in range(3):
        stall(hub, loop, reader)
        publish(hub, book(price=1), book(price=2), book(price=3))
        loop.turn()
        release(hub, loop, reader)
        told += [data["dropped"] for number, data in got(reader) if number == SPARED]
    assert told == [2]
    hub.look()
    assert [data["dropped"] for number, data in got(reader) if number == SPARED] == [4]
    hub.look()
    hub.look()
    assert got(reader) == []


def test_twenty_codes_are_named(hub: Hub, loop: Loop) -> None:
    codes = [one.code for one in CATALOGUE if one.levels == 5 and one.code != "BTCUSDT"][:30]
    reader = subscribed(hub, NAMED[Slow.CONFLATE], "BTCUSDT", *codes)
    stall(hub, loop, reader)
    publish_events(hub, *(book(code) for code in codes for _ in range(3)))
    loop.turn()
    release(hub, loop, reader)
    (notice,) = [data for number, data in got(reader) if number == SPARED]
    assert notice["dropped"] == 60
    assert len(set(notice["codes"])) == 20
    assert set(notice["codes"]) <= set(codes)


def test_trades_that_a_scenario_sends_twice_or_late_count_once(hub: Hub, loop: Loop) -> None:
    reader = subscribed(hub, NAMED[Slow.CONFLATE])
    stall(hub, loop, reader)
    topic = hub.topic(Kind.TRADE, CATALOGUE["BTCUSDT"])
    for number in (1, 3, 3, 2, 2, 4):
        topic.take(trade(100 + number, f"{10**number}"), EPOCH + number)
    loop.turn()
    release(hub, loop, reader)
    ((_, several),) = [one for one in got(reader) if one[0] == TRADE]
    assert (several["trades"], several["volume"], several["open_price"]) == (4, "11110.00000", "101.00")


def test_what_is_kept_for_many_is_kept_once(hub: Hub, loop: Loop) -> None:
    """A digest holds no more than one entry for each moment at which somebody fell behind."""
    readers = [subscribed(hub, NAMED[Slow.CONFLATE]) for _ in range(50)]
    for reader in readers[:25]:
        stall(hub, loop, reader)
        publish(hub, trade(1))
        loop.turn()
    stall(hub, loop, *readers[25:])
    digest = hub.topic(Kind.TRADE, CATALOGUE["BTCUSDT"]).digest
    assert digest is not None
    assert len(digest._stretches) <= 26
    for _ in range(1000):
        publish(hub, trade(1))
        hub.outboxes.marks.here()
        loop.turn()
    assert len(digest._stretches) <= 2 * 26 + 9
    for number, reader in enumerate(readers):
        release(hub, loop, reader)
        (several,) = [data for command, data in got(reader) if command == TRADE]
        expected = 1000 + 1 + 2 * (24 - number) + 1 if number < 25 else 1000
        assert several["trades"] == expected
    assert not len(hub.outboxes)


# Any sequence of all of this.
CLIENTS = st.integers(0, 4)
POLICIES = [NAMED[Slow.CLOSE], NAMED[Slow.CONFLATE], NAMED[Slow.CONFLATE], NAMED[Slow.DROP], PLAIN]
CODES = ["BTCUSDT", "GOLD"]


class Model(RuleBasedStateMachine):
    """Clients stop to read and go on while events are published; in the end each has what it is promised.

    All clients want all there is. `sent` are the events by kind and code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.hub = fed(self.loop.soon, bound=6000)
        self.readers = [subscribed(self.hub, sparing, *CODES) for sparing in POLICIES]
        self.sent: dict[tuple[int, str], list[StreamEvent]] = {
            (command, code): [] for command in (TRADE, DEPTH, KLINE, CORRECTION) for code in CODES
        }

    def publish(self, command: int, event: StreamEvent) -> None:
        self.sent[command, event.code].append(event)
        publish(self.hub, event)

    @rule(code=st.sampled_from(CODES), prices=st.lists(st.integers(1, 9), max_size=6), side=st.integers(0, 2))
    def trade(self, code: str, prices: list[int], side: int) -> None:
        for price in prices:
            self.publish(TRADE, trade(price, f"0.{price}", side, code))

    @rule(price=st.integers(100, 200), times=st.integers(1, 4))
    def book(self, price: int, times: int) -> None:
        for _ in range(times):
            self.publish(DEPTH, book(price=price))

    @rule(minute=st.integers(0, 3), state=st.sampled_from(KlineState), code=st.sampled_from(CODES))
    def bar(self, minute: int, state: KlineState, code: str) -> None:
        self.publish(KLINE, bar(minute, state, code=code))

    @rule(code=st.sampled_from(CODES))
    def correct(self, code: str) -> None:
        if trades := self.sent[TRADE, code]:
            was = trades[-1]
            assert isinstance(was, Trade)
            self.publish(CORRECTION, Correction(code, 1, was, None, EPOCH + len(trades) - 1))

    @rule()
    def flush(self) -> None:
        self.loop.turn()

    @rule(client=CLIENTS)
    def stall(self, client: int) -> None:
        self.readers[client].unread = 1

    @rule(client=CLIENTS, short=st.booleans())
    def release(self, client: int, short: bool) -> None:
        reader = self.readers[client]
        reader.unread = 0
        if short:  # what it is given next waits again
            reader.on_push = lambda: setattr(reader, "unread", 1)
        if reader.spared:
            self.hub.ready(reader)
        settle(self.loop)
        reader.on_push = lambda: None

    @rule(client=CLIENTS)
    def change(self, client: int) -> None:
        reader = self.readers[client]
        reader.writes.append(self.hub.subscribe(reader, Kind.TRADE, [want(code) for code in CODES]))

    @rule()
    def look(self) -> None:
        self.hub.look()

    @invariant()
    def consistent(self) -> None:
        check_consistent(self.hub)

    def teardown(self) -> None:
        settle(self.loop)
        for reader in self.readers:
            release(self.hub, self.loop, reader)
            self.hub.flush()
        self.hub.look()
        self.hub.look()
        for number, reader in enumerate(self.readers):
            assert reader.kept == 0 or reader.gave_up
            if not reader.gave_up:
                self.check(number, reader)
            self.hub.leave(reader)
        check_empty(self.hub)
        assert not self.hub.outboxes.marks.held
        assert not len(self.hub.outboxes)

    def check(self, number: int, reader: Reader) -> None:
        slow, named = POLICIES[number]
        found = messages(b"".join(reader.writes))
        spared = sum(data["dropped"] for command, data in found if command == SPARED)
        sent = sum(len(events) for (command, _), events in self.sent.items() if command != CORRECTION)
        for (command, code), events in self.sent.items():
            of_code = [data for one, data in found if (one, data.get("code")) == (command, code)]
            firsts = [data.get("first_seq", data["seq"]) - EPOCH for data in of_code]
            lasts = [data["seq"] - EPOCH for data in of_code]
            assert all(one < following for one, following in zip(lasts, firsts[1:], strict=False))
            if events and command != KLINE and slow is not Slow.DROP:
                assert lasts[-1] == len(events) - 1
            if slow is Slow.CLOSE or command == CORRECTION or (command == TRADE and not named):
                assert lasts == [*range(len(events))]
            if command == TRADE and slow is Slow.CONFLATE:
                assert firsts == [0, *(one + 1 for one in lasts)][: len(firsts)]
                for one, first, last in zip(of_code, firsts, lasts, strict=True):
                    self.check_several(one, events[first : last + 1])
            if command == KLINE:
                needed = {place for place, one in enumerate(events) if not is_passing(one)}
                assert needed <= {*lasts}
            if command != CORRECTION:
                sent -= sum("trades" not in one for one in of_code)
        if named:
            assert spared == sent

    def check_several(self, one: dict[str, Any], events: list[Any]) -> None:
        if "trades" not in one:
            assert len(events) == 1
            return
        assert one["trades"] == len(events)
        assert Decimal(one["volume"]) == sum(event.volume for event in events)
        prices = [event.price for event in events]
        shown = [Decimal(one[f"{name}price"]) for name in ("open_", "high_", "low_", "")]
        assert shown == [prices[0], max(prices), min(prices), prices[-1]]
        sides = {event.direction for event in events}
        assert one["trade_direction"] == (sides.pop() if len(sides) == 1 else 0)


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
test_any_sequence_gives_every_client_what_it_is_promised = Model.TestCase
