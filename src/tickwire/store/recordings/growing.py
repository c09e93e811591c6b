"""Reads a recording that goes on: what is sealed, what stands in journals still, and what comes later."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from itertools import groupby
from operator import itemgetter

import msgspec

from ...model import Book, Kind, Trade
from . import journal
from .corrected import CorrectionFields, correction_of
from .folder import Folder
from .journal import Line, Record
from .recordings import Recorded, Wanted, told, told_if_there, within

_trades = msgspec.json.Decoder(Line[Trade])
_books = msgspec.json.Decoder(Line[Book])
_corrections = msgspec.json.Decoder(Line[CorrectionFields])


class Growing:
    """One folder, read from its beginning: each time on from where the last reading came to."""

    def __init__(self, folder: Folder, wanted: Wanted) -> None:
        self.folder = folder
        self._wanted = wanted
        self.following = 0
        """The place in the order of what is read next: what is before was given, or is not wanted."""
        self.is_over = False
        """Whether nobody wants any more of it: a reading that is under way then ends."""
        self._journal = 0, 0  # the one that is being read, and up to where in it

    def go_back(self, following: int) -> None:
        """It is read from that place on, for what came of it behind that was not taken; what was being read
        is let go of."""
        self.following = following
        self._journal = 0, 0

    def events(self) -> Iterator[Recorded]:
        """What there is that was not given yet, in order of arrival, up to the end that there is now.

        What is sealed meanwhile is given once. Waits for the disk: call it in a thread. Raises InputError
        that names a bad file.
        """
        from .segment import read_segment

        with told(self.folder):
            while True:
                # A journal goes once all of it is sealed: so these first.
                journals = self.folder.journals()
                files = within(self.folder.complete_files(), self._wanted)
                new = [file for file in files if file.last >= self.following]
                try:
                    for (_, last), segment in groupby(new, key=lambda file: (file.first, file.last)):
                        if self.is_over:
                            return
                        together = [*segment]
                        with told_if_there(together):
                            events = read_segment(together, self._wanted)
                        for order, one in events:
                            if order >= self.following:
                                self.following = order + 1
                                yield one
                        self.following = max(self.following, last + 1)
                    for first, path in journals:
                        begin = self._journal[1] if self._journal[0] == first else 0
                        for record in journal.read(path, begin):
                            if self.is_over:
                                return
                            if isinstance(record, Record):
                                yield from self._new(record)
                                self._journal = first, record.end
                except FileNotFoundError:  # it has been sealed since, or let go of
                    continue
                return

    def _new(self, record: Record) -> Iterator[Recorded]:
        """What is wanted of a record, from where the reading came to."""
        end = record.first + record.events
        if end > self.following:
            for order, one in events_of(record, self._wanted.kinds):
                if order >= self.following and self._wanted.has(one):
                    self.following = order + 1
                    yield one
            self.following = end


def events_of(record: Record, kinds: Collection[Kind] | None = None) -> Iterator[tuple[int, Recorded]]:
    """The events of these kinds (None: all) in a record, in their order, each with its place in it."""
    each = [
        map(_numbered, decoder.decode_lines(lines))
        for kind, lines, decoder in (
            (Kind.TRADE, record.trades, _trades),
            (Kind.DEPTH, record.books, _books),
            (Kind.CORRECTION, record.corrections, _corrections),
        )
        if kinds is None or kind in kinds
    ]
    return heapq.merge(*each, key=itemgetter(0))


def _numbered(line: Line[Trade] | Line[Book] | Line[CorrectionFields]) -> tuple[int, Recorded]:
    event = line.event
    made = correction_of(event) if isinstance(event, CorrectionFields) else event
    return line.order, Recorded(made, line.received, line.seq, line.market)
