"""A lane: the clients that want exactly the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from ...model import Kind, Slow
from ...wire.form import Form
from .topic import View

if TYPE_CHECKING:
    from .outbox import Outbox


class Sparing(NamedTuple):
    """What becomes of a client while it cannot keep up. `named` if it said something of the extensions, so
    that it knows what is thinned, and is told; else trades reach it as they are."""

    slow: Slow = Slow.CLOSE
    named: bool = False


Direct: TypeAlias = tuple[int, asyncio.Transport]
"""The descriptor of a socket, which may be written to while nothing waits in this transport."""


class Client(Protocol):
    """Who receives frames."""

    @property
    def form(self) -> Form:
        """In which form it is sent pushes. If that changes the hub is told, see `Hub.renew`."""
        ...

    @property
    def direct(self) -> Direct | None:
        """Its socket, if its bytes may go straight to it."""
        ...

    @property
    def sparing(self) -> Sparing:
        """Asked when it begins to fall behind."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that wait in its transport."""
        ...

    def push(self, data: bytes) -> bool:
        """Takes whole frames, without ever waiting; returns whether none of its bytes wait in its transport.
        May leave the hub while it does."""
        ...

    def spare(self, *, spared: bool) -> None:
        """It has an outbox that waits for it: from now on the hub is told (`Hub.ready`) whenever nothing
        waits in its transport any more. Or it has none."""

    def keep(self, size: int) -> None:
        """So many bytes wait in its outbox. May leave the hub while it is told."""

    def give_up(self) -> None:
        """More waits for it than may. Leaves the hub."""

    def reset(self) -> None:
        """Is ended at once, because it failed."""


Load: TypeAlias = tuple[list[bytes], dict[Client, Direct | None]]
"""Bytes that are one after the other for each of these clients."""
Carry: TypeAlias = Callable[[list[Load], Callable[[Client, bytes], None]], int]
"""Carries loads to their clients, see `machine.fanout`."""


class Lane:
    """Clients with the same set of views. They get the same bytes, joined once per flush; those that were
    `slow` to take some get them through an outbox of their own."""

    __slots__ = ("clients", "conflating", "form", "pending", "slow", "streams", "views")

    def __init__(self, views: frozenset[View], streams: frozenset[tuple[Kind, str]]) -> None:
        """`streams` are the kinds and codes that the views are made of."""
        self.views = views
        self.form = next(iter(views)).form
        self.streams = streams
        self.clients: dict[Client, Direct | None] = {}
        """Those that keep up, each with its socket, see `Client.direct`."""
        self.slow: dict[Client, Outbox] = {}
        self.conflating = 0
        """How many of the slow ones need a digest of its topics."""
        self.pending: list[bytes] = []

    @property
    def pushes(self) -> int:
        """How many events its views have carried."""
        return sum(view.carried for view in self.views)

    @property
    def size(self) -> int:
        """How many clients it has."""
        return len(self.clients) + len(self.slow)
