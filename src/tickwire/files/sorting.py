"""Sorts what may be larger than memory."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import IO, TypeVar

MOST = 100_000
"""Rows that are held in memory at a time, and again for each so many of them one."""

T = TypeVar("T")


def in_order(rows: Iterable[T], key: Callable[[T], int], most: int = MOST) -> Iterator[T]:
    """Rows by a number, those of the same one as they came. Beyond `most` they are sorted in temporary files.

    Rows must be values that can be pickled.
    """
    rows = iter(rows)
    with ExitStack() as opened:
        runs: list[Iterator[T]] = []
        while chunk := sorted(islice(rows, most), key=key):
            if len(chunk) < most and not runs:
                yield from chunk
                return
            file = opened.enter_context(tempfile.TemporaryFile())
            for begin in range(0, len(chunk), 1000):
                pickle.dump(chunk[begin : begin + 1000], file)
            file.seek(0)
            runs.append(_read(file))
        yield from heapq.merge(*runs, key=key)


def _read(file: IO[bytes]) -> Iterator[T]:
    while True:
        try:
            yield from pickle.load(file)  # noqa: S301  # what was written above
        except EOFError:
            return
