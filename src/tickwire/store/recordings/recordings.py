"""Reads a recording that is at rest, or that somebody else is writing on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...errors import InputError
from ...model import Event, Market
from .folder import Folder
from .gaps import moment
from .needs import need_pyarrow

if TYPE_CHECKING:  # it needs pyarrow
    from .contents import Contents


class Recorded(NamedTuple):
    """An event as it was recorded.

    `received` is when it came, in microseconds since the epoch; `seq` the number that we gave it.
    """

    event: Event
    received: int
    seq: int
    market: Market


class Recordings:
    """What is sealed in a folder. The journal of a recorder that is running is passed over."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError if there is no such folder, or without pyarrow."""
        need_pyarrow(InputError)
        self._folder = Folder(folder)
        if not self._folder.exists():
            raise InputError(f"There is no recording in {folder}.")

    def contents(self) -> Contents:
        """What there is, and what is missing. Raises InputError that names a bad file."""
        from .contents import contents

        with self._told():
            return contents(self._folder)

    def read(
        self,
        start_ms: int | None = None,
        end_ms: int | None = None,
        codes: Collection[str] | None = None,
    ) -> Iterator[Recorded]:
        """The events in the order in which they came, run after run.

        `start_ms` is the first millisecond of the source's time, `end_ms` the first that no longer belongs to
        it; with `codes` only these. One segment is in memory at a time: a few times `seal_bytes` of the one
        that recorded it. The next event may take the time to read a segment, tenths of a second: call it in
        a thread. Raises InputError that names a bad file.
        """
        from .segment import Wanted, read_segment

        wanted = Wanted(start_ms, end_ms, None if codes is None else frozenset(codes))
        first = None if start_ms is None else moment(start_ms * 1000).date()
        last = None if end_ms is None else moment(end_ms * 1000).date()
        with self._told():
            complete = self._folder.complete_files()
        files = [
            file
            for file in complete
            if (first is None or first <= file.partition.date)
            and (last is None or file.partition.date <= last)
        ]
        for _, segment in groupby(files, key=lambda file: file.first):
            yield from read_segment(segment, wanted)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"Cannot read {self._folder.path}: {error.strerror}.") from error
