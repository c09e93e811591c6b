"""Sends the bar that is forming to whoever has just subscribed to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from ..errors import StoreError
from ..model import Instrument, Kind, KlineType
from ..wire import Want
from .admission import Peer
from .hub import Hub

AGAIN = 0.5
"""Seconds after which a bar is asked for again where the market side is away."""

log = structlog.get_logger()


class FirstBars:
    """The bars that clients are to see first, on their way to them."""

    def __init__(self, hub: Hub, bring: Callable[[Instrument, KlineType], Awaitable[bool]]) -> None:
        """`bring` has a bar pushed to all, once there is one, if it is another one than at the last time, and
        returns whether there is one."""
        self._hub = hub
        self._bring = bring
        self._wanted: dict[Peer, dict[Want, int]] = {}  # with the topic's `seq` at the subscription
        self._tasks: dict[Peer, asyncio.Task[None]] = {}

    @property
    def showing(self) -> int:
        """Clients that have not been sent all bars yet that they were to see first."""
        return len(self._tasks)

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
            try:
                is_forming = await self._bring(want.instrument, kline_type)
            except StoreError:  # the market side is away: it is told of by 28997
                await asyncio.sleep(AGAIN)
                continue
            seq = wanted.pop(want)
            topic = self._hub.topic(Kind.KLINE, want.instrument, want.kline_type)
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
