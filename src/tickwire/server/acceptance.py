"""Taking connections, for as long as there are file descriptors for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Collection, Sequence

import structlog

from ..machine import Network
from .bounds import Tally

SPARE = 256
"""Descriptors that connections leave to the store, the recorder and the sources; no more than half of all."""
LOOK = 0.1
"""Seconds between looks whether there is room again."""

log = structlog.get_logger()


def raise_descriptor_limit() -> None:
    """Lets the process have as many descriptors as the system allows."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors() -> int | None:
    """How many descriptors the process may have, None for any number."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def room() -> int | None:
    """How many connections there may be, None for any number."""
    most = descriptors()
    return None if most is None else max(most - SPARE, most // 2)


class Acceptance:
    """Takes connections while there is room for them.

    Where there is none, newcomers wait in the system's queue until somebody has left, and all who are
    connected go on as before.
    """

    def __init__(self, network: Network, connected: Collection[object]) -> None:
        """`connected` are the connections."""
        self.most = room()
        self.paused = Tally("no connection is taken until one ends: there are no file descriptors for more")
        self._network = network
        self._connected = connected
        self._listeners: Sequence[socket.socket] = ()
        self._servers: list[asyncio.Server] = []
        self._waiting: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether newcomers wait because there is no room."""
        return self._waiting is not None and not self._waiting.done()

    @property
    def open(self) -> bool:
        """Whether whoever comes is taken."""
        return bool(self._servers)

    async def begin(
        self, listeners: Sequence[socket.socket], protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Takes connections from these sockets, which stay the caller's, from now on."""
        self._listeners = listeners
        self._protocol = protocol
        await self._listen()

    async def _listen(self) -> None:
        for one in self._listeners:
            self._servers.append(await self._network.take(one, self._protocol))

    def look(self) -> None:
        """A connection has come: looks whether there is room for more."""
        if self.most is not None and len(self._connected) + 1 >= self.most and self._servers:
            self._stop()
            self.paused.add(connections=self.most)
            self._waiting = asyncio.get_running_loop().create_task(self._resume(self.most))

    async def _resume(self, most: int) -> None:
        while True:
            await asyncio.sleep(LOOK)
            if len(self._connected) < most:
                with contextlib.suppress(OSError):  # even these are used up: later
                    await self._listen()
                    return
                self._stop()

    def _stop(self) -> None:
        for one in self._servers:
            one.close()
        self._servers.clear()

    def end(self) -> None:
        """Takes no more."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._stop()
