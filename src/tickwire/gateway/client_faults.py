"""Ends clients as scenarios say: cuts of a flaky network, tokens that expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from ..model import Ending
from ..sandbox import Disconnect, ExpireToken, Sandbox, Step
from ..wire import POLICY_VIOLATION
from .admission import Caller, Peer

BEAT = 0.05
"""Seconds between looks at which connections are to be cut, while a scenario cuts some."""


class ClientFaults:
    """What scenarios do to the clients of a server."""

    def __init__(self, sandbox: Sandbox, callers: Mapping[Peer, Caller], clock: Callable[[], float]) -> None:
        """`callers` are the open connections."""
        self._sandbox = sandbox
        self._callers = callers
        self._clock = clock
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Cuts connections when it is due. Never ends."""
        while True:
            self._wake.clear()
            if self._sandbox.cuts:
                await asyncio.sleep(BEAT)
            else:
                await self._wake.wait()
            self._cut()

    def changed(self, begun: Iterable[Step]) -> None:
        """Steps of scenarios have begun or ended."""
        if any(isinstance(step, ExpireToken) for step in begun):
            for peer, caller in [*self._callers.items()]:
                if not caller.gone and self._sandbox.expired(caller.client):
                    peer.close(POLICY_VIOLATION, "token expired", Ending.SCENARIO)
        self._cut()
        self._wake.set()

    def _cut(self) -> None:
        if not self._sandbox.cuts:
            return
        now = self._clock()
        for peer, caller in [*self._callers.items()]:
            if not caller.gone and (cut := self._sandbox.cut(caller.client, now)) is not None:
                _end(peer, cut)


def _end(peer: Peer, step: Disconnect) -> None:
    if step.reset:
        peer.reset(Ending.SCENARIO)
    else:
        peer.close(step.code, step.reason, Ending.SCENARIO)
