"""Frames of what streams sent, made once for all who missed some of it."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from itertools import accumulate
from typing import NamedTuple


class Cut(NamedTuple):
    """Frames of so many events that follow one another, and the `seq` of the last of them."""

    data: bytes
    events: int
    last: int


class Strip:
    """Frames of events of one stream that follow one another without a hole, from behind a `seq` on."""

    __slots__ = ("after", "data", "ends", "seqs")

    def __init__(self, after: int, seqs: Sequence[int], frames: Sequence[bytes]) -> None:
        self.after = after
        self.seqs = array("q", seqs)
        self.ends = array("q", accumulate(map(len, frames)))
        """Where each frame ends."""
        self.data = b"".join(frames)

    def cut(self, after: int, size: int) -> Cut | None:
        """The frames behind that `seq`, of about so many bytes, if it has any of them."""
        if not self.after <= after < self.seqs[-1]:
            return None
        first = bisect_right(self.seqs, after)
        begin = self.ends[first - 1] if first else 0
        last = min(bisect_left(self.ends, begin + size, first), len(self.ends) - 1)
        return Cut(self.data[begin : self.ends[last]], last + 1 - first, self.seqs[last])

    def joined(self, other: Strip) -> Strip:
        """Both, if they meet; else the other one."""
        first, second = (self, other) if self.after <= other.after else (other, self)
        if first.seqs[-1] < second.after:
            return other
        begin = bisect_right(second.seqs, first.seqs[-1])
        start = second.ends[begin - 1] if begin else 0
        moved = len(first.data) - start
        first.ends.extend(moved + end for end in second.ends[begin:])
        first.seqs.extend(second.seqs[begin:])
        first.data += second.data[start:]
        return first


class Strips:
    """Strips of many streams, each in some form: in so many bytes those that were asked for last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._strips: OrderedDict[Hashable, Strip] = OrderedDict()
        self.size = 0
        """Bytes of all frames."""

    def cut(self, key: Hashable, after: int, size: int) -> Cut | None:
        """The frames of a stream in a form behind that `seq`, of about so many bytes, if there are any."""
        if (strip := self._strips.get(key)) is None:
            return None
        self._strips.move_to_end(key)
        return strip.cut(after, size)

    def add(self, key: Hashable, after: int, seqs: Sequence[int], frames: Sequence[bytes]) -> None:
        """Keeps the frames of events that follow one another, the first of them behind `after`."""
        strip = Strip(after, seqs, frames)
        if (old := self._strips.pop(key, None)) is not None:
            self.size -= len(old.data)
            strip = old.joined(strip)
        self._strips[key] = strip
        self.size += len(strip.data)
        while self.size > self._limit:
            self.size -= len(self._strips.popitem(last=False)[1].data)

    def clear(self) -> None:
        """Nobody needs any of them."""
        self._strips.clear()
        self.size = 0
