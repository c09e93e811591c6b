"""TLS between a socket and whatever protocol speaks on it.

The event loop's own TLS writes at the end of a turn and knows no bound on handshakes. This one writes to the
socket at once, as plain connections do.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, cast

from ..machine import Network, Writer
from ..wire.ret import Ret
from .bounds import Deadline, Tally
from .certificate import Certificate
from .flow import last_answer
from .guests import Guests
from .traffic import Outcome, Step, Traffic

HANDSHAKE_TIMEOUT = 15.0
"""Seconds that a handshake may take."""
RECORD = 16 * 1024
"""Bytes of the longest record (RFC 8446, 5.1). No more is put in at a time, since OpenSSL's buffers stay as
large as they once were."""
MOST_ANSWERS = 64 * 1024
"""Bytes that TLS says of itself on a connection: some two thousand keys of a client."""
HANDSHAKE = 0x16
"""The first byte of every connection of TLS (RFC 8446, 5.1), and of no request of HTTP."""
UNTRUSTED = ("unknown ca", "certificate unknown", "bad certificate", "certificate expired")
"""How clients say that they do not trust a certificate (RFC 8446, 6.2)."""
# Both are answered in plain HTTP, which most TLS clients recognise too.
NO_TLS = Ret(400, "this port speaks TLS: use https:// or wss://", 400)
NO_PLAIN = Ret(400, "this port speaks plain HTTP: use http:// or ws://", 400)


class Tallies:
    """What became of connections that failed."""

    def __init__(self, traffic: Traffic) -> None:
        """`traffic` counts them too."""
        self.traffic = traffic
        self.failed = Tally("a TLS handshake failed")
        self.endless = Tally("a TLS connection is dropped: its client changes keys without end")
        self.plain = Tally(
            "plain HTTP came to a port that speaks TLS: the client must use https:// or wss://, or the "
            "server be started without --tls-cert and --tls-self-signed"
        )


def secured(
    protocol: Callable[..., asyncio.Protocol], certificate: Certificate, network: Network, traffic: Traffic
) -> Callable[..., asyncio.Protocol]:
    """What makes the protocol of each new connection, behind TLS with that certificate; `traffic` counts
    the handshakes."""
    tallies = Tallies(traffic)

    def tls(**arguments: Any) -> Tls:
        return Tls(lambda: protocol(**arguments), certificate, network, tallies, arguments["server_state"])

    return tls


class Tls(asyncio.Transport, asyncio.Protocol):
    """One connection: to its socket a protocol, and a transport to the protocol that it carries, which is
    made when the handshake is done."""

    transport: asyncio.Transport
    _writer: Writer
    _deadline: Deadline

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        certificate: Certificate,
        network: Network,
        tallies: Tallies,
        guests: Guests,
    ) -> None:
        super().__init__()
        self._make = protocol
        self._certificate = certificate
        self._network = network
        self._tallies = tallies
        self._guests = guests
        self._protocol: asyncio.BaseProtocol | None = None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None  # from the first byte on
        self._judged = False  # whether it is known what became of the handshake
        self._answered = 0  # bytes that TLS said of itself since the handshake
        self._shut = False  # our side has ended

    # What the socket calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._writer = self._network.writer(self.transport)
        self._guests.connections.add(self)  # type: ignore[arg-type]  # until the handshake is done
        self._deadline = Deadline(HANDSHAKE_TIMEOUT, self._miss)
        if self._guests.arrive(self.transport):
            self._guests.begin(self.transport)
        else:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes came: all that they hold is handed on at once, as a plain transport would."""
        if self._tls is None:
            if data[0] != HANDSHAKE:
                self._came_plain()
                return
            self._tls = self._certificate.context.wrap_bio(self._in, self._out, server_side=True)
        if self._protocol is None:
            self._guests.heard(self.transport)
        plain: list[bytes] = []
        try:
            for start in range(0, len(data), RECORD):
                self._in.write(data[start : start + RECORD])
                if self._protocol is None and not self._shake_hands():
                    continue
                with contextlib.suppress(ssl.SSLWantReadError):
                    while piece := self._tls.read(RECORD):
                        plain.append(piece)
            ended = False
        except ssl.SSLZeroReturnError:  # the client says that its side ends
            ended = True
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._protocol is not None and self._out.pending:
            self._answer()
        if plain and self._protocol is not None:
            cast("asyncio.Protocol", self._protocol).data_received(b"".join(plain))
        if ended and not self.eof_received():
            self.close()

    def eof_received(self) -> bool | None:
        """The client's side of the socket ends."""
        if self._protocol is None:
            return None
        return cast("asyncio.Protocol", self._protocol).eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        outcome: Outcome | None = None
        if self._tls is not None and not self._judged:
            outcome = Outcome.OVER_LIMIT  # dropped for others
            if self._guests.under_way(self.transport):
                outcome = Outcome.FAILED
                self._failed("the client hung up, as some do that do not trust the certificate")
        self._over(outcome)
        self._tls = None
        self._guests.leave(self.transport)
        protocol, self._protocol = self._protocol, None  # each holds the other
        if protocol is not None:
            protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    # What uvicorn calls during the handshake.
    def shutdown(self) -> None:
        """The server stops."""
        self._over(None)
        self.transport.close()

    # What the protocol calls.
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """It is carried from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What is carried."""
        assert self._protocol is not None  # noqa: S101  # it is the only one that asks
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the socket's transport, and `sslcontext`, by which uvicorn tells that this is TLS."""
        if name == "sslcontext":
            return self._certificate.context
        return self.transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypts all of it; what the socket does not take waits in its transport."""
        if self._tls is None or self._shut or self.transport.is_closing():
            return
        left, pieces = memoryview(data), []
        try:
            while left:
                left = left[self._tls.write(left[:RECORD]) :]  # clients may ask for shorter records
                pieces.append(self._out.read())
        except ssl.SSLError:  # the connection has failed already
            self.abort()
            return
        if pieces:
            self._send(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def close(self) -> None:
        """Ends our side, then the connection, when all is written."""
        self._say_the_end()
        self.transport.close()

    def abort(self) -> None:
        """Ends the connection at once."""
        self.transport.abort()

    def is_closing(self) -> bool:
        """Whether it ends."""
        return self.transport.is_closing()

    def can_write_eof(self) -> bool:
        """Whether our side can end alone: TLS 1.3 allows it (RFC 8446, 6.1), and nobody minds in 1.2."""
        return self.transport.can_write_eof()

    def write_eof(self) -> None:
        """Ends our side."""
        self._say_the_end()
        self.transport.write_eof()

    def pause_reading(self) -> None:
        """Reads no more of the socket."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        self.transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken, encrypted."""
        return self.transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """From how many bytes on, encrypted, the protocol is told that they wait."""
        self.transport.set_write_buffer_limits(high, low)

    # The rest.
    @property
    def client(self) -> str:
        """The address that it comes from."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def _shake_hands(self) -> bool:
        """Goes on with the handshake; returns whether it is done. Raises SSLError."""
        assert self._tls is not None  # noqa: S101
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._flush()
        self._over(Outcome.ACCEPTED)
        self._protocol = self._make()
        self._protocol.connection_made(self)
        return True

    def _came_plain(self) -> None:
        self._tallies.plain.add(client=self.client)
        self._over(Outcome.BAD_REQUEST)
        self.transport.write(last_answer(NO_TLS))
        self.transport.close()

    def _fail(self, error: ssl.SSLError) -> None:
        if self._protocol is None:
            self._failed(_words(error))
            self._over(Outcome.FAILED)
        self._flush()  # the alert
        self.transport.close()

    def _failed(self, reason: str) -> None:
        self._tallies.failed.add(client=self.client, reason=reason)

    def _miss(self) -> None:
        if self._tls is not None:
            self._failed(f"it took longer than {HANDSHAKE_TIMEOUT:.0f} seconds")
        self._over(Outcome.TIMED_OUT)
        self.transport.abort()

    def _answer(self) -> None:
        """Says what TLS itself has to say, such as that it has the client's new key."""
        self._answered += self._out.pending
        if self._answered > MOST_ANSWERS:
            self._tallies.endless.add(client=self.client)
            self.abort()
        else:
            self._flush()

    def _over(self, outcome: Outcome | None) -> None:
        """The handshake is over, and that became of it; None if it never began."""
        self._deadline.cancel()
        if not self._judged and outcome is not None:
            self._tallies.traffic.shook_hands(Step.TLS, outcome)
        self._judged = True
        self._guests.end(self.transport)
        self._guests.connections.discard(self)

    def _say_the_end(self) -> None:
        if self._tls is None or self._shut:
            return
        self._shut = True
        with contextlib.suppress(ssl.SSLError):  # it wants the client's end too, for which nobody waits
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        if self._out.pending:
            self._send(self._out.read())

    def _send(self, data: bytes) -> None:
        if (rest := self._writer.write(data)) and not self.transport.is_closing():
            self.transport.write(rest)


def _words(error: ssl.SSLError) -> str:
    """Why, in OpenSSL's words, such as "tlsv1 alert unknown ca", and what they mean."""
    words = (error.reason or str(error)).replace("_", " ").lower()
    untrusted = words.endswith(UNTRUSTED)
    return f"the client does not trust the certificate ({words})" if untrusted else words
