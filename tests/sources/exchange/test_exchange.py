"""An exchange over real sockets: a stand-in for Binance spot behind ccxt's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal

import pytest

from tickwire.machine import REAL
from tickwire.model import Book, Direction, Kind, Level, Trade
from tickwire.sources import Began, Broke, Snapshot, Status
from tickwire.sources.exchange.exchange import keys_of

from .binance import Binance, binance
from .reading import Reading, exchange, reading

pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")
BTC = "BTCUSDT"
TRADES, DEPTH = "btcusdt@trade", "btcusdt@depth@100ms"


@pytest.fixture
async def venue() -> AsyncIterator[Binance]:
    async with binance(REAL.millis) as made:
        yield made


@pytest.fixture
async def reader(venue: Binance) -> AsyncIterator[Reading]:
    """A source that keeps BTCUSDT, subscribed to both of its streams and with its book."""
    async with reading(exchange(venue.options)) as made:
        await venue.subscribed(TRADES, DEPTH)
        await made.some(Book)
        yield made


async def test_trades_arrive_exactly(venue: Binance, reader: Reading) -> None:
    first = await venue.trade(BTC, "79317.70", "0.1234567890123456789")
    await venue.trade(BTC, "0.01000001", "8999.99999999", sell=True)
    trades = await reader.some(Trade, 2)
    assert [(str(one.price), str(one.volume)) for one in trades] == [
        ("79317.70", "0.1234567890123456789"),
        ("0.01000001", "8999.99999999"),
    ]
    assert trades[0] == Trade(
        BTC,
        first["T"],
        Decimal("79317.70"),
        Decimal("0.1234567890123456789"),
        direction=Direction.BUY,
        source_seq=first["t"],
    )
    assert trades[1].direction is Direction.SELL
    began = reader.of(Began)
    assert [one.codes for one in began] == [(BTC,)]
    assert reader.told.index(began[0]) < reader.told.index(trades[0])
    assert reader.source.health.lag is not None
    assert reader.source.health.status is Status.UP


async def test_a_repeated_trade_counts_once_even_after_a_break(venue: Binance, reader: Reading) -> None:
    first = await venue.trade(BTC, "79317.70", "1")
    await venue.send(BTC, "trade", first)
    second = await venue.trade(BTC, "79317.71", "1")
    await reader.some(Trade, 2)
    venue.disconnect()
    await reader.some(Broke)
    await venue.subscribed(TRADES)
    await venue.send(BTC, "trade", second)
    third = await venue.trade(BTC, "79317.70", "1")
    await reader.until(lambda: reader.of(Trade)[-1].source_seq == third["t"])
    assert [one.source_seq for one in reader.of(Trade)] == [one["t"] for one in (first, second, third)]


async def test_what_was_traded_before_the_subscription_is_no_new_event(
    venue: Binance, reader: Reading
) -> None:
    await venue.trade(BTC, "79317.70", "1", T=REAL.millis() - 60_000)
    later = await venue.trade(BTC, "79317.80", "1", T=REAL.millis() - 30_000)
    assert [one.source_seq for one in await reader.some(Trade)] == [later["t"]]


async def test_the_book_is_followed_exactly(venue: Binance, reader: Reading) -> None:
    (book,) = reader.of(Book)
    assert [str(level.price) for level in book.bids] == [f"79317.{cents}0" for cents in (4, 3, 2, 1, 0)]
    assert book.asks[0] == Level(Decimal("79318.0"), Decimal("0.25"))
    await venue.delta(
        BTC, [("79317.40", "0.00000000"), ("79317.45", "0.1234567890123456789")], [("79318.00", "7.00000000")]
    )
    book = (await reader.some(Book, 2))[-1]
    assert [(str(one.price), str(one.volume)) for one in book.bids[:2]] == [
        ("79317.45", "0.1234567890123456789"),
        ("79317.30", "0.50000000"),
    ]
    assert (str(book.asks[0].price), str(book.asks[0].volume)) == ("79318.00", "7.00000000")
    assert len(book.bids) == len(book.asks) == 5


async def test_a_book_whose_first_levels_stay_is_not_told_again(venue: Binance, reader: Reading) -> None:
    await venue.delta(
        BTC, [(f"7930{n}.00", "1") for n in range(10)] + [(f"792{n}.00", "1") for n in range(10, 30)]
    )
    assert len((await reader.some(Book, 2))[-1].bids) == 20
    await venue.delta(BTC, [("1.00", "1")])
    await venue.delta(BTC, [("79317.40", "9")])
    assert (await reader.some(Book, 3))[-1].bids[0].volume == 9
    assert len(reader.of(Book)) == 3


async def test_a_gap_in_the_book_makes_it_anew(venue: Binance, reader: Reading) -> None:
    venue.gap(BTC, [("79317.40", "0.00000000")], [("79318.00", "0.00000000")])
    await venue.delta(BTC, [("79317.05", "3.00000000")])
    await reader.until(lambda: reader.of(Book)[-1].bids[0].price == Decimal("79317.30"))
    book = reader.of(Book)[-1]
    assert book.asks[0].price == Decimal("79318.10")
    assert Level(Decimal("79317.05"), Decimal(3)) in book.bids
    assert not reader.of(Broke)
    await venue.subscribed(DEPTH)
    await venue.delta(BTC, [("79317.50", "4.00000000")])
    await reader.until(lambda: reader.of(Book)[-1].bids[0] == Level(Decimal("79317.50"), Decimal(4)))


async def test_a_broken_connection_is_made_again(venue: Binance, reader: Reading) -> None:
    await venue.trade(BTC, "79317.70", "1")
    await reader.some(Trade)
    at = REAL.millis()
    venue.disconnect()
    (broke,) = await reader.some(Broke)
    assert broke.codes == (BTC,)
    assert broke.reason
    assert at <= broke.at <= REAL.millis()
    await venue.subscribed(TRADES, DEPTH)
    await venue.trade(BTC, "79317.90", "1")
    await reader.some(Trade, 2)
    assert [type(one) for one in reader.told if isinstance(one, (Began, Broke, Trade))] == [
        Began,
        Trade,
        Broke,
        Began,
        Trade,
    ]
    await venue.delta(BTC, [("79317.50", "4.00000000")])
    await reader.until(lambda: reader.of(Book)[-1].bids[0].price == Decimal("79317.50"))
    assert reader.source.health.status is Status.UP


async def test_a_venue_that_refuses_is_asked_until_it_does_not(venue: Binance) -> None:
    venue.refuse = True
    source = exchange(venue.options)
    async with reading(source) as reader:
        assert source.want(Kind.TRADE, [BTC], subscribed=False) == [BTC]
        await reader.some(Snapshot, 2)
        assert {(one.kind, one.event) for one in reader.of(Snapshot)} == {
            (Kind.TRADE, None),
            (Kind.DEPTH, None),
        }
        await reader.until(lambda: source.health.status is Status.DOWN)
        assert "503" in source.health.reason
        assert not source.want(Kind.TRADE, [BTC], subscribed=False)
        venue.refuse = False
        await reader.some(Book)
        assert source.health.status is Status.UP
        venue.refuse = True
        venue.disconnect()
        await reader.until(lambda: source.health.status is Status.DOWN)
        venue.refuse = False
        await reader.until(lambda: source.health.status is Status.UP)


async def test_a_stream_that_died_is_noticed_and_all_is_connected_anew(venue: Binance) -> None:
    source = exchange(venue.options, silence=0.4)
    async with reading(source) as reader:
        await venue.subscribed(TRADES, DEPTH)
        await venue.trade(BTC, "79317.70", "1")
        await reader.some(Trade)
        await reader.some(Book)
        venue.mute = True
        await venue.delta(BTC, [("79317.45", "2.00000000")])
        await reader.some(Broke)
        venue.mute = False
        await reader.until(lambda: reader.of(Book)[-1].bids[0].price == Decimal("79317.45"))
        await venue.subscribed(TRADES)
        await venue.trade(BTC, "79317.90", "1")
        await reader.some(Began, 2)


async def test_trades_that_did_not_come_are_noticed(venue: Binance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.exchange.stream.ON_THE_WAY", 0)
    source = exchange(venue.options, keep=[], silence=0.4)
    source.want(Kind.TRADE, [BTC], subscribed=True)
    async with reading(source) as reader:
        await venue.subscribed(TRADES)
        first = await venue.trade(BTC, "79317.70", "1")
        await reader.some(Trade)
        venue.mute = True
        await venue.trade(BTC, "79317.80", "1", T=first["T"] + 50)
        (broke,) = await reader.some(Broke)
        assert "there were trades" in broke.reason
        assert broke.at <= REAL.millis() - 400


async def test_a_quiet_market_is_stale_but_whole(venue: Binance) -> None:
    source = exchange(venue.options, silence=0.2)
    async with reading(source) as reader:
        await venue.subscribed(TRADES, DEPTH)
        await venue.trade(BTC, "79317.70", "1")
        await reader.some(Trade)
        await reader.until(lambda: source.health.status is Status.STALE)
        asked = len(venue.requests)
        await venue.until(lambda: len(venue.requests) >= asked + 4)  # it has looked at both, twice
        assert not reader.of(Broke)
        await venue.trade(BTC, "79317.70", "1")
        await reader.some(Trade, 2)
        await reader.until(lambda: source.health.status is Status.UP)


async def test_only_what_is_wanted_is_subscribed_to(venue: Binance) -> None:
    now = 0.0
    source = exchange(venue.options, keep=[], silence=1e6, machine=REAL._replace(monotonic=lambda: now))
    async with reading(source) as reader:
        await reader.until(lambda: source.health.status is Status.UP)
        assert venue.subscribers(TRADES) == 0
        assert source.want(Kind.KLINE, [BTC], subscribed=True) == ()
        assert source.want(Kind.TRADE, [BTC, "GOLD"], subscribed=True) == [BTC]
        await venue.subscribed(TRADES)
        assert venue.subscribers(DEPTH) == 0
        await venue.trade(BTC, "79317.70", "1")
        await reader.some(Trade)
        assert source.want(Kind.TRADE, [BTC], subscribed=True) == []
        now = 89.0
        source.want(Kind.TRADE, [BTC], subscribed=True)
        now = 100.0
        source.want(Kind.DEPTH, [BTC], subscribed=False)
        await venue.subscribed(DEPTH)
        now = 180.0
        await venue.until(lambda: not venue.subscribers(TRADES))
        (broke,) = await reader.some(Broke)
        assert (broke.codes, broke.reason) == ((BTC,), "")
        assert venue.subscribers(DEPTH) == 1
        now = 401.0
        await venue.until(lambda: not venue.subscribers(DEPTH))
        assert source.want(Kind.TRADE, [BTC], subscribed=True) == [BTC]
        await venue.subscribed(TRADES)
        await venue.trade(BTC, "79317.80", "1")
        await reader.some(Began, 2)


async def test_who_asks_sees_the_last_trade_of_a_quiet_code(venue: Binance) -> None:
    last = await venue.trade(BTC, "79317.70", "2")
    async with reading(exchange(venue.options, keep=[])) as reader:
        assert reader.source.want(Kind.TRADE, [BTC], subscribed=False) == [BTC]
        (snapshot,) = await reader.some(Snapshot)
        price, volume = Decimal("79317.70"), Decimal(2)
        assert snapshot.event == Trade(BTC, last["T"], price, volume, direction=Direction.BUY)
        assert not reader.of(Trade)
        assert not reader.of(Began)


@pytest.mark.parametrize(
    "text",
    [
        '{"e":"trade","s":"BTCUSDT"',
        '{"e":"trade","s":"BTCUSDT","T":"soon","p":"x","q":[]}',
        '{"e":"trade","s":"BTCUSDT","t":1,"T":1,"p":"NaN","q":"1","m":true}',
        '{"e":"trade","s":"BTCUSDT","t":1,"T":99999999999999,"p":"1","q":"1","m":true}',
        '{"e":"trade","s":"BTCUSDT","t":1,"T":1788530573000,"p":"1e400000000","q":"1","m":true}',
        '{"e":"trade","s":"BTCUSDT","t":1,"T":1788530573000,"p":"-1","q":"1","m":true}',
        '{"e":"trade","s":"BTCUSDT","t":1,"T":1788530573000,"p":"1","q":"0","m":true}',
        '{"e":"trade","s":"BTCUSDT","t":{},"T":null,"p":null,"q":null}',
        "[" * 100_000,
    ],
)
async def test_what_cannot_be_read_is_counted_and_passed_over(
    venue: Binance, reader: Reading, text: str
) -> None:
    await venue.send(BTC, "trade", text)
    await venue.trade(BTC, "79317.70", "1")
    await reader.some(Trade)
    assert reader.source.health.bad == 1
    assert [str(one.price) for one in reader.of(Trade)] == ["79317.70"]


@pytest.mark.parametrize(
    "text", ["null", "[]", "7", "", "\u2028", '{"id":null,"result":null}', '{"e":"new"}']
)
async def test_what_is_not_known_does_no_harm(venue: Binance, reader: Reading, text: str) -> None:
    await venue.send(BTC, "trade", text)
    await venue.send(BTC, "depth@100ms", text)
    await venue.trade(BTC, "79317.70", "1")
    await reader.some(Trade)
    await venue.delta(BTC, [("79317.50", "4.00000000")])
    await reader.until(lambda: reader.of(Book)[-1].bids[0].price == Decimal("79317.50"))


async def test_a_book_that_cannot_be_is_made_anew(venue: Binance, reader: Reading) -> None:
    broken = {"e": "depthUpdate", "E": 1, "s": BTC, "U": 1001, "u": 1001, "b": [["NaN", "1"]], "a": "x"}
    await venue.send(BTC, "depth@100ms", broken)
    await venue.subscribed(DEPTH)
    await venue.delta(BTC, [("79317.50", "4.00000000")])
    await reader.until(lambda: reader.of(Book)[-1].bids[0].price == Decimal("79317.50"))


async def test_a_ping_is_answered_and_a_slow_venue_is_waited_for(venue: Binance) -> None:
    venue.slow = 0.5
    async with reading(exchange(venue.options)) as reader:
        await venue.subscribed(TRADES)
        await venue.ping()
        await reader.some(Book)
        assert reader.source.decimals[BTC] == (2, 5)


async def test_what_is_not_taken_does_not_pile_up(venue: Binance) -> None:
    source = exchange(venue.options)
    source._outlet._limit = 50
    async with aclosing(source.events()) as events, asyncio.timeout(120):  # type: ignore[type-var]
        while not isinstance(await anext(events), Book):
            pass
        await venue.subscribed(TRADES)
        for _ in range(200):
            await venue.trade(BTC, "79317.70", "1")
        trades = 0
        while not isinstance(told := await anext(events), Broke):
            trades += isinstance(told, Trade)
    assert "faster" in told.reason
    assert trades <= 50
    assert source.health.dropped


async def test_called_again_it_tells_first_what_broke(venue: Binance) -> None:
    async def trade() -> None:
        while True:
            await venue.trade(BTC, "79317.70", "1")
            await asyncio.sleep(0.01)

    source, trading = exchange(venue.options), asyncio.create_task(trade())
    try:
        for expected in ([Began], [Broke, Began]):
            told: list[type] = []
            async with asyncio.timeout(120), aclosing(source.events()) as events:  # type: ignore[type-var]
                while Began not in told:
                    if isinstance(one := await anext(events), (Began, Broke)):
                        told.append(type(one))
            assert told == expected
    finally:
        trading.cancel()


def test_bars_need_trades_and_not_everything_has_a_book() -> None:
    levels = {"BTCUSDT": 5, "X": 0}
    assert keys_of(Kind.KLINE, ["BTCUSDT", "GOLD"], levels) == [(Kind.TRADE, "BTCUSDT")]
    assert keys_of(Kind.TRADE, ["X"], levels) == [(Kind.TRADE, "X")]
    assert keys_of(Kind.DEPTH, ["BTCUSDT", "X", "GOLD"], levels) == [(Kind.DEPTH, "BTCUSDT")]
