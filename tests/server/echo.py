"""A WebSocket that says back what it hears, on the shell and the reader of frames that all of ours stand on.

The test suites of the protocol want one. It is put into a real server, behind its doors, TLS and upgrade:
only what is done with a message is not Tickwire's.
"""

from __future__ import annotations

from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from tickwire.server.guests import Guests
from tickwire.server.shell import Shell
from tickwire.server.traffic import Traffic
from tickwire.server.unread import Unread
from tickwire.wire.frames import Frames, Message

from ..serving import Served

BOUND = 2**23
"""Bytes that may be unread: an echo is read only when all has been sent."""


class Echo(Shell):
    """One socket."""

    def __init__(self, guests: Guests, _: str) -> None:
        super().__init__(set(), guests, Unread(BOUND, 2**30, 30.0), Traffic())
        self._frames = Frames(lambda _: None)

    def upgrade(self, request: Request) -> None:
        self._send(self._frames.upgrade(request))

    def _hear(self, data: bytes) -> int:
        for item in self._frames.receive(data, 0.0):
            if isinstance(item, Message):
                opcode = Opcode.BINARY if item.binary else Opcode.TEXT
                self._send([Frame(opcode, item.data).serialize(mask=False)])
            elif isinstance(item, bytes):
                self._send([item])
        if self._frames.closing:
            self._end()
        return self._frames.together

    def _closing(self, code: int, reason: str) -> list[bytes]:
        return self._frames.close(code, reason)


def echoes(served: Served) -> None:
    """From now on all WebSockets of that server are echoes."""
    served.server.config.ws_protocol_class = Echo
