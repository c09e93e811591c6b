"""What holds for every stream of trades: its bars depend on the trades alone, not on how they came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.klines import Closed, Grid, Rules, Series, roll_up, smaller
from tickwire.klines.series import DEFAULTS
from tickwire.machine import REAL
from tickwire.market.bars import Archive, Bars, Batches
from tickwire.market.bars.bars import RESTORED
from tickwire.model import EXACT, Instrument, Kline, KlineType, Trade
from tickwire.store import Database, SqliteFile, SqliteKlineStore

from .test_grid import CATALOGUE, at, naive_open_time

WINDOW = DEFAULTS.late_window
MINUTE = KlineType.MINUTE
BEGINS = {
    "BTCUSDT": at("2026-03-18 11:50"),
    "GOLD": at("2026-05-31 23:50"),  # a Sunday, and June begins on the Monday
    "EURUSD": at("2024-02-29 23:50"),  # a leap day
    "700.HK": at("2026-03-18 15:40", "Asia/Hong_Kong"),  # before the closing auction
    "600519.SH": at("2026-03-31 23:50", "Asia/Shanghai"),
    "AAPL.US": at("2026-03-08 01:50", "America/New_York"),  # ten minutes before the clocks change
}
Found: TypeAlias = dict[tuple[KlineType, int], Kline]


class Arrival(NamedTuple):
    """A trade, and when it comes, in milliseconds."""

    at: int
    trade: Trade


class Stream(NamedTuple):
    """Trades in the order in which they come."""

    instrument: Instrument
    arrivals: list[Arrival]


PAUSES = st.sampled_from(
    [0, 0, 1, 400, 9_000, 20_000, 40_000, 61_000, 240_000, 290_000, 1_700_000, 30_000_000]
)
DELAYS = st.just(0) | st.integers(0, WINDOW) | st.integers(WINDOW - 20_000, WINDOW)
PRICES = st.integers(1, 500).map(lambda ticks: Decimal(ticks) / 100)
VOLUMES = st.integers(0, 10**14).map(lambda units: Decimal(units).scaleb(-12))
CODES = st.sampled_from(sorted(BEGINS))


@st.composite
def streams(draw: st.DrawFn, *, late: bool = True, ties: bool = True) -> Stream:
    """Trades that come in order or up to the late window after their time; with `ties`, times and numbers
    occur twice."""
    code = draw(CODES)
    time = BEGINS[code] * 1000 + draw(st.integers(0, 59_999))
    arrivals = []
    for _ in range(draw(st.integers(1, 25))):
        time += draw(PAUSES) + (not ties)
        seq = draw(st.integers(0, 3)) if ties else 0
        delay = draw(DELAYS) if late else 0
        trade = Trade(code, time, draw(PRICES), draw(VOLUMES), source_seq=seq)
        arrivals.append(Arrival(time + delay, trade))
    return Stream(CATALOGUE[code], sorted(arrivals, key=lambda one: one.at))


def money(trade: Trade) -> Decimal:
    return EXACT.multiply(trade.price, trade.volume)


def feed(series: Series, arrivals: Iterable[Arrival], *, clock: bool = False) -> list[Closed]:
    closed = []
    for arrival in arrivals:
        if clock:
            closed += series.advance(arrival.at)
        closed += series.add(arrival.trade, money(arrival.trade))
    return closed


def keep(into: Found, series: Series, closed: Iterable[Closed], types: Iterable[KlineType]) -> Found:
    """As a store and its readers do it: the latest of each time, and on top of it what forms."""
    into |= {(bar.kline_type, bar.time): bar for bar, _ in closed}
    forming = [bar for kind in types if (bar := series.forming(kind)) is not None]
    into |= {(bar.kline_type, bar.time): bar for bar in forming}
    return into


def bars_of(stream: Stream, *, clock: bool = False) -> Found:
    """All bars of the stream, with those that form."""
    series = Series(stream.instrument)
    found = keep({}, series, feed(series, stream.arrivals, clock=clock), KlineType)
    assert series.late == 0
    return found


def oracle(stream: Stream) -> Found:
    """The same from lists of trades, with no state and with sums that cannot be rounded."""
    code = stream.instrument.code
    groups: defaultdict[tuple[KlineType, int], list[Trade]] = defaultdict(list)
    for trade in sorted((one.trade for one in stream.arrivals), key=lambda one: (one.time, one.source_seq)):
        for kind in Grid(stream.instrument).types:
            groups[kind, naive_open_time(code, kind, trade.time // 1000)].append(trade)
    return {
        (kind, opened): Kline(
            code,
            kind,
            opened,
            trades[0].price,
            max(one.price for one in trades),
            min(one.price for one in trades),
            trades[-1].price,
            exactly(sum((Fraction(one.volume) for one in trades), Fraction())),
            exactly(sum((Fraction(one.price) * Fraction(one.volume) for one in trades), Fraction())),
            trades[0].time,
            trades[-1].time,
        )
        for (kind, opened), trades in groups.items()
    }


def exactly(sum_: Fraction) -> Decimal:
    """A sum of numbers of at most 16 decimals."""
    units = sum_ * 10**16
    assert units.denominator == 1
    return EXACT.scaleb(Decimal(units.numerator), -16)


@settings(max_examples=150)
@given(stream=streams(late=False))
def test_bars_are_those_of_a_naive_reckoning(stream: Stream) -> None:
    assert bars_of(stream) == oracle(stream)


@settings(max_examples=150)
@given(stream=streams())
def test_any_order_inside_the_late_window_gives_the_bars_of_sorted_order(stream: Stream) -> None:
    in_order = sorted(stream.arrivals, key=lambda one: (one.trade.time, one.trade.source_seq))
    found = bars_of(stream)
    assert found == bars_of(Stream(stream.instrument, in_order))
    assert found == oracle(stream)


@settings(max_examples=150)
@given(stream=streams())
def test_the_clock_closes_bars_and_changes_none(stream: Stream) -> None:
    assert bars_of(stream, clock=True) == oracle(stream)


@settings(max_examples=150)
@given(stream=streams())
def test_larger_bars_are_rolled_up_from_smaller_ones(stream: Stream) -> None:
    expected = oracle(stream)
    types = Grid(stream.instrument).types
    for kind in types[1:]:
        for source in {MINUTE, smaller(kind, types)}:
            parts = [expected[key] for key in sorted(expected) if key[0] is source]
            rolled = list(roll_up(stream.instrument, kind, parts))
            assert rolled == [expected[key] for key in sorted(expected) if key[0] is kind]


# Restarts.
def latest(bars: Found) -> dict[KlineType, list[Kline]]:
    """What a series is restored from: the latest of each type, ascending."""
    keys = sorted(bars)
    found = {kind: [bars[key] for key in keys if key[0] is kind][-RESTORED:] for kind in KlineType}
    return {kind: kept for kind, kept in found.items() if kept}


def with_restarts(stream: Stream, splits: Sequence[int], *, clock: bool) -> Found:
    """The bars of a source that goes on after each restart; it was down for no time at all."""
    found: Found = {}
    for begin, end in zip((0, *splits), (*splits, len(stream.arrivals)), strict=True):
        series = Series(stream.instrument)
        series.restore(latest(found))
        closed = feed(series, stream.arrivals[begin:end], clock=clock)
        assert series.late == 0
        last = end == len(stream.arrivals)
        keep(found, series, closed, KlineType if last else [MINUTE])
    return found


def with_repeats(stream: Stream, splits: Sequence[int]) -> Found:
    """The bars of a recording that begins anew at every restart."""
    found: Found = {}
    for end in (*splits, len(stream.arrivals)):
        series = Series(stream.instrument)
        series.restore(latest(found), again=True)
        closed = feed(series, stream.arrivals[:end])
        last = end == len(stream.arrivals)
        keep(found, series, closed, KlineType if last else [MINUTE])
    return found


def unmarked(bars: Found) -> Found:
    return {key: msgspec.structs.replace(bar, incomplete=False) for key, bar in bars.items()}


def splits_of(stream: Stream) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, len(stream.arrivals)), max_size=4).map(sorted)


@settings(max_examples=150)
@given(data=st.data(), stream=streams(ties=False), clock=st.booleans())
def test_any_split_over_restarts_gives_the_same_bars(
    data: st.DataObject, stream: Stream, clock: bool
) -> None:
    found = with_restarts(stream, data.draw(splits_of(stream)), clock=clock)
    assert unmarked(found) == oracle(stream)


@settings(max_examples=80)
@given(data=st.data(), stream=streams(late=False))
def test_any_split_of_sorted_trades_gives_the_same_bars(data: st.DataObject, stream: Stream) -> None:
    stream.arrivals.sort(key=lambda one: (one.trade.time, one.trade.source_seq))
    assert unmarked(with_restarts(stream, data.draw(splits_of(stream)), clock=True)) == oracle(stream)


@settings(max_examples=80)
@given(data=st.data(), stream=streams(late=False))
def test_a_recording_that_begins_anew_gives_the_same_bars(data: st.DataObject, stream: Stream) -> None:
    stream.arrivals.sort(key=lambda one: (one.trade.time, one.trade.source_seq))
    assert unmarked(with_repeats(stream, data.draw(splits_of(stream)))) == oracle(stream)


@settings(max_examples=150)
@given(data=st.data(), stream=streams())
def test_a_recording_with_late_trades_that_begins_anew_gives_the_same_bars(
    data: st.DataObject, stream: Stream
) -> None:
    assert unmarked(with_repeats(stream, data.draw(splits_of(stream)))) == oracle(stream)


def few(*trades: tuple[int, int, int]) -> Stream:
    """Trades of one lot: milliseconds, the source's number, price."""
    begin = BEGINS["BTCUSDT"] * 1000
    made = [Trade("BTCUSDT", begin + ms, Decimal(p), Decimal(1), source_seq=seq) for ms, seq, p in trades]
    return Stream(CATALOGUE["BTCUSDT"], [Arrival(one.time, one) for one in made])


def test_a_late_trade_of_a_recording_that_begins_anew_finds_its_minute() -> None:
    stream = few((1_000, 0, 7), (70_000, 0, 6), (50_000, 0, 5))
    assert bars_of(stream) == oracle(stream)
    assert unmarked(with_repeats(stream, [2])) == oracle(stream)


async def test_a_trade_as_late_as_the_settings_allow_finds_its_bar_after_a_restart() -> None:
    rules, file, btc = Rules(late_window=3_600_000), SqliteFile(None), CATALOGUE["BTCUSDT"]
    stream = few(*((n * 60_000, 0, 10) for n in range(60)), (5 * 60_000 + 1, 0, 11))
    for part in (stream.arrivals[:60], stream.arrivals[60:]):
        archive = Archive("test", SqliteKlineStore(file), Database(file, REAL.wall), clock=REAL.wall)
        bars = Bars(archive, rules, lambda _: None)
        for _, trade in part:
            bars.add(btc, trade, money(trade))
        await Batches(archive, bars).write()
    found = await bars.joined(btc, MINUTE, count=100)
    assert [(bar.close, bar.volume) for bar in found if bar.volume != 1] == [(Decimal(11), Decimal(2))]
    assert len(found) == 60
