"""What client sides wish, each for as long as its lease lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import TypeAlias

from ..model import Instrument, Kind, in_turn
from .kline_push import Bar, KlinePush
from .supply import Supply

Wish: TypeAlias = tuple[Instrument, float]
"""An instrument that is wished until a moment, in seconds of the monotonic clock."""


class Wishes:
    """Tells the sources what all client sides together are subscribed to, and which bars are to be pushed."""

    def __init__(
        self, supply: Supply, klines: KlinePush, clock: Callable[[], float], linger: Callable[[], float]
    ) -> None:
        """Bars that nobody wants any more are pushed on for `linger` seconds: into the ring, for who was cut
        and comes back."""
        self._linger = linger
        self._supply = supply
        self._klines = klines
        self._clock = clock
        self._wished: defaultdict[Kind, dict[object, dict[str, Wish]]] = defaultdict(dict)

    async def wish(
        self, who: object, flow: Kind, instruments: Collection[Instrument], *, whole: bool, lease: float
    ) -> None:
        """See `bus.Supplier`."""
        now = self._clock()
        until = now + lease
        mine = self._wished[flow].setdefault(who, {})
        if whole:
            mine.clear()
        mine |= {one.code: (one, until) for one in instruments}
        others = [wished for one, wished in self._wished[flow].items() if one is not who]
        if whole and others:  # the sources are told of all at a time
            held = [{code: one for code, (one, end) in wished.items() if end > now} for wished in others]
            lists = [{one.code: one for one in instruments}, *held]
            found = {code: one for each in lists for code, one in each.items()}
            instruments = [found[code] for code in in_turn(lists)]
        self._supply.want(flow, instruments, subscribed=True)

    async def wish_bars(self, who: object, bars: Collection[Bar], *, lease: float) -> None:
        """See `bus.Supplier`."""
        if seconds := lease or self._linger():
            self._klines.want(who, bars, self._clock() + seconds)
        else:
            self._klines.forget(who, bars)

    def lapse(self) -> None:
        """Forgets what is over."""
        now = self._clock()
        for wished in self._wished.values():
            for who, mine in [*wished.items()]:
                wished[who] = {code: one for code, one in mine.items() if one[1] > now}
                if not wished[who]:
                    del wished[who]
        self._klines.lapse(now)

    def forget(self, who: object) -> None:
        """A client side is gone."""
        for wished in self._wished.values():
            wished.pop(who, None)
        self._klines.forget(who)
