"""Runs a strategy over what a server has recorded, as fast as it is read, and says what came of it.

python backtest.py CODE [START]
"""

from __future__ import annotations

import sys
import time
from collections import deque
from decimal import Decimal

import tickwire
from tickwire import sync

LOOKBACK = 20
"""Trades whose average price says where the market goes."""


class Strategy:
    """Buys one when a trade is above the average of those before, sells it when one is below; at the book's
    prices, not at those of the trades."""

    def __init__(self) -> None:
        self.prices: deque[Decimal] = deque(maxlen=LOOKBACK)
        self.book: tickwire.Book | None = None
        self.held = 0
        self.money = Decimal(0)
        self.deals = 0

    def take(self, event: object) -> None:
        match event:
            case tickwire.Book():
                self.book = event
            case tickwire.Trade(price=price):
                if len(self.prices) == LOOKBACK and self.book is not None:
                    average = sum(self.prices) / LOOKBACK
                    if price > average and not self.held and (ask := self.book.best_ask):
                        self.deal(1, ask.price)
                    elif price < average and self.held and (bid := self.book.best_bid):
                        self.deal(-1, bid.price)
                self.prices.append(price)

    def deal(self, number: int, price: Decimal) -> None:
        self.held += number
        self.money -= number * price
        self.deals += 1

    @property
    def worth(self) -> Decimal:
        """What it has made, with what it holds at the best bid."""
        bid = self.book.best_bid if self.book is not None else None
        return self.money + (self.held * bid.price if bid is not None else 0)


def main(code: str, start: str | None) -> None:
    strategy, began, events = Strategy(), time.monotonic(), 0
    with sync.connect() as feed, feed.replay(trades=[code], books=[code], start=start) as replay:
        for event in replay:
            strategy.take(event)
            events += 1
    seconds = time.monotonic() - began
    print(f"{events} events in {seconds:.1f} s, {events / seconds:.0f} a second")
    print(f"{strategy.deals} deals, {strategy.worth} made, {strategy.held} held")


main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
