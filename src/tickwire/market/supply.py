"""What sources are asked for because a client wants it, and the requests that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

import msgspec

from ..bus import Lack, Statics
from ..errors import StoreError
from ..model import Instrument, Kind, KlineType, Room
from ..sources import Simulator
from ..sources.relay import Relay
from ..wire import Ret, StaticInfo
from ..wire.http import static_entry
from .feeds import Feed, Feeds
from .streams import Streams

FIRST_EVENT_WAIT = 5.0
"""Seconds that an HTTP request waits for the first event of a code that begins because of it."""


class Supply:
    """What the sources of a server can give, and who waits for it."""

    def __init__(self, feeds: Feeds, streams: Streams) -> None:
        self._feeds = feeds
        self._streams = streams
        self._relays = any(isinstance(feed.source, Relay) for feed in feeds)
        self.awaited: dict[tuple[Kind, str], set[asyncio.Future[None]]] = {}
        """What requests wait for, each with its future."""

    @property
    def scarce(self) -> bool:
        """Whether a plan limits how many codes some source subscribes to."""
        return any(feed.source.limited for feed in self._feeds)

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any source."""
        return self._feeds.serve(instrument)

    def room(self, kind: Kind, instruments: Collection[Instrument]) -> set[str]:
        """The codes of those of these instruments that the sources they come from can subscribe to now."""
        found: set[str] = set()
        for feed, used in self._feeds.used(instruments):
            codes = feed.source.room(kind.flow, [*used])
            found.update(code for code in codes if self._feeds.of(used[code]) is feed)
        return found

    def rooms(self) -> tuple[Room, ...]:
        """What the plans of all sources leave room for."""
        return tuple(
            room for feed in self._feeds if isinstance(feed.source, Relay) for room in feed.source.rooms()
        )

    def limiting(self, instrument: Instrument) -> str:
        """The source whose plan limits what can be subscribed to of an instrument; empty if none does."""
        source = self._feeds.of(instrument).source
        return source.name if source.limited else ""

    def carried(self, flow: Kind) -> set[str]:
        """The codes that are subscribed to upstream for that."""
        return {code for feed in self._feeds for kind, code in _carried(feed) or () if kind is flow}

    def want(self, kind: Kind, instruments: Collection[Instrument], *, subscribed: bool) -> set[str]:
        """Tells the sources what is asked for; returns the codes that are worth waiting for."""
        found: set[str] = set()
        for feed, used in self._feeds.used(instruments):
            codes = feed.source.want(kind.flow, [*used], subscribed=subscribed)
            found.update(code for code in codes if self._feeds.of(used[code]) is feed)
        return found

    async def begin(self, kind: Kind, instruments: Iterable[Instrument]) -> dict[str, Ret | None]:
        """Makes sure that instruments have a last trade or book to show, if they can have one. Returns the
        codes that have none since their source has not said how they stand, each with what it refused it
        with, if it did."""
        fit = [one for one in instruments if kind is Kind.TRADE or one.levels]
        codes = self.want(kind, fit, subscribed=False)
        waited = await self._first(kind, codes) if codes else set[str]()
        return self._unanswered(kind, fit, waited)

    async def _first(self, kind: Kind, codes: Iterable[str]) -> set[str]:
        """Waits until something of these has come, or waits no longer; returns those of which nothing has."""
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
        return {code for (_, code), future in waiting.items() if not future.done()}

    def _unanswered(
        self, kind: Kind, instruments: Iterable[Instrument], waited: set[str]
    ) -> dict[str, Ret | None]:
        if not self._relays:
            return {}
        last_of = self._streams.last_trade if kind is Kind.TRADE else self._streams.last_book
        found: dict[str, Ret | None] = {}
        for one in instruments:
            source = self._feeds.of(one).source
            if isinstance(source, Relay) and last_of(one) is None:
                found |= dict.fromkeys(waited & {one.code}) | source.unanswered(kind, [one])
        return found

    def here(self, kind: Kind, code: str) -> None:
        """Something of a code has come, from the source that it comes from, that a request may wait for:
        unless it is of long before, and what is to be known of the code follows at once."""
        first = self._feeds.first.source
        if isinstance(first, Simulator) and first.catches_up(code):
            return
        for future in self.awaited.pop((kind, code), ()):
            future.set_result(None)

    async def static_info(self, instruments: Collection[Instrument]) -> Statics:
        """What is to be told of these in /static_info: upstream knows more than the catalogue, and the
        simulator makes it up."""
        codes: dict[Relay, list[str]] = {}
        for instrument in instruments:
            if isinstance(source := self._feeds.of(instrument).source, Relay):
                codes.setdefault(source, []).append(instrument.code)
        told: dict[str, StaticInfo] = {}
        whole, made_up = True, False
        for found, complete in await asyncio.gather(*(one.statics.of(some) for one, some in codes.items())):
            told |= found
            whole = whole and complete
        entries: dict[str, StaticInfo] = {}
        for instrument in instruments:
            source, own = self._feeds.of(instrument).source, static_entry(instrument)
            entry = own
            if instrument.code in told:
                entry = msgspec.structs.replace(told[instrument.code], symbol=own.symbol)
            elif isinstance(source, Simulator):
                entry = static_entry(source.described(instrument))
            entries[instrument.code] = entry
            made_up = made_up or (source.simulated and entry != own)
        return Statics(entries, made_up, None if whole else Lack.UPSTREAM)

    def lacking(self, streams: Iterable[tuple[Instrument, Kind]]) -> set[tuple[Kind, str]]:
        """Those of these trades and books that have no place at the source they come from."""
        carried = {feed: _carried(feed) for feed in self._feeds}
        return {
            (kind, one.code)
            for one, kind in streams
            if (places := carried[self._feeds.of(one)]) is not None
            and (kind is not Kind.DEPTH or one.levels)
            and (kind, one.code) not in places
        }

    async def prepare_bars(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> Lack | None:
        """Makes sure that an instrument has the bars that it can have of those, up to `end` in seconds;
        returns who could not be asked for all of them."""
        feed = self._feeds.of(instrument)
        try:
            if (backfill := feed.missing.backfill) is None:
                await self.begin(Kind.TRADE, [instrument])
                await feed.pasts.make(instrument, kline_type, count=count, end=end)
            else:
                self.want(Kind.TRADE, [instrument], subscribed=False)
                if not await backfill.reach(instrument, kline_type, count=count, end=end):
                    if self._streams.is_silent(instrument):
                        await self.begin(Kind.TRADE, [instrument])  # lest upstream has no such code
                    return Lack.UPSTREAM
        except StoreError:  # which has been said
            return Lack.STORE
        return None


def _carried(feed: Feed) -> set[tuple[Kind, str]] | None:
    """What a source is subscribed to upstream, None if it has no account there."""
    if (use := feed.source.health.upstream) is None:
        return None
    return {(one.kind, code) for one in use().codes for code in one.codes}
