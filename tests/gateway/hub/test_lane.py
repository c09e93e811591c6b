"""Lanes: who shares one, what is written to it, and who leaves it."""

from __future__ import annotations

from structlog.testing import capture_logs

from tickwire.gateway.hub import Hub
from tickwire.model import Kind

from .bench import Loop, Reader, check_consistent, check_empty, publish, trade, want


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
