"""Streams: every event gets its place once, whoever is there to take it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from tickwire.bus import StreamEvent
from tickwire.market.streams import Streams
from tickwire.model import Book, Instrument, Kind, Kline, KlineState, KlineType, KlineUpdate, Position, Trade
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
GOLD, BTC = CATALOGUE["GOLD"], CATALOGUE["BTCUSDT"]
EPOCH = 1_788_530_574_453_000


def trade(instrument: Instrument = GOLD, price: int = 1) -> Trade:
    return Trade(instrument.code, price, Decimal(price), Decimal(1))


class Inlet:
    def __init__(self) -> None:
        self.taken: list[tuple[StreamEvent, int]] = []

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        self.taken.append((event, seq))


class Receiver:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.inlets: dict[tuple[Kind, str, int], Inlet] = {}
        self.redefined: list[Instrument] = []
        self.went_on: list[tuple[str, Position, bool]] = []

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Inlet:
        assert (kind, instrument.code, kline_type) not in self.inlets
        return self.inlets.setdefault((kind, instrument.code, kline_type), Inlet())

    def redefine(self, instrument: Instrument) -> None:
        self.redefined.append(instrument)

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        self.went_on += [(one.code, begin, gap) for one, begin in begins.items()]

    def seqs(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> list[int]:
        return [seq - EPOCH for _, seq in self.inlets[kind, instrument.code, kline_type].taken]


def test_each_stream_counts_by_itself_from_the_epoch() -> None:
    streams, receiver = Streams(EPOCH), Receiver()
    streams.join(receiver)
    one = Decimal(1)
    minute = KlineUpdate(
        Kline("GOLD", KlineType.MINUTE, 60, one, one, one, one, one, one, 60_000, 60_000), KlineState.FORMING
    )
    daily = msgspec.structs.replace(minute.kline, kline_type=KlineType.DAY)
    day = KlineUpdate(daily, KlineState.FORMING)
    for event in (trade(), Book("GOLD", 1, (), ()), minute, day, trade(), minute):
        streams.publish(GOLD, event)
    assert streams.publish(BTC, trade(BTC)) == EPOCH
    assert receiver.seqs(Kind.TRADE, GOLD) == [0, 1]
    assert receiver.seqs(Kind.DEPTH, GOLD) == [0]
    assert receiver.seqs(Kind.KLINE, GOLD, KlineType.MINUTE) == [0, 1]
    assert receiver.seqs(Kind.KLINE, GOLD, KlineType.DAY) == [0]
    assert streams.position(streams.trades(GOLD)) == Position(EPOCH, EPOCH + 1)


def test_all_receivers_get_the_same_and_a_late_one_the_last_event_and_what_follows() -> None:
    streams, first, second = Streams(EPOCH), Receiver(), Receiver()
    streams.join(first)
    streams.publish(GOLD, trade())
    streams.join(second)
    streams.publish(GOLD, trade())
    streams.publish(BTC, trade(BTC))
    assert first.seqs(Kind.TRADE, GOLD) == [0, 1]
    assert second.seqs(Kind.TRADE, GOLD) == [0, 1]
    assert first.seqs(Kind.TRADE, BTC) == second.seqs(Kind.TRADE, BTC) == [0]


def test_an_event_is_numbered_where_nobody_is_there() -> None:
    streams = Streams(EPOCH)
    assert [streams.publish(GOLD, trade(GOLD, n)) for n in range(3)] == [EPOCH, EPOCH + 1, EPOCH + 2]
    assert streams.last_trade(GOLD) == trade(GOLD, 2)
    assert streams.last_book(GOLD) is None
    assert (streams.is_silent(GOLD), streams.is_silent(BTC)) == (False, True)


def test_what_is_numbered_is_sent_later_or_twice() -> None:
    streams, receiver = Streams(EPOCH), Receiver()
    streams.join(receiver)
    held = streams.number(GOLD, trade(GOLD, 1))
    streams.publish(GOLD, trade(GOLD, 2))
    held.send()
    held.send()
    assert receiver.seqs(Kind.TRADE, GOLD) == [1, 0, 0]
    assert streams.last_trade(GOLD) == trade(GOLD, 2)


def test_receivers_learn_of_other_numbers_and_streams_that_begin_have_them() -> None:
    streams, receiver = Streams(EPOCH), Receiver()
    streams.join(receiver)
    streams.publish(GOLD, trade())
    wide = msgspec.structs.replace(GOLD, price_decimals=6)
    streams.redefine(wide)
    assert receiver.redefined == [wide]
    assert streams.trades(GOLD).instrument is wide


def test_receivers_learn_where_trades_go_on_behind_an_outage_whichever_fails() -> None:
    class Failing(Receiver):
        def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
            raise RuntimeError

    streams, receiver = Streams(EPOCH), Receiver()
    streams.join(Failing())
    streams.join(receiver)
    streams.publish(GOLD, trade())
    streams.go_on([GOLD, BTC], gap=False)
    streams.go_on([], gap=True)
    assert receiver.went_on == [
        ("GOLD", Position(EPOCH, EPOCH + 1), False),
        ("BTCUSDT", Position(EPOCH, EPOCH), False),
    ]
