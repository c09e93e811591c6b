"""What sources are asked for, because a client wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

from .admission import Caller, Peer
from .discovery import Discovery
from .errors import StoreError
from .feeds import Feed, Feeds
from .hub import Hub
from .model import Family, Instrument, Kind, KlineType
from .wire import Ret, StaticInfo

FIRST_EVENT_WAIT = 5.0
"""Seconds that an HTTP request waits for the first event of a code that begins because of it."""


class Supply:
    """What the sources of a server can give, see `admission.Supply`; and who waits for it."""

    def __init__(self, feeds: Feeds, hub: Hub, callers: Mapping[Peer, Caller], discovery: Discovery) -> None:
        """`callers` are the open connections."""
        self.discovery = discovery
        self._feeds = feeds
        self._hub = hub
        self._callers = callers
        self.awaited: dict[tuple[Kind, str], set[asyncio.Future[None]]] = {}
        """What requests wait for, each with its future."""

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any source."""
        return self._feeds.serve(instrument)

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has a source asked what an unknown code is, see `Discovery.seek`."""
        return self.discovery.seek(caller, family, name)

    def room(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Collection[Instrument]:
        """Those of these instruments that the sources they come from can subscribe to now, in place of what
        the caller is subscribed to."""
        if all(feed.source.history is None for feed in self._feeds):
            return instruments
        peer = next((peer for peer, one in self._callers.items() if one is caller), None)
        self.renew(peer, kind)
        found = self._told(instruments, lambda feed, codes: feed.source.room(_flow(kind), codes))
        return [one for one in instruments if one.code in found]

    def renew(self, leaving: Peer | None = None, of: Kind | None = None) -> None:
        """Tells the sources what is subscribed to, but for a list that is about to be replaced."""
        for kind, instruments in self._hub.wanted(leaving, of).items():
            self.want(kind, instruments, subscribed=True)

    def want(self, kind: Kind, instruments: Collection[Instrument], *, subscribed: bool) -> set[str]:
        """Tells the sources what is asked for; returns the codes that are worth waiting for."""
        return self._told(
            instruments, lambda feed, codes: feed.source.want(_flow(kind), codes, subscribed=subscribed)
        )

    def _told(
        self,
        instruments: Collection[Instrument],
        tell: Callable[[Feed, Collection[str]], Collection[str]],
    ) -> set[str]:
        """Tells each source of what it is used for, be it as a stand-in; returns what the source that a code
        comes from answers."""
        found: set[str] = set()
        for feed in self._feeds:
            used = {one.code: one for one in instruments if self._feeds.uses(feed, one)}
            answered = tell(feed, [*used])
            found.update(code for code in answered if self._feeds.of(used[code]) is feed)
        return found

    async def begin(self, kind: Kind, instruments: Iterable[Instrument]) -> None:
        """Makes sure that instruments have a last trade or book to show, if they can have one."""
        fit = [one for one in instruments if kind is Kind.TRADE or one.levels]
        loop = asyncio.get_running_loop()
        waiting = {(kind, code): loop.create_future() for code in self.want(kind, fit, subscribed=False)}
        if not waiting:
            return
        for key, future in waiting.items():
            self.awaited.setdefault(key, set()).add(future)
        try:
            await asyncio.wait(waiting.values(), timeout=FIRST_EVENT_WAIT)
        finally:
            for key, future in waiting.items():
                if (others := self.awaited.get(key)) is not None:
                    others.discard(future)
                    if not others:
                        del self.awaited[key]

    def here(self, kind: Kind, code: str) -> None:
        """Something of a code has come, from the source that it comes from, that a request may wait for."""
        for future in self.awaited.pop((kind, code), ()):
            future.set_result(None)

    async def static_info(self, instruments: Iterable[Instrument]) -> tuple[dict[str, StaticInfo], bool]:
        """What upstream says of these in /static_info where they come from one, and whether all could be
        asked."""
        return await self.discovery.static_info((one, self._feeds.of(one)) for one in instruments)

    async def prepare_bars(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> bool:
        """Makes sure that an instrument has the bars that it can have of those, up to `end` in seconds;
        returns whether the store could be asked what there is."""
        feed = self._feeds.of(instrument)
        try:
            if feed.backfill is None:
                await self.begin(Kind.TRADE, [instrument])
                await feed.bars.make_past(instrument, feed.source.past)
            else:
                self.want(Kind.TRADE, [instrument], subscribed=False)
                await feed.backfill.reach(instrument, kline_type, count=count, end=end)
        except StoreError:  # which has been said
            return False
        return True


def _flow(kind: Kind) -> Kind:
    """What a source is asked for, for the sake of that: bars are made of trades."""
    return Kind.TRADE if kind is Kind.KLINE else kind
