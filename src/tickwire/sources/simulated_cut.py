"""Cuts a simulated bar into smaller ones that are exactly it when they are rolled up again."""

from __future__ import annotations

import math
import operator
from bisect import bisect
from collections.abc import Sequence
from decimal import Decimal
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
_sqrt, _log = math.sqrt, math.log  # these are called some ten times for each bar
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
        value = math.exp(logarithm)
        tick, size = self._ticks[bisect(self._limits, value)]
        return tick * max(1, round(value / size) + side)


def extremes(begin: float, end: float, variance: float, dice: Random) -> tuple[float, float]:
    """How high and how low a random walk came between two points (those of a Brownian bridge)."""
    middle, apart, spread, draw = begin + end, (begin - end) ** 2, 2 * variance, dice.random
    up = _sqrt(apart - spread * _log(1 - draw()))
    down = _sqrt(apart - spread * _log(1 - draw()))
    return (middle + up) / 2, (middle - down) / 2


def mean_price(high: float, low: float, dice: Random) -> float:
    """One that a bar may have: that of a random walk lies so far from the middle."""
    mean = (high + low) / 2 + (high - low) * MEAN_SPREAD * dice.gauss()
    margin = (high - low) / 8
    return max(low + margin, min(high - margin, mean))


def cut(
    terms: Terms, bar: Kline, kline_type: KlineType, pieces: Sequence[Piece], dice: Random
) -> list[Kline]:
    """The bars of these places that make up that one: the first opens as it does, the last closes so, one is
    as high and one as low, and volumes and turnovers add up."""
    if len(pieces) == 1:
        (piece,) = pieces
        return [msgspec.structs.replace(bar, kline_type=kline_type, time=piece.time)]
    volumes = _volumes(terms, bar, kline_type, pieces, dice)
    weights = volumes if any(volumes) else [piece.minutes for piece in pieces]
    prices = _prices(terms, bar, _likely_walk(terms, bar, pieces, weights, dice), dice)
    turnovers = _turnovers(terms, bar, volumes, prices, dice)
    amounts = _exactly(bar.volume, terms.step, volumes, -1)
    return [
        Kline(
            bar.code,
            kline_type,
            piece.time,
            *four,
            volume,
            turnover,
            piece.begin * 1000,
            piece.end * 1000 - 1,
        )
        for piece, four, volume, turnover in zip(pieces, prices, amounts, turnovers, strict=True)
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
    terms: Terms, bar: Kline, kline_type: KlineType, pieces: Sequence[Piece], dice: Random
) -> list[int]:
    """In steps, one of which is that of a trade at least."""
    variance = BUSTLE**2 + (terms.noise if kline_type is KlineType.MINUTE else 0)
    deviation = math.sqrt(variance * len(pieces) / (len(pieces) - 1))  # for they are made to add up
    spans = [SECONDS[one] for one in terms.types if kline_type <= one < bar.kline_type]
    factors: dict[tuple[int, int], float] = {}
    weights = []
    for piece in pieces:
        weight = float(piece.minutes)
        for span in spans:
            place = span, piece.time // span
            if place not in factors:
                factors[place] = math.exp(deviation * dice.gauss())
            weight *= factors[place]
        weights.append(weight)
    steps, trades = int(bar.volume / terms.step), [piece.minutes * terms.trades for piece in pieces]
    if steps < sum(trades):
        return _shares(steps, weights)
    shares = _shares(steps - sum(trades), weights)
    return [share + least for share, least in zip(shares, trades, strict=True)]


def _exactly(total: Decimal, quantum: Decimal, parts: Sequence[int], place: int) -> list[Decimal]:
    """Parts in quanta as decimals; what is left of the total belongs to the one in that place."""
    found = [EXACT.multiply(quantum, Decimal(part)) for part in parts]
    if rest := EXACT.subtract(total, EXACT.multiply(quantum, Decimal(sum(parts)))):
        found[place] = EXACT.add(found[place], rest)
    return found


class _Walk(NamedTuple):
    """How a price may have gone, in logarithms: where it was between the pieces, its extremes in each, and
    its mean by volume."""

    points: list[float]
    highs: list[float]
    lows: list[float]
    mean: float


def _walk(
    terms: Terms, begin: float, end: float, pieces: Sequence[Piece], weights: Sequence[int], dice: Random
) -> _Walk:
    """A random one between two points (a Brownian bridge)."""
    points, highs, lows, mean = [begin], list[float](), list[float](), 0.0
    left = sum(piece.minutes for piece in pieces)
    at, variance, gauss = begin, terms.variance, dice.gauss
    for (_, _, _, minutes), weight in zip(pieces, weights, strict=True):
        before = at
        share = minutes / left
        left -= minutes
        at += (end - at) * share + _sqrt(variance * left * share) * gauss()
        high, low = extremes(before, at, variance * minutes, dice)
        points.append(at)
        highs.append(high)
        lows.append(low)
        mean += (high + low) * weight
    return _Walk(points, highs, lows, mean / sum(weights) / 2)


def _likely_walk(
    terms: Terms, bar: Kline, pieces: Sequence[Piece], weights: Sequence[int], dice: Random
) -> _Walk:
    """One that comes about as high and as low as the bar, and has about its mean price; then made to fit."""
    begin, high, low, end = (math.log(one) for one in (bar.open, bar.high, bar.low, bar.close))
    mean = (high + low) / 2
    if terms.instrument.levels and bar.turnover:
        mean = math.log(bar.turnover / (bar.volume * terms.instrument.volume_unit))

    walk, nearest = None, math.inf
    for _ in range(TRIES):
        one = _walk(terms, begin, end, pieces, weights, dice)
        off = abs(max(one.highs) - high) + abs(min(one.lows) - low) + MEAN_WEIGHT * abs(one.mean - mean)
        if walk is None or off < nearest:
            walk, nearest = one, off
            if off < NEAR * (high - low):
                break
    assert walk is not None  # noqa: S101
    top, bottom = max(begin, end), min(begin, end)
    up = _stretch(high - top, max(walk.highs) - top)
    down = _stretch(bottom - low, bottom - min(walk.lows))

    def fit(value: float) -> float:
        if value > top:
            return min(high, top + (value - top) * up)
        if value < bottom:
            return max(low, bottom - (bottom - value) * down)
        return value

    points, highs, lows = (list(map(fit, one)) for one in walk[:3])
    whole = sum(piece.minutes for piece in pieces)
    arches, within, at, is_now, gives = [0.0], [], 0, 0.0, 0.0
    for place, piece in enumerate(pieces):
        middle = at + piece.minutes / 2
        within.append(middle * (whole - middle))
        at += piece.minutes
        arches.append(float(at * (whole - at)))
        is_now += weights[place] * (highs[place] + lows[place]) / 2
        gives += weights[place] * within[-1]
    by = (sum(weights) * mean - is_now) / gives

    def led(values: list[float], arches: list[float]) -> list[float]:
        return [max(low, min(high, one + by * arch)) for one, arch in zip(values, arches, strict=True)]

    return _Walk(led(points, arches), led(highs, within), led(lows, within), mean)


def _stretch(to: float, of: float) -> float:
    return min(MOST_STRETCH, to / of) if of > 0 else 1.0


def _prices(terms: Terms, bar: Kline, walk: _Walk, dice: Random) -> list[Four]:
    (below, above), top, bottom, price = terms.sides, bar.high, bar.low, terms.price
    highest, lowest = walk.highs.index(max(walk.highs)), walk.lows.index(min(walk.lows))
    found, opened, last = [], bar.open, len(walk.highs) - 1
    for place in range(len(walk.highs)):
        closed = bar.close
        if place != last:
            closed = price(walk.points[place + 1], below if dice.random() < 0.5 else above)
            closed = max(bottom, min(top, closed))
        high = top if place == highest else price(walk.highs[place], above)
        low = bottom if place == lowest else price(walk.lows[place], below)
        high, low = min(top, max(opened, closed, high)), max(bottom, min(opened, closed, low))
        found.append((opened, high, low, closed))
        opened = closed
    return found


def _turnovers(
    terms: Terms,
    bar: Kline,
    volumes: Sequence[int],
    prices: list[Four],
    dice: Random,
) -> list[Decimal]:
    """Each lies between its volume at the low and at the high. Where they would not add up then, `prices` are
    made so high and so low that each piece may have the mean price of the whole."""
    total = int(bar.turnover / terms.quantum)
    highs, lows = [float(high) for _, high, _, _ in prices], [float(low) for _, _, low, _ in prices]
    means = [mean_price(high, low, dice) for high, low in zip(highs, lows, strict=True)]
    lacks = total / terms.money - sum(map(operator.mul, volumes, means))
    room = sum(map(operator.mul, volumes, highs if lacks > 0 else lows)) - sum(
        map(operator.mul, volumes, means)
    )
    by = lacks / room if room else 2.0
    if terms.instrument.levels and by <= 1:
        bounds = highs if lacks > 0 else lows
        found = [
            round(terms.money * volume * (mean + by * (bound - mean)))
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
