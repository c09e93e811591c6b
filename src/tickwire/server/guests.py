"""Who is connected, and what bounds their number: in all, of an address, and before they have said what they
want."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from uvicorn.server import ServerState

from ..config import Settings
from ..machine import Network
from .acceptance import Acceptance
from .bounds import Tally

QUIET = 5.0
"""Seconds in which whoever has yet to say what he wants gives way to nobody: he may be in a rush himself."""
LOOKS = 4
"""Of so many is looked in one turn of the loop at who gives way; those who have said something that is not
read yet do not."""
OF_IPV6 = 64
"""Bits of an address that a provider gives to one customer (RFC 6177)."""

Address: TypeAlias = IPv4Address | IPv6Address


class Guests(ServerState):
    """All connections of a server, as uvicorn knows them, with what bounds them.

    Those whose handshake of TLS or whose request is not there yet are `max_handshakes` at the most, and those
    that spoke within `QUIET`; of more, the ones that were silent for longest are dropped. An honest one takes
    moments, and in a rush, when it is we who are late, what it said waits in its socket.
    """

    def __init__(self, settings: Settings, network: Network) -> None:
        super().__init__()
        self.acceptance = Acceptance(network, self.connections)
        self._network = network
        self._most_handshakes = settings.max_handshakes
        self._under_way: dict[asyncio.Transport, float] = {}  # since when each is silent, the longest first
        self._look: asyncio.Handle | None = None  # at who gives way
        self.crowded = Tally("unfinished handshakes are dropped: too many are under way")
        self.addresses = Addresses(settings.max_connections_per_address, settings.trusted_proxies)
        self._counted: dict[asyncio.Transport, str] = {}

    # The number in all, and of an address.
    def arrive(self, transport: asyncio.Transport) -> bool:
        """A connection is there; returns whether there is room for it."""
        self.acceptance.look()
        if self.addresses.most is None:
            return True
        peer = transport.get_extra_info("peername")
        return self._count(transport, self.addresses.of_peer(str(peer[0])) if peer else None)

    def forward(self, transport: asyncio.Transport, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """A WebSocket begins on it, maybe through a proxy for somebody whom the headers name; returns
        whether there is room for him."""
        if self.addresses.most is None or transport in self._counted:
            return True
        peer = transport.get_extra_info("peername")
        return self._count(transport, self.addresses.forwarded(str(peer[0]), headers) if peer else None)

    def _count(self, transport: asyncio.Transport, address: str | None) -> bool:
        if address is None:
            return True
        if not self.addresses.take(address):
            return False
        self._counted[transport] = address
        return True

    def leave(self, transport: asyncio.Transport) -> None:
        """It is closed."""
        if (address := self._counted.pop(transport, None)) is not None:
            self.addresses.give(address)

    # Those that have not said what they want.
    @property
    def handshakes(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def begin(self, transport: asyncio.Transport) -> None:
        """Its handshake, or the head of a request, is under way."""
        self._under_way[transport] = asyncio.get_running_loop().time()
        if self._look is None:
            self._make_room()

    def heard(self, transport: asyncio.Transport) -> None:
        """It goes on: others give way before it."""
        if self._under_way.pop(transport, None) is not None:
            self._under_way[transport] = asyncio.get_running_loop().time()

    def under_way(self, transport: asyncio.Transport) -> bool:
        """Whether it is among those that have begun, and not ended."""
        return transport in self._under_way

    def end(self, transport: asyncio.Transport) -> None:
        """It is over, however it went."""
        self._under_way.pop(transport, None)

    def _make_room(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(LOOKS):
            if len(self._under_way) <= self._most_handshakes:
                self._look = None
                return
            oldest, since = next(iter(self._under_way.items()))
            if (wait := since + QUIET - loop.time()) > 0:
                self._look = loop.call_later(wait, self._make_room)
                return
            if self._network.unread(oldest):
                self.heard(oldest)
                continue
            self.crowded.add(limit=self._most_handshakes)
            self.end(oldest)
            oldest.abort()
        self._look = loop.call_soon(self._make_room)


class Addresses:
    """How many connections each address has: of IPv6 each /64. Loopback and trusted proxies are not counted,
    but for whom a proxy speaks is."""

    def __init__(self, most: int | None, proxies: Iterable[str]) -> None:
        """`most` of an address, None for any number; `proxies` are addresses or networks."""
        self.most = most
        self.refused = Tally("connections are refused: too many of one address")
        self._proxies = [ip_network(one) for one in proxies]
        self._connections: dict[str, int] = {}  # of those that have any

    def take(self, address: str) -> bool:
        """Whether it may have one more; then that counts until it is given back."""
        count = self.connections(address)
        if self.most is not None and count >= self.most:
            self.refused.add(address=address, limit=self.most)
            return False
        self._connections[address] = count + 1
        return True

    def give(self, address: str) -> None:
        """It has one less."""
        if self._connections[address] == 1:
            del self._connections[address]
        else:
            self._connections[address] -= 1

    def connections(self, address: str) -> int:
        """How many it has."""
        return self._connections.get(address, 0)

    def of_peer(self, text: str) -> str | None:
        """As what a peer is counted; None if it is not."""
        found = _address(text)
        return None if found is None or found.is_loopback or self._trusted(found) else _counted(found)

    def forwarded(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """As what he is counted for whom a peer speaks: the last one that `X-Forwarded-For` names and that is
        no trusted proxy itself. None if that is nobody, or the peer is not trusted."""
        proxy = _address(peer)
        if proxy is None or not self._trusted(proxy):
            return None
        named = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        for part in reversed(named.decode("latin-1").split(",")):
            found = _address(part.strip())
            if found is None:  # what stands before it, anybody may have written
                return None
            if not self._trusted(found):
                return None if found.is_loopback else _counted(found)
        return None

    def _trusted(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _address(text: str) -> Address | None:
    """An address as a socket or a proxy writes it, maybe with a port; IPv4 in IPv6 is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _counted(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), OF_IPV6), strict=False))
