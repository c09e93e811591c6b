"""Who is there of a cluster, and how each of them stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import msgspec
import nats.js.errors

from ..messages import VERSION
from .lease import FAILURES, KEY, Held, said
from .names import Names
from .wire import Wire

ANSWER = 1.5
"""Seconds in which all answer."""


class Present(msgspec.Struct, frozen=True, array_like=True):
    """A process of a cluster. `epoch` is that of the owner it is or follows, 0 for none; `late` are the
    microseconds by which events last came later than the fastest did, and `left_out` the batches that came
    too late to be taken. `buckets` is how many a gateway follows."""

    role: str
    name: str
    epoch: int = 0
    owns: bool = False
    late: int = 0
    left_out: int = 0
    version: int = VERSION
    clock: int = 0
    """Its own, in microseconds since the epoch."""
    followers: tuple[str, ...] = ()
    """The gateways that an owner knows of."""
    buckets: int = 0
    trouble: str = ""
    """Why a market does not own the streams, or could not, or soon will not."""
    data: str = ""
    """What a market takes, or would, as the settings say."""


class Answer(NamedTuple):
    """What a process said, and by how many microseconds its clock is ahead of the asker's."""

    present: Present
    ahead: int


class LeaseFound(NamedTuple):
    """The lease as it stands: who holds it ("": nobody), on how many servers it is kept, and what is wrong
    with it ("" for nothing)."""

    holder: str
    servers: int
    fault: str = ""


@contextlib.asynccontextmanager
async def present(
    wire: Wire, names: Names, describe: Callable[[], Present], micros: Callable[[], int]
) -> AsyncIterator[None]:
    """Answers whoever asks who is there."""

    def answer(_: str, reply: str, __: bytes) -> None:
        if reply:
            said = msgspec.structs.replace(describe(), clock=micros())
            wire.send(reply, msgspec.msgpack.encode(said))

    end = await wire.take(names.who, answer)
    try:
        yield
    finally:
        end()


async def call_roll(wire: Wire, names: Names, micros: Callable[[], int]) -> list[Answer]:
    """All that answer, by name."""
    found: list[Answer] = []
    inbox, asked = wire.client.new_inbox(), 0

    def take(_: str, __: str, data: bytes) -> None:
        with contextlib.suppress(msgspec.DecodeError, ValueError):  # no server, or somebody else's
            said = msgspec.msgpack.decode(data, type=Present)
            found.append(Answer(said, said.clock - (asked + micros()) // 2))

    end = await wire.take(inbox, take)
    try:
        asked = micros()
        wire.send(names.who, b"", inbox)
        await asyncio.sleep(ANSWER)
    finally:
        end()
    return sorted(found, key=lambda one: (one.present.role, one.present.name))


async def lease_of(wire: Wire, names: Names) -> LeaseFound:
    """How the lease stands. Does not fail."""
    stream = wire.client.jetstream(timeout=ANSWER)
    try:
        info = await stream.stream_info(f"KV_{names.lease}")
        servers = 1 + len(info.cluster.replicas or ()) if info.cluster is not None else 1
        bucket = await stream.key_value(names.lease)
        try:
            entry = await bucket.get(KEY)
        except nats.js.errors.KeyNotFoundError:
            return LeaseFound("", servers)
        return LeaseFound(msgspec.msgpack.decode(entry.value or b"", type=Held).node, servers)
    except nats.js.errors.NotFoundError:
        return LeaseFound("", 0, "no market was ever there")
    except FAILURES as error:
        return LeaseFound("", 0, said(error))
