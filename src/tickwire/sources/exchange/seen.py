"""Which trades of a code have passed already. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

from ...model import Instrument, Trade
from .mapper import Unreadable, identity, read_trade

REMEMBERED = 2000
"""Trades of a code that are known again: twice what ccxt keeps of one."""


class Batch(NamedTuple):
    """What came of a batch of ccxt: the trades that are new, the time of the last one, new or not, in
    milliseconds, and what could not be read."""

    trades: list[Trade]
    latest: int
    bad: list[Unreadable]


class Seen:
    """The trades of one code; it outlives a connection, so that the next one repeats nothing."""

    def __init__(self) -> None:
        self._identities: OrderedDict[Hashable, None] = OrderedDict()

    def batch(self, instrument: Instrument, raws: Iterable[Any], now: int, since: int | None) -> Batch:
        """Reads a batch. `now` is in milliseconds.

        The first one of a subscription has `since`, when it was asked for: some venues begin with what was
        traded before, which is dropped. Trades without a number are told apart by their fields, and only in
        that batch: later on two may be alike.
        """
        found = Batch([], 0, [])
        latest = 0
        for raw in raws:
            try:
                trade = read_trade(instrument, raw, now)
            except Unreadable as error:
                found.bad.append(error)
                continue
            latest = max(latest, trade.time)
            certain, who = identity(raw)
            known = who in self._identities and (certain or since is not None)
            self._identities[who] = None
            if len(self._identities) > REMEMBERED:
                self._identities.popitem(last=False)
            if not known and (since is None or trade.time >= since):
                found.trades.append(trade)
        return found._replace(latest=latest)
