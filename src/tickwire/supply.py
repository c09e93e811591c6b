"""What sources are asked for, because a client wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum

import structlog

from .discovery import Discovery
from .errors import StoreError
from .gateway.admission import Caller, Peer
from .gateway.hub import Hub, flow_of
from .market.feeds import Feed, Feeds
from .model import Family, Instrument, Kind, KlineType
from .sources.turns import in_turn
from .wire import Ret, StaticInfo

FIRST_EVENT_WAIT = 5.0
"""Seconds that an HTTP request waits for the first event of a code that begins because of it."""

log = structlog.get_logger()


class Lack(StrEnum):
    """Why an answer is not whole: the store cannot be read, or not all is written to it; or the source has
    not given the rest yet, or not said yet what some codes are."""

    STORE = "store"
    UPSTREAM = "upstream"


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
        self._shared: set[tuple[Family | None, Kind]] = set()  # of which the log has said so

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any source."""
        return self._feeds.serve(instrument)

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has a source asked what an unknown code is, see `Discovery.seek`."""
        return self.discovery.seek(caller, family, name)

    def room(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Collection[Instrument]:
        """Those of these instruments that the sources they come from can subscribe to now, in place of what
        the caller is subscribed to. Where there is not enough room, all tokens get alike."""
        if all(feed.source.history is None for feed in self._feeds):
            return instruments
        peer = next((peer for peer, one in self._callers.items() if one is caller), None)
        self.renew(peer, kind)
        found = self._room(kind, instruments)
        if len(found) < len({one.code for one in instruments}):
            found = self._share(kind, instruments, caller, found)
        else:
            self._shared.discard((caller.client.family, flow_of(kind)))
        return [one for one in instruments if one.code in found]

    def _room(self, kind: Kind, instruments: Collection[Instrument]) -> set[str]:
        return self._told(instruments, lambda feed, codes: feed.source.room(flow_of(kind), codes))

    def _share(
        self, kind: Kind, instruments: Collection[Instrument], caller: Caller, found: set[str]
    ) -> set[str]:
        """Shares the room among the tokens that want it, so that a newcomer is not left with what the first
        one spared. `found` is what has room if nobody else gives up anything. Returns what has room."""
        family, flow = caller.client.family, flow_of(kind)
        wishes: dict[str, dict[str, Instrument]] = {}
        for peer, one in self._callers.items():
            if one.client.family is family:
                wanted = self._hub.wanted_by(peer, kind if one is caller else None)[flow]
                wishes.setdefault(one.client.label, {}).update((each.code, each) for each in wanted)
        wishes.setdefault(caller.client.label, {}).update((one.code, one) for one in instruments)
        wishes = {label: wanted for label, wanted in wishes.items() if wanted}
        if len(wishes) < 2:
            return found
        every = {code: one for wanted in wishes.values() for code, one in wanted.items()}
        before = self._carried(family, flow).intersection(every)
        self._told([], lambda feed, _: feed.source.want(flow, (), subscribed=True))  # all begin anew
        staying = self._room(kind, [every[code] for code in in_turn(wishes.values())])
        self.want(kind, [every[code] for code in staying], subscribed=True)
        if before - staying and (family, flow) not in self._shared:
            self._shared.add((family, flow))
            log.warning(
                "the room of the upstream plan is shared among tokens",
                family=family,
                kind=flow.name.lower(),
                tokens=len(wishes),
                wanted=len(every),
                served=len(staying),
                given_up=len(before - staying),
            )
        return staying

    def _carried(self, family: Family | None, flow: Kind) -> set[str]:
        """The codes of a family that are subscribed to upstream for that."""
        uses = (feed.source.health.upstream for feed in self._feeds)
        return {
            code
            for use in uses
            if use is not None
            for one in use().codes
            if one.family is family and one.kind is flow
            for code in one.codes
        }

    def renew(self, leaving: Peer | None = None, of: Kind | None = None) -> None:
        """Tells the sources what is subscribed to, but for a list that is about to be replaced."""
        for kind, instruments in self._hub.wanted(leaving, of).items():
            self.want(kind, instruments, subscribed=True)

    def want(self, kind: Kind, instruments: Collection[Instrument], *, subscribed: bool) -> set[str]:
        """Tells the sources what is asked for; returns the codes that are worth waiting for."""
        return self._told(
            instruments, lambda feed, codes: feed.source.want(flow_of(kind), codes, subscribed=subscribed)
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
            for code in tell(feed, [*used]):
                if self._feeds.of(used[code]) is feed:
                    found.add(code)
        return found

    async def begin(self, kind: Kind, instruments: Iterable[Instrument]) -> None:
        """Makes sure that instruments have a last trade or book to show, if they can have one."""
        fit = [one for one in instruments if kind is Kind.TRADE or one.levels]
        codes = self.want(kind, fit, subscribed=False)
        if not codes:
            return
        loop = asyncio.get_running_loop()
        waiting = {(kind, code): loop.create_future() for code in codes}
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

    async def static_info(
        self, instruments: Iterable[Instrument]
    ) -> tuple[dict[str, StaticInfo], Lack | None]:
        """What upstream says of these in /static_info where they come from one, and whether it could not be
        asked about all."""
        found, whole = await self.discovery.static_info((one, self._feeds.of(one)) for one in instruments)
        return found, None if whole else Lack.UPSTREAM

    async def prepare_bars(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> Lack | None:
        """Makes sure that an instrument has the bars that it can have of those, up to `end` in seconds;
        returns who could not be asked for all of them."""
        feed = self._feeds.of(instrument)
        try:
            if feed.backfill is None:
                await self.begin(Kind.TRADE, [instrument])
                await feed.bars.make_past(instrument, feed.source.past, kline_type, count=count, end=end)
            else:
                self.want(Kind.TRADE, [instrument], subscribed=False)
                if not await feed.backfill.reach(instrument, kline_type, count=count, end=end):
                    return Lack.UPSTREAM
        except StoreError:  # which has been said
            return Lack.STORE
        return None
