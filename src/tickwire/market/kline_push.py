"""Pushes bars: those that close, and those that form."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..klines import Closed
from ..model import Catalogue, Instrument, KlineState, KlineType, KlineUpdate
from .feeds import Feed, Feeds
from .streams import Streams


class KlinePush:
    """The bars that somebody is subscribed to, on their way into their streams."""

    def __init__(self, catalogue: Catalogue, feeds: Feeds, streams: Streams, interval: float) -> None:
        """`interval` is how many seconds lie between two pushes of a bar that is forming."""
        self._catalogue = catalogue
        self._feeds = feeds
        self._streams = streams
        self._interval = interval
        self._wanted: dict[tuple[str, KlineType], None] = {}

    async def run(self) -> None:
        """Closes bars by the market's clock, and pushes those that form. Never ends."""
        while True:
            await asyncio.sleep(self._interval)
            for feed in self._feeds:
                self.closed_of(feed, feed.bars.advance(feed.source.market_time()))
            for code, kline_type in [*self._wanted]:
                self.push_forming(self._catalogue[code], kline_type)

    def want(self, code: str, kline_type: KlineType) -> None:
        """Somebody is subscribed to these bars."""
        self._wanted[code, kline_type] = None

    def forget(self, code: str, kline_type: KlineType) -> None:
        """Nobody is subscribed to these bars any more."""
        self._wanted.pop((code, kline_type), None)

    def closed(self, closed: Iterable[Closed]) -> None:
        """Pushes bars that have closed or were revised."""
        for bar, revised in closed:
            if (bar.code, bar.kline_type) in self._wanted:
                state = KlineState.REVISED if revised else KlineState.CLOSED
                self._streams.publish(self._catalogue[bar.code], KlineUpdate(bar, state))

    def closed_of(self, feed: Feed, closed: Iterable[Closed]) -> None:
        """Pushes the bars of a feed that are what clients see."""
        self.closed(one for one in closed if self._feeds.of(self._catalogue[one.kline.code]) is feed)

    def push_forming(self, instrument: Instrument, kline_type: KlineType) -> bool:
        """Pushes a bar that is forming, if it is another one than at the last time. Returns whether there is
        one."""
        bar = self._feeds.of(instrument).bars.forming(instrument, kline_type)
        last = self._streams.bars(instrument, kline_type).last
        if bar is not None and not (isinstance(last, KlineUpdate) and last.kline == bar):
            self._streams.publish(instrument, KlineUpdate(bar, KlineState.FORMING))
        return bar is not None
