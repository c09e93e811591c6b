"""What every WebSocket of the server has in common: its transport, and the bounds of what is unread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import structlog
from websockets.frames import CloseCode
from websockets.http11 import Request

from ..machine import untaken
from ..model import Ending
from ..wire import POLICY_VIOLATION
from .bounds import Deadline
from .guests import Guests
from .traffic import Outcome, Step, Traffic
from .unread import Unread

LINGER = 2.0
"""Seconds that a client has to close its side after we began to close ours."""
UNREAD_LEAST = 64 * 1024
"""Bytes that a client must take of what waits for it, or all of them, in the time in which it must read."""
SMALL_PIECE, LARGE_PIECE = 512, 8 * 1024
"""Bytes of a client that are looked at in one turn of the loop: few at first, for they may be as many frames
as a sixth of them; then as many as hold about `FEW`, and no more than twice those before."""
FEW = 64
GOING_AWAY = 1001  # RFC 6455, 7.4.1

log = structlog.get_logger()


class Waiting(NamedTuple):
    """What was unread at a look: since when, how much had been taken then, and how much must be."""

    since: float
    taken: int
    least: int


class Shell(asyncio.Protocol):
    """One WebSocket's socket.

    Who does not read is closed with 1008: when more is unread than may be, or when it is read too slowly.
    """

    transport: asyncio.Transport
    together = 1
    """Frames after which others have their turn, if more came: those of a piece are looked at whole."""

    def __init__(self, alive: set[Any], guests: Guests, unread: Unread, traffic: Traffic) -> None:
        """`alive` is the set that it stands in while it is connected; `traffic` counts how it begins and
        ends."""
        self._alive = alive
        self._traffic = traffic
        self._accepted: bool | None = None  # before the handshake is answered
        self._closed: tuple[int, Ending] | None = None  # how we closed it
        self._guests = guests
        self._unread = unread
        self._ending: Deadline | None = None
        self._waiting: Waiting | None = None
        self._written = 0  # bytes that the transport was given
        self._later = bytearray()  # what came and is looked at in later turns
        self._piece = SMALL_PIECE

    # What HTTP calls.
    def upgrade(self, request: Request) -> None:
        """The request of the handshake, which has been read: what follows it are frames."""
        raise NotImplementedError

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request has been read."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._guests.connections.add(self)  # type: ignore[arg-type]
        self._alive.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came from the client."""
        if self._deaf:
            return
        if len(data) <= self._piece and not self._later and not self._busy:
            self._look_at(data)
            self._act()
            return
        if not self._later:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)
        self._later += data

    def _go_on(self) -> None:
        """Looks at the next pieces of what came, unless it has to wait."""
        frames = 0
        while self._later and not self._busy and frames < self.together:
            piece = bytes(self._later[: self._piece])
            del self._later[: self._piece]
            frames += 1 if self._deaf else self._look_at(piece)
        self._act()
        if self._busy:
            return  # whatever it is will go on
        if self._later:
            asyncio.get_running_loop().call_soon(self._go_on)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _look_at(self, piece: bytes) -> int:
        """How many frames it was, one at least."""
        frames = max(self._hear(piece), 1)
        self._piece = max(SMALL_PIECE, min(len(piece) * FEW // frames, 2 * self._piece, LARGE_PIECE))
        return frames

    @property
    def _busy(self) -> bool:
        """Whether what comes has to wait; what it waits for calls `_go_on`."""
        return False

    def _hear(self, data: bytes) -> int:
        """Looks at what came; returns how many frames it was."""
        raise NotImplementedError

    def _act(self) -> None:
        """Begins what follows from all that was heard in this turn."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        self._guests.connections.discard(self)
        self._guests.leave(self.transport)
        self._alive.discard(self)
        self._unread.leave(self)
        if self._accepted:
            self._traffic.ended(*self._closed or self._ended)
        elif self._accepted is None:
            self._traffic.shook_hands(Step.WEBSOCKET, Outcome.BAD_REQUEST)
        if self._ending is not None:
            self._ending.cancel()

    # What uvicorn calls.
    def shutdown(self) -> None:
        """The server stops."""
        self.close(GOING_AWAY, "server shutdown", Ending.SHUTDOWN)

    def close(self, code: int, reason: str, why: Ending = Ending.ERROR) -> None:
        """Begins to close."""
        if self._ending is None:
            self._closed = code, why
            self._end()
            self._send(self._closing(code, reason))

    # What the sweep calls.
    def check(self, now: float) -> None:
        """Closes the connection if it is overdue: here, if its client reads hardly anything.

        What is read shows in the socket at once, in the transport only when a third of the socket is free
        again, which may be a megabyte.
        """
        if not self.transport.get_write_buffer_size():
            self._waiting = None
            return
        unread = untaken(self.transport)
        taken, was = self._written - unread, self._waiting
        if was is None or (now - was.since >= self._unread.timeout and taken - was.taken >= was.least):
            self._waiting = Waiting(now, taken, min(unread, UNREAD_LEAST))
        elif now - was.since >= self._unread.timeout:
            self._give_up("unread_timeout", f"hardly anything read in {self._unread.timeout:g} s")

    # What bounds all of them together calls.
    @property
    def held(self) -> int:
        """Bytes that wait for its client here."""
        return self.transport.get_write_buffer_size()

    @property
    def is_ending(self) -> bool:
        """Whether it has begun to close."""
        return self._ending is not None

    def cut_off(self) -> None:
        """Ends it at once."""
        self._closed = self._closed or (CloseCode.ABNORMAL_CLOSURE, Ending.SLOW)
        self.transport.abort()

    def _closing(self, code: int, reason: str) -> Iterable[bytes]:
        """What to write to begin to close."""
        raise NotImplementedError

    @property
    def _ended(self) -> tuple[int, Ending]:
        """How it ended, if it was not we who closed it."""
        raise NotImplementedError

    def _upgraded(self, status: int) -> None:
        """The handshake was answered."""
        self._accepted = status == HTTPStatus.SWITCHING_PROTOCOLS
        self._traffic.upgraded(status)

    @property
    def _deaf(self) -> bool:
        """Whether what comes is not looked at: answers would pile up behind a close that is not read."""
        return self._ending is not None and self.transport.get_write_buffer_size() > self._unread.bound

    def _end(self) -> None:
        """Leaves the client `LINGER` to close its side. Closing at once would reset the connection while
        the client still sends, and what we said last would be lost."""
        if self._ending is None:
            self._ending = Deadline(LINGER, self.transport.abort)

    def _send(self, out: Iterable[bytes]) -> None:
        """Writes; empty bytes mean that our side ends."""
        pieces = [*out]
        if data := b"".join(pieces):
            self._traffic.answered_bytes += len(data)
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
        if not self.transport.get_write_buffer_size():
            self._waiting = None  # all of it was taken, and other bytes may have gone past since
        self._written += len(data)
        self.transport.write(data)
        unread = self.transport.get_write_buffer_size()
        if unread:
            self._unread.add(self, len(data))
            if unread > self._unread.bound:
                self._give_up("client_buffer", f"over {self._unread.bound} bytes unread")

    def _give_up(self, setting: str, why: str) -> None:
        if self._ending is None:
            self._unread.closed[setting] += 1
            log.warning("client closed: too slow", reason=why, unread_bytes=self.held)
            self.close(POLICY_VIOLATION, f"too slow: {why}", Ending.SLOW)
