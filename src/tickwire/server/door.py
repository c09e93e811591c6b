"""The door: whoever comes with an unknown token is turned away before anything is made for the connection.

The whole way to a 401, through uvicorn and, for an upgrade, `websockets`, costs several times what taking
and closing the connection does; at a thousand tries a second those who are connected would feel it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from ..gateway.admission import Admission
from ..wire.entry import request_token
from ..wire.ret import TOKEN_INVALID, TOO_MANY_CONNECTIONS
from . import http_protocol
from .bounds import Deadline, Held, Tally
from .flow import last_answer
from .guests import Guests
from .tls import HANDSHAKE, NO_PLAIN
from .traffic import Outcome, Step, Traffic

REFUSAL = last_answer(TOKEN_INVALID, "access-control-allow-origin: *\r\n")
CROWDED = last_answer(TOO_MANY_CONNECTIONS, "access-control-allow-origin: *\r\n")


def doors(admission: Admission, traffic: Traffic) -> Callable[..., Door]:
    """What makes the protocol of each new connection; `traffic` counts them."""
    held = Held("long requests", http_protocol.MOST_HELD)
    secured = Tally(
        "TLS came to a port that speaks plain HTTP: the client must use http:// or ws://, or the server be "
        "started with --tls-cert or --tls-self-signed"
    )

    def door(**arguments: Any) -> Door:
        return Door(admission, arguments | {"held": held, "traffic": traffic}, secured)

    return door


class Door(asyncio.Protocol):
    """A connection up to its first bytes. Whatever is not plainly an unknown token is let through: there
    the whole check follows."""

    transport: asyncio.Transport
    _deadline: Deadline

    def __init__(self, admission: Admission, arguments: dict[str, Any], secured: Tally) -> None:
        self._admission = admission
        self._secured = secured
        self._arguments = arguments
        self._traffic: Traffic = arguments["traffic"]
        self._guests: Guests = arguments["server_state"]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        # Under TLS it was counted before its handshake.
        secure = transport.get_extra_info("sslcontext") is not None
        self._room = secure or self._guests.arrive(self.transport)
        self._guests.connections.add(self)  # type: ignore[arg-type]
        self._guests.begin(self.transport)
        self._deadline = Deadline(http_protocol.HEAD_TIMEOUT, self._miss)

    def data_received(self, data: bytes) -> None:
        """The first bytes."""
        self._gone()
        if data[0] == HANDSHAKE:
            peer = self.transport.get_extra_info("peername")
            self._secured.add(client=peer[0] if peer else "")
            self._traffic.shook_hands(Step.HTTP, Outcome.BAD_REQUEST)
            self.transport.write(last_answer(NO_PLAIN))
            self.transport.close()
            return
        if not self._room:
            self.transport.write(CROWDED)
            self.transport.close()
            return
        secret = request_token(data)
        if secret and self._admission.turns_away(secret):
            self._traffic.shook_hands(Step.HTTP, Outcome.UNKNOWN_TOKEN)
            self.transport.write(REFUSAL)
            self.transport.close()
            return
        self._traffic.shook_hands(Step.HTTP, Outcome.ACCEPTED)
        protocol = http_protocol.HttpProtocol(**self._arguments)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left without a word."""
        self._gone()
        self._guests.leave(self.transport)

    def shutdown(self) -> None:
        """The server stops."""
        self.transport.close()

    def _miss(self) -> None:
        self._traffic.shook_hands(Step.HTTP, Outcome.TIMED_OUT)
        self.transport.abort()

    def _gone(self) -> None:
        self._deadline.cancel()
        self._guests.end(self.transport)
        self._guests.connections.discard(self)
