"""From what links tell to what users read: without sockets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

from tickwire import Book, Gap, Kline, Refusal, Spared, Status, Subscribed, Trade, connect
from tickwire.client import Buffer, LinkStatus, Missed, State, Told
from tickwire.client.events import kline_of
from tickwire.client.strands import SLOW, Strands
from tickwire.model import Book as WireBook
from tickwire.model import Direction, Family, Kind, KlineState, KlineType, KlineUpdate, Level, moment
from tickwire.model import Kline as Bar
from tickwire.model import Trade as WireTrade
from tickwire.wire import Bad, Pushed, Several
from tickwire.wire.upstream import read

from ..wire.test_upstream import KLINE, changed, text

T0 = 1788529064027
NOW = datetime(2026, 9, 4, tzinfo=UTC)
ONE = Decimal(1)
UP = State("other", LinkStatus.UP, 0.0)
DOWN = State("other", LinkStatus.DOWN, 0.0, "cut", 0.5)
TAKEN = Subscribed(Kind.TRADE, ("GOLD", "BTCUSDT"))


def made(*codes: str) -> Strands:
    strands = Strands(lambda _: NOW)
    for code in codes or ("GOLD", "BTCUSDT"):
        strands.add(Kind.TRADE, code, Family.OTHER)
    return strands


def pushed(code: str = "GOLD", number: int = 0) -> Pushed:
    return Pushed(WireTrade(code, T0 + number, ONE, ONE, None, 1, number), number)


def gap(code: str, begin: int | None, end: int, reason: str = "cut", missed: int | None = None) -> Gap:
    first = None if begin is None else moment(T0 + begin)
    return Gap(code, Kind.TRADE, first, moment(T0 + end), reason, missed)


def test_events_are_as_the_server_sent_them() -> None:
    strands = made("GOLD")
    strands.add(Kind.DEPTH, "GOLD", Family.OTHER)
    strands.add(Kind.KLINE, ("GOLD", 5), Family.OTHER)
    level = (Level(ONE, ONE),)
    bar = Bar("GOLD", KlineType.HOUR, T0 // 1000, ONE, ONE, ONE, ONE, ONE, ONE, incomplete=True)
    assert strands.events(
        [
            pushed(number=3),
            Pushed(WireBook("GOLD", T0, level, ()), 4),
            Pushed(KlineUpdate(bar, KlineState.CLOSED), 5),
        ]
    ) == [
        Trade("GOLD", T0 + 3, ONE, ONE, None, Direction.BUY, 3),
        Book("GOLD", T0, level, (), 4),
        kline_of(bar, KlineState.CLOSED, 5),
    ]


def test_a_bar_tells_what_the_server_told() -> None:
    bar = Bar("GOLD", KlineType.HOUR, T0 // 1000, ONE, ONE + 2, ONE, ONE + 1, ONE, ONE, incomplete=True)
    found = kline_of(bar, KlineState.REVISED, 5)
    assert (found.code, found.interval, found.state, found.incomplete) == ("GOLD", "1h", "revised", True)
    assert (found.time, found.high, found.close) == (moment(T0 // 1000 * 1000), ONE + 2, ONE + 1)


def test_a_bar_tells_the_last_trade_that_it_counts() -> None:
    strands = made("GOLD")
    strands.add(Kind.KLINE, ("GOLD", 5), Family.OTHER)
    for told, seq in ({"trade_seq": 7}, 7), ({"trade_seq": "7"}, 7), ({}, 0):
        (push,) = read(text(changed(KLINE, code="GOLD", kline_type=5, **told)))
        assert isinstance(push, Pushed)
        (bar,) = strands.events([push])
        assert isinstance(bar, Kline)
        assert bar.trade_seq == seq


def test_after_a_lost_connection_each_stream_has_one_gap_before_its_next_event() -> None:
    strands = made()
    strands.events([UP, TAKEN, pushed("GOLD", 1)])
    found = strands.events([DOWN, UP, TAKEN, pushed("GOLD", 5), pushed("GOLD", 6), pushed("BTCUSDT", 7)])
    assert found[0] == Status(LinkStatus.DOWN, Family.OTHER, NOW, "cut", 0.5)
    assert found[3] == gap("GOLD", 1, 5)
    assert [type(one) for one in found[4:]] == [Trade, Trade, Gap, Trade]
    assert found[6] == gap("BTCUSDT", None, 7)


def test_a_stream_that_the_server_never_took_has_no_hole() -> None:
    strands = made()
    found = strands.events([UP, DOWN, UP, TAKEN, pushed("GOLD", 5)])
    assert [one for one in found if isinstance(one, Gap)] == []


def test_the_other_family_has_no_hole() -> None:
    strands = made("GOLD")
    strands.add(Kind.TRADE, "AAPL.US", Family.STOCK)
    strands.events([TAKEN, Subscribed(Kind.TRADE, ("AAPL.US",)), DOWN])
    assert [type(one) for one in strands.events([pushed("AAPL.US", 2), pushed("GOLD", 2)])] == [
        Trade,
        Gap,
        Trade,
    ]


def test_a_hole_outlives_many_connections_until_an_event_comes() -> None:
    strands = made("GOLD")
    strands.events([TAKEN, pushed("GOLD", 1), DOWN, UP, TAKEN, DOWN._replace(reason="mute"), UP, TAKEN])
    assert strands.events([pushed("GOLD", 9)])[0] == gap("GOLD", 1, 9, "mute")


def test_an_event_that_is_older_than_the_last_ends_a_hole_where_it_began() -> None:
    strands = made("GOLD")
    strands.events([TAKEN, pushed("GOLD", 5), DOWN])
    assert strands.events([pushed("GOLD", 2)])[0] == gap("GOLD", 5, 5)


def test_what_was_dropped_is_told_by_stream_with_its_times() -> None:
    strands = made()
    strands.events([TAKEN, pushed("GOLD", 1)])
    for one in (pushed("GOLD", 2), pushed("BTCUSDT", 3), pushed("GOLD", 4)):
        strands.drop(one)
    found = strands.events([Missed(3), pushed("GOLD", 5)])
    assert found[:2] == [gap("GOLD", 1, 4, SLOW, 2), gap("BTCUSDT", 3, 3, SLOW, 1)]
    assert [type(one) for one in found[2:]] == [Trade]
    assert strands.events([Missed(0)]) == []


def test_a_lost_connection_that_was_dropped_itself_is_a_hole_all_the_same() -> None:
    strands = made("GOLD")
    strands.events([TAKEN, pushed("GOLD", 1)])
    strands.drop(DOWN)
    assert strands.events([pushed("GOLD", 2)])[0] == gap("GOLD", 1, 2)


def test_what_cannot_be_read_is_a_gap_of_any_stream() -> None:
    (found,) = made().events([Bad("not JSON", "###", 3)])
    assert found == Gap("", None, None, None, "unreadable: not JSON", 3)


def test_what_is_wanted_no_more_is_not_given() -> None:
    strands = made()
    assert strands.remove(Kind.TRADE, "GOLD") is Family.OTHER
    assert strands.remove(Kind.TRADE, "GOLD") is None
    assert strands.events([pushed("GOLD"), TAKEN]) == [TAKEN]
    strands.drop(pushed("GOLD"))
    assert strands.events([Missed(1)]) == []


def test_a_trade_in_place_of_several_says_so() -> None:
    wire = Pushed(WireTrade("GOLD", T0, ONE, ONE, None, 1, 9), 9, Several(3, Decimal(2), Decimal(4), ONE, 7))
    (found,) = made().events([wire])
    assert found == Trade(
        *("GOLD", T0, ONE, ONE, None, Direction.BUY, 9),
        trades=3,
        open=Decimal(2),
        high=Decimal(4),
        low=ONE,
        first_seq=7,
    )


def test_a_refusal_is_handed_on() -> None:
    refusal = Refusal(Kind.TRADE, ("GOLD",), 600, "code invalid", None)
    assert made().events([refusal]) == [refusal]


# The buffer tells what goes.
def test_what_the_server_spared_us_is_handed_on() -> None:
    spared = Spared(Kind.TRADE, 7, ("GOLD",), T0)
    assert made().events([pushed(), spared])[1] is spared


async def test_a_buffer_tells_what_it_drops_states_too() -> None:
    gone: list[Told] = []
    buffer = Buffer(limit=2, dropped=gone.append)
    buffer.put([pushed(number=1), UP, pushed(number=2)])
    assert gone == [pushed(number=1)]
    buffer.put([DOWN, DOWN])
    assert gone == [pushed(number=1), pushed(number=2), UP]
    assert await buffer.batch() == [Missed(2), DOWN, DOWN]


async def test_a_slow_reader_is_told_in_the_stream() -> None:
    async with connect(buffer=3) as feed:
        feed._strands.add(Kind.TRADE, "GOLD", Family.OTHER)
        feed._buffer.put([pushed(number=number) for number in range(5)])
        found = await asyncio.wait_for(feed.batch(), 120)
        assert found[0] == gap("GOLD", 0, 1, SLOW, 2)
        assert [one.seq for one in found[1:] if isinstance(one, Trade)] == [2, 3, 4]
