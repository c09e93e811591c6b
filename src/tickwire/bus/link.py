"""A client side in another process, as the market side's end of the bus knows it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from ..model import Family, Kind
from . import contract, layout
from .answers import Statement
from .buckets import Bucket, Shown
from .contract import Playback
from .layout import Record
from .messages import Down, Say, payload
from .speaking import bounded

CREDIT = 2**20
"""Bytes of events that may be under way to a client side: some thousand ticks, so that none of them is old
when it is taken. What comes beyond it misses, and asks for when it goes on."""
MOST_WAITING = 256 * 2**20
"""Bytes of all else that may wait for one that does not read; beyond it, it is cut."""

log = structlog.get_logger()


class Channel(Protocol):
    """The way to a client side."""

    def send(self, data: bytes) -> None:
        """Takes a frame, without ever waiting."""

    @property
    def waiting(self) -> int:
        """Bytes that have not been sent."""
        ...

    def close(self) -> None:
        """Ends it."""


class Link:
    """A client side, and what it was sent of events."""

    def __init__(
        self, channel: Channel, micros: Callable[[], int], pace: Callable[[Link, bool], None]
    ) -> None:
        """`micros` is the time in microseconds since the epoch; `pace` is told when this side falls behind
        (True), and when it has caught up."""
        self.name = ""
        self.channel = channel
        self.slow: set[int] = set()
        """Its clients that do not take what they are sent as fast as it comes."""
        self.playbacks: dict[int, Playback] = {}
        self.seekers: dict[tuple[Family, str], tuple[str, ...]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.elsewhere: dict[Kind, dict[str, Sequence[str]]] = {}
        """What it was told of the wishes of tokens at others."""
        self.skipped = 0
        """Batches that it has missed."""
        self._questions: dict[int, asyncio.Future[bytes | None]] = {}
        self._last_question = 0
        self._micros = micros
        self._pace = pace
        self.behind = False
        """Whether a source that can wait is to wait for it."""
        self._sent = self._taken = 0
        self._missed: set[Shown] | None = None  # what it misses now

    def send(self, told: Down) -> None:
        """Says something, behind the events that were sent before."""
        if self.channel.waiting > MOST_WAITING:
            log.error("a client side is cut: it does not read", name=self.name)
            self.channel.close()
            return
        self.channel.send(layout.message(payload(told)))

    async def statement(self, what: str, about: str) -> Statement:
        """What it says of itself, if it does so in time."""
        self._last_question += 1
        number, answer = self._last_question, asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self.send(Say(number, what, about))
        try:
            async with asyncio.timeout(contract.PATIENCE):
                return bounded(Statement(self.name, await answer))
        except TimeoutError:
            return Statement(self.name, None)
        finally:
            del self._questions[number]

    def said(self, number: int, body: bytes | None) -> None:
        """It answers a question."""
        if (answer := self._questions.get(number)) is not None and not answer.done():
            answer.set_result(body)

    def lost(self) -> None:
        """It is gone, and answers nothing more."""
        for number in [*self._questions]:
            self.said(number, None)

    def send_events(self, data: bytes, outlets: Iterable[Shown]) -> None:
        """Sends a batch, unless too much is under way."""
        under_way = self._sent - self._taken
        if self._missed is None and under_way and under_way + len(data) > CREDIT:
            self._missed = set()
            log.warning("a client side does not keep up", name=self.name)
        if self._missed is not None:
            self.skipped += 1
            self._missed.update(outlets)
            return
        self._sent += len(data)
        self.channel.send(data)
        if not self.behind and self._sent - self._taken > CREDIT // 2:
            self.behind = True
            self._pace(self, True)

    def taken(self, size: int) -> None:
        """It has taken so many bytes of events. One that had missed some goes on with the last event of each
        stream that it missed some of, and asks for what lies between."""
        self._taken = size
        if self.behind and self._sent - size <= CREDIT // 4:
            self.behind = False
            self._pace(self, False)
        if self._missed is not None and self._sent - size <= CREDIT // 2:
            missed, self._missed = self._missed, None
            log.info("a client side goes on", name=self.name, streams=len(missed))
            self.send_last(missed)

    def send_last(self, streams: Iterable[Shown]) -> None:
        """Sends the last event of each of these."""
        found = defaultdict[Bucket, list[Record]](list)
        for one in streams:
            if (record := one.last()) is not None:
                found[one.bucket].append(record)
        for bucket, records in found.items():
            data = layout.frame_of(records, bucket.number, self._micros())
            self._sent += len(data)
            self.channel.send(data)
