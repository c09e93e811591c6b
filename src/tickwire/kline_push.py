"""Pushes bars: those that close, those that form, and the first one to who has just subscribed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from .gateway.admission import Peer
from .gateway.hub import Hub
from .klines import Closed
from .market.feeds import Feed, Feeds
from .market.streams import Streams
from .model import Catalogue, Instrument, Kind, KlineState, KlineType, KlineUpdate
from .supply import Supply
from .wire import Want

log = structlog.get_logger()


class KlinePush:
    """The bars that clients are subscribed to, on their way to them."""

    def __init__(
        self, catalogue: Catalogue, feeds: Feeds, streams: Streams, hub: Hub, supply: Supply, interval: float
    ) -> None:
        """`interval` is how many seconds lie between two pushes of a bar that is forming."""
        self._catalogue = catalogue
        self._feeds = feeds
        self._streams = streams
        self._hub = hub
        self._supply = supply
        self._interval = interval
        self._wanted: dict[Peer, dict[Want, int]] = {}  # with the topic's `seq` at the subscription
        self._tasks: dict[Peer, asyncio.Task[None]] = {}

    @property
    def showing(self) -> int:
        """Clients that have not been sent all bars yet that they were to see first."""
        return len(self._tasks)

    async def run(self) -> None:
        """Closes bars by the market's clock, and pushes those that form. Never ends."""
        while True:
            await asyncio.sleep(self._interval)
            for feed in self._feeds:
                self.closed_of(feed, feed.bars.advance(feed.source.market_time()))
            for topic in self._hub.wanted_klines():
                self._push_forming(topic.instrument, KlineType(topic.kline_type))

    def closed(self, closed: Iterable[Closed]) -> None:
        """Pushes bars that have closed or were revised."""
        for bar, revised in closed:
            instrument = self._catalogue[bar.code]
            if self._hub.wants_klines(instrument, bar.kline_type):
                state = KlineState.REVISED if revised else KlineState.CLOSED
                self._streams.publish(instrument, KlineUpdate(bar, state))

    def closed_of(self, feed: Feed, closed: Iterable[Closed]) -> None:
        """Pushes the bars of a feed that are what clients see."""
        self.closed(one for one in closed if self._feeds.of(self._catalogue[one.kline.code]) is feed)

    def show(self, client: Peer, wants: Sequence[Want]) -> None:
        """Sends a client the bars that are forming of what it has just subscribed to, as soon as they are
        known: one after the other, in one task for each client."""
        if not wants:
            return
        wanted = self._wanted.setdefault(client, {})
        for want in wants:
            wanted[want] = self._hub.topic(Kind.KLINE, want.instrument, want.kline_type).seq
        if client not in self._tasks:
            self._begin(client, wanted)

    def leave(self, client: Peer) -> None:
        """The client is gone."""
        self._wanted.pop(client, None)
        if (task := self._tasks.get(client)) is not None:
            task.cancel()

    async def end(self) -> None:
        """Shows nothing more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin(self, client: Peer, wanted: dict[Want, int]) -> None:
        task = self._tasks[client] = asyncio.create_task(self._show(client, wanted))
        task.add_done_callback(partial(self._shown, client))

    async def _show(self, client: Peer, wanted: dict[Want, int]) -> None:
        while wanted:
            want = next(iter(wanted))
            kline_type = KlineType(want.kline_type)
            await self._supply.prepare_bars(want.instrument, kline_type, count=1, end=None)
            seq = wanted.pop(want)
            topic = self._hub.topic(Kind.KLINE, want.instrument, want.kline_type)
            self._push_forming(want.instrument, kline_type)
            bars = self._feeds.of(want.instrument).bars
            is_forming = bars.forming(want.instrument, kline_type) is not None
            if topic.seq == seq and is_forming:  # nothing new: others have it already
                self._hub.repeat(client, Kind.KLINE, want)

    def _shown(self, client: Peer, task: asyncio.Task[None]) -> None:
        del self._tasks[client]
        wanted = self._wanted.get(client)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("bars cannot be shown to a client", left=len(wanted or ()), exc_info=error)
            self._wanted.pop(client, None)
        elif wanted:  # something was added at the last moment
            self._begin(client, wanted)

    def _push_forming(self, instrument: Instrument, kline_type: KlineType) -> None:
        """Publishes a bar that is forming, if it is another one than at the last time."""
        bar = self._feeds.of(instrument).bars.forming(instrument, kline_type)
        last = self._streams.of(Kind.KLINE, instrument, kline_type).last
        if bar is not None and not (isinstance(last, KlineUpdate) and last.kline == bar):
            self._streams.publish(instrument, KlineUpdate(bar, KlineState.FORMING))
