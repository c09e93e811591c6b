"""Sockets that are listened on, and what goes past the event loop to those of clients."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from os import write as os_write  # a name of the module costs each write a little
from typing import TypeAlias

from ..errors import SettingsError, StartError
from .fanout import Direct, carry

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import FIONREAD, TIOCOUTQ

BACKLOG = 4096
"""Connections that the system keeps until they are taken, where it allows so many."""
DIRECT_WRITES = sys.platform != "win32"
"""Whether os.write takes a socket's descriptor."""
NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)
UNSENT = 64 * 1024
"""Bytes that the system takes of what it cannot send yet, where it is told so."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: closed at once, with a reset."""

Data: TypeAlias = bytes | memoryview


class Network:
    """The machine's."""

    carry = staticmethod(carry)
    """What a flush has for many sockets goes this way."""

    def addresses(self, host: str, port: int) -> list[tuple[int, str]]:
        """Address family and address of everything that a host stands for. Raises SettingsError."""
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SettingsError(f"--host {host!r} is no address of this machine: {error}.") from None
        return [(family, str(address[0])) for family, _, _, _, address in found]

    def listen(self, host: str, port: int, *, shared: bool = False) -> socket.socket:
        """Listens on the first of these addresses, which others may do too where it is `shared`: the system
        deals out connections among them. Raises SettingsError and StartError."""
        family, address = self.addresses(host, port)[0]
        try:
            place = address, port
            listener = socket.create_server(place, family=family, backlog=BACKLOG, reuse_port=shared)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                remedy = "Stop what runs there, or choose another with --port (0 takes a free one)."
                raise StartError(f"Port {port} on {address} is taken. {remedy}") from None
            if error.errno == errno.EACCES:
                raise StartError(
                    f"Port {port} needs privileges. Choose one above 1023, or allow it (/docs/tls)."
                ) from None
            raise StartError(
                f"Cannot listen on {address}, port {port}: {error.strerror}. Choose another --host."
            ) from None
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio's own loop may not set it
        return listener

    async def take(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> asyncio.Server:
        """Takes the connections of a socket that is listened on, until that is closed; the socket stays open,
        and newcomers wait in it."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(protocol, sock=listener.dup(), backlog=BACKLOG)

    def writer(self, transport: asyncio.Transport) -> Writer:
        """What writes to the socket of a connection."""
        return Writer(transport)

    def unread(self, transport: asyncio.Transport) -> int:
        """Bytes that have come and were not read yet, where the system says how many; else 0."""
        count = array("i", [0])
        if sys.platform == "linux" and not transport.is_closing():
            with suppress(OSError):
                ioctl(transport.get_extra_info("socket").fileno(), FIONREAD, count)
        return count[0]


def untaken(transport: asyncio.Transport) -> int:
    """Bytes that the peer's machine has not taken yet: those that wait in the transport, and, where the
    system says how many, in the socket."""
    waiting = transport.get_write_buffer_size()
    if sys.platform == "linux" and not transport.is_closing():
        count = array("i", [0])
        with suppress(OSError):
            ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, count)
        waiting += count[0]
    return waiting


class Writer:
    """Writes past a transport, straight to its socket: what a transport writes waits for the end of the
    turn."""

    __slots__ = ("_descriptor", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._descriptor: int | None = None  # where all must go through the transport
        if DIRECT_WRITES and transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()

    def write(self, data: Data) -> Data:
        """Writes what the socket takes at once, and returns the rest, for the transport.

        While bytes wait in the transport nothing is written, so the order stays. A socket that is broken ends
        the connection, and nothing is left.
        """
        transport = self._transport
        if self._descriptor is None or transport.get_write_buffer_size():
            return data
        if transport.is_closing():
            return b""
        try:
            sent = os_write(self._descriptor, data)
        except (BlockingIOError, InterruptedError):
            return data
        except OSError:
            transport.abort()
            return b""
        return b"" if sent == len(data) else memoryview(data)[sent:]

    @property
    def direct(self) -> Direct | None:
        """The socket, for who writes to it just as `write` does; None where that writes otherwise."""
        if self._descriptor is None or type(self).write is not Writer.write:
            return None
        return self._descriptor, self._transport

    def waiting(self) -> int:
        """Bytes that the peer's machine has not taken yet."""
        return untaken(self._transport)

    def stay_fresh(self) -> None:
        """From now on the system takes little of what it cannot send yet: the rest waits here, where it can
        be thinned."""
        if NOTSENT_LOWAT is not None and not self._transport.is_closing():
            plain = self._transport.get_extra_info("socket")
            with suppress(OSError):  # it is gone, or does not know how
                plain.setsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT, UNSENT)

    def reset(self) -> None:
        """Ends the connection at once, with a reset of TCP."""
        plain = self._transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()
