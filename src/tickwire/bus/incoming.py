"""The streams of a market side in another process, as they come here.

Each is given on in its order. What was missed is asked for before what follows it is given; what cannot be
had any more is told as a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeAlias

import structlog

from ..errors import StoreError
from ..model import Instrument, Kind, Position
from ..wire.canonical import event_of
from .answers import Missed
from .buckets import BucketOf, the_only
from .contract import FrameInlet, Receiver
from .interest import Followed
from .layout import Frame, Record

Key: TypeAlias = tuple[Kind, str, int]
"""A kind, a code, and a type of bars."""
Tell: TypeAlias = Callable[[Callable[[Receiver], None]], None]
"""Tells the client side something, if it is there."""

TRIES, PAUSE = 5, 0.5
"""How often what was missed is asked for, and seconds between; each time waits for one that is away."""

log = structlog.get_logger()


class Spout:
    """A stream as it comes here."""

    __slots__ = (
        "bucket",
        "failures",
        "filling",
        "follows",
        "inlet",
        "instrument",
        "is_over",
        "is_written",
        "kind",
        "kline_type",
        "seq",
        "suspect",
        "waits",
    )

    def __init__(self, kind: Kind, instrument: Instrument, kline_type: int, bucket: str) -> None:
        self.bucket = bucket
        self.kind = kind
        self.is_written = kind in (Kind.TRADE, Kind.DEPTH)
        """Whether its events go on as they come."""
        self.instrument = instrument
        self.kline_type = kline_type
        self.inlet: FrameInlet = Nowhere()
        self.seq = 0
        self.suspect = False
        """Whether something before its next event may have been missed."""
        self.filling = False
        """Whether what was missed is being asked for."""
        self.waits: Record | None = None
        """The newest that came meanwhile."""
        self.follows = False
        """Whether there was one of the same in an earlier epoch."""
        self.is_over = False
        """Whether there is one of the same in a later epoch."""
        self.failures = 0


class Nowhere:
    """The inlet of a stream that could not be opened."""

    def take(self, event: object, seq: int, received: int = 0) -> None:
        """It misses it."""

    def take_frame(self, frame: bytes, seq: int, received: int = 0) -> None:
        """It misses it."""

    def forget(self) -> None:
        """It knows nothing."""


class Incoming:
    """What comes of all streams."""

    def __init__(
        self,
        missed: Callable[..., Awaitable[Missed | None]],
        tell: Tell,
        bucket_of: BucketOf = the_only,
        interest: Followed | None = None,
    ) -> None:
        """`missed` is the market side's, see `Supplier`; without `interest` all buckets come."""
        self.filled = self.gaps = self.missed_batches = 0
        """Streams of which something was missed and came, those of which it did not, and batches that did
        not."""
        self._missed = missed
        self._tell = tell
        self._bucket_of = bucket_of
        self._interest = interest
        self._epoch = 0
        self._numbers: dict[str, int] = {}  # of the last batch of each bucket
        self._spouts: dict[int, Spout] = {}
        self._streams: dict[Key, Spout] = {}
        self._earlier: set[Key] = set()  # streams of earlier epochs
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, epoch: int) -> None:
        """The market side is there, for the first time or again: all streams are opened now. In another epoch
        they begin anew, and clients are told. Of those that did not come here nobody has missed anything."""
        self._numbers.clear()
        self._spouts.clear()
        for key, spout in [*self._streams.items()]:
            if not self._came(spout.bucket):
                self._streams[key] = _again(spout)
        if epoch != self._epoch:
            self._epoch = epoch
            came = {key: one for key, one in self._streams.items() if self._came(one.bucket)}
            trades = [one.instrument for one in came.values() if one.kind is Kind.TRADE]
            self._earlier -= self._streams.keys() - came.keys()
            self._earlier |= came.keys()
            for spout in self._streams.values():
                spout.is_over = True
            self._streams.clear()
            if trades:
                self.gaps += len(trades)
                begins = dict.fromkeys(trades, Position(epoch, epoch))
                self._tell(lambda receiver: receiver.go_on(begins, gap=True))
        for spout in self._streams.values():
            spout.suspect = True

    def open(self, number: int, kind: Kind, instrument: Instrument, kline_type: int) -> None:
        """A stream has that number from now on."""
        key = kind, instrument.code, kline_type
        if (spout := self._streams.get(key)) is None:
            spout = self._streams[key] = Spout(kind, instrument, kline_type, self._bucket_of(instrument))
            if key in self._earlier:  # clients go on at the first event of this epoch
                spout.follows, spout.seq, spout.suspect = True, self._epoch - 1, True
            self._tell(lambda receiver: setattr(spout, "inlet", receiver.open(kind, instrument, kline_type)))
        self._spouts[number] = spout

    def anew(self, buckets: Collection[str]) -> None:
        """These did not come, and do from now on: nobody has missed what was before."""
        for bucket in buckets:
            self._numbers.pop(bucket, None)
        for number, spout in self._spouts.items():
            if spout.bucket in buckets:
                key = spout.kind, spout.instrument.code, spout.kline_type
                self._spouts[number] = self._streams[key] = _again(spout)

    def forget(self, buckets: Collection[str]) -> None:
        """These come no more."""
        for key, spout in self._streams.items():
            if spout.bucket in buckets:
                self._earlier.discard(key)
                spout.inlet.forget()

    def redefine(self, instrument: Instrument) -> None:
        """It is known in other numbers."""
        for spout in self._streams.values():
            if spout.instrument.code == instrument.code:
                spout.instrument = instrument

    async def end(self) -> None:
        """Asks for nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take(self, frame: Frame) -> None:
        """Events of a bucket come. Where a batch is missing, each of its streams may miss something."""
        records, spouts = [*frame.records()], self._spouts
        bucket = spouts[records[0].stream].bucket
        before = self._numbers.get(bucket)
        if before is not None and frame.number > before + 1:
            self.missed_batches += frame.number - before - 1
            for spout in spouts.values():
                if spout.bucket == bucket:
                    spout.suspect = True
        # How all stands, for who comes; or what waited on the way while its server was away.
        is_last = before is None or frame.number <= before
        self._numbers[bucket] = frame.number if before is None else max(before, frame.number)
        for record in records:
            spout = spouts[record[0]]
            if is_last and not self._is_news(spout, record):
                continue
            if spout.filling:
                if spout.waits is None or record.seq > spout.waits.seq:
                    spout.waits = record
            elif not spout.suspect or not self._begin_filling(spout, record):
                self._give(spout, record)

    def behind(self, numbers: Mapping[str, int]) -> list[str]:
        """Those of these buckets of which batches were sent that did not come."""
        known = self._numbers
        return [
            name for name, number in numbers.items() if known.get(name, number) < number and self._comes(name)
        ]

    def _comes(self, bucket: str) -> bool:
        return self._interest is None or self._interest.has(bucket)

    def _came(self, bucket: str) -> bool:
        return self._interest is None or self._interest.came(bucket)

    def _is_news(self, spout: Spout, record: Record) -> bool:
        """Whether the last event of a stream has not been given. What stands there since an earlier run of
        the market side is shown only where nothing has been."""
        if record.seq < self._epoch:
            return not (spout.seq or spout.follows)
        return record.seq > spout.seq

    def _give(self, spout: Spout, record: Record) -> None:
        _, body, seq, _, received = record
        try:
            if seq > spout.seq:
                spout.seq = seq
            if spout.is_written:
                spout.inlet.take_frame(body, seq, received)
            else:
                spout.inlet.take(event_of(spout.kind, body), seq, received)
        except Exception:
            self._failed(spout)

    def _failed(self, spout: Spout) -> None:
        spout.failures += 1
        if spout.failures == 1:
            log.exception("the client side cannot take an event", code=spout.instrument.code)

    def _begin_filling(self, spout: Spout, record: Record) -> bool:
        """Asks for what lies before an event, if something does."""
        spout.suspect = False
        if record.seq <= spout.seq + 1 or not spout.seq or spout.kind is Kind.DEPTH:
            return False
        spout.filling, spout.waits = True, record
        task = asyncio.create_task(self._fill(spout))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _fill(self, spout: Spout) -> None:
        """Gives what was missed, up to what has come meanwhile."""
        try:
            if not await self._is_filled(spout) and not spout.is_over:
                self._tell_gap(spout, spout.waits.seq if spout.waits is not None else spout.seq + 1)
        finally:
            spout.filling = False
            waits, spout.waits = spout.waits, None
            if waits is not None and waits.seq > spout.seq and not spout.is_over:
                self._give(spout, waits)

    async def _is_filled(self, spout: Spout) -> bool:
        """Gives what was missed. Where the market side cannot be asked it is asked again: it may be another
        way to it that is about to be found."""
        for _ in range(TRIES):
            try:
                await self._fill_all(spout)
            except StoreError:
                if spout.is_over:
                    break
                await asyncio.sleep(PAUSE)
            except Exception:
                log.exception("what was missed cannot be given", code=spout.instrument.code)
                break
            else:
                return True
        return False

    async def _fill_all(self, spout: Spout) -> None:
        whole = True
        while not spout.is_over and spout.waits is not None and spout.seq < spout.waits.seq:
            place = Position(self._epoch, spout.seq)
            found = await self._missed(spout.kind, spout.instrument.code, place, spout.kline_type)
            if found is None or not found.whole:
                whole = False
                self._tell_gap(spout, found.seqs[0] if found is not None and found.seqs else spout.waits.seq)
            if found is None or not found.seqs:
                break
            for event, seq in zip(found.events, found.seqs, strict=True):
                spout.seq = seq
                try:
                    spout.inlet.take(event, seq)
                except Exception:
                    self._failed(spout)
        self.filled += whole

    def _tell_gap(self, spout: Spout, begin: int) -> None:
        self.gaps += 1
        log.warning("events of a stream are lost", code=spout.instrument.code, kind=spout.kind.name.lower())
        if spout.kind is Kind.TRADE:
            begins = {spout.instrument: Position(self._epoch, begin)}
            self._tell(lambda receiver: receiver.go_on(begins, gap=True))


def _again(spout: Spout) -> Spout:
    """The same stream as if nothing of it had come yet."""
    fresh = Spout(spout.kind, spout.instrument, spout.kline_type, spout.bucket)
    fresh.inlet, spout.is_over = spout.inlet, True
    return fresh
