"""A wire between clients and a server, which a test cuts and joins again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Wire:
    """Carries bytes to a server and back. `url` is what clients are to connect to."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 0)
        self.url = ""
        self.is_cut = False
        self.taken = 0
        """Connections that were carried."""
        self._ends: set[asyncio.StreamWriter] = set()
        self._room: int | None = None

    def cut(self) -> None:
        """All connections are reset, and those that come are, until it is joined."""
        self.is_cut = True
        for end in [*self._ends]:
            end.transport.abort()

    def join(self, room: int | None = None) -> None:
        """It carries again, so many bytes to clients at the most: then it is cut."""
        self.is_cut = False
        self._room = room

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        self.taken += 1
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(self._host, self._port)
            ends = {writer, back}
            self._ends |= ends
            try:
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer, counts=True))
            finally:
                self._ends -= ends
                for end in ends:
                    end.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        """Until one of the two ends."""
        with contextlib.suppress(OSError):
            while (data := await reader.read(2**16)) and not self.is_cut:
                if counts and self._room is not None:
                    data = data[: self._room]
                    self._room -= len(data)
                writer.write(data)
                await writer.drain()
                if counts and self._room == 0:
                    writer.close()  # a reset would take what was carried with it
                    await writer.wait_closed()
                    self.cut()
            if writer.can_write_eof():
                writer.write_eof()


@contextlib.asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    """A wire to the server at that URL."""
    wire = Wire(url)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close()
        wire.cut()
        await server.wait_closed()
