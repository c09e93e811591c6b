"""Topics and views: the last event first, each name and depth, numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickwire.gateway.hub import Hub, topic
from tickwire.model import Book, Event, Kind, Level, Trade
from tickwire.wire import Want
from tickwire.wire.push import encoder

from .bench import BTC, EPOCH, GOLD, Loop, Reader, book, fed, first, frames, publish, trade, want


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
