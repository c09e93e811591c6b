"""A client side's end of a bus over NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from random import Random

import msgspec
import nats.errors
import structlog

from ...errors import BusError
from ..layout import whole
from ..remote import RemoteMarket
from .names import Names
from .owner import Announced
from .pieces import END, Cutter, Joiner
from .roll import Present, present
from .wire import Wire

LOOK = 1.0
"""Seconds between looks whether the owner is there, and signs of life to it."""
PAUSE = 0.2
"""Seconds between two sessions."""
AHEAD = 86_400_000_000
"""Microseconds by which an epoch may lie ahead of the clock."""
MOST_TOLD = 100
"""Epochs that the log tells of which no client side follows."""
LATE, IN_TIME = 500_000, 100_000
"""Microseconds by which batches come later than the fastest did: beyond the first they are left out, for what
waits would only grow, until they come within the second."""

log = structlog.get_logger()
_announced = msgspec.msgpack.Decoder(Announced).decode


class Session:
    """The way to an owner."""

    def __init__(self, wire: Wire, base: str, name: str) -> None:
        self.joiner = Joiner()
        self.ends: list[Callable[[], None]] = []
        self.buckets: dict[str, Callable[[], None]] = {}
        """What ends each that comes."""
        self._wire = wire
        self._base = base
        self._subject = f"{base}.up.{name}"
        self._cutter = Cutter()

    def send(self, data: bytes) -> None:
        """Takes a frame, without ever waiting."""
        for piece in self._cutter.pieces(data):
            self._wire.send(self._subject, piece)

    def close(self) -> None:
        """Ends it."""
        self._wire.send(self._subject, END)
        for end in (*self.ends, *self.buckets.values()):
            end()
        self.ends.clear()
        self.buckets.clear()

    async def follow(self, bucket: str, take: Callable[[str, str, bytes], None]) -> None:
        """Has batches of a bucket come."""
        if bucket not in self.buckets:
            self.buckets[bucket] = await self._wire.take(f"{self._base}.e.{bucket}", take)

    def keep(self, buckets: Collection[str]) -> None:
        """The others come no more."""
        for bucket in self.buckets.keys() - buckets:
            self.buckets.pop(bucket)()


class Follower:
    """Keeps the way to whoever owns the streams up."""

    def __init__(
        self,
        market: RemoteMarket,
        wire: Wire,
        names: Names,
        name: str,
        micros: Callable[[], int],
        dice: Random,
    ) -> None:
        assert market.followed is not None  # noqa: S101  # a cluster has buckets
        self._market = market
        self._followed = market.followed
        self._wire = wire
        self._names = names
        self._name = name
        self._micros = micros
        self._dice = dice
        self._owner: Announced | None = None
        self._session: Session | None = None
        self._is_due = asyncio.Event()  # whether a session is to begin
        self._stale: set[int] = set()
        self._fastest = 0
        self._late = 0
        self._is_late = False
        self.left_out = 0
        """Batches that were not taken, since they came late."""

    async def run(self) -> None:
        """Never ends. Raises BusError if the owner refuses us."""
        market, wire = self._market, self._wire
        wire.lost.append(self._lose)
        ends = await wire.take(self._names.owner, self._hear)
        watching = asyncio.create_task(self._watch())
        try:
            while not market.refused:
                await self._is_due.wait()
                self._is_due.clear()
                self._lose()
                if self._owner is not None:
                    try:
                        await self._begin(self._owner)
                    except (BusError, nats.errors.Error, OSError) as error:  # it was lost meanwhile
                        self._again(str(error))
                await asyncio.sleep(PAUSE)
            raise BusError(market.refused)
        finally:
            watching.cancel()
            wire.lost.remove(self._lose)
            ends()
            self._lose()

    def describe(self) -> Present:
        """How this client side stands."""
        owner = self._owner if self._session is not None and self._market.joined.is_set() else None
        return Present(
            "gateway",
            self._name,
            0 if owner is None else owner.epoch,
            late=self._late,
            left_out=self.left_out,
            buckets=len(self._followed.buckets),
        )

    def _hear(self, _: str, __: str, data: bytes) -> None:
        """Somebody says that it owns the streams."""
        try:
            owner = _announced(data)
        except (msgspec.DecodeError, ValueError):
            return
        if owner.epoch > self._micros() + AHEAD:
            if self._is_news(owner):
                log.error("a market says that it owns in an epoch that lies ahead", node=owner.node)
            return
        before = self._owner
        if before is not None and owner.epoch < before.epoch:
            if self._is_news(owner):
                log.warning("a market that has been replaced still says that it owns", node=owner.node)
            return
        self._owner = owner
        if before is None or owner.epoch > before.epoch:
            log.info("a market owns the streams", node=owner.node, epoch=owner.epoch)
            self._is_due.set()
        elif self._session is None:
            self._is_due.set()

    def _is_news(self, owner: Announced) -> bool:
        """Whether the log has not said so of that epoch, nor of many."""
        if owner.epoch in self._stale or len(self._stale) >= MOST_TOLD:
            return False
        self._stale.add(owner.epoch)
        return True

    async def _begin(self, owner: Announced) -> None:
        base = self._names.of(owner.epoch)
        name = self._names.session(self._name, self._dice)
        session = self._session = Session(self._wire, base, name)
        self._fastest, self._is_late = 2**63, False

        def told(_: str, __: str, data: bytes) -> None:
            if self._session is not session:
                return
            if (piece := session.joiner.piece(data)) is None:
                self._again("a part is missing" if data != END else "the owner ends it")
                return
            try:
                self._market.received(piece)
            except BusError as error:
                self._again(str(error))

        def events(_: str, __: str, data: bytes) -> None:
            if self._session is session:
                try:
                    self._take(data)
                except BusError as error:
                    self._again(str(error))

        async def take_up(buckets: Collection[str]) -> None:
            self._market.incoming.anew(buckets)
            for bucket in buckets:
                await session.follow(bucket, events)
            if self._session is not session:
                session.keep(())
                return
            await self._market.last_of(buckets)

        session.ends.append(await self._wire.take(f"{base}.to.{name}", told))
        for bucket in self._followed.buckets:
            await session.follow(bucket, events)
        if self._session is not session:
            session.close()
            return
        self._followed.take_up = take_up
        self._market.attach(session, session.buckets)

    def _take(self, data: bytes) -> None:
        """A batch of events, as all are sent it."""
        if not self._market.joined.is_set():
            return
        batch = whole(data)
        late = self._micros() - batch.sent
        self._fastest = min(late, self._fastest)
        self._late = late = late - self._fastest
        if late > (IN_TIME if self._is_late else LATE):
            if not self._is_late:
                log.warning("events are left out: this client side does not keep up", late=late / 1e6)
            self._is_late = True
            self.left_out += 1
            return
        if self._is_late:
            self._is_late = False
            log.info("this client side goes on", left_out=self.left_out)
            self._market.catch_up()
        self._market.received_batch(batch)

    def _again(self, reason: str) -> None:
        """Begins a new session."""
        log.info("a session of the bus ends", reason=reason)
        self._lose()
        self._is_due.set()

    def _lose(self) -> None:
        """There is no way to the owner any more."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._market.lost()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._market.look()
            self._market.incoming.forget(self._followed.look())
            session, owner = self._session, self._owner
            if session is None or owner is None:
                continue
            session.keep(self._followed.buckets)
            if self._market.joined.is_set():
                self._market.beat()
            answered = await self._wire.is_answered(self._names.node(owner.id), LOOK)
            if answered is False and self._session is session:
                log.warning("the market that owned the streams is gone", node=owner.node)
                if self._owner == owner:  # and no other one has said so meanwhile
                    self._owner = (
                        None  # an earlier one may say so rightly: what was joined is fenced all the same
                    )
                self._lose()


async def follow(
    market: RemoteMarket, wire: Wire, names: Names, name: str, micros: Callable[[], int], dice: Random
) -> None:
    """Keeps the way to the market side up. Ends if that refuses us: raises BusError."""
    follower = Follower(market, wire, names, name, micros, dice)
    async with present(wire, names, follower.describe, micros):
        await follower.run()
