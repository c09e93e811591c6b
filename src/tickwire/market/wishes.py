"""What client sides wish, each for as long as its lease lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import NamedTuple

from ..model import Instrument, Kind, in_turn
from .kline_push import Bar, KlinePush
from .supply import Supply


class Wish(NamedTuple):
    """An instrument that is wished until a moment, in seconds of the monotonic clock."""

    instrument: Instrument
    until: float


class Wishes:
    """Tells the sources what all client sides together are subscribed to, and which bars are to be pushed."""

    def __init__(self, supply: Supply, klines: KlinePush, clock: Callable[[], float]) -> None:
        self._supply = supply
        self._klines = klines
        self._clock = clock
        self._wished: defaultdict[Kind, dict[object, dict[str, Wish]]] = defaultdict(dict)

    async def wish(
        self, who: object, flow: Kind, instruments: Collection[Instrument], *, whole: bool, lease: float
    ) -> None:
        """See `bus.Supplier`."""
        now = self._clock()
        mine = self._wished[flow].setdefault(who, {})
        if whole:
            mine.clear()
        mine |= {one.code: Wish(one, now + lease) for one in instruments}
        if whole and len(self._wished[flow]) > 1:  # the sources are told of all at a time
            every = self._wished[flow].values()
            lists = ([code for code, one in wished.items() if one.until > now] for wished in every)
            found = {code: one.instrument for wished in every for code, one in wished.items()}
            instruments = [found[code] for code in in_turn([[*mine], *lists])]
        self._supply.want(flow, instruments, subscribed=True)

    async def wish_bars(self, who: object, bars: Collection[Bar], *, lease: float) -> None:
        """See `bus.Supplier`."""
        if lease > 0:
            self._klines.want(who, bars, self._clock() + lease)
        else:
            self._klines.forget(who, bars)

    def lapse(self) -> None:
        """Forgets what is over."""
        now = self._clock()
        for wished in self._wished.values():
            for who, mine in [*wished.items()]:
                wished[who] = {code: one for code, one in mine.items() if one.until > now}
                if not wished[who]:
                    del wished[who]
        self._klines.lapse(now)

    def forget(self, who: object) -> None:
        """A client side is gone."""
        for wished in self._wished.values():
            wished.pop(who, None)
        self._klines.forget(who)
