"""Cuts a simulated bar into smaller ones that are exactly it when they are rolled up again."""

from __future__ import annotations

import math
import operator
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from random import Random
from typing import NamedTuple, TypeAlias

import msgspec

from ..klines import SECONDS, Grid
from ..model import EXACT, QUANTA, Instrument, Kline, KlineType, tick_size, tick_sizes
from .simulated_market import BUSTLE, CHARACTERS, TRADE_NOISE, sides, volume_step

DAY_MINUTES = 1440
MEAN_SPREAD = 0.07
"""How far the mean price of a bar lies from the middle of its range, as a share of that."""


TRIES = 4
"""Walks of which the likeliest one is taken."""
MEAN_WEIGHT = 2.0
"""How much more the mean counts there than the extremes do."""
NEAR = 0.2
"""So near, in ranges of the bar, it is near enough."""
MOST_STRETCH = 1.5
"""How much further a walk is made to come at most, so that a bar comes as high as it does."""
TURN = 2 * math.pi
_sqrt, _log, _exp = math.sqrt, math.log, math.exp  # these are called some ten times for each bar
Draw: TypeAlias = Callable[[], float]
Four: TypeAlias = tuple[Decimal, Decimal, Decimal, Decimal]
"""Open, high, low and close."""


class Piece(NamedTuple):
    """Where a bar is made: its open time, from when to when the market is open in it, in seconds, and for how
    many minutes altogether."""

    time: int
    begin: int
    end: int
    minutes: int


class Terms:
    """In which steps an instrument is traded, and how far its price moves.

    `variance` is that of a minute, of the price's logarithm; `noise` what the sizes of single trades add to
    the variance of a minute's volume, and `trades` how many a minute has at least.
    """

    def __init__(self, instrument: Instrument, rate: float) -> None:
        self.instrument = instrument
        self.variance = CHARACTERS[instrument.market].daily_volatility ** 2 / DAY_MINUTES
        self.noise = math.log1p(TRADE_NOISE / (60 * rate))
        self.trades = max(1, int(60 * rate))
        self.types = Grid(instrument).types
        self.step = volume_step(instrument)
        self.quantum = QUANTA[instrument.turnover_decimals]
        self.money = float(EXACT.divide(self.step * instrument.volume_unit, self.quantum))
        """Units of turnover of a step of volume at a price of 1."""
        self.sides = sides(instrument)
        ticks = tick_sizes(instrument)
        self._limits = [float(limit) for limit in ticks]
        self._ticks = [(tick, float(tick)) for tick in ticks.values()]

    def price(self, logarithm: float, side: int) -> Decimal:
        """The price so many ticks beside that one."""
        value = _exp(logarithm)
        tick, size = self._ticks[bisect(self._limits, value)]
        count = round(value / size) + side
        return tick * count if count > 0 else tick


class Dice:
    """What `Random` gives with that seed, in less time: a page takes some ten thousand numbers."""

    __slots__ = ("normal", "random")

    def __init__(self, seed: str) -> None:
        self.random = Random(seed).random
        self.normal = _normal(self.random)
        """The numbers that its `gauss` gives without arguments."""


def _normal(random: Draw) -> Iterator[float]:
    while True:
        angle = random() * TURN
        radius = _sqrt(-2.0 * _log(1.0 - random()))
        yield math.cos(angle) * radius
        yield math.sin(angle) * radius


def extremes(begin: float, end: float, variance: float, random: Draw) -> tuple[float, float]:
    """How high and how low a random walk came between two points (those of a Brownian bridge)."""
    middle, apart, spread = begin + end, (begin - end) ** 2, 2 * variance
    up = _sqrt(apart - spread * _log(1 - random()))
    down = _sqrt(apart - spread * _log(1 - random()))
    return (middle + up) / 2, (middle - down) / 2


def mean_price(high: float, low: float, normal: float) -> float:
    """One that a bar may have: that of a random walk lies so far from the middle, by a normal number."""
    mean, margin = (high + low) / 2 + (high - low) * MEAN_SPREAD * normal, (high - low) / 8
    least, most = low + margin, high - margin
    return mean if least <= mean <= most else max(least, min(most, mean))


def cut(terms: Terms, bar: Kline, kline_type: KlineType, pieces: Sequence[Piece], seed: str) -> list[Kline]:
    """The bars of these places that make up that one: the first opens as it does, the last closes so, one is
    as high and one as low, and volumes and turnovers add up."""
    if len(pieces) == 1:
        (piece,) = pieces
        return [msgspec.structs.replace(bar, kline_type=kline_type, time=piece.time)]
    dice, bridge = Dice(seed), _bridge(tuple([piece.minutes for piece in pieces]), terms.variance)
    volumes = _volumes(terms, bar, kline_type, pieces, dice)
    weights = volumes if any(volumes) else bridge.minutes
    prices = _prices(terms, bar, _likely_walk(terms, bar, bridge, weights, dice), dice)
    turnovers = _turnovers(terms, bar, volumes, prices, dice)
    amounts = _exactly(bar.volume, terms.step, volumes, -1)
    code = bar.code
    return [
        Kline(code, kline_type, time, open_, high, low, close, volume, turnover, begin * 1000, end * 1000 - 1)
        for (time, begin, end, _), (open_, high, low, close), volume, turnover in zip(
            pieces, prices, amounts, turnovers, strict=True
        )
    ]


def _shares(total: int, weights: Sequence[float]) -> list[int]:
    """A whole number in parts of these weights."""
    whole, so_far, before, found = sum(weights), 0.0, 0, []
    for weight in weights[:-1]:
        so_far += weight
        upto = round(total * (so_far / whole))
        found.append(upto - before)
        before = upto
    return [*found, total - before]


def _volumes(
    terms: Terms, bar: Kline, kline_type: KlineType, pieces: Sequence[Piece], dice: Dice
) -> list[int]:
    """In steps, one of which is that of a trade at least."""
    variance = BUSTLE**2 + (terms.noise if kline_type is KlineType.MINUTE else 0)
    deviation = math.sqrt(variance * len(pieces) / (len(pieces) - 1))  # for they are made to add up
    spans = [SECONDS[one] for one in terms.types if kline_type <= one < bar.kline_type]
    places, factors = [-1] * len(spans), [1.0] * len(spans)
    weights = []
    for time, _, _, minutes in pieces:
        weight = float(minutes)
        for at, span in enumerate(spans):
            if (place := time // span) != places[at]:
                places[at], factors[at] = place, _exp(deviation * next(dice.normal))
            weight *= factors[at]
        weights.append(weight)
    steps, trades = int(bar.volume / terms.step), [piece.minutes * terms.trades for piece in pieces]
    if steps < sum(trades):
        return _shares(steps, weights)
    shares = _shares(steps - sum(trades), weights)
    return [share + least for share, least in zip(shares, trades, strict=True)]


def _exactly(total: Decimal, quantum: Decimal, parts: Sequence[int], place: int) -> list[Decimal]:
    """Parts in quanta as decimals; what is left of the total belongs to the one in that place."""
    found = [*map(EXACT.multiply, repeat(quantum), map(Decimal, parts))]
    if rest := EXACT.subtract(total, EXACT.multiply(quantum, Decimal(sum(parts)))):
        found[place] = EXACT.add(found[place], rest)
    return found


class _Bridge(NamedTuple):
    """What a random walk between two points (a Brownian bridge) has of the lengths of its pieces alone.

    Of each piece `steps` says which share of what is left of the way is gone in it on average, by which
    deviation it is missed, and what its extremes vary by. `arches` are as high as the middle between the two
    points can be moved at the ends of the pieces, and `within` in their middles.
    """

    minutes: tuple[int, ...]
    steps: tuple[tuple[float, float, float], ...]
    arches: list[float]
    within: list[float]


@lru_cache(1024)
def _bridge(minutes: tuple[int, ...], variance: float) -> _Bridge:
    whole = left = sum(minutes)
    at, steps, arches, within = 0, [], [0.0], []
    for length in minutes:
        share = length / left
        left -= length
        steps.append((share, _sqrt(variance * left * share), 2 * (variance * length)))
        middle = at + length / 2
        within.append(middle * (whole - middle))
        at += length
        arches.append(float(at * (whole - at)))
    return _Bridge(minutes, tuple(steps), arches, within)


class _Walk(NamedTuple):
    """How a price may have gone, in logarithms: where it was between the pieces, its extremes in each, and
    its mean by volume."""

    points: list[float]
    highs: list[float]
    lows: list[float]
    mean: float


def _walk(bridge: _Bridge, begin: float, end: float, weights: Sequence[int], dice: Dice) -> _Walk:
    """A random one between two points."""
    points, highs, lows, mean = [begin], list[float](), list[float](), 0.0
    at, random = begin, dice.random
    for (share, deviation, spread), weight, normal in zip(bridge.steps, weights, dice.normal):  # noqa: B905
        before = at
        at += (end - at) * share + deviation * normal
        middle, apart = before + at, (before - at) ** 2  # on as in `extremes`, without a call for each
        high = (middle + _sqrt(apart - spread * _log(1 - random()))) / 2
        low = (middle - _sqrt(apart - spread * _log(1 - random()))) / 2
        points.append(at)
        highs.append(high)
        lows.append(low)
        mean += (high + low) * weight
    return _Walk(points, highs, lows, mean / sum(weights) / 2)


def _likely_walk(terms: Terms, bar: Kline, bridge: _Bridge, weights: Sequence[int], dice: Dice) -> _Walk:
    """One that comes about as high and as low as the bar, and has about its mean price; then made to fit."""
    begin, high, low, end = (_log(one) for one in (bar.open, bar.high, bar.low, bar.close))
    mean = (high + low) / 2
    if terms.instrument.levels and bar.turnover:
        mean = _log(bar.turnover / (bar.volume * terms.instrument.volume_unit))

    walk, nearest = None, math.inf
    for _ in range(TRIES):
        one = _walk(bridge, begin, end, weights, dice)
        off = abs(max(one.highs) - high) + abs(min(one.lows) - low) + MEAN_WEIGHT * abs(one.mean - mean)
        if walk is None or off < nearest:
            walk, nearest = one, off
            if off < NEAR * (high - low):
                break
    assert walk is not None  # noqa: S101
    top, bottom = max(begin, end), min(begin, end)
    up = _stretch(high - top, max(walk.highs) - top)
    down = _stretch(bottom - low, bottom - min(walk.lows))

    def fit(values: list[float]) -> list[float]:
        return [
            value
            if bottom <= value <= top
            else min(high, top + (value - top) * up)
            if value > top
            else max(low, bottom - (bottom - value) * down)
            for value in values
        ]

    points, highs, lows = map(fit, walk[:3])
    is_now, gives = 0.0, 0.0
    for weight, highest, lowest, arch in zip(weights, highs, lows, bridge.within, strict=True):
        is_now += weight * (highest + lowest) / 2
        gives += weight * arch
    by = (sum(weights) * mean - is_now) / gives

    def led(values: list[float], arches: list[float]) -> list[float]:
        return [
            at if low <= (at := one + by * arch) <= high else low if at < low else high
            for one, arch in zip(values, arches, strict=True)
        ]

    return _Walk(led(points, bridge.arches), led(highs, bridge.within), led(lows, bridge.within), mean)


def _stretch(to: float, of: float) -> float:
    return min(MOST_STRETCH, to / of) if of > 0 else 1.0


def _prices(terms: Terms, bar: Kline, walk: _Walk, dice: Dice) -> list[Four]:
    (below, above), top, bottom, price, random = terms.sides, bar.high, bar.low, terms.price, dice.random
    points, highs, lows, _ = walk
    highest, lowest, last = highs.index(max(highs)), lows.index(min(lows)), len(highs) - 1
    found, opened = [], bar.open
    for place in range(last + 1):
        closed = bar.close
        if place != last:
            closed = price(points[place + 1], below if random() < 0.5 else above)
            if not bottom < closed < top:
                closed = max(bottom, min(top, closed))
        high = low = opened
        if closed > opened:
            high = closed
        elif closed < opened:
            low = closed
        if place == highest or high >= top or (reached := price(highs[place], above)) >= top:
            high = top
        elif reached > high:
            high = reached
        if place == lowest or low <= bottom or (reached := price(lows[place], below)) <= bottom:
            low = bottom
        elif reached < low:
            low = reached
        found.append((opened, high, low, closed))
        opened = closed
    return found


def _turnovers(
    terms: Terms, bar: Kline, volumes: Sequence[int], prices: list[Four], dice: Dice
) -> list[Decimal]:
    """Each lies between its volume at the low and at the high. Where they would not add up then, `prices` are
    made so high and so low that each piece may have the mean price of the whole."""
    total = int(bar.turnover / terms.quantum)
    highs, lows = [float(high) for _, high, _, _ in prices], [float(low) for _, _, low, _ in prices]
    means = [*map(mean_price, highs, lows, dice.normal)]
    is_now = sum(map(operator.mul, volumes, means))
    lacks = total / terms.money - is_now
    bounds = highs if lacks > 0 else lows
    room = sum(map(operator.mul, volumes, bounds)) - is_now
    by = lacks / room if room else 2.0
    if terms.instrument.levels and by <= 1:
        money = terms.money
        found = [
            round(money * volume * (mean + by * (bound - mean)))
            for volume, bound, mean in zip(volumes, bounds, means, strict=True)
        ]
    else:
        found = _shares(total, volumes)
        if terms.instrument.levels:
            prices[:] = _around(terms, bar, prices)
    room_of = [volume * (high - low) for volume, high, low in zip(volumes, highs, lows, strict=True)]
    return _exactly(bar.turnover, terms.quantum, found, room_of.index(max(room_of)))


def _around(terms: Terms, bar: Kline, prices: Sequence[Four]) -> list[Four]:
    """The same, each as high and as low as the mean price of the whole bar at least."""
    mean = EXACT.divide(bar.turnover, bar.volume * terms.instrument.volume_unit) if bar.volume else bar.close
    tick = tick_size(terms.instrument, mean)
    below = min(max(bar.low, mean // tick * tick), bar.high)
    above = max(bar.low, min(bar.high, below + tick))
    return [(open_, max(high, above), min(low, below), close) for open_, high, low, close in prices]
