"""A node of a cluster: how it reaches the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..assembly import trouble_of
from ..bus.buckets import Spread
from ..config import Settings
from ..errors import SettingsError
from ..files import read_text

if TYPE_CHECKING:
    from ..bus.cluster import Access, Names
    from ..bus.cluster.roll import Answer, LeaseFound


class Node(NamedTuple):
    """A node by its name for people, and the cluster that it is of."""

    name: str
    names: Names
    access: Access

    @classmethod
    def of(cls, settings: Settings) -> Node:
        """What the settings say. Raises SettingsError where what speaks to NATS is not installed, and
        InputError if the credentials cannot be read."""
        try:
            from ..bus.cluster import Access, Names
        except ImportError as error:
            raise SettingsError(
                f"--bus needs {error.name or 'nats'}, which is not installed: "
                "pip install 'tickwire[cluster]'."
            ) from None
        credentials = settings.bus_credentials
        text = "" if credentials is None else read_text(credentials, "the credentials of --bus-credentials")
        return cls(
            settings.node_name, Names(settings.cluster), Access((*settings.bus,), text, settings.bus_ca)
        )


class Seen(NamedTuple):
    """A cluster as one sees it who asks: how the lease stands, who is there, and how many buckets streams are
    spread over."""

    servers: str
    lease: LeaseFound
    answers: list[Answer]
    buckets: int
    database: str
    """Why the database of these settings cannot be used; empty for nothing, or if they name none."""


async def look_at(settings: Settings, micros: Callable[[], int]) -> Seen:
    """Asks a cluster how it is; `micros` are microseconds since the epoch. Raises TickwireError if it cannot
    be asked."""
    node, database = Node.of(settings), settings.database_url
    trouble = "" if database is None else await trouble_of(database)
    from ..bus.cluster import call_roll, connected, lease_of

    async with connected(node.access, "tickwire check") as wire:
        return Seen(
            node.access.shown,
            await lease_of(wire, node.names),
            await call_roll(wire, node.names, micros),
            len(Spread().names),
            trouble,
        )


def data_of(settings: Settings) -> str:
    """What a market takes that has these settings, for people to compare."""
    sources = " ".join(str(one) for one in settings.source)
    return f"{sources}{' ' * bool(settings.codes)}{','.join(settings.codes)}"


T = TypeVar("T")


async def unless(told: asyncio.Event, call: Coroutine[Any, Any, T]) -> T | None:
    """What a call gives; None, and it is cancelled, once something is `told`."""
    task = asyncio.create_task(call)
    await first_of(told.wait, lambda: asyncio.wait([task]))
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        return None
    return task.result()


async def first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Waits for whatever comes first."""

    async def wait(one: Callable[[], Awaitable[object]]) -> None:
        await one()

    tasks = [asyncio.create_task(wait(one)) for one in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
