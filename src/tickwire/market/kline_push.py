"""Pushes bars: those that close, and those that form."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from ..klines import Closed
from ..model import Catalogue, Instrument, Kind, KlineState, KlineType, KlineUpdate
from .feeds import Feed, Feeds
from .streams import Streams

Bar: TypeAlias = tuple[str, KlineType]
"""Of which code, and how long."""


class KlinePush:
    """The bars that somebody is subscribed to, on their way into their streams."""

    def __init__(self, catalogue: Catalogue, feeds: Feeds, streams: Streams, interval: float) -> None:
        """`interval` is how many seconds lie between two pushes of a bar that is forming."""
        self._catalogue = catalogue
        self._feeds = feeds
        self._streams = streams
        self.interval = interval
        self._wanted: dict[Bar, dict[object, float]] = {}  # by whom, and until when

    async def run(self) -> None:
        """Closes bars by the market's clock, and pushes those that form. Never ends."""
        while True:
            for feed in self._feeds:
                self.closed_of(feed, feed.bars.advance(feed.source.market_time()))
            for code, kline_type in [*self._wanted]:
                self.push_forming(self._catalogue[code], kline_type)
            await asyncio.sleep(self.interval)

    def want(self, who: object, bars: Iterable[Bar], until: float) -> None:
        """A client side is subscribed to these up to a moment of the monotonic clock."""
        for bar in bars:
            self._wanted.setdefault(bar, {})[who] = until

    def forget(self, who: object, bars: Iterable[Bar] | None = None) -> None:
        """A client side is not subscribed to these any more, or to none."""
        for bar in [*(self._wanted if bars is None else bars)]:
            wished = self._wanted.get(bar, {})
            wished.pop(who, None)
            if not wished:
                self._wanted.pop(bar, None)

    def lapse(self, now: float) -> None:
        """Forgets what is over."""
        for bar, wished in [*self._wanted.items()]:
            for who in [who for who, until in wished.items() if until <= now]:
                self.forget(who, [bar])

    def closed(self, closed: Iterable[Closed], by: int = 0) -> None:
        """Pushes bars that have closed or were revised; `by` is the `seq` of the trade that did it, if one
        did."""
        for bar, revised in closed:
            if (bar.code, bar.kline_type) in self._wanted:
                state = KlineState.REVISED if revised else KlineState.CLOSED
                counted = by - 1 if by and not revised else self._counted(bar.code)
                self._streams.publish(self._catalogue[bar.code], KlineUpdate(bar, state, counted))

    def closed_of(self, feed: Feed, closed: Iterable[Closed]) -> None:
        """Pushes the bars of a feed that are what clients see."""
        self.closed(one for one in closed if self._feeds.of(self._catalogue[one.kline.code]) is feed)

    def push_forming(self, instrument: Instrument, kline_type: KlineType) -> bool:
        """Pushes a bar that is forming, if it is another one than at the last time. Returns whether there is
        one."""
        bars = self._feeds.of(instrument).bars
        bar = bars.forming(instrument, kline_type)
        last = self._streams.bars(instrument, kline_type).last
        if bar is not None and not (isinstance(last, KlineUpdate) and last.kline == bar):
            counted = self._counted(instrument.code)
            self._streams.publish(instrument, KlineUpdate(bar, KlineState.FORMING, counted))
        elif (
            bar is None
            and isinstance(last, KlineUpdate)
            and last.state is KlineState.FORMING
            and bars.tape is not None  # all its trades were cancelled
        ):
            gone = msgspec.structs.replace(last.kline, removed=True)
            counted = self._counted(instrument.code)
            self._streams.publish(instrument, KlineUpdate(gone, KlineState.REVISED, counted))
        return bar is not None

    def _counted(self, code: str) -> int:
        """The `seq` of the last trade of a code, which its bars count; 0 if there was none."""
        trades = self._streams.known(Kind.TRADE, code)
        return 0 if trades is None or trades.last is None else trades.seq
