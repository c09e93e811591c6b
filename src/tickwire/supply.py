"""What sources are asked for, because a client wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

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


class Share(NamedTuple):
    """Who is served if a client has a list: all that is wanted, the most wanted first, and the codes that
    have room. Where room was shared, among so many `tokens`, of which some have `given_up` so many codes."""

    wanted: dict[str, Instrument]
    served: set[str]
    tokens: int = 1
    given_up: int = 0


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
        self._shared: set[tuple[Family | None, Kind]] = set()  # room of which the log has said so

    def refusal(self, instrument: Instrument) -> Ret | None:
        """Why an instrument can come from no source; None if it can."""
        if self._feeds.serve(instrument):
            return None
        return self.discovery.refusal(instrument.family, instrument.code)

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has a source asked what an unknown code is, see `Discovery.seek`."""
        return self.discovery.seek(caller, family, name)

    def room(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Collection[Instrument]:
        """Those of these instruments that the sources they come from can subscribe to, if they are the
        caller's list of that kind. Where there is not enough room, all tokens get alike."""
        if self._is_boundless:
            return instruments
        served = self._share(kind, instruments, caller).served
        return [one for one in instruments if one.code in served]

    def subscribe(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> None:
        """These are the caller's list of that kind from now on, see `room`."""
        flow = flow_of(kind)
        if self._is_boundless:
            self.want(flow, instruments, subscribed=True)
            return
        share, concerned = self._share(kind, instruments, caller), (caller.client.family, flow)
        self.want(
            flow, [share.wanted[code] for code in share.wanted if code in share.served], subscribed=True
        )
        if share.tokens < 2:
            self._shared.discard(concerned)
        elif share.given_up and concerned not in self._shared:
            self._shared.add(concerned)
            log.warning(
                "the room of the upstream plan is shared among tokens",
                family=caller.client.family,
                kind=flow.name.lower(),
                tokens=share.tokens,
                wanted=sum(one.family is caller.client.family for one in share.wanted.values()),
                served=sum(share.wanted[code].family is caller.client.family for code in share.served),
                given_up=share.given_up,
            )

    def renew(self) -> None:
        """Tells the sources what is subscribed to. What has no place gets what room there is, by turns."""
        for flow, instruments in self._hub.wanted().items():
            served = (
                {one.code for one in instruments} if self._is_boundless else self._room(flow, instruments)
            )
            order = {one.code: one for one in instruments}
            if len(served) < len(order):
                carried = self._carried(flow)
                turns = [code for family in Family for code in in_turn(self._wishes(family, flow).values())]
                first = [*(code for code in order if code in carried), *turns]
                order = {code: order[code] for code in first if code in order} | order
                served = self._room(flow, order.values())
            self.want(flow, [one for code, one in order.items() if code in served], subscribed=True)

    @property
    def _is_boundless(self) -> bool:
        """Whether no source can be without room."""
        return all(feed.source.history is None for feed in self._feeds)

    def _room(self, flow: Kind, instruments: Collection[Instrument]) -> set[str]:
        """The codes that can be subscribed to if nothing else is: the first ones of each source."""
        return self._told(instruments, lambda feed, codes: feed.source.room(flow, codes))

    def _share(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Share:
        """Who is served if these are the caller's list of that kind. What others have stays theirs where that
        leaves room enough; else room is shared among the tokens that want it, so that a newcomer is not left
        with what the first one spared: who has most gives up the last of it."""
        flow, family = flow_of(kind), caller.client.family
        peer = next((peer for peer, one in self._callers.items() if one is caller), None)
        others, carried = self._hub.wanted(peer, kind)[flow], self._carried(flow)
        first = [one for one in others if one.code in carried]
        wanted = {one.code: one for one in [*first, *instruments, *others]}
        served = self._room(flow, wanted.values())
        if served.issuperset(one.code for one in instruments) or family is None:
            return Share(wanted, served)
        wishes = self._wishes(family, flow, caller, kind, [one.code for one in instruments])
        if len(wishes) > 1:
            wanted = {code: wanted[code] for code in in_turn(wishes.values()) if code in wanted} | wanted
            served = self._room(flow, wanted.values())
        return Share(wanted, served, len(wishes), len(carried.intersection(wanted) - served))

    def _wishes(
        self,
        family: Family,
        flow: Kind,
        caller: Caller | None = None,
        kind: Kind | None = None,
        codes: Collection[str] = (),
    ) -> dict[str, list[str]]:
        """What each token wants of a family, what it has first; `codes` as the caller's list of a kind."""
        carried = self._carried(flow)
        having: dict[str, dict[str, None]] = {}
        lacking: dict[str, list[str]] = {}
        for peer, one in self._callers.items():
            if one.client.family is family:
                label = one.client.label
                mine, more = having.setdefault(label, {}), lacking.setdefault(label, [])
                for each in self._hub.wanted_by(peer, kind if one is caller else None)[flow]:
                    if each.code in carried:
                        mine[each.code] = None
                    else:
                        more.append(each.code)
        if caller is not None:
            having.setdefault(caller.client.label, {}).update(dict.fromkeys(codes))
        found = {label: [*mine, *lacking.get(label, ())] for label, mine in having.items()}
        return {label: wanted for label, wanted in found.items() if wanted}

    def _carried(self, flow: Kind) -> set[str]:
        """The codes that are subscribed to upstream for that."""
        uses = (feed.source.health.upstream for feed in self._feeds)
        return {
            code
            for use in uses
            if use is not None
            for one in use().codes
            if one.kind is flow
            for code in one.codes
        }

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
                    if self._hub.is_silent(instrument):
                        await self.begin(Kind.TRADE, [instrument])  # lest upstream has no such code
                    return Lack.UPSTREAM
        except StoreError:  # which has been said
            return Lack.STORE
        return None
