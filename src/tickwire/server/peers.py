"""All processes of a server, as one of its client sides asks them."""

from __future__ import annotations

import asyncio

import structlog

from ..assembly import Engine, GatewayEngine
from ..bus import contract
from ..errors import StoreError

MARKET = "market"
"""The name of the market side's process."""
ALIVE = "alive"
"""What a process is asked that has only to answer."""
LOOK, EACH = 2.0, 0.1
"""Seconds between looks whether the others answer: at least, and for each process, for all look at all."""
SLACK = 1.0
"""Seconds that the way to the market side and back may take beside."""

log = structlog.get_logger()


async def alive(_: str) -> bytes:
    """The answer to `ALIVE`."""
    return b""


class Peers:
    """The other processes, by name. Where there is one process there are none."""

    def __init__(self, engine: Engine | GatewayEngine) -> None:
        place = engine.gateway.place
        self.own = place.name
        self.names = (MARKET, *place.names) if place.of else ()
        """Those of all processes, this one's among them; empty where there is one. In a cluster those that
        the market side knew when it was last asked."""
        self._is_cluster = bool(place.node)
        self._engine = engine
        self._up = dict.fromkeys(self.names, False)
        engine.gateway.sayings.by_question[ALIVE] = alive

    async def ask(self, what: str, about: str = "") -> dict[str, bytes | None]:
        """What each of the others says; None for one that does not answer within two seconds."""
        if not self.names:
            return {}
        try:
            async with asyncio.timeout(contract.PATIENCE + SLACK):
                found = await self._engine.market.statements(what, about, self.own)
            self._note(MARKET, up=True)
        except (StoreError, TimeoutError):
            found = []
            self._note(MARKET, up=False)
        said = dict(found)
        if self._is_cluster and found:
            self.names = tuple(sorted({MARKET, self.own, *said}))
            self._up = {name: self._up.get(name, False) for name in self.names}
        return {name: said.get(name) for name in self.names if name != self.own}

    @property
    def up(self) -> dict[str, bool]:
        """Which processes there are, and whether each answered when it was last looked at."""
        return self._up | {self.own: True} if self.names else {}

    @property
    def has_market(self) -> bool:
        """Whether the market side answers, as far as is known."""
        return self._up.get(MARKET, True)

    async def look(self) -> None:
        """Looks again and again whether the others answer. Never ends."""
        await self._engine.began.wait()
        while True:
            for name, body in (await self.ask(ALIVE)).items():
                if name == MARKET or self.has_market:  # through which the others are asked
                    self._note(name, up=body is not None)
            await asyncio.sleep(max(LOOK, EACH * len(self.names)))

    def _note(self, name: str, *, up: bool) -> None:
        if self._up.get(name) and not up:
            log.warning("a process does not answer", name=name)
        self._up[name] = up
