"""Streams are sent in buckets, so that what is sent is a batch and whoever wants few codes takes few of them.

Between the processes of one machine there is one bucket; in a cluster a market has several.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeAlias

from ..model import Instrument, Market
from .layout import Batch, Record

BUCKETS = 4
"""Of each market of a cluster. Part of what all its nodes agree on: a change needs another version."""
BucketOf: TypeAlias = Callable[[Instrument], str]
"""The name of the bucket that an instrument is in."""


class Shown:
    """A stream, of which the last event is known."""

    __slots__ = ("bucket",)

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def last(self) -> Record | None:
        """That; None if there was none."""
        raise NotImplementedError


class Bucket:
    """What of a bucket waits to be sent, and the streams it is of. `number` is that of the last batch."""

    __slots__ = ("batch", "name", "number", "streams")

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0
        self.batch = Batch()
        self.streams: set[Shown] = set()


def the_only(_: Instrument) -> str:
    """All are in one."""
    return ""


class Spread:
    """So many buckets for each market, filled by hash: the same in every process."""

    def __init__(self, each: int = BUCKETS) -> None:
        self._each = each
        self.names = frozenset(f"{market}.{number}" for market in Market for number in range(each))
        """All there are."""

    def __call__(self, instrument: Instrument) -> str:
        """The bucket that an instrument is in."""
        return f"{instrument.market}.{zlib.crc32(instrument.code.encode()) % self._each}"
