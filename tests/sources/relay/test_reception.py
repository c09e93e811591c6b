"""What one connection tells, without sockets."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tickwire.machine import REAL
from tickwire.model import (
    Book,
    Catalogue,
    Entrance,
    Instrument,
    Kind,
    Kline,
    KlineState,
    KlineType,
    KlineUpdate,
    Market,
)
from tickwire.sources import Began, Broke, Health, Mended, Resent, Snapshot
from tickwire.sources.judge import Judge
from tickwire.sources.relay.reception import FIRST, Reception
from tickwire.sources.relay.upstream_clock import UpstreamClock
from tickwire.wire import Pushed, Resumed, Spared

from ...serving import book, trade

WALL = 1_795_000_000_000
DAY = 86_400_000
CATALOGUE = Catalogue(
    Instrument(
        code=code, market=Market.CRYPTO, price_decimals=2, volume_decimals=2, turnover_decimals=2, levels=5
    )
    for code in ("A", "B", "C", "BTCUSDT")
)


class Desk:
    """A connection whose time the test says, in seconds after the begin."""

    def __init__(self, *, sure: bool = True) -> None:
        self.clock = UpstreamClock()
        if sure:
            self.clock.happened(WALL, 0.0, WALL)
        self.judge = Judge("alltick", Entrance.RELAY, CATALOGUE, Health(wall=REAL.millis))
        self.reception = Reception(self.clock, lambda _code, _at: True, self.judge, 0.0)

    def agree(self, at: float, *codes: str, kind: Kind = Kind.TRADE) -> list[Began | Broke]:
        for code in codes:
            self.reception.add(kind, code, at)
        return [*self.reception.subscribed(kind, codes, at), *self.reception.begin(at)]

    def trade(self, at: float, code: str = "A", ago: int = 0, price: str = "1") -> object:
        """What a trade is that came so many seconds after the begin, and is so many milliseconds old."""
        wall = WALL + int(at * 1000)
        return self.reception.event(Pushed(trade(code, price, at=wall - ago), 1), at, wall)


def test_the_first_one_tells_how_a_code_stands_and_later_ones_what_happens() -> None:
    desk = Desk()
    assert desk.agree(1.0, "A", "B") == [Began(("A", "B"), WALL + 1000)]
    assert not desk.reception.live(Kind.TRADE, "A")
    found = desk.trade(1.1, ago=5000)
    assert isinstance(found, Snapshot)
    assert (found.kind, found.code) == (Kind.TRADE, "A")
    assert desk.reception.live(Kind.TRADE, "A")
    assert desk.trade(2.0, ago=100) == trade("A", "1", at=WALL + 1900)
    heard: tuple[int | None, float] = (desk.reception.lag, desk.reception.heard)
    assert heard == (100, 2.0)
    assert desk.trade(2.1, ago=5000) == trade("A", "1", at=WALL - 2900)


def test_a_first_one_that_is_younger_than_the_subscription_has_happened() -> None:
    """As where the link has left out what came before the reconnect already."""
    desk = Desk()
    desk.agree(1.0, "A")
    assert not isinstance(desk.trade(1.5, ago=100), Snapshot)


def test_while_the_time_is_not_known_the_first_moments_are_those_of_states() -> None:
    desk = Desk(sure=False)
    assert desk.agree(1.0, "A", "B") == []
    assert isinstance(desk.trade(1.0 + FIRST - 0.1, "A", ago=DAY), Snapshot)
    assert desk.reception.begin(3.0) == []
    assert not isinstance(desk.trade(1.0 + FIRST, "B", ago=DAY), Snapshot)
    assert desk.reception.begin(4.0) == [Began(("A", "B"), WALL + 4000 - DAY)]
    assert desk.reception.begin(5.0) == []


def test_what_comes_before_the_consent_is_a_state() -> None:
    desk = Desk()
    desk.reception.add(Kind.TRADE, "A", 1.0)
    assert isinstance(desk.trade(1.1), Snapshot)


def test_a_lost_connection_is_a_hole_and_all_begins_anew() -> None:
    desk = Desk()
    desk.agree(1.0, "A")
    desk.agree(1.0, "B", kind=Kind.DEPTH)
    desk.trade(2.0)
    assert desk.reception.lost(WALL + 2500, "cut") == [Broke(("A",), WALL + 2500, "cut")]
    assert desk.reception.lost(WALL + 2600, "cut again") == []
    assert not desk.reception.live(Kind.TRADE, "A")
    assert desk.agree(5.0, "A") == [Began(("A",), WALL + 5000)]
    assert isinstance(desk.trade(5.1, ago=200), Snapshot)


def test_a_hole_begins_no_earlier_than_what_was_complete() -> None:
    desk = Desk()
    desk.agree(2.0, "A")
    assert desk.reception.lost(WALL + 1000, "cut") == [Broke(("A",), WALL + 2000, "cut")]


def test_what_nobody_wants_any_more_breaks_without_a_reason() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B")
    assert desk.reception.remove(Kind.TRADE, ["A", "C"], 3.0) == [Broke(("A",), WALL + 3000, "")]
    assert desk.trade(3.1, "A") is None
    assert desk.reception.remove(Kind.DEPTH, ["B"], 3.0) == []


def test_what_is_wanted_again_before_the_server_heard_of_it_goes_on() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B")
    desk.reception.remove(Kind.TRADE, ["A"], 2.0)
    desk.reception.add(Kind.TRADE, "A", 2.1)
    assert desk.reception.begin(2.1) == [Began(("A",), WALL + 2100)]
    changed = desk.reception.subscribed(Kind.TRADE, ["B"], 2.2)  # it had heard of it after all
    assert changed == [Broke(("A",), WALL + 2200, "the subscription was changed")]
    assert desk.agree(3.0, "A", "B") == [Began(("A",), WALL + 3000)]


def test_what_is_gone_before_it_began_never_begins() -> None:
    desk = Desk(sure=False)
    desk.agree(1.0, "A", "B", "C")
    desk.reception.remove(Kind.TRADE, ["A"], 1.1)
    desk.reception.subscribed(Kind.TRADE, ["C"], 1.2)
    desk.clock.settle(1.3, WALL)
    assert desk.reception.begin(1.3) == [Began(("C",), WALL)]
    desk.agree(1.4, "D")
    desk.reception.lost(WALL, "cut")
    assert desk.reception.begin(1.5) == []


def test_missed_events_are_a_hole_since_the_last_one() -> None:
    desk = Desk()
    desk.agree(1.0, "A")
    desk.trade(1.1, ago=200)
    desk.trade(4.0)
    assert desk.reception.missed(6.0) == [
        Broke(("A",), WALL + 4000, "events came faster than they were taken")
    ]
    assert desk.reception.begin(6.0) == [Began(("A",), WALL + 6000)]


def test_trades_that_were_thinned_are_a_hole_of_their_codes() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B")
    desk.trade(5.0)
    assert desk.reception.spared(Spared(Kind.DEPTH, 5, ("A",), WALL + 3000), 6.0) == []
    less = "upstream sent less than came"
    told = Spared(Kind.TRADE, 5, ("A", "C"), WALL + 3000)
    assert desk.reception.spared(told, 6.0) == [Broke(("A",), WALL + 3000, less)]
    assert desk.reception.begin(6.0) == [Began(("A",), WALL + 6000)]
    many = Spared(Kind.TRADE, 5, tuple(f"X{number}" for number in range(20)), WALL + 9000)
    assert desk.reception.spared(many, 7.0) == [Broke(("A", "B"), WALL + 7000, less)]
    assert desk.reception.begin(7.0) == [Began(("A", "B"), WALL + 7000)]


def test_books_and_trades_are_apart_and_bars_are_none_of_ours() -> None:
    desk = Desk()
    desk.agree(1.0, "BTCUSDT", kind=Kind.DEPTH)
    assert desk.trade(1.1, "BTCUSDT") is None
    found = desk.reception.event(Pushed(book(at=WALL + 2000), 1), 2.0, WALL + 2000)
    assert isinstance(found, Book)
    one = Decimal(1)
    bar = Kline("BTCUSDT", KlineType.MINUTE, WALL // 1000, one, one, one, one, one, one)
    assert desk.reception.event(Pushed(KlineUpdate(bar, KlineState.FORMING), 1), 2.0, WALL) is None
    assert desk.reception.codes() == {"BTCUSDT"}


def test_what_cannot_be_is_counted_and_stays_the_first() -> None:
    desk = Desk()
    desk.agree(1.0, "A")
    assert desk.trade(1.1, ago=-DAY) is None
    assert desk.judge.bad == 1
    assert not desk.reception.live(Kind.TRADE, "A")
    assert isinstance(desk.trade(1.2, ago=300), Snapshot)


def test_events_are_passed_on_as_they_are() -> None:
    desk = Desk()
    desk.agree(1.0, "A")
    desk.trade(1.1, ago=300)
    given = msgspec.structs.replace(trade("A", at=WALL + 2000), source_seq=77)
    assert desk.reception.event(Pushed(given, 77), 2.0, WALL + 2000) is given


# Where upstream gives what was missed.
def resumed(desk: Desk, at: float, *whole: str, gaps: tuple[str, ...] = ()) -> list[Broke | Mended]:
    return desk.reception.resumed(Resumed(Kind.TRADE, whole, tuple((code, None) for code in gaps)), at)


def test_what_was_missed_is_an_event_of_its_time_that_says_nothing_of_now() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B")
    desk.trade(70.0, "A")
    desk.reception.lost(WALL + 70_000, "cut")
    assert resumed(desk, 200.0, "A", "B") == [Mended(("A", "B"), WALL + 200_000)]
    assert desk.agree(200.0, "A", "B") == []
    assert desk.reception.live(Kind.TRADE, "B")  # what was shown last is what is known of it
    lag = desk.reception.lag
    late = desk.trade(200.1, "A", ago=120_000)
    assert late == trade("A", "1", at=WALL + 80_100)
    assert (desk.reception.lag, desk.reception.heard) == (lag, 200.1)
    assert desk.clock.read(200.1) == WALL + 200_100
    desk.trade(200.2, "A")
    assert desk.reception.lag == 0


def test_a_cut_while_it_comes_is_a_hole_since_the_last_one_that_came() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B", "C")
    for code in ("A", "B", "C"):
        desk.trade(70.0, code)
    desk.reception.lost(WALL + 70_000, "cut")
    resumed(desk, 200.0, "A", "B", "C")
    desk.agree(200.0, "A", "B", "C")
    desk.trade(200.1, "A", ago=50_100)
    desk.trade(200.2, "B")
    assert desk.reception.lost(WALL + 200_300, "cut again") == [
        Broke(("A",), WALL + 150_000, "cut again"),
        Broke(("B",), WALL + 200_300, "cut again"),
        Broke(("C",), WALL + 70_000, "cut again"),
    ]
    assert desk.agree(300.0, "A", "B", "C") == [Began(("A", "B", "C"), WALL + 300_000)]  # it cannot any more
    assert isinstance(desk.trade(300.1, "A", ago=200), Snapshot)


def test_what_comes_behind_a_hole_is_in_bars_that_are_fetched() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B")
    desk.trade(70.0, "A")
    desk.reception.lost(WALL + 70_000, "cut")
    assert resumed(desk, 200.0, gaps=("A", "B")) == []
    assert desk.agree(200.0, "A", "B") == [Began(("A", "B"), WALL + 200_000)]
    late = desk.trade(200.1, "A", ago=50_000)
    assert late == Resent(trade("A", "1", at=WALL + 150_100), counted=True, recorded=False)
    assert desk.trade(200.3, "A") == trade("A", "1", at=WALL + 200_300)
    desk.reception.lost(WALL + 200_400, "cut in the minute that is fetched")
    resumed(desk, 400.0, "A", "B")
    desk.agree(400.0, "A", "B")
    end = (WALL + 200_000) // 60_000 * 60_000 + 60_000 - WALL
    assert isinstance(desk.trade(400.1, "A", ago=400_100 - (end - 1)), Resent)
    assert desk.trade(400.2, "A", ago=400_200 - end) == trade("A", "1", at=WALL + end)


def test_upstream_tells_of_its_own_outages_on_an_open_connection() -> None:
    desk = Desk()
    desk.agree(1.0, "A", "B")
    for code in ("A", "B"):
        desk.trade(70.0, code)
    assert resumed(desk, 200.0, "A") == [Mended(("A",), WALL + 200_000)]
    assert desk.trade(200.1, "A", ago=100_000) == trade("A", "1", at=WALL + 100_100)
    found = resumed(desk, 201.0, gaps=("B",))
    assert found == [Broke(("B",), WALL + 70_000, "upstream cannot give what was missed")]
    assert desk.reception.begin(201.0) == [Began(("B",), WALL + 201_000)]
    assert isinstance(desk.trade(201.1, "B", ago=100), Resent)


def test_what_is_dropped_of_what_comes_late_is_a_hole_from_there_on() -> None:
    desk = Desk()
    desk.agree(1.0, "A")
    desk.trade(70.0, "A")
    desk.reception.lost(WALL + 70_000, "cut")
    resumed(desk, 200.0, "A")
    desk.agree(200.0, "A")
    desk.trade(200.1, "A", ago=80_100)
    (broke,) = desk.reception.missed(200.2)
    assert broke.at == WALL + 120_000
    assert desk.reception.begin(200.2) == [Began(("A",), WALL + 200_200)]
    assert isinstance(desk.trade(200.3, "A", ago=50_000), Resent)


def test_a_book_that_was_missed_tells_how_it_stands() -> None:
    desk = Desk()
    desk.agree(1.0, "BTCUSDT", kind=Kind.DEPTH)
    desk.reception.event(Pushed(book(at=WALL + 2000), 1), 2.0, WALL + 2000)
    desk.reception.lost(WALL + 2000, "cut")
    assert desk.reception.resumed(Resumed(Kind.DEPTH, ("BTCUSDT",), ()), 9.0) == []
    desk.agree(9.0, "BTCUSDT", kind=Kind.DEPTH)
    assert desk.reception.live(Kind.DEPTH, "BTCUSDT")
    found = desk.reception.event(Pushed(book(at=WALL + 5000), 2), 9.1, WALL + 9100)
    assert isinstance(found, Snapshot)
