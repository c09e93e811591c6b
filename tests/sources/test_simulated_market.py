"""One simulated instrument: its book, its trades, its prices."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from tickwire.model import Book, Direction, Instrument, Trade, fixed, price_limits, tick_size
from tickwire.sources.simulated_market import SimulatedMarket, volume_step
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
EXAMPLES = [
    "BTCUSDT",
    "SHIBUSDT",
    "GOLD",
    "NGAS",
    "EURUSD",
    "US500",
    "AAPL.US",
    "700.HK",
    "9988.HK",
    "600519.SH",
]


def market(code: str, seed: int = 1) -> SimulatedMarket:
    return SimulatedMarket(CATALOGUE[code], seed, steps_per_second=2)


def steps(one: SimulatedMarket, count: int) -> list[tuple[Trade, Book]]:
    """The trade and the book of each step, after the opening."""
    pairs = []
    for number in range(count):
        trade, book = one.advance(number)
        assert isinstance(trade, Trade)
        assert isinstance(book, Book)
        pairs.append((trade, book))
    return pairs


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_book_has_the_markets_levels_and_is_not_crossed(code: str) -> None:
    for _, book in steps(market(code), 3000):
        bids, asks = [one.price for one in book.bids], [one.price for one in book.asks]
        assert len(bids) == len(asks) == CATALOGUE[code].levels
        assert all(a > b for a, b in pairwise(bids))
        assert all(a < b for a, b in pairwise(asks))
        assert 0 < bids[-1] <= bids[0] < asks[0]
        assert all(one.volume > 0 for one in book.bids + book.asks)


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_trade_hits_the_book_that_was_shown(code: str) -> None:
    pairs = steps(market(code), 3000)
    directions = set()
    for (_, shown), (trade, _) in pairwise(pairs):
        best = (shown.asks if trade.direction == Direction.BUY else shown.bids)[0]
        assert trade.price == best.price
        assert 0 < trade.volume <= best.volume
        directions.add(trade.direction)
    assert directions == {Direction.BUY, Direction.SELL}


@pytest.mark.parametrize("instrument", list(CATALOGUE)[::10], ids=lambda one: one.code)
def test_codes_are_simulated_on_ticks_and_lots(instrument: Instrument) -> None:
    one = SimulatedMarket(instrument, 1, steps_per_second=2)
    step = volume_step(instrument)
    for event in [*one.open(0), *(event for number in range(50) for event in one.advance(number))]:
        if isinstance(event, Trade):
            assert event.price > 0
            assert event.price % tick_size(instrument, event.price) == 0
            assert event.volume > 0
            assert event.volume % step == 0
            assert Decimal(fixed(event.price, instrument.price_decimals)) == event.price
            assert Decimal(fixed(event.volume, instrument.volume_decimals)) == event.volume
        else:
            assert instrument.levels


def test_an_index_has_trades_and_no_book() -> None:
    events = market("000001.SH").open(0)
    assert [type(event) for event in events] == [Trade]
    assert isinstance(events[0], Trade)
    assert events[0].turnover is not None
    assert events[0].direction == Direction.NEUTRAL


def test_prices_stay_near_their_reference_for_a_month() -> None:
    instrument = CATALOGUE["DOGEUSDT"]
    one = SimulatedMarket(instrument, 3, steps_per_second=1 / 600)  # a step is ten minutes
    prices = [trade.price for trade, _ in steps(one, 6 * 24 * 30)]
    assert instrument.reference_price / 2 < min(prices) < max(prices) < instrument.reference_price * 2
    assert max(prices) > min(prices) * Decimal("1.02")


def test_volatility_clusters() -> None:
    prices = [(book.bids[0].price + book.asks[0].price) / 2 for _, book in steps(market("BTCUSDT"), 20_000)]
    moves = [abs(float(b / a) - 1) for a, b in pairwise(prices)]
    blocks = [sum(moves[start : start + 50]) for start in range(0, len(moves) - 50, 50)]
    mean = sum(blocks) / len(blocks)
    variance = sum((b - mean) ** 2 for b in blocks) / len(blocks)
    together = sum((a - mean) * (b - mean) for a, b in pairwise(blocks)) / len(blocks)
    assert together / variance > 0.1  # independent moves would give 0 ± 0.05


DAY = 86_400_000
MIDNIGHT = 1_788_537_600_000  # in Shanghai


@pytest.mark.parametrize("code", ["600519.SH", "300750.SZ", "000007.SZ"])
def test_an_a_share_keeps_the_limits_of_its_day(code: str) -> None:
    """Each step goes as far as all those of ten days: even 20 % are reached."""
    one = SimulatedMarket(CATALOGUE[code], 3, steps_per_second=1 / 864_000)
    closed, last, reached = CATALOGUE[code].reference_price, Decimal(0), set()
    for day in range(2000):
        for half in range(2):
            trade, book = one.advance(MIDNIGHT + day * DAY + half * DAY // 2)
            assert isinstance(trade, Trade)
            assert isinstance(book, Book)
            limits = price_limits(CATALOGUE[code], closed)
            assert limits is not None
            shown = [level.price for level in (*book.bids, *book.asks)]
            assert shown
            assert all(limits.down <= price <= limits.up for price in (trade.price, *shown))
            if not book.asks:
                assert book.bids[0].price == limits.up
                reached.add("up")
            if not book.bids:
                assert book.asks[0].price == limits.down
                reached.add("down")
            last = trade.price
        assert one.previous_close == closed
        closed = last
    assert reached == {"up", "down"}
