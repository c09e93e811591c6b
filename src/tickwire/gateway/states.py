"""What instruments do, for clients that follow it (28024): open, halted and so on, and each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from ..bus import Supplier
from ..model import Instrument
from ..wire import Want
from ..wire.states import StateData, state_frame
from .admission import Peer
from .hub import Hub

LOOK = 0.5
"""Seconds between looks, while anybody follows."""


class List:
    """What a client follows."""

    __slots__ = ("client", "is_new", "is_over", "wants")

    def __init__(self, client: Peer, wants: Collection[Want]) -> None:
        self.client = client
        self.wants = wants
        self.is_new = True
        """Whether it was told nothing of it yet."""
        self.is_over = False
        """Whether it follows that no more."""


class States:
    """Looks for all clients together, and tells each what is new to it.

    A look costs what is followed, once, however many follow it, and each client what has changed for it.
    """

    def __init__(self, hub: Hub, market: Supplier, wall: Callable[[], float]) -> None:
        """`wall` is the time since the epoch in seconds."""
        self._hub = hub
        self._market = market
        self._wall = wall
        self._followed: dict[Peer, List] = {}
        self._changed: list[List] = []  # which began or ended since the last look
        self._followers: dict[str, dict[tuple[List, str], None]] = {}  # by code, with the name of it there
        self._instruments: dict[str, Instrument] = {}  # of the same codes
        self._states: dict[str, str] = {}  # as all were told that are not new
        self._asked = asyncio.Event()

    def follow(self, client: Peer, wants: Collection[Want]) -> None:
        """From now on a client is told of these, in place of those before; how they are follows."""
        self.forget(client)
        self._followed[client] = made = List(client, wants)
        self._changed.append(made)
        self._asked.set()

    def forget(self, client: Peer) -> None:
        """A client is told nothing any more."""
        if (before := self._followed.pop(client, None)) is not None:
            before.is_over = True
            self._changed.append(before)
            self._asked.set()

    async def run(self) -> None:
        """Looks. Never ends."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._look()
            if self._followed:
                asyncio.get_running_loop().call_later(LOOK, self._asked.set)

    async def _look(self) -> None:
        changed, self._changed = self._changed, []
        for one in changed:
            self._take(one)
            await asyncio.sleep(0)  # lists may be long, and many who follow come and go at once
        found = await self._market.states(self._instruments.values())
        now, frames = int(self._wall() * 1000), dict[tuple[str, str], bytes]()

        def tell(one: List, names: Iterable[tuple[str, str]]) -> None:
            new: list[bytes] = []
            for place in names:
                if place not in frames:
                    frames[place] = state_frame(StateData(*place, now))
                new.append(frames[place])
            self._hub.flush()  # what came before
            self._hub.tell(one.client, b"".join(new))

        news: dict[List, list[tuple[str, str]]] = {}
        for code, state in zip(self._instruments, found, strict=True):
            if state != self._states.get(code):
                self._states[code] = state
                for one, name in self._followers[code]:
                    if not one.is_new:
                        news.setdefault(one, []).append((name, state))
        for one, names in news.items():
            if not one.is_over:
                tell(one, names)
        for one in changed:
            if one.is_new and not one.is_over:
                one.is_new = False
                tell(one, ((want.name, self._states[want.instrument.code]) for want in one.wants))
                await asyncio.sleep(0)

    def _take(self, one: List) -> None:
        """Takes a list into account, or does so no more."""
        for want in one.wants:
            code, place = want.instrument.code, (one, want.name)
            if not one.is_over:
                self._instruments[code] = want.instrument
                self._followers.setdefault(code, {})[place] = None
            elif (followers := self._followers.get(code)) is not None:
                followers.pop(place, None)
                if not followers:
                    del self._followers[code], self._instruments[code]
                    self._states.pop(code, None)
