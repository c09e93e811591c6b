"""What client sides wish, each for as long as its lease lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from ..bus.contract import NO_TOKENS
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
        self._tokens: defaultdict[Kind, dict[object, Mapping[str, Sequence[str]]]] = defaultdict(dict)
        self._labels: list[str] = []
        self._wished: defaultdict[Kind, dict[object, dict[str, Wish]]] = defaultdict(dict)

    async def wish(
        self,
        who: object,
        flow: Kind,
        instruments: Collection[Instrument],
        *,
        whole: bool,
        lease: float,
        tokens: Mapping[str, Sequence[str]] = NO_TOKENS,
    ) -> None:
        """See `bus.Supplier`."""
        now = self._clock()
        until = now + lease
        mine = self._wished[flow].setdefault(who, {})
        if whole:
            mine.clear()
            self._tokens[flow][who] = tokens
            self._order()
        mine |= {one.code: (one, until) for one in instruments}
        others = [wished for one, wished in self._wished[flow].items() if one is not who]
        if whole and others:  # the sources are told of all at a time
            held = [{code: one for code, (one, end) in wished.items() if end > now} for wished in others]
            lists = [{one.code: one for one in instruments}, *held]
            found = {code: one for each in lists for code, one in each.items()}
            order = dict.fromkeys([*in_turn(self._by_token(flow, who, tokens)), *in_turn(lists)])
            instruments = [found[code] for code in order if code in found]
            if self._supply.scarce:  # what is there already would stay there, whoever's turn it is
                served = self._supply.room(flow, instruments)  # which says what has none
                instruments = [one for one in instruments if one.code in served]
        self._supply.want(flow, instruments, subscribed=True)

    def elsewhere(self, who: object, flow: Kind) -> dict[str, list[str]]:
        """See `bus.Known`."""
        found = dict[str, dict[str, None]].fromkeys(self._labels)
        for one, tokens in self._tokens[flow].items():
            for label, codes in tokens.items():
                mine = found[label] = found[label] or {}
                if one is not who:
                    mine.update(dict.fromkeys(codes))
        return {label: [*codes] for label, codes in found.items() if codes is not None}

    def _by_token(self, flow: Kind, who: object, tokens: Mapping[str, Sequence[str]]) -> list[list[str]]:
        """What each token wants, at whatever client side."""
        elsewhere = self.elsewhere(who, flow).items()
        return [[*tokens.get(label, ()), *codes] for label, codes in elsewhere]

    def _order(self) -> None:
        """Tokens have their turns in the order in which they came."""
        told = [tokens for flow in self._tokens.values() for tokens in flow.values()]
        there = dict.fromkeys(label for tokens in told for label in tokens)
        self._labels = [*dict.fromkeys(label for label in [*self._labels, *there] if label in there)]

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
        for tokens in self._tokens.values():
            tokens.pop(who, None)
        self._order()
        self._klines.forget(who)
