"""Fan-out: every client gets exactly what it wants, each event once, made once for all."""

from __future__ import annotations

import sys
from collections.abc import Collection

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tickwire.gateway.hub import Hub
from tickwire.model import Kind, Position
from tickwire.wire.form import PLAIN

from ...serving import subscribed_codes
from .bench import (
    BTC,
    CATALOGUE,
    EPOCH,
    GOLD,
    TENCENT,
    Connected,
    Loop,
    Reader,
    book,
    check_consistent,
    check_empty,
    fed,
    first,
    frames,
    publish,
    trade,
    want,
)

GAP = b'"cmd_id":28993'


# After an outage.
def test_who_comes_before_what_follows_an_outage_is_told_of_it_behind_the_last_event(
    hub: Hub, loop: Loop
) -> None:
    plain, knowing, late = Reader(), Reader(), Reader()
    for reader in (knowing, late):
        reader.form = PLAIN._replace(marked=True)
    publish(hub, trade("BTCUSDT"), trade("GOLD"))
    begin = Position(EPOCH + 5, EPOCH + 5)
    hub.go_on({BTC: begin}, gap=True)
    assert GAP not in hub.join(plain, Kind.TRADE, want("BTCUSDT"))
    assert GAP not in hub.join(knowing, Kind.TRADE, want("GOLD"))
    joined = hub.join(knowing, Kind.TRADE, want("BTCUSDT"))
    hub.cancel(knowing, Kind)
    assert joined == hub.subscribe(knowing, Kind.TRADE, [want("BTCUSDT")])
    last, told = joined.split(GAP)
    assert b'"cmd_id":22998' in last
    assert f'"epoch":{begin.epoch},"from":{begin.seq},"gap":1'.encode() in told
    hub.topic(Kind.TRADE, BTC).take(trade("BTCUSDT"), begin.seq)
    assert GAP not in hub.join(late, Kind.TRADE, want("BTCUSDT"))


# Cancel and leave.
def test_a_cancel_ends_its_kinds_only_after_what_was_published(hub: Hub, loop: Loop) -> None:
    reader = Reader()
    for kind in (Kind.TRADE, Kind.DEPTH):
        hub.subscribe(reader, kind, [want("BTCUSDT")])
    publish(hub, trade("BTCUSDT"), book("BTCUSDT"))
    hub.cancel(reader, [Kind.TRADE])
    publish(hub, trade("BTCUSDT"), book("BTCUSDT"))
    loop.turn()
    assert reader.seqs("BTCUSDT", Kind.TRADE) == [0]
    assert reader.seqs("BTCUSDT", Kind.DEPTH) == [0, 1]
    hub.cancel(reader, Kind)
    publish(hub, book("BTCUSDT"))
    loop.turn()
    assert reader.seqs("BTCUSDT", Kind.DEPTH) == [0, 1]
    check_empty(hub)


@pytest.mark.parametrize("kinds", [(), (Kind.TRADE,), tuple(Kind)])
def test_to_cancel_or_leave_without_a_subscription_does_nothing(hub: Hub, kinds: Collection[Kind]) -> None:
    reader = Reader()
    hub.cancel(reader, kinds)
    hub.leave(reader)
    hub.leave(reader)
    check_empty(hub)


def test_who_leaves_frees_all_that_only_it_wanted(hub: Hub) -> None:
    one, other = Reader(), Reader()
    hub.subscribe(one, Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    hub.subscribe(one, Kind.DEPTH, [want("700.HK", 3)])
    hub.subscribe(other, Kind.TRADE, [want("GOLD")])
    assert subscribed_codes(hub) == {"GOLD", "BTCUSDT", "700.HK"}
    hub.leave(one)
    assert subscribed_codes(hub) == {"GOLD"}
    check_consistent(hub)
    hub.leave(other)
    check_empty(hub)


def test_a_list_that_is_replaced_is_freed(hub: Hub) -> None:
    reader = Reader()
    for levels in (1, 2, 3):
        hub.subscribe(reader, Kind.DEPTH, [want("700.HK", levels)])
    assert list(hub.topic(Kind.DEPTH, TENCENT).views) == [("700.HK", 3, PLAIN)]
    assert len(hub._lanes) == 1
    check_consistent(hub)


def test_what_was_under_way_to_one_who_leaves_reaches_nobody(hub: Hub, loop: Loop) -> None:
    reader = Reader()
    hub.subscribe(reader, Kind.TRADE, [want("GOLD")])
    publish(hub, trade())
    hub.leave(reader)
    loop.turn()
    assert reader.writes == []
    publish(hub, trade())
    assert first(hub, reader, Kind.TRADE, want("GOLD")) == [("GOLD", 1)]
    loop.turn()
    assert reader.writes == []


# Order.
def test_in_order_all_of_it_comes_as_it_was_published_and_in_one_write(loop: Loop) -> None:
    hub = fed(loop.soon, in_order=True)
    one, other = Reader(), Reader()
    hub.subscribe(one, Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    hub.subscribe(one, Kind.DEPTH, [want("BTCUSDT")])
    hub.subscribe(other, Kind.TRADE, [want("GOLD")])
    hub.subscribe(other, Kind.DEPTH, [want("BTCUSDT", 1)])
    publish(hub, trade("GOLD", 1), book(price=2), trade("GOLD", 3))
    publish(hub, trade("GOLD", 4), trade("BTCUSDT", 5), book(price=6))
    assert loop.turn() == 1
    for reader, times in ((one, [1, 2, 3, 4, 5, 6]), (other, [1, 2, 3, 4, 6])):
        (written,) = reader.writes
        assert [push["tick_time"] for push in frames(written)] == times
    assert (hub.pushes(one), hub.pushes(other)) == (6, 5)
    publish(hub, trade("GOLD", 7))
    assert loop.turn() == 1
    assert len(one.writes) == len(other.writes) == 2


# Any sequence of all of this, against a model.
CODES = {"GOLD": "GOLD", "XAUUSD": "GOLD", "BTCUSDT": "BTCUSDT"}
LISTS = st.dictionaries(st.sampled_from(sorted(CODES)), st.sampled_from([1, 2, 5]), min_size=1)
CLIENTS = st.integers(0, 2)
KINDS = st.sampled_from([Kind.TRADE, Kind.DEPTH])


class Model(RuleBasedStateMachine):
    """Clients come, change their minds and go while events are published.

    `expected` is, by client and (kind, name), the number and depth of each event it must get in order;
    what was published and not yet flushed when a client leaves is the only thing it may miss.
    """

    in_order = False
    reader: type[Reader] = Reader

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.hub = fed(self.loop.soon, in_order=self.in_order)
        self.counts: dict[tuple[Kind, str], int] = {}
        self.readers = [self.reader() for _ in range(3)]
        self.wanted: list[dict[tuple[Kind, str], int]] = [{} for _ in self.readers]
        self.expected: list[dict[tuple[Kind, str], list[tuple[int, int]]]] = [{} for _ in self.readers]
        self.gone: list[tuple[Reader, int]] = []

    def expect(self, client: int, key: tuple[Kind, str], number: int) -> None:
        levels = self.wanted[client][key] if key[0] is Kind.DEPTH else 0
        self.expected[client].setdefault(key, []).append((number, levels))

    @rule(client=CLIENTS, kind=KINDS, asked=LISTS)
    def subscribe(self, client: int, kind: Kind, asked: dict[str, int]) -> None:
        levels = {name: min(most, CATALOGUE[CODES[name]].levels) for name, most in asked.items()}
        reader, before = self.readers[client], self.wanted[client]
        wants = [want(CODES[name], most, name=name) for name, most in levels.items()]
        reader.writes.append(self.hub.subscribe(reader, kind, wants))
        kept = {key: most for key, most in before.items() if key[0] is not kind}
        self.wanted[client] = kept | {(kind, name): most for name, most in levels.items()}
        for name in levels:
            if (kind, name) not in before and (count := self.counts.get((kind, CODES[name]))):
                self.expect(client, (kind, name), count - 1)

    @rule(client=CLIENTS, kinds=st.sets(KINDS))
    def cancel(self, client: int, kinds: set[Kind]) -> None:
        self.hub.cancel(self.readers[client], kinds)
        self.wanted[client] = {key: most for key, most in self.wanted[client].items() if key[0] not in kinds}

    @rule(client=CLIENTS)
    def leave(self, client: int) -> None:
        reader = self.readers[client]
        self.hub.leave(reader)
        for key, found in self.received(reader).items():
            assert found == self.expected[client][key][: len(found)]
        self.gone.append((reader, len(reader.writes)))
        self.readers[client], self.wanted[client], self.expected[client] = self.reader(), {}, {}

    @rule(kind=KINDS, code=st.sampled_from(["GOLD", "BTCUSDT"]), times=st.integers(1, 3))
    def publish(self, kind: Kind, code: str, times: int) -> None:
        for _ in range(times):
            number = self.counts.get((kind, code), 0)
            self.counts[kind, code] = number + 1
            publish(self.hub, trade(code, number + 1) if kind is Kind.TRADE else book(code, number + 1))
            for client, wanted in enumerate(self.wanted):
                for key in wanted:
                    if (key[0], CODES[key[1]]) == (kind, code):
                        self.expect(client, key, number)

    @rule()
    def flush(self) -> None:
        self.loop.turn()
        assert [self.received(reader) for reader in self.readers] == self.expected

    @invariant()
    def consistent(self) -> None:
        check_consistent(self.hub)
        assert subscribed_codes(self.hub) == {CODES[name] for wanted in self.wanted for _, name in wanted}

    def teardown(self) -> None:
        self.flush()
        for reader in self.readers:
            self.hub.leave(reader)
        check_empty(self.hub)
        assert [count for _, count in self.gone] == [len(reader.writes) for reader, _ in self.gone]

    def received(self, reader: Reader) -> dict[tuple[Kind, str], list[tuple[int, int]]]:
        """By (kind, name), number and depth of each event that came; checks that its content is its own."""
        found: dict[tuple[Kind, str], list[tuple[int, int]]] = {}
        for one in frames(b"".join(reader.writes)):
            number = one["seq"] - EPOCH
            assert one["tick_time"] == number + 1
            found.setdefault((one["kind"], one["code"]), []).append((number, len(one.get("bids", ()))))
        return found


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
test_any_sequence_gives_every_client_exactly_what_it_wants = Model.TestCase


class InOrder(Model):
    """The same of a hub that keeps the order of all of it."""

    in_order = True


InOrder.TestCase.settings = Model.TestCase.settings
test_any_sequence_does_so_in_order_too = InOrder.TestCase


@pytest.mark.skipif(sys.platform != "linux", reason="sockets that keep messages apart")
class OverSockets(Model):
    """The same where bytes go straight to sockets."""

    reader = Connected

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            Connected.close_all()


OverSockets.TestCase.settings = Model.TestCase.settings
test_any_sequence_does_so_over_sockets_too = OverSockets.TestCase


def test_a_code_joins_a_list_without_touching_the_rest(hub: Hub, loop: Loop) -> None:
    reader = Reader()
    publish(hub, trade("BTCUSDT", 5))
    hub.subscribe(reader, Kind.TRADE, [want("GOLD")])
    hub.subscribe(reader, Kind.DEPTH, [want("BTCUSDT")])
    first = frames(hub.join(reader, Kind.TRADE, want("BTCUSDT")))
    assert [(one["code"], one["price"]) for one in first] == [("BTCUSDT", "5.00")]
    assert {one.code for one in hub.instruments(reader, Kind.TRADE)} == {"GOLD", "BTCUSDT"}
    publish(hub, trade("GOLD"), trade("BTCUSDT", 6), book())
    loop.turn()
    assert (reader.seqs("GOLD"), reader.seqs("BTCUSDT")) == ([0], [1])
    assert reader.seqs("BTCUSDT", Kind.DEPTH) == [0]
    fresh = Reader()
    assert hub.join(fresh, Kind.TRADE, want("GOLD")) != b""
    assert hub.instruments(fresh, Kind.TRADE) == [GOLD]
    assert hub.instruments(fresh, Kind.DEPTH) == []
