"""Fan-out: every client gets exactly what it wants, each event once, made once for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from structlog.testing import capture_logs

from tickwire.gateway.hub import Hub, topic
from tickwire.market.streams import Streams
from tickwire.model import Book, Event, Instrument, Kind, Level, Trade
from tickwire.store import load_catalogue
from tickwire.wire import Want, encoder

from ...serving import subscribed_codes

CATALOGUE = load_catalogue()
EPOCH = 1_788_530_574_453_000
GOLD, BTC, TENCENT = CATALOGUE["GOLD"], CATALOGUE["BTCUSDT"], CATALOGUE["700.HK"]
COMMANDS = {22998: Kind.TRADE, 22999: Kind.DEPTH}


def frames(data: bytes) -> list[dict[str, Any]]:
    """The pushes in a run of frames, each with its kind."""
    found = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        assert data[0] == 0x81
        assert data[1] < 127
        message = json.loads(data[start : start + size])
        found.append(message["data"] | {"kind": COMMANDS[message["cmd_id"]]})
        data = data[start + size :]
    return found


class Reader:
    """A client that remembers what it was sent."""

    def __init__(self, on_push: Callable[[], None] = lambda: None) -> None:
        self.writes: list[bytes] = []
        self.on_push = on_push
        self.ended = False

    def push(self, data: bytes) -> None:
        self.writes.append(data)
        self.on_push()

    def reset(self) -> None:
        self.ended = True

    def seqs(self, name: str, kind: Kind = Kind.TRADE) -> list[int]:
        """What came under that name, counted from the epoch."""
        found = frames(b"".join(self.writes))
        return [one["seq"] - EPOCH for one in found if (one["code"], one["kind"]) == (name, kind)]


class Loop:
    """What a hub schedules, run when the test says so."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        self.scheduled.append(call)

    def turn(self) -> int:
        """Runs what is scheduled; returns how much that was."""
        scheduled, self.scheduled = self.scheduled, []
        for call in scheduled:
            call()
        return len(scheduled)


STREAMS: WeakKeyDictionary[Hub, Streams] = WeakKeyDictionary()
"""What each hub is fed from."""


def fed(schedule: Callable[[Callable[[], None]], object], **options: Any) -> Hub:
    """A hub that has joined the streams of a market."""
    hub = Hub(schedule, **options)
    STREAMS[hub] = Streams(EPOCH)
    STREAMS[hub].join(hub)
    return hub


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def hub(loop: Loop) -> Hub:
    return fed(loop.soon)


def want(code: str, levels: int | None = None, *, name: str | None = None) -> Want:
    one = CATALOGUE[code]
    return Want(name or code, one, one.levels if levels is None else levels)


def trade(code: str = "GOLD", price: int = 1) -> Trade:
    return Trade(code, price, Decimal(price), Decimal(1))


def book(code: str = "BTCUSDT", price: int = 100) -> Book:
    depth = CATALOGUE[code].levels
    bids = tuple(Level(Decimal(price + 50 - n), Decimal(1)) for n in range(depth))
    return Book(code, price, bids, tuple(Level(Decimal(price + 51 + n), Decimal(1)) for n in range(depth)))


def publish(hub: Hub, *events: Event, instrument: Instrument | None = None) -> None:
    for event in events:
        STREAMS[hub].publish(instrument or CATALOGUE[event.code], event)


def first(hub: Hub, client: Reader, kind: Kind, *wants: Want) -> list[tuple[str, int]]:
    """Subscribes; returns name and number of what is sent first."""
    return [(one["code"], one["seq"] - EPOCH) for one in frames(hub.subscribe(client, kind, wants))]


def check_consistent(hub: Hub) -> None:
    """Nothing is kept that nobody wants, and all that is kept knows one another."""
    for client, membership in hub._members.items():
        assert client in membership.lane.clients
        assert hub._lanes[membership.lane.views] is membership.lane
        assert frozenset().union(*membership.views.values()) == membership.lane.views
    for views, lane in hub._lanes.items():
        assert views == lane.views
        assert lane.clients
        assert all(lane in view.lanes for view in views)
        assert all(view in view.topic.views.values() for view in views)
    assert sum(len(lane.clients) for lane in hub._lanes.values()) == len(hub._members)
    for one in hub._topics.values():
        for view in one.views.values():
            assert view.lanes
            assert all(hub._lanes[lane.views] is lane for lane in view.lanes)


def check_empty(hub: Hub) -> None:
    assert not hub._members
    assert not hub._lanes
    assert not [view for one in hub._topics.values() for view in one.views]
    assert subscribed_codes(hub) == set()


# Lanes and views.
def test_clients_that_want_the_same_share_a_lane_and_its_bytes(hub: Hub, loop: Loop) -> None:
    readers = [Reader() for _ in range(3)]
    for number, reader in enumerate(readers):
        wants = [want("GOLD"), want("BTCUSDT")]
        hub.subscribe(reader, Kind.TRADE, wants if number % 2 else wants[::-1])
    assert len(hub._lanes) == 1
    publish(hub, trade("GOLD"), trade("BTCUSDT"))
    loop.turn()
    one, two, three = (reader.writes for reader in readers)
    assert len(one) == 1
    assert one[0] is two[0] is three[0]


def test_clients_that_want_different_things_have_lanes_of_their_own(hub: Hub) -> None:
    hub.subscribe(Reader(), Kind.TRADE, [want("GOLD")])
    hub.subscribe(Reader(), Kind.DEPTH, [want("GOLD")])
    hub.subscribe(Reader(), Kind.TRADE, [want("GOLD", name="XAUUSD")])
    hub.subscribe(Reader(), Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    assert len(hub._lanes) == 4


def test_a_frame_is_made_once_for_a_view_however_many_lanes_and_clients(
    hub: Hub, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, int]] = []

    def counting(*stream: Any, **options: Any) -> Any:
        encode: Any = encoder(*stream, **options)

        def count(event: Event, seq: int) -> bytes:
            frame: bytes = encode(event, seq)
            made.append((frames(frame)[0]["code"], len(frames(frame)[0]["bids"])))
            return frame

        return count

    monkeypatch.setattr(topic, "encoder", counting)
    readers = [Reader() for _ in range(20)]
    for number, reader in enumerate(readers):
        asked = [want("BTCUSDT", 5 if number % 2 else 2)]
        hub.subscribe(reader, Kind.DEPTH, [*asked, want("GOLD")] if number % 3 else asked)
    assert len(hub._lanes) == 4
    publish(hub, book(), book(), book())
    loop.turn()
    assert sorted(made) == [("BTCUSDT", 2)] * 3 + [("BTCUSDT", 5)] * 3
    assert [reader.seqs("BTCUSDT", Kind.DEPTH) for reader in readers] == [[0, 1, 2]] * 20


def test_what_nobody_wants_is_not_made_but_numbered(hub: Hub, loop: Loop) -> None:
    publish(hub, trade(), trade())
    assert loop.scheduled == []
    assert hub.last_trade(GOLD) == (trade(), EPOCH + 1)


def test_all_of_a_turn_is_one_flush_and_one_write(hub: Hub, loop: Loop) -> None:
    reader = Reader()
    hub.subscribe(reader, Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    publish(hub, trade("GOLD"), trade("BTCUSDT"), trade("GOLD"))
    assert reader.writes == []
    assert loop.turn() == 1
    assert len(reader.writes) == 1
    assert (reader.seqs("GOLD"), reader.seqs("BTCUSDT")) == ([0, 1], [0])
    publish(hub, trade("GOLD"))
    assert loop.turn() == 1
    assert reader.seqs("GOLD") == [0, 1, 2]


# Snapshots.
def test_a_new_subscriber_is_sent_the_last_event_first(hub: Hub) -> None:
    publish(hub, trade("GOLD"), trade("GOLD"), trade("BTCUSDT"), book("BTCUSDT"))
    reader = Reader()
    asked = (want("BTCUSDT"), want("700.HK"), want("GOLD"))
    assert first(hub, reader, Kind.TRADE, *asked) == [("BTCUSDT", 0), ("GOLD", 1)]
    assert first(hub, reader, Kind.DEPTH, *asked) == [("BTCUSDT", 0)]
    assert reader.writes == []


def test_codes_that_go_on_are_sent_no_snapshot(hub: Hub, loop: Loop) -> None:
    publish(hub, trade("GOLD"), trade("BTCUSDT"))
    reader = Reader()
    first(hub, reader, Kind.TRADE, want("GOLD"))
    assert first(hub, reader, Kind.TRADE, want("BTCUSDT"), want("GOLD")) == [("BTCUSDT", 0)]
    publish(hub, trade("GOLD"))
    loop.turn()
    assert reader.seqs("GOLD") == [1]


def test_a_code_that_goes_on_with_another_depth_is_sent_no_snapshot(hub: Hub, loop: Loop) -> None:
    publish(hub, book("BTCUSDT"))
    reader = Reader()
    assert first(hub, reader, Kind.DEPTH, want("BTCUSDT", 1)) == [("BTCUSDT", 0)]
    assert first(hub, reader, Kind.DEPTH, want("BTCUSDT", 3)) == []
    publish(hub, book("BTCUSDT"))
    loop.turn()
    assert [len(one["bids"]) for one in frames(b"".join(reader.writes))] == [3]


def test_a_code_that_comes_back_is_sent_a_snapshot_again(hub: Hub) -> None:
    publish(hub, trade("GOLD"))
    reader = Reader()
    assert first(hub, reader, Kind.TRADE, want("GOLD")) == [("GOLD", 0)]
    assert first(hub, reader, Kind.TRADE, want("BTCUSDT")) == []
    assert first(hub, reader, Kind.TRADE, want("GOLD")) == [("GOLD", 0)]
    hub.cancel(reader, [Kind.TRADE])
    assert first(hub, reader, Kind.TRADE, want("GOLD")) == [("GOLD", 0)]


def test_the_lists_of_trades_and_of_books_are_independent(hub: Hub, loop: Loop) -> None:
    publish(hub, trade("BTCUSDT"), book("BTCUSDT"))
    reader = Reader()
    assert first(hub, reader, Kind.TRADE, want("BTCUSDT")) == [("BTCUSDT", 0)]
    assert first(hub, reader, Kind.DEPTH, want("BTCUSDT")) == [("BTCUSDT", 0)]
    assert first(hub, reader, Kind.DEPTH, want("GOLD")) == []
    publish(hub, trade("BTCUSDT"), book("BTCUSDT"), book("GOLD"))
    loop.turn()
    assert reader.seqs("BTCUSDT") == [1]
    assert reader.seqs("BTCUSDT", Kind.DEPTH) == []
    assert reader.seqs("GOLD", Kind.DEPTH) == [0]


def test_snapshots_can_be_turned_off(loop: Loop) -> None:
    hub = fed(loop.soon, snapshots=False)
    publish(hub, trade("GOLD"))
    reader = Reader()
    assert hub.subscribe(reader, Kind.TRADE, [want("GOLD")]) == b""
    publish(hub, trade("GOLD"))
    loop.turn()
    assert reader.seqs("GOLD") == [1]


def test_nothing_is_lost_or_sent_twice_between_snapshot_and_stream(hub: Hub, loop: Loop) -> None:
    early, late = Reader(), Reader()
    hub.subscribe(early, Kind.TRADE, [want("GOLD")])
    publish(hub, trade(), trade())
    assert first(hub, late, Kind.TRADE, want("GOLD")) == [("GOLD", 1)]
    assert early.seqs("GOLD") == [0, 1], "what was under way is sent before lanes change"
    publish(hub, trade())
    loop.turn()
    assert late.seqs("GOLD") == [2]
    assert early.seqs("GOLD") == [0, 1, 2]


# Names, depths, numbers.
def test_a_code_and_its_alias_are_two_streams_with_the_same_numbers(hub: Hub, loop: Loop) -> None:
    reader = Reader()
    publish(hub, trade("GOLD"))
    asked = (want("GOLD", name="XAUUSD"), want("GOLD"))
    assert first(hub, reader, Kind.TRADE, *asked) == [("XAUUSD", 0), ("GOLD", 0)]
    publish(hub, trade("GOLD"))
    loop.turn()
    assert reader.seqs("XAUUSD") == reader.seqs("GOLD") == [1]


def test_each_client_has_the_depth_it_asked_for(hub: Hub, loop: Loop) -> None:
    readers = {levels: Reader() for levels in (1, 3, 10)}
    for levels, reader in readers.items():
        hub.subscribe(reader, Kind.DEPTH, [want("700.HK", levels)])
    publish(hub, book("700.HK"))
    loop.turn()
    for levels, reader in readers.items():
        (pushed,) = frames(b"".join(reader.writes))
        assert (len(pushed["bids"]), len(pushed["asks"])) == (levels, levels)
        assert pushed["bids"][0]["price"] == "150.000000"


def test_numbers_begin_at_the_epoch_and_grow_by_one_for_each_code_and_kind(hub: Hub, loop: Loop) -> None:
    reader, late = Reader(), Reader()
    hub.subscribe(reader, Kind.TRADE, [want("BTCUSDT"), want("GOLD")])
    hub.subscribe(reader, Kind.DEPTH, [want("BTCUSDT")])
    publish(hub, trade("BTCUSDT"), book("BTCUSDT"), trade("BTCUSDT"), trade("GOLD"), book("BTCUSDT"))
    loop.turn()
    assert first(hub, late, Kind.DEPTH, want("BTCUSDT", 2)) == [("BTCUSDT", 1)]
    publish(hub, book("BTCUSDT"))
    loop.turn()
    assert reader.seqs("BTCUSDT") == [0, 1]
    assert reader.seqs("GOLD") == [0]
    assert reader.seqs("BTCUSDT", Kind.DEPTH) == [0, 1, 2]
    assert late.seqs("BTCUSDT", Kind.DEPTH) == [2]


def test_numbers_go_on_while_nobody_is_subscribed(hub: Hub) -> None:
    reader = Reader()
    hub.subscribe(reader, Kind.TRADE, [want("GOLD")])
    publish(hub, trade())
    hub.leave(reader)
    publish(hub, trade())
    assert first(hub, Reader(), Kind.TRADE, want("GOLD")) == [("GOLD", 1)]


def test_legacy_identifiers_are_strings_in_snapshots_and_pushes(loop: Loop) -> None:
    hub = fed(loop.soon, text_ids=True)
    reader = Reader()
    publish(hub, trade())
    snapshot = frames(hub.subscribe(reader, Kind.TRADE, [want("GOLD")]))
    publish(hub, trade())
    loop.turn()
    assert [one["seq"] for one in snapshot + frames(reader.writes[0])] == [str(EPOCH), str(EPOCH + 1)]


def test_the_last_events_are_kept_for_those_who_ask_over_http(hub: Hub) -> None:
    assert hub.last_trade(BTC) is None
    publish(hub, book("BTCUSDT", 100), book("BTCUSDT", 200))
    assert hub.last_book(BTC) == (book("BTCUSDT", 200), EPOCH + 1)
    assert hub.last_trade(BTC) is None


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
    assert list(hub.topic(Kind.DEPTH, TENCENT).views) == [("700.HK", 3)]
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


def test_a_client_may_leave_during_its_own_push(hub: Hub, loop: Loop) -> None:
    leaving = Reader(lambda: hub.leave(leaving))
    same, other = Reader(), Reader()
    for reader in (leaving, same):
        hub.subscribe(reader, Kind.TRADE, [want("GOLD")])
    hub.subscribe(other, Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    publish(hub, trade(), trade())
    loop.turn()
    publish(hub, trade())
    loop.turn()
    assert leaving.seqs("GOLD") == [0, 1]
    assert same.seqs("GOLD") == other.seqs("GOLD") == [0, 1, 2]
    check_consistent(hub)


def test_a_client_that_fails_is_ended_and_the_others_get_their_bytes(hub: Hub, loop: Loop) -> None:
    def fail() -> None:
        raise RuntimeError("a broken client")

    failing, same, other = Reader(fail), Reader(), Reader()
    for reader in (failing, same):
        hub.subscribe(reader, Kind.TRADE, [want("GOLD")])
    hub.subscribe(other, Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    with capture_logs() as logged:
        for _ in range(3):
            publish(hub, trade())
            loop.turn()
    assert same.seqs("GOLD") == other.seqs("GOLD") == [0, 1, 2]
    assert (failing.ended, same.ended, other.ended) == (True, False, False)
    assert failing.seqs("GOLD") == [0]
    assert [line["event"] for line in logged] == ["a client cannot be written to and is dropped"]
    check_consistent(hub)


def test_the_last_client_of_a_lane_may_leave_during_its_own_push(hub: Hub, loop: Loop) -> None:
    leaving = Reader(lambda: hub.leave(leaving))
    hub.subscribe(leaving, Kind.TRADE, [want("GOLD"), want("BTCUSDT")])
    publish(hub, trade("GOLD"), trade("BTCUSDT"))
    loop.turn()
    assert (leaving.seqs("GOLD"), leaving.seqs("BTCUSDT")) == ([0], [0])
    check_empty(hub)


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

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.hub = fed(self.loop.soon)
        self.counts: dict[tuple[Kind, str], int] = {}
        self.readers = [Reader() for _ in range(3)]
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
        self.readers[client], self.wanted[client], self.expected[client] = Reader(), {}, {}

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


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_any_sequence_gives_every_client_exactly_what_it_wants = Model.TestCase


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


def test_an_instrument_in_other_numbers_is_written_in_them_at_once(hub: Hub, loop: Loop) -> None:
    every, two = Reader(), Reader()
    hub.subscribe(every, Kind.DEPTH, [want("BTCUSDT")])
    hub.subscribe(two, Kind.DEPTH, [want("BTCUSDT", 2)])
    hub.subscribe(every, Kind.TRADE, [want("BTCUSDT")])
    wide = msgspec.structs.replace(BTC, price_decimals=4, levels=7)
    hub.redefine(wide)
    level = tuple(Level(Decimal(100 - n), Decimal(1)) for n in range(7))
    for event in (Trade("BTCUSDT", 1, Decimal("1.2345"), Decimal(1)), Book("BTCUSDT", 1, level, ())):
        publish(hub, event, instrument=wide)
    loop.turn()
    sold, shown = (
        next(one for one in frames(b"".join(every.writes)) if one["kind"] is kind)
        for kind in (Kind.TRADE, Kind.DEPTH)
    )
    assert (sold["price"], len(shown["bids"]), len(shown["asks"])) == ("1.2345", 7, 7)
    (narrow,) = frames(b"".join(two.writes))
    assert [one["price"] for one in narrow["bids"]] == ["100.0000", "99.0000"]
    # Whoever asks alike from now on shares what is written.
    hub.subscribe(Reader(), Kind.DEPTH, [Want("BTCUSDT", wide, 7)])
    assert len(hub.topic(Kind.DEPTH, wide).views) == 2
    hub.leave(every)
    hub.leave(two)
    assert len(hub.topic(Kind.DEPTH, wide).views) == 1
