"""A bus over Unix sockets: between the processes of one machine, without a broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import structlog

from ..errors import BusError, StartError
from .host import Host, Keep, unkept
from .layout import Splitter
from .remote import RemoteMarket

RETRY = 0.05, 1.0
"""Seconds between two tries to reach the market side, the first ones and at the most."""
LOOK = 1.0
"""Seconds between looks whether it is silent."""

log = structlog.get_logger()


class Line(asyncio.Protocol):
    """One end of a connection."""

    def __init__(
        self,
        made: Callable[[Line], None],
        received: Callable[[Line, bytes], None],
        lost: Callable[[Line], None],
    ) -> None:
        self.splitter = Splitter()
        self.over = asyncio.get_running_loop().create_future()
        """Done when it has ended."""
        self._made, self._received, self._lost = made, received, lost
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._received(self, data)
        except BusError as error:
            log.error("a connection of the bus ends", reason=str(error))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)
        if not self.over.done():
            self.over.set_result(None)

    def send(self, data: bytes) -> None:
        """Takes a frame, without ever waiting."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def waiting(self) -> int:
        """Bytes that have not been sent."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.abort()


@contextlib.asynccontextmanager
async def hosting(host: Host, path: Path, keep: Keep = unkept) -> AsyncIterator[None]:
    """Client sides reach the market side there. Raises StartError."""
    loop = asyncio.get_running_loop()

    def line() -> Line:
        return Line(
            lambda _: None,
            lambda one, data: host.receive(one, one.splitter, data),
            lambda one: host.lost(one),
        )

    try:
        server = await loop.create_unix_server(line, str(path))
    except OSError as error:
        raise StartError(f"The bus cannot be opened at {path}: {error.strerror or error}.") from None
    beat = loop.create_task(keep("look at what client sides are told", host.run))
    try:
        yield
    finally:
        beat.cancel()
        server.close()
        host.end()


async def reach(market: RemoteMarket, path: Path) -> None:
    """Keeps the way to a market side up. Ends if that refuses us: raises BusError."""
    loop, wait = asyncio.get_running_loop(), RETRY[0]

    def line() -> Line:
        return Line(market.attach, lambda _, data: market.received(data), lambda _: market.lost())

    watch = loop.create_task(_watch(market))
    try:
        while not market.refused:
            try:
                _, made = await loop.create_unix_connection(line, str(path))
            except OSError:
                await asyncio.sleep(wait)
                wait = min(2 * wait, RETRY[1])
                continue
            wait = RETRY[0]
            await made.over
        raise BusError(market.refused)
    finally:
        watch.cancel()


async def _watch(market: RemoteMarket) -> None:
    while True:
        await asyncio.sleep(LOOK)
        market.look()
