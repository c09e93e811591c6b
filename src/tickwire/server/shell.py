"""What every WebSocket of the server has in common: its transport, and the bounds of what is unread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import structlog
from uvicorn.server import ServerState

from ..wire import POLICY_VIOLATION
from .bounds import Deadline

LINGER = 2.0
"""Seconds that a client has to close its side after we began to close ours."""
UNREAD_TIMEOUT = 30.0
"""Seconds in which a client that does not keep up must at least take `UNREAD_LEAST`."""
UNREAD_LEAST = 64 * 1024
"""Bytes."""
SMALL_PIECE, LARGE_PIECE = 512, 8 * 1024
"""Bytes of a client that are looked at in one turn of the loop: few at first, for they may be as many frames
as a sixth of them, and twice as many after each piece that held no more than `FEW`."""
FEW = 64
GOING_AWAY = 1001  # RFC 6455, 7.4.1

log = structlog.get_logger()


class Shell(asyncio.Protocol):
    """One WebSocket's socket.

    Who does not read is closed with 1008: when more than `bound` bytes are unread, or when they are read
    too slowly.
    """

    transport: asyncio.Transport

    def __init__(self, alive: set[Any], server_state: ServerState, bound: int) -> None:
        """`alive` is the set that it stands in while it is connected."""
        self._alive = alive
        self._server_state = server_state
        self._bound = bound
        self._ending: Deadline | None = None
        self._unread: Deadline | None = None
        self._written = 0  # bytes that the transport was given
        self._later = bytearray()  # what came and is looked at in later turns
        self._piece = SMALL_PIECE

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request has been read."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        self._alive.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self._deaf:
            return
        if len(data) <= self._piece and not self._later:
            self._look_at(data)
            return
        if not self._later:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)
        self._later += data

    def _go_on(self) -> None:
        """Looks at the next piece of what came, unless it has to wait."""
        if self._later and not self._busy:
            piece = bytes(self._later[: self._piece])
            del self._later[: self._piece]
            if not self._deaf:
                self._look_at(piece)
        if self._busy:
            return  # whatever it is will go on
        if self._later:
            asyncio.get_running_loop().call_soon(self._go_on)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _look_at(self, piece: bytes) -> None:
        few = self._hear(piece) <= FEW
        self._piece = min(2 * self._piece, LARGE_PIECE) if few else SMALL_PIECE

    @property
    def _busy(self) -> bool:
        """Whether what comes has to wait; what it waits for calls `_go_on`."""
        return False

    def _hear(self, data: bytes) -> int:
        """Looks at what came; returns how many frames it was."""
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        self._server_state.connections.discard(self)
        self._alive.discard(self)
        for deadline in (self._ending, self._unread):
            if deadline is not None:
                deadline.cancel()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self._watch()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # What uvicorn calls.
    def shutdown(self) -> None:
        """The server stops."""
        self.close(GOING_AWAY, "server shutdown")

    def close(self, code: int, reason: str) -> None:
        """Begins to close."""
        if self._ending is None:
            self._end()
            self._send(self._closing(code, reason))

    # What the sweep calls.
    def check(self, now: float) -> None:
        """Closes the connection if it is overdue."""
        raise NotImplementedError

    def _closing(self, code: int, reason: str) -> Iterable[bytes]:
        """What to write to begin to close."""
        raise NotImplementedError

    @property
    def _deaf(self) -> bool:
        """Whether what comes is not looked at: answers would pile up behind a close that is not read."""
        return self._ending is not None and self.transport.get_write_buffer_size() > self._bound

    def _end(self) -> None:
        """Leaves the client `LINGER` to close its side. Closing at once would reset the connection while
        the client still sends, and what we said last would be lost."""
        if self._ending is None:
            self._ending = Deadline(LINGER, self.transport.abort)

    def _send(self, out: Iterable[bytes]) -> None:
        """Writes; empty bytes mean that our side ends."""
        pieces = [*out]
        if data := b"".join(pieces):
            self._write(data)
        if b"" in pieces:
            self._end()
            if self.transport.can_write_eof() and not self.transport.is_closing():
                with suppress(OSError):  # the client is gone already
                    self.transport.write_eof()

    def _write(self, data: bytes | memoryview) -> None:
        """Writes through the transport, which keeps what the client does not take yet."""
        if self.transport.is_closing():
            return
        self._written += len(data)
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > self._bound:
            self._give_up(f"over {self._bound} bytes unread")

    def _watch(self) -> None:
        self._unread = Deadline(UNREAD_TIMEOUT, partial(self._look, self._taken()))

    def _look(self, taken: int) -> None:
        """Looks whether the client goes on reading; `taken` is what it had taken at the last look."""
        if self._taken() - taken < UNREAD_LEAST:
            self._give_up(f"hardly anything read in {UNREAD_TIMEOUT:.0f} s")
        else:
            self._watch()

    def _taken(self) -> int:
        return self._written - self.transport.get_write_buffer_size()

    def _give_up(self, why: str) -> None:
        if self._ending is None:
            unread = self.transport.get_write_buffer_size()
            log.warning("client closed: too slow", reason=why, unread_bytes=unread)
            self.close(POLICY_VIOLATION, f"too slow: {why}")
