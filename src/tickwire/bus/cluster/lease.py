"""Who of several markets owns the streams: whoever holds a lease that stands in JetStream.

The lease elects; receivers fence, by the epoch. A market stops speaking when its lease may be another's, goes
on if it turns out that it was not, and is replaced if it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from random import Random

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.kv import KeyValue

from ...errors import StartError
from .names import Names
from .wire import Wire

SECONDS = 4.0
"""For which a lease stands unless it is renewed."""
RENEWAL = 0.5
"""Seconds between two renewals."""
MARGIN = 1.0
"""Seconds before its end in which its holder says nothing more."""
SUSPENSE = 10.0
"""Seconds after which a market ends that does not know whether it still owns the streams: what it uses of
others, such as the connections of an account, is to be free for the next."""
NOTED = 5.0
"""Seconds between notes of how far sequences have come."""
BEYOND = 20_000_000
"""Microseconds by which an epoch begins above what was noted last: sequences may have come further since."""
LOOK = 0.1
"""Seconds between two looks of a market that stands by."""
SURE = 4
"""Looks in a row at which the holder is not connected, after which its lease is taken over: what has moved to
another server is there again by then."""
FIRST_BACK = 1.5
"""Seconds after NATS was away in which only the market takes a lease that ran out which had it."""
ANSWER = 0.25
"""Seconds that a holder has to answer; that there is none is said at once. One that dies with a question
before it never answers: the sooner it is asked again, the sooner it is known to be gone."""
CALL = 2.0
"""Seconds that JetStream has to answer."""
REPLICAS = 3
ALONE = 10074
"""What a server says that is asked for replicas and has no others."""
KEY, OWNER = "market", "owner"

FAILURES = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)
"""What a call of JetStream may raise."""

log = structlog.get_logger()


class Held(msgspec.Struct, frozen=True):
    """What stands in the lease."""

    id: str
    node: str
    data: str = ""
    """What its market takes, as the settings say."""


class Noted(msgspec.Struct, frozen=True):
    """What outlives it: the last owner's epoch, and what its sequences may have come to; in microseconds."""

    epoch: int
    reached: int


class Term(msgspec.Struct, frozen=True):
    """A market owns the streams from now on, in an epoch of `least` or later."""

    least: int


class Lease:
    """The lease, as one market sees it."""

    def __init__(
        self,
        wire: Wire,
        names: Names,
        node: str,
        clock: Callable[[], float],
        dice: Random,
        *,
        seconds: float = SECONDS,
        data: str = "",
        unfit: Callable[[], str] = lambda: "",
    ) -> None:
        """`node` is its name for people, and `data` what it takes; `clock` is monotonic, in seconds. While
        `unfit` says why this market could not own the streams, it leaves the lease to others."""
        self.id = f"{dice.getrandbits(64):016x}"
        self.node = node
        self.trouble = ""
        """Why the lease cannot be asked for, or renewed; empty for nothing."""
        self.lost = asyncio.Event()
        """Set when another one owns the streams, or may."""
        self._wire = wire
        self._names = names
        self._clock = clock
        self._seconds = seconds
        self._margin = min(MARGIN, seconds / 4)
        self._data = data
        self._unfit = unfit
        self._value = msgspec.msgpack.encode(Held(self.id, node, data))
        self._until = 0.0
        self._back = -FIRST_BACK
        self._revision = 0
        self._epoch = 0
        self._began = 0.0
        self._lease: KeyValue
        self._notes: KeyValue

    def _is_back(self) -> None:
        """NATS is there again."""
        self._back = self._clock()

    async def open(self) -> None:
        """Makes the buckets if need be. Raises StartError."""
        self._wire.back.append(self._is_back)
        stream = self._wire.client.jetstream(timeout=CALL)
        until = self._clock() + 10 * CALL
        while True:
            try:
                self._lease = await _bucket(stream, self._names.lease, self._seconds)
                self._notes = await _bucket(stream, self._names.notes, None)
            except FAILURES as error:
                if self._clock() > until:
                    raise StartError(
                        "JetStream, in which the lease of a cluster stands, cannot be used: "
                        f"{said(error)}. Start the NATS servers with -js and a folder (-sd), and let this "
                        "user use it."
                    ) from None
                self._fails("JetStream cannot be used yet", error)
                await asyncio.sleep(1)
            else:
                self.trouble = ""
                return

    @property
    def epoch(self) -> int:
        """In which it owns the streams; 0 while it does not."""
        return self._epoch if self.holds() else 0

    def holds(self) -> bool:
        """Whether it is certain that no other market owns the streams."""
        return self._clock() < self._until

    @contextlib.asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        """Says that this process is there, whoever asks."""
        async with answering(self._wire, self._names, self.id):
            yield

    async def win(self) -> Term:
        """Waits until this market owns the streams."""
        self.lost.clear()
        self._epoch, gone, waits = 0, 0, False
        while True:
            try:
                found = await self._holder()
                noted = await self._noted()  # before: who owns must not wait for it
                if self._unfit():
                    gone = 0
                elif found is None:
                    gone = 0
                    if self._clock() - self._back > FIRST_BACK and await self._take(0):
                        break
                else:
                    revision, held = found
                    if not waits:
                        waits = True
                        log.info("this market stands by", node=self.node, owner=held.node)
                        self._compare(held)
                    there = bool(held.id) and await self._wire.is_answered(self._names.node(held.id), ANSWER)
                    gone = gone + 1 if there is False else 0
                    if gone >= SURE and await self._take(revision):
                        log.warning("the market that owned the streams is gone", node=held.node)
                        break
                self.trouble = ""
            except FAILURES as error:
                self._fails("the lease cannot be asked for", error)
            await asyncio.sleep(LOOK)
        log.info("this market owns the streams", node=self.node)
        return Term(0 if noted is None else noted.reached + BEYOND)

    async def begin(self, epoch: int) -> None:
        """The epoch in which it owns them. What fails is noted later."""
        self._epoch, self._began = epoch, self._clock()
        with contextlib.suppress(*FAILURES):
            await self._note()

    async def keep(self) -> None:
        """Renews it until it is another's: then sets `lost`, and ends."""
        try:
            await self._keep()
        except Exception:
            log.exception("the lease cannot be renewed: this market ends", node=self.node)
        finally:
            self._until = 0.0
            self.lost.set()

    async def _keep(self) -> None:
        noted = self._clock()
        while True:
            try:
                if not await self._renewed():
                    log.error("another market owns the streams: this one ends", node=self.node)
                    break
                self.trouble = ""
                if self._epoch and self._clock() - noted > NOTED:
                    await self._note()
                    noted = self._clock()
            except FAILURES as error:
                self._fails("the lease cannot be renewed", error)
            if self._clock() > self._until + SUSPENSE:
                log.error("it is not known who owns the streams: this market ends", node=self.node)
                break
            await asyncio.sleep(RENEWAL if self.holds() else LOOK)

    def _fails(self, what: str, error: Exception) -> None:
        reason = said(error)
        if not self.trouble:
            log.warning(what, reason=reason)
        self.trouble = f"{what}: {reason}"

    def _compare(self, held: Held) -> None:
        """Warns of what may be a mistake in how the markets were set up."""
        if held.node == self.node and held.id != self.id:
            log.warning("another market goes by the name of this one: give each a --node", node=self.node)
        if held.data and self._data and held.data != self._data:
            log.warning(
                "the market that owns the streams takes other data than this one would",
                owner=held.data,
                this=self._data,
            )

    async def give_up(self) -> None:
        """Lets another one own the streams at once."""
        if self.holds():
            self._until = 0.0
            with contextlib.suppress(*FAILURES):
                await self._note()
                await self._lease.delete(KEY, last=self._revision)

    async def _renewed(self) -> bool:
        """Renews it; returns False if it is another's."""
        sent = self._clock()
        try:
            self._revision = await self._lease.update(KEY, self._value, last=self._revision)
        except nats.js.errors.KeyWrongLastSequenceError:
            found = await self._holder()
            if found is not None and found[1].id == self.id:  # an answer was lost
                self._revision = found[0]
                return True
            noted = await self._noted()
            if found is not None or (noted is not None and noted.epoch != self._epoch):
                return False
            return await self._take(0)  # it ran out, and nobody wanted it
        self._until = sent + self._seconds - self._margin
        return True

    async def _take(self, revision: int) -> bool:
        """Takes it if it is as it was at that revision; 0: nobody's."""
        sent = self._clock()
        try:
            if revision:
                self._revision = await self._lease.update(KEY, self._value, last=revision)
            else:
                self._revision = await self._lease.create(KEY, self._value)
        except nats.js.errors.KeyWrongLastSequenceError:
            return False
        self._until = sent + self._seconds - self._margin
        return True

    async def _holder(self) -> tuple[int, Held] | None:
        try:
            entry = await self._lease.get(KEY)
        except nats.js.errors.KeyNotFoundError:
            return None
        assert entry.revision is not None  # noqa: S101
        try:
            return entry.revision, msgspec.msgpack.decode(entry.value or b"", type=Held)
        except (msgspec.DecodeError, ValueError):
            log.error("what stands in the lease cannot be read: somebody else has written it")
            return entry.revision, Held("", "somebody unknown")

    async def _noted(self) -> Noted | None:
        try:
            entry = await self._notes.get(OWNER)
            return msgspec.msgpack.decode(entry.value or b"", type=Noted)
        except nats.js.errors.KeyNotFoundError:
            return None
        except (msgspec.DecodeError, ValueError):
            log.error("the note of the last epoch cannot be read: somebody else has written it")
            return None

    async def _note(self) -> None:
        reached = self._epoch + int((self._clock() - self._began) * 1e6)
        await self._notes.put(OWNER, msgspec.msgpack.encode(Noted(self._epoch, reached)))


def said(error: Exception) -> str:
    """What a call of JetStream failed with."""
    if isinstance(error, nats.js.errors.APIError) and error.description:
        return error.description
    if isinstance(error, nats.js.errors.ServiceUnavailableError | nats.errors.NoRespondersError):
        return "JetStream is not there: start the NATS servers with -js and a folder (-sd)"
    return str(error) or type(error).__name__


@contextlib.asynccontextmanager
async def answering(wire: Wire, names: Names, identity: str) -> AsyncIterator[None]:
    """Says that the market of that identity is there, whoever asks."""

    def answer(_: str, reply: str, __: bytes) -> None:
        if reply:
            wire.send(reply, b"")

    end = await wire.take(names.node(identity), answer)
    try:
        yield
    finally:
        end()


async def _bucket(stream: JetStreamContext, name: str, ttl: float | None) -> KeyValue:
    """A bucket, on three servers where there are so many."""
    try:
        return await stream.key_value(name)
    except nats.js.errors.NotFoundError:
        pass
    for replicas in (REPLICAS, 1):
        try:
            return await stream.create_key_value(
                KeyValueConfig(bucket=name, ttl=ttl, replicas=replicas, direct=False)
            )
        except nats.js.errors.APIError as error:
            if replicas == 1 or error.err_code != ALONE:
                raise
    raise AssertionError
