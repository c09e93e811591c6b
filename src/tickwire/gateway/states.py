"""What instruments do, for clients that follow it (28024): open, halted and so on, and each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from ..bus import Supplier
from ..wire import Want
from ..wire.states import StateData, state_frame
from .admission import Peer
from .hub import Hub

LOOK = 0.5
"""Seconds between looks, while anybody follows."""


class States:
    """Looks for all clients together, and tells each what is new to it."""

    def __init__(self, hub: Hub, market: Supplier, wall: Callable[[], float]) -> None:
        """`wall` is the time since the epoch in seconds."""
        self._hub = hub
        self._market = market
        self._wall = wall
        self._followed: dict[Peer, dict[Want, str]] = {}  # with what each was told last
        self._asked = asyncio.Event()

    def follow(self, client: Peer, wants: Collection[Want]) -> None:
        """From now on a client is told of these, in place of those before; how they are follows."""
        self._followed[client] = dict.fromkeys(wants, "")
        self._asked.set()

    def forget(self, client: Peer) -> None:
        """A client is told nothing any more."""
        self._followed.pop(client, None)

    async def run(self) -> None:
        """Looks. Never ends."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._look()
            if self._followed:
                asyncio.get_running_loop().call_later(LOOK, self._asked.set)

    async def _look(self) -> None:
        wants = {one for some in self._followed.values() for one in some}
        instruments = {one.instrument.code: one.instrument for one in wants}
        found = await self._market.states(instruments.values())
        states = dict(zip(instruments, found, strict=True))
        now, frames = int(self._wall() * 1000), dict[tuple[str, str], bytes]()
        self._hub.flush()  # what came before
        for client, told in [*self._followed.items()]:
            new = b""
            for want, before in told.items():
                state = states.get(want.instrument.code, before)  # it may have been asked for since
                if state != before:
                    told[want] = state
                    key = want.name, state
                    if key not in frames:
                        frames[key] = state_frame(StateData(want.name, state, now))
                    new += frames[key]
            if new:
                self._hub.tell(client, new)
