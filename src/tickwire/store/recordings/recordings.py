"""Reads a recording that is at rest, or that somebody else is writing on."""

from __future__ import annotations

import heapq
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...errors import InputError
from ...model import Correction, Event, Kind, Market
from .folder import Folder, SealedFile
from .gaps import moment
from .needs import need_pyarrow

if TYPE_CHECKING:  # it needs pyarrow
    from .contents import Contents

ROWS = 2_048
"""Events that are read at a time."""


class Recorded(NamedTuple):
    """An event as it was recorded.

    `received` is when it came, in microseconds since the epoch; `seq` the number that we gave it.
    """

    event: Event | Correction
    received: int
    seq: int
    market: Market


class Wanted(NamedTuple):
    """Which events are read: from `start` up to but without `end`, in milliseconds of the source's time, only
    of these codes and kinds, and of a `seq` above `after`; None is no bound."""

    start: int | None
    end: int | None
    codes: Collection[str] | None
    kinds: Collection[Kind] | None = None
    after: int | None = None

    def has(self, one: Recorded) -> bool:
        """Whether an event is wanted, of a kind that is."""
        return (
            (self.codes is None or one.event.code in self.codes)
            and (self.start is None or one.event.time >= self.start)
            and (self.end is None or one.event.time < self.end)
            and (self.after is None or one.seq > self.after)
        )


ALL = Wanted(None, None, None)


class Recordings:
    """What is sealed in one or more folders. The journal of a recorder that is running is passed over."""

    def __init__(self, *paths: Path) -> None:
        """Each is the folder of a recording, or of several: a server records each of its sources into one of
        its own. Raises InputError if there is none, or without pyarrow."""
        need_pyarrow(InputError)
        found = {folder.path.resolve(): folder for path in paths for folder in folders_in(path)}
        self._folders = [*found.values()]  # each once

    def contents(self) -> Contents:
        """What there is, and what is missing. Raises InputError that names a bad file."""
        from .contents import contents

        with told(self._folders[0]):
            return contents(self._folders)

    def read(
        self,
        start_ms: int | None = None,
        end_ms: int | None = None,
        codes: Collection[str] | None = None,
    ) -> Iterator[Recorded]:
        """The events in the order in which they came, run after run; those of several recordings by when they
        came.

        `start_ms` is the first millisecond of the source's time, `end_ms` the first that no longer belongs to
        it; with `codes` only these. Of several recordings together, what clients were not sent, as the code
        came from another source then, is left out. One segment of each is in memory at a time: a few times
        `seal_bytes` of the one that recorded it. The next event may take the time to read a segment, tenths
        of a second: call it in a thread. Raises InputError that names a bad file.
        """
        wanted = Wanted(start_ms, end_ms, None if codes is None else frozenset(codes))
        each = [_events(folder, wanted) for folder in self._folders]
        if len(each) == 1:
            return each[0]
        return heapq.merge(*map(_sent, each), key=attrgetter("received"))


def folders_in(path: Path) -> list[Folder]:
    """The recording in a folder, or those below it. Raises InputError if there is none."""
    folder = Folder(path)
    if folder.exists():
        return [folder]
    with told(folder):
        below = [Folder(one) for one in sorted(path.iterdir()) if one.is_dir()] if path.is_dir() else []
    found = [one for one in below if one.exists()]
    if not found:
        raise InputError(f"There is no recording in {path}.")
    return found


def _events(folder: Folder, wanted: Wanted) -> Iterator[Recorded]:
    from .segment import read_segment

    with told(folder):
        files = within(folder.complete_files(), wanted)
    for _, segment in groupby(files, key=lambda file: file.first):
        for _, one in read_segment(segment, wanted):
            yield one


def within(files: Iterable[SealedFile], wanted: Wanted) -> list[SealedFile]:
    """Those of sealed files in which something may be that is wanted, by what their names say."""
    first = None if wanted.start is None else moment(wanted.start * 1000).date()
    last = None if wanted.end is None else moment(wanted.end * 1000).date()
    return [
        file
        for file in files
        if (first is None or first <= file.partition.date)
        and (last is None or file.partition.date <= last)
        and (wanted.kinds is None or file.partition.kind in wanted.kinds)
    ]


@contextmanager
def told_if_there(files: Iterable[SealedFile]) -> Iterator[None]:
    """What cannot be read of these is said so, unless one has been removed: a recorder lets go of the oldest.
    Raises InputError, or FileNotFoundError."""
    try:
        yield
    except InputError as error:
        if all(os.path.lexists(file.path) for file in files):
            raise
        raise FileNotFoundError(str(error)) from error


def _sent(events: Iterable[Recorded]) -> Iterator[Recorded]:
    return (one for one in events if one.seq)


@contextmanager
def told(folder: Folder) -> Iterator[None]:
    """What cannot be read is said so. Raises InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"Cannot read {folder.path}: {error.strerror}.") from error
