"""Which buckets of streams come to a client side: those that somebody is subscribed to, or asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Set

import structlog

from ..errors import StoreError
from ..model import Instrument
from .buckets import Spread

LINGER = 60.0
"""Seconds for which a bucket still comes after the last one who wanted it."""
PATIENCE = 2.0
"""Seconds that a client waits for a bucket to come; then it is served with what is known here."""

AGAIN = 0.05
"""Seconds after which one is asked for again that could not come."""

log = structlog.get_logger()


class Interest:
    """What a client side is to follow. Where all streams come anyway, as between the processes of one
    machine, there is nothing to do."""

    def lacks(self, instruments: Iterable[Instrument] | None) -> bool:
        """Whether something of these (None: of all) does not come here, so that it is to be followed
        first."""
        return False

    async def follow(self, instruments: Iterable[Instrument] | None) -> None:
        """Has what these carry come here, from the last event of each stream on: for a while, and as long as
        somebody is subscribed to it. Waits for those last events, unless they take too long; does not
        fail."""

    def count(self, instrument: Instrument, wanted: bool) -> None:
        """Somebody is subscribed to one more stream of that instrument, or to one less."""

    def count_all(self, wanted: bool) -> None:
        """One more client wants whatever comes, or one less."""


ALL_COMES = Interest()


class Followed(Interest):
    """Counts who wants what, by bucket."""

    def __init__(self, bucket_of: Spread, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self.take_up: Callable[[Collection[str]], Awaitable[None]] | None = None
        """Has buckets come; None while there is no way to the market side. Raises StoreError."""
        self._bucket_of = bucket_of
        self._clock = clock
        self._wanted: Counter[str] = Counter()
        self._wanted_all = 0
        self._until: dict[str, float] = {}  # when each that came may end, if nobody is subscribed to it
        self._here: set[str] = set()
        self._came: set[str] = set()  # those that did until the way was lost, and have been wanted since
        self._reachable = asyncio.Event()
        self._coming: dict[str, asyncio.Task[None]] = {}

    @property
    def buckets(self) -> frozenset[str]:
        """Those that are to come."""
        return frozenset(self._until)

    def lacks(self, instruments: Iterable[Instrument] | None) -> bool:
        """See `Interest`."""
        return not self._buckets_of(instruments) <= self._here

    async def follow(self, instruments: Iterable[Instrument] | None) -> None:
        """See `Interest`."""
        buckets = self._buckets_of(instruments)
        self._keep(buckets)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not buckets <= self._here:
                    await self._reachable.wait()  # the next owner may be on its way
                    if coming := self._begin(buckets):
                        await asyncio.wait(coming)
                    if not buckets <= self._here:
                        await asyncio.sleep(AGAIN)

    def count(self, instrument: Instrument, wanted: bool) -> None:
        """See `Interest`."""
        bucket = self._bucket_of(instrument)
        self._wanted[bucket] += 1 if wanted else -1
        self._keep((bucket,))
        if wanted:
            self._begin({bucket})

    def count_all(self, wanted: bool) -> None:
        """See `Interest`."""
        self._wanted_all += 1 if wanted else -1
        self._keep(self._bucket_of.names)
        if wanted:
            self._begin(self._bucket_of.names)

    # What the way to the market side calls.
    def has(self, bucket: str) -> bool:
        """Whether that one is to come."""
        return bucket in self._until

    def came(self, bucket: str) -> bool:
        """Whether that one came until the way to the market side was lost, so that all that happened before
        is known here."""
        return bucket in self._came

    def began(self, buckets: Iterable[str]) -> None:
        """There is a way to the market side, over which these come from now on."""
        self._here = {*buckets}
        self._reachable.set()
        self._begin(self._until.keys() - self._here)

    def lost(self) -> None:
        """There is none any more."""
        self.take_up = None
        self._reachable.clear()
        self._came = {*self._here} or self._came
        self._here.clear()
        for task in self._coming.values():
            task.cancel()

    def look(self) -> list[str]:
        """Once a second: drops the buckets that nobody wants any more and returns them; retries what
        failed."""
        now, wanted = self._clock(), self._wanted
        over = [one for one, until in self._until.items() if until < now and not wanted[one]]
        if self._wanted_all:
            over = []
        for bucket in over:
            del self._until[bucket]
            self._here.discard(bucket)
            self._came.discard(bucket)
        self._begin(self._until.keys() - self._here)
        return over

    def _buckets_of(self, instruments: Iterable[Instrument] | None) -> Set[str]:
        return self._bucket_of.names if instruments is None else {*map(self._bucket_of, instruments)}

    def _keep(self, buckets: Iterable[str]) -> None:
        self._until |= dict.fromkeys(buckets, self._clock() + LINGER)

    def _begin(self, buckets: Collection[str]) -> set[asyncio.Task[None]]:
        """Has these come, as far as they do not; returns what to wait for."""
        if self.take_up is None:
            return set()
        fresh = [one for one in buckets if one not in self._here and one not in self._coming]
        if fresh:
            task = asyncio.create_task(self._take_up(self.take_up, fresh))
            self._coming |= dict.fromkeys(fresh, task)
        return {self._coming[one] for one in buckets if one in self._coming}

    async def _take_up(
        self, take_up: Callable[[Collection[str]], Awaitable[None]], buckets: Collection[str]
    ) -> None:
        try:
            await take_up(buckets)
            self._here.update(self._until.keys() & buckets)
        except StoreError as error:
            log.warning("streams cannot be followed yet", buckets=len(buckets), reason=str(error))
        except Exception:
            log.exception("streams cannot be followed yet", buckets=len(buckets))
        finally:
            for one in buckets:
                del self._coming[one]
