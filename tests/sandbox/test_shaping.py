"""What steps make of ticks: prices in whole ticks, books of one side, how often and how a tick comes."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.model import Book, Instrument, Level, Trade, fixed, tick_size
from tickwire.sandbox import Shaped, Step, Way
from tickwire.sandbox.sandbox import MOST_LATE
from tickwire.sandbox.shaping import HIGHEST, at_limit, factor, moved, price_of, with_prices_moved
from tickwire.sandbox.steps import Burst, Duplicate, Gap, Jump, Late, LimitDown, LimitUp, OutOfOrder

from .bench import AAPL, CATALOGUE, Bench, tick
from .test_sandbox import book

CODES = ("AAPL.US", "700.HK", "600519.SH", ".DJI.US", "BTCUSDT", "SHIBUSDT", "EURUSD", "GOLD")


def prices(side: tuple[Level, ...]) -> list[Decimal]:
    return [level.price for level in side]


def ladder(instrument: Instrument, bid_ticks: int, levels: int) -> Book:
    """A book without gaps, whose best bid is so many ticks of its own price."""
    tick = tick_size(instrument, instrument.reference_price)
    bids = tuple(Level((bid_ticks - n) * tick, Decimal(n + 1)) for n in range(levels))
    asks = tuple(Level((bid_ticks + 1 + n) * tick, Decimal(n + 7)) for n in range(levels))
    return Book(instrument.code, 1, bids, asks)


def on_grid(instrument: Instrument, price: Decimal) -> bool:
    return price > 0 and price % tick_size(instrument, price) == 0


# Prices.
percents = st.decimals(Decimal("-99.99"), 1000, places=4)


@given(st.sampled_from(CODES), st.integers(1, 10**7), percents)
def test_a_moved_price_is_a_whole_number_of_ticks_and_the_nearest(
    code: str, ticks: int, percent: Decimal
) -> None:
    instrument = CATALOGUE[code]
    price = ticks * tick_size(instrument, instrument.reference_price)
    found = moved(price, factor(percent), instrument)
    assert on_grid(instrument, found)
    target = price * (100 + percent) / 100
    tick = max(tick_size(instrument, found), tick_size(instrument, target))
    assert abs(found - target) <= tick / 2 or found == tick_size(instrument, target)
    # what the client reads is the price, to the last digit
    assert Decimal(fixed(found, instrument.price_decimals)) == found


@pytest.mark.parametrize(
    ("code", "price", "percent", "to"),
    [
        ("AAPL.US", "200", "10", "220"),
        ("AAPL.US", "200.01", "-50", "100.01"),  # half up
        ("AAPL.US", "0.01", "-99", "0.01"),  # never below a tick
        ("AAPL.US", "0", "50", "0"),
        ("700.HK", "442.8", "1", "447.2"),  # ticks of 0.2
        ("700.HK", "199.9", "1", "201.8"),  # from ticks of 0.1 into those of 0.2
        ("700.HK", "0.251", "-50", "0.126"),
        ("700.HK", "0.002", "-99", "0.001"),
        ("SHIBUSDT", "0.00001042", "-3.5", "0.00001006"),
        ("EURUSD", "1.14120", "0.001", "1.14121"),
        ("BTCUSDT", "0.01", "-99.9", "0.01"),
        ("BTCUSDT", "1000000000000000", "1000", str(HIGHEST)),
    ],
)
def test_moved(code: str, price: str, percent: str, to: str) -> None:
    assert moved(Decimal(price), factor(Decimal(percent)), CATALOGUE[code]) == Decimal(to)


def test_factor_is_exact() -> None:
    percent = Decimal("33.333333333333333333333333333333")
    assert factor(percent) == Decimal("1.33333333333333333333333333333333")
    assert factor(Decimal(-100)) == 0


# Jumps.
@given(
    st.sampled_from([code for code in CODES if CATALOGUE[code].levels]),
    st.integers(500, 10**6),
    st.decimals(-90, 1000, places=4),
)
def test_a_moved_book_is_no_crossed_one(code: str, ticks: int, percent: Decimal) -> None:
    instrument = CATALOGUE[code]
    before = ladder(instrument, ticks, instrument.levels)
    after = with_prices_moved(before, factor(percent), instrument)
    assert isinstance(after, Book)
    assert (after.code, after.time) == (before.code, before.time)
    for side in (after.bids, after.asks):
        assert side
        assert all(on_grid(instrument, price) for price in prices(side))
    assert all(a > b for a, b in pairwise(prices(after.bids)))
    assert all(a < b for a, b in pairwise(prices(after.asks)))
    for side, old in ((after.bids, before.bids), (after.asks, before.asks)):  # no order is lost
        assert sum(level.volume for level in side) == sum(level.volume for level in old)
    assert after.bids[0].price < after.asks[0].price


def test_a_small_jump_leaves_the_sides_apart() -> None:
    """A bid and an ask a tick apart fall onto one price when both are rounded alike."""
    after = with_prices_moved(book("200.01", "200.02"), factor(Decimal(-50)), CATALOGUE["AAPL.US"])
    assert isinstance(after, Book)
    assert after.bids[0].price < after.asks[0].price


def test_the_turnover_of_a_moved_trade_is_that_of_its_price() -> None:
    double = factor(Decimal(100))
    share = with_prices_moved(
        Trade("AAPL.US", 1, Decimal(2), Decimal(3), Decimal(6)), double, CATALOGUE["AAPL.US"]
    )
    assert share == Trade("AAPL.US", 1, Decimal(4), Decimal(3))
    index = Trade(".DJI.US", 1, Decimal(2), Decimal(3), Decimal(99))
    assert with_prices_moved(index, double, CATALOGUE[".DJI.US"]) == Trade(
        ".DJI.US", 1, Decimal(4), Decimal(3), Decimal(99)
    )


# Limits.
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("code", [code for code in CODES if CATALOGUE[code].levels])
def test_a_book_at_its_limit_has_one_side(code: str, up: bool) -> None:
    instrument = CATALOGUE[code]
    before = ladder(instrument, 1000, instrument.levels)
    limit = moved(before.bids[0].price, factor(Decimal(10 if up else -10)), instrument)
    after = at_limit(before, limit, instrument, up=up)
    assert isinstance(after, Book)
    full, empty = (after.bids, after.asks) if up else (after.asks, after.bids)
    assert empty == ()
    assert [level.volume for level in full] == [
        level.volume for level in (before.bids if up else before.asks)
    ]
    assert full[0].price == limit
    away = prices(full) if up else [-price for price in prices(full)]
    assert all(a > b for a, b in pairwise(away))
    assert all(on_grid(instrument, price) for price in prices(full))


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize(
    "limit", ["0.249", "0.5", "19.99", "20", "20.02", "49.98", "99.95", "200", "1000", "4998"]
)
def test_levels_of_hong_kong_keep_the_table_across_its_steps(limit: str, up: bool) -> None:
    hk = CATALOGUE["700.HK"]
    after = at_limit(ladder(hk, 1000, 10), Decimal(limit), hk, up=up)
    assert isinstance(after, Book)
    found = prices(after.bids or after.asks)
    assert len(found) == 10
    assert found[0] == Decimal(limit)
    assert [price for price in found if not on_grid(hk, price)] == []


def test_a_book_at_its_limit_near_zero_has_fewer_levels_and_an_empty_one_is_filled_from_the_other_side() -> (
    None
):
    btc = CATALOGUE["BTCUSDT"]
    low = at_limit(ladder(btc, 1000, 5), Decimal("0.02"), btc, up=True)
    assert isinstance(low, Book)
    assert prices(low.bids) == [Decimal("0.02"), Decimal("0.01")]
    down = at_limit(ladder(btc, 1000, 5), Decimal(5), btc, up=False)
    turned = at_limit(down, Decimal(6), btc, up=True)
    assert isinstance(down, Book)
    assert isinstance(turned, Book)
    assert (down.bids, turned.asks) == ((), ())
    assert [level.volume for level in turned.bids] == [level.volume for level in down.asks]
    nothing = Book("BTCUSDT", 7, (), ())
    assert nothing == at_limit(nothing, Decimal(5), btc, up=True)


def test_the_price_of_a_tick() -> None:
    found = [price_of(event) for event in (tick(price="7"), book("1", "2"), Book("AAPL.US", 1, (), ()))]
    assert found == [7, 1, None]
    assert price_of(Book("AAPL.US", 1, (), (Level(Decimal(2), Decimal(1)),))) == 2


# Steps at work.
def test_a_burst_and_two_at_once() -> None:
    bench = Bench(Burst(codes=AAPL, times=4))
    assert bench.shape(tick()) == [Shaped(tick())] * 4
    assert bench.shape(tick("MSFT.US")) == [Shaped(tick("MSFT.US"))]
    bench.begin(Burst(times=5))
    assert (len(bench.shape(tick())), len(bench.shape(tick("MSFT.US")))) == (20, 5)
    bench.begin(Burst(times=1000))
    assert len(bench.shape(tick())) == 1000


@pytest.mark.parametrize(
    ("step", "way"), [(Duplicate(), Way.TWICE), (OutOfOrder(), Way.BEHIND_THE_NEXT)], ids=["twice", "behind"]
)
def test_ways(step: Step, way: Way) -> None:
    bench = Bench(step)
    assert bench.shape(tick()) == [Shaped(tick(), way)]
    assert bench.shape(book("1", "2")) == [Shaped(book("1", "2"), way)]


@pytest.mark.parametrize("step", [Duplicate(chance=0.3), OutOfOrder(chance=0.3), Late(chance=0.3)])
def test_chance(step: Step) -> None:
    bench = Bench(step)
    untouched = sum(bench.shape(tick(at=n)) == [Shaped(tick(at=n))] for n in range(4000))
    assert 0.67 < untouched / 4000 < 0.73


def test_late_ticks_come_when_they_are_due_and_in_that_order() -> None:
    bench = Bench(Late(by=(1, 3), codes=AAPL))
    for number in range(200):
        assert bench.at(number / 100).shape(tick(at=number)) == []
    assert bench.shape(tick("MSFT.US")) == [Shaped(tick("MSFT.US"))]
    came: dict[int, float] = {}
    for now in range(100, 600):
        came |= {event.time: now / 100 for event in bench.at(now / 100).late()}
    assert [*came] != sorted(came)
    assert sorted(came) == [*range(200)]
    waits = [now - number / 100 for number, now in came.items()]
    assert 1 <= min(waits) < 1.1
    assert 2.9 < max(waits) <= 3.01


def test_late_ticks_outlive_the_step_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Late(by=5, lasts=1))
    assert bench.shape(tick(at=1)) == []
    assert bench.at(1).shape(tick(at=2)) == [Shaped(tick(at=2))]
    assert bench.at(4.9).late() == []
    assert bench.at(5).late() == [tick(at=1)]
    assert bench.at(9).late() == []
    assert MOST_LATE >= 10_000
    monkeypatch.setattr("tickwire.sandbox.sandbox.MOST_LATE", 2)
    bench.begin(Late(by=1))
    assert [len(bench.shape(tick(at=n))) for n in range(4)] == [0, 0, 1, 1]


def test_a_jump_is_undone_and_jumps_add_up() -> None:
    bench = Bench()
    first = bench.begin(Jump(percent=Decimal(10), codes=AAPL))
    assert [bench.price(tick()), bench.price(tick("MSFT.US"))] == [220, 200]
    second = bench.begin(Jump(percent=Decimal(-50)))
    assert [bench.price(tick()), bench.price(tick("MSFT.US"))] == [110, 100]
    bench.stop(first)
    assert bench.price(tick()) == 100
    bench.stop(second)
    assert bench.price(tick()) == 200


@pytest.mark.parametrize(
    ("step", "limit"), [(LimitUp(), "220"), (LimitDown(percent=Decimal("2.5")), "195")], ids=["up", "down"]
)
def test_the_limit_is_that_of_the_first_price_and_stays(step: Step, limit: str) -> None:
    bench = Bench(step)
    assert [bench.price(tick(price=price)) for price in ("200", "150", "300")] == [Decimal(limit)] * 3
    (shaped,) = bench.shape(book("500", "501"))
    assert isinstance(shaped.event, Book)
    assert [len(side) for side in (shaped.event.bids, shaped.event.asks)] == (
        [1, 0] if isinstance(step, LimitUp) else [0, 1]
    )
    assert (shaped.event.bids or shaped.event.asks)[0].price == Decimal(limit)
    assert bench.price(tick("MSFT.US", "50")) == Decimal(limit) / 4  # a limit of its own
    bench.stop(1)
    bench.begin(step)
    assert bench.price(tick(price="400")) == Decimal(limit) * 2


@pytest.mark.parametrize(
    ("code", "step", "limit"),
    [
        ("600519.SH", LimitUp(), "110.06"),  # of 110.055
        ("600519.SH", LimitDown(), "90.05"),  # of 90.045
        ("600519.SH", LimitUp(percent=Decimal(5)), "105.05"),  # of 105.0525
        ("300750.SZ", LimitUp(), "120.06"),
        ("000007.SZ", LimitDown(), "95.05"),
        ("700.HK", LimitUp(), "220"),  # of the last price, for Hong Kong knows no limits
    ],
)
def test_the_limit_of_an_a_share_is_its_exchanges(code: str, step: Step, limit: str) -> None:
    bench = Bench(step)
    bench.previous_close = Decimal("100.05")
    assert bench.price(tick(code, "200")) == Decimal(limit)


def test_without_a_previous_close_it_counts_from_the_first_price() -> None:
    bench = Bench(LimitUp())
    assert [bench.price(tick(code, "100")) for code in ("600519.SH", "300750.SZ")] == [110, 120]


@pytest.mark.parametrize(
    ("percent", "price", "bids", "asks"),
    [
        (15, "110", ["110", "109.99", "109.98"], []),
        (-15, "90", [], ["90", "90.01", "90.02"]),
        ("9.99", "109.99", ["109.99", "109.98", "109.97"], ["110"]),
        ("-9.99", "90.01", ["90.01", "90"], ["90.02", "90.03", "90.04"]),
        (1, "101", ["101", "100.99", "100.98"], ["101.01", "101.02", "101.03"]),
    ],
)
def test_no_jump_takes_an_a_share_beyond_its_limits(
    percent: int | str, price: str, bids: list[str], asks: list[str]
) -> None:
    bench = Bench(Jump(percent=Decimal(percent)))
    bench.previous_close = Decimal(100)
    assert bench.price(tick("600519.SH", "100")) == Decimal(price)
    levels = [Decimal(n).scaleb(-2) for n in range(3)]
    quoted = Book(
        "600519.SH",
        1,
        tuple(Level(100 - one, Decimal(1)) for one in levels),
        tuple(Level(Decimal("100.01") + one, Decimal(1)) for one in levels),
    )
    (shaped,) = bench.shape(quoted)
    assert isinstance(shaped.event, Book)
    shown = [[level.price for level in side] for side in (shaped.event.bids, shaped.event.asks)]
    assert shown == [[Decimal(one) for one in side] for side in (bids, asks)]


@pytest.mark.parametrize("order", [1, -1], ids=["as listed", "reversed"])
def test_several_at_once(order: int) -> None:
    steps: list[Step] = [Jump(percent=Decimal(10)), LimitUp(), Burst(times=3), Duplicate()]
    bench = Bench(*steps[::order])
    limit = Trade("AAPL.US", 1, Decimal(242), Decimal(3))
    assert bench.shape(tick()) == [Shaped(limit, Way.TWICE)] * 3
    number = bench.begin(Gap())
    assert bench.shape(tick()) == []
    bench.stop(number)
    assert len(bench.shape(tick())) == 3


@pytest.mark.parametrize("order", [1, -1], ids=["as listed", "reversed"])
@pytest.mark.parametrize(
    ("other", "price", "times"), [(LimitUp(), 220, 1), (Burst(times=3), 200, 3)], ids=str
)
def test_late_ticks_are_shaped_like_others_whatever_the_order_of_steps(
    order: int, other: Step, price: int, times: int
) -> None:
    steps: list[Step] = [Late(by=1), other]
    bench = Bench(*steps[::order])
    assert bench.shape(tick()) == []
    assert [price_of(event) for event in bench.at(1).late()] == [price] * times
