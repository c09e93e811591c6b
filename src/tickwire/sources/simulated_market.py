"""One simulated instrument: a price that moves plausibly, a book around it, trades that hit it, a company.

The dice are floats; prices and volumes are not. A price is a whole number of ticks, a volume a whole
number of lots, and each becomes an exact decimal by one multiplication.
"""

from __future__ import annotations

import math
import sys
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import NamedTuple

import msgspec

from ..klines import SECONDS, Grid
from ..model import (
    QUANTA,
    Book,
    Direction,
    Event,
    Instrument,
    KlineType,
    Level,
    Market,
    Trade,
    limit_percent,
    price_limits,
    tick_size,
)

SECONDS_PER_DAY = 86_400
PULL = math.log(2) / 4
"""The price drifts half of its way back to the reference price in four days, so that it never runs off."""
PERSISTENCE, SHOCK = 0.94, 0.05
"""How long volatility lasts, and how much a move adds to it; together below one, so it stays finite."""
IMPACT = 0.3
"""How far a trade drags the price its way, in standard deviations of a step."""
BUSTLE = 0.15
"""How much busier, as a standard deviation of the logarithm, one minute is than the next; and one day than
the next, and each length of bars in between."""
TRADE_NOISE = math.e - 1
"""The variance of the sizes of single trades, relative to the square of their mean."""
SMOOTH = 20
"""From so many steps on it matters little that sizes are whole numbers."""
SHARE_PRICE = Decimal("16.5")
"""Money per share in the turnover of a stock index, whose own price is not that of a share."""


class Character(NamedTuple):
    """How a market behaves. Sizes are typical ones, in money at the reference price.

    `gap` is the chance that a level of the book lies further than one tick from the one before.
    """

    daily_volatility: float
    spread_ticks: int
    trade_size: float
    level_size: float
    gap: float = 0.0


CHARACTERS = {
    Market.INDEX: Character(0.010, 1, 5e6, 0.0),
    Market.US_STOCK: Character(0.018, 1, 2e4, 8e4),
    Market.HK_STOCK: Character(0.018, 1, 1e5, 2e6),
    Market.CN_STOCK: Character(0.016, 1, 1e5, 1e6),
    Market.FOREX: Character(0.005, 4, 2e5, 3e6),
    Market.METALS: Character(0.011, 10, 4e4, 1e6),
    Market.ENERGY: Character(0.020, 20, 2e3, 2e5),
    Market.CFD_INDEX: Character(0.010, 20, 5e4, 1e6),
    Market.CRYPTO: Character(0.030, 1, 2e3, 3e4, 0.5),
}


def volume_step(instrument: Instrument) -> Decimal:
    """What volumes are multiples of: the board lot in Hong Kong, else the smallest unit."""
    if instrument.market is Market.HK_STOCK:
        return Decimal(instrument.lot_size or 100)
    return QUANTA[instrument.volume_decimals]


def trade_steps(instrument: Instrument, price: Decimal) -> float:
    """The typical size of a trade at that price, in steps of volume."""
    money = price * volume_step(instrument) * instrument.volume_unit
    return CHARACTERS[instrument.market].trade_size / float(money)


def mean_steps(instrument: Instrument, price: Decimal) -> float:
    """The mean size of trades at that price, in steps of volume, each being a whole number from one on, and
    none larger than its level of the book."""
    typical, character = trade_steps(instrument, price), CHARACTERS[instrument.market]
    mean = typical + 0.5
    if typical < SMOOTH:
        beyond = (math.log(number / typical) + 0.5 for number in range(1, 50 * SMOOTH))
        mean = 1 + sum(math.erfc(one / math.sqrt(2)) / 2 for one in beyond)
    return mean * (1 - 0.9 * character.trade_size / character.level_size) if instrument.levels else mean


def sides(instrument: Instrument) -> tuple[int, int]:
    """How many ticks beside the fair price the best bid and the best ask lie."""
    spread = CHARACTERS[instrument.market].spread_ticks if instrument.levels else 0
    return -(spread // 2), spread - spread // 2


COMPANIES = (Market.US_STOCK, Market.HK_STOCK, Market.CN_STOCK)


def with_figures(instrument: Instrument, seed: int) -> Instrument:
    """A stock with plausible figures in place of those that are not known, always the same by the seed; any
    other instrument as it is.

    They fit one another and the reference price: earnings and book value are in money per share, the dividend
    yield in percent.
    """
    if instrument.market not in COMPANIES:
        return instrument
    dice, price = Random(f"{seed}:{instrument.code}:company"), float(instrument.reference_price)
    shares = round(10 ** dice.uniform(9.5, 11.7) / price)
    years = dice.lognormvariate(2.9, 0.5)  # price to earnings
    figures = {
        "total_shares": str(shares),
        "circulating_shares": str(round(shares * dice.uniform(0.6, 1))),
        "hk_shares": str(shares if instrument.market is Market.HK_STOCK else 0),
        "eps": f"{price / years / dice.uniform(0.9, 1.2):.4f}",
        "eps_ttm": f"{price / years:.4f}",
        "bps": f"{price / dice.lognormvariate(0.8, 0.6):.4f}",
        "dividend_yield": f"{100 / years * dice.uniform(0, 0.6):.2f}",
    }
    unknown = {name: figure for name, figure in figures.items() if not getattr(instrument, name)}
    return msgspec.structs.replace(instrument, **unknown)


class Bustle:
    """How busy a market is now, on average 1. It changes with every bar of each type up to a day."""

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self._dice = Random(f"{seed}:{instrument.code}:bustle")
        types = [one for one in Grid(instrument).types if one <= KlineType.DAY]
        self._spans = [SECONDS.get(one, SECONDS_PER_DAY) * 1000 for one in types]
        self._bars = [-1] * len(types)
        self._factors = [1.0] * len(types)
        self.now = 1.0

    def at(self, time: int) -> float:
        """At that time in milliseconds."""
        if time // self._spans[0] != self._bars[0]:
            for place, span in enumerate(self._spans):
                if (bar := time // span) != self._bars[place]:
                    self._bars[place] = bar
                    self._factors[place] = self._dice.lognormvariate(-(BUSTLE**2) / 2, BUSTLE)
            self.now = math.prod(self._factors)
        return self.now


def first_close(instrument: Instrument) -> Decimal:
    """What a market closed at the day before it begins: the reference price, in whole ticks."""
    reference = instrument.reference_price
    tick = tick_size(instrument, reference)
    return max(tick, (reference / tick).to_integral_value(ROUND_HALF_UP) * tick)


class SimulatedMarket:
    """The market of one instrument. The same seed gives the same events.

    Where the exchange limits prices, nothing is quoted or traded beyond the limits of the day.
    """

    def __init__(self, instrument: Instrument, seed: int, steps_per_second: float) -> None:
        self.instrument = instrument
        self._dice = Random(f"{seed}:{instrument.code}")
        self._pauses = Random(f"{seed}:{instrument.code}:pauses")
        self._mean_pause = 1_000_000 / steps_per_second
        character = self._character = CHARACTERS[instrument.market]
        reference = instrument.reference_price
        steps_per_day = steps_per_second * SECONDS_PER_DAY
        self._pull = PULL / steps_per_day
        self._calm = character.daily_volatility**2 / steps_per_day
        self._variance = self._calm
        self._anchor = self._fair = math.log(reference)
        self._step = volume_step(instrument)
        self._trade_steps = trade_steps(instrument, reference)
        self._level_steps = self._trade_steps * character.level_size / character.trade_size
        self._bustle = Bustle(instrument, seed)
        self._grid = Grid(instrument)
        self._tick = tick_size(instrument, reference)
        self._bids: dict[int, int] = {}  # volume steps by price in ticks, best first
        self._asks: dict[int, int] = {}
        self._limited = limit_percent(instrument) is not None
        self._lowest, self._highest = 1, sys.maxsize  # in ticks
        self._day_ends = 0
        self.previous_close = first_close(instrument)
        """What it closed at the day before."""
        self._last = self.previous_close
        self._limit()
        self._quote()

    def open(self, time: int) -> list[Event]:
        """The first events, at that time in milliseconds."""
        return [*self._book(time), *self.advance(time)]

    def pause(self) -> int:
        """Microseconds to the next step: even enough that no market seems dead."""
        return max(1, round(self._mean_pause * self._pauses.uniform(0.4, 1.6)))

    def advance(self, time: int) -> list[Event]:
        """A trade that hits the book as it was last shown, and the book that follows from it."""
        if self._limited and time >= self._day_ends:
            self._begin_day(time)
        trade = self._trade(time)
        self._last = trade.price
        self._move(trade.direction)
        self._quote()
        return [trade, *self._book(time)]

    def _trade(self, time: int) -> Trade:
        code, typical = self.instrument.code, self._trade_steps * self._bustle.at(time)
        if not self.instrument.levels:
            volume = self._size(typical) * self._step
            turnover = volume * self.instrument.volume_unit * SHARE_PRICE
            return Trade(code, time, self._tick * self._fair_ticks(), volume, turnover, Direction.NEUTRAL)
        buy = self._dice.random() < 0.5
        if not (self._asks if buy else self._bids):  # at a limit
            buy = not buy
        side = self._asks if buy else self._bids
        best = next(iter(side))
        steps = min(self._size(typical), side[best])
        side[best] -= steps
        if not side[best]:
            del side[best]
        direction = Direction.BUY if buy else Direction.SELL
        return Trade(code, time, self._tick * best, self._step * steps, None, direction)

    def _move(self, direction: int) -> None:
        """One step of the fair price: volatility that clusters, drawn back to the reference."""
        drag = IMPACT * (direction == Direction.BUY) - IMPACT * (direction == Direction.SELL)
        change = math.sqrt(self._variance / (1 + IMPACT**2)) * (self._dice.gauss(0, 1) + drag)
        self._variance = (
            (1 - PERSISTENCE - SHOCK) * self._calm + PERSISTENCE * self._variance + SHOCK * change**2
        )
        self._fair += change + (self._anchor - self._fair) * self._pull
        if self._limited:  # with one side of the book empty, and no further
            tick = float(self._tick)
            least, most = math.log((self._lowest - 0.9) * tick), math.log((self._highest + 0.4) * tick)
            self._fair = max(least, min(most, self._fair))

    def _begin_day(self, time: int) -> None:
        """The limits of another day; what is quoted beyond them is gone."""
        if self._day_ends:
            self.previous_close = self._last
            self._limit()
            self._quote()
        opened = self._grid.open_time(KlineType.DAY, time // 1000)
        self._day_ends = self._grid.end(KlineType.DAY, opened) * 1000

    def _limit(self) -> None:
        if (limits := price_limits(self.instrument, self.previous_close)) is not None:
            self._lowest, self._highest = (int(price / self._tick) for price in limits)

    def _fair_ticks(self) -> int:
        return max(1, round(math.exp(self._fair) / float(self._tick)))

    def _quote(self) -> None:
        """Moves the book to the fair price; what still fits on either side stays."""
        tick = tick_size(self.instrument, self._tick * self._fair_ticks())
        if tick != self._tick:
            self._tick = tick
            self._bids, self._asks = {}, {}
        levels, spread = self.instrument.levels, self._character.spread_ticks
        least = self._lowest - spread if self._limited else levels + 1
        best_bid = min(max(least, self._fair_ticks() - spread // 2), self._highest)
        if levels:
            self._bids = self._side(self._bids, best_bid, -1)
            self._asks = self._side(self._asks, best_bid + spread, 1)

    def _side(self, before: dict[int, int], best: int, away: int) -> dict[int, int]:
        """The levels of one side from its best price on, `away` being -1 for bids and 1 for asks."""
        dice, gap, size = self._dice, self._character.gap, self._level_steps * self._bustle.now
        if not self._lowest <= best <= self._highest:
            return {}
        side = {best: before.get(best) or self._size(size)}
        for price, steps in before.items():
            if len(side) == self.instrument.levels:
                return side
            if (price - best) * away > 0 and self._lowest <= price <= self._highest:
                side[price] = steps if dice.random() < 0.8 else self._size(size)
        last = next(reversed(side))
        while len(side) < self.instrument.levels:
            last += away * (1 if dice.random() >= gap else dice.randrange(2, 30))
            if not self._lowest <= last <= self._highest:
                break
            side[last] = self._size(size)
        return side

    def _size(self, typical: float) -> int:
        return 1 + int(typical * self._dice.lognormvariate(-0.5, 1))

    def _book(self, time: int) -> list[Event]:
        if not self.instrument.levels:
            return []
        tick, step = self._tick, self._step
        bids = tuple(Level(tick * price, step * steps) for price, steps in self._bids.items())
        asks = tuple(Level(tick * price, step * steps) for price, steps in self._asks.items())
        return [Book(self.instrument.code, time, bids, asks)]
