"""The owner's end of a bus over NATS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec
import structlog

from ...errors import BusError
from ..host import Host, Keep, unkept
from ..layout import Splitter
from .names import Names
from .pieces import END, Cutter, Joiner
from .wire import Wire

BEAT = 0.25
"""Seconds between two times that it says who owns."""
SILENCE = 6.0
"""Seconds after which a client side that says nothing is gone."""
MOST_WAITING = 8 * 2**20
"""Bytes that may wait to be sent, beyond which events are dropped: what waits longer is old when it comes."""

log = structlog.get_logger()


class Announced(msgspec.Struct, frozen=True, array_like=True):
    """Who owns the streams, under what name for people, and the version of what it says."""

    epoch: int
    version: int
    id: str
    node: str


class Session:
    """A client side at the other end."""

    def __init__(self, owner: Owner, name: str) -> None:
        self._owner = owner
        self.name = name
        self.splitter = Splitter()
        self.joiner = Joiner()
        self.heard = 0.0
        self._cutter = Cutter()

    def send(self, data: bytes) -> None:
        """Takes a frame, without ever waiting."""
        for piece in self._cutter.pieces(data):
            self._owner.send(self, piece)

    @property
    def waiting(self) -> int:
        """Bytes that have not been sent, of all together."""
        return self._owner.wire.waiting

    def close(self) -> None:
        """Ends it; the client side may begin another."""
        self._owner.send(self, END)
        self._owner.forget(self)


class Owner:
    """Owns the streams of a cluster, as long as `holds` says so."""

    def __init__(
        self, wire: Wire, names: Names, epoch: int, holds: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self.wire = wire
        self.host: Host | None = None
        self.fenced = self.dropped = 0
        """Batches that were not sent: another one may own the streams by then, or too much waited."""
        self._base = names.of(epoch)
        self.holds = holds
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def publish(self, bucket: str, data: bytes) -> None:
        """Sends a batch of a bucket to whoever wants it."""
        if not self.holds():
            self.fenced += 1
            if self.fenced == 1:
                log.warning("events are not sent: the lease may be another's by now")
        elif self.wire.waiting > MOST_WAITING:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("events are not sent: the bus does not take them as fast as they come")
        else:
            self.dropped = 0
            self.wire.send(f"{self._base}.e.{bucket}", data)

    def send(self, session: Session, piece: bytes) -> None:
        """Says something to one client side."""
        if self.holds():
            self.wire.send(f"{self._base}.to.{session.name}", piece)

    def forget(self, session: Session) -> None:
        """A client side is gone."""
        if self._sessions.pop(session.name, None) is not None and self.host is not None:
            self.host.lost(session)

    def take(self, subject: str, _: str, data: bytes) -> None:
        """A client side says something."""
        name = subject.rpartition(".")[2]
        if (session := self._sessions.get(name)) is None:
            session = Session(self, name)
        piece = session.joiner.piece(data)
        if data == END:
            self.forget(session)
        elif piece is None:
            session.close()
        elif self.host is not None:
            self._sessions[name] = session
            session.heard = self._clock()
            try:
                self.host.receive(session, session.splitter, piece)
            except BusError as error:
                log.error("a session of the bus ends", name=name, reason=str(error))
                session.close()

    def look(self) -> None:
        """Forgets who says nothing any more."""
        now = self._clock()
        for session in [*self._sessions.values()]:
            if now - session.heard > SILENCE:
                session.close()

    def end(self) -> None:
        """Sends all away."""
        for session in [*self._sessions.values()]:
            session.close()


@contextlib.asynccontextmanager
async def hosting(
    owner: Owner, host: Host, names: Names, announced: Announced, keep: Keep = unkept
) -> AsyncIterator[None]:
    """Client sides reach the market side by the bus."""
    wire = owner.wire
    owner.host = host
    said = msgspec.msgpack.encode(announced)

    async def announce() -> None:
        while True:
            if owner.holds():
                wire.send(names.owner, said)
            owner.look()
            await asyncio.sleep(BEAT)

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(await wire.take(f"{names.of(announced.epoch)}.up.*", owner.take))
        for name, run in {"look at what client sides are told": host.run, "announce": announce}.items():
            stack.callback(asyncio.create_task(keep(name, run)).cancel)
        try:
            yield
        finally:
            host.end()
            owner.end()
