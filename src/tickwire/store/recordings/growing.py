"""Reads a recording that goes on: what is sealed, what stands in journals still, and what comes later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from . import journal
from .folder import Folder
from .journal import Damage, Record
from .recordings import ROWS, Recorded, Wanted, told, told_if_there, within

if TYPE_CHECKING:  # it needs pyarrow
    from .page import Page


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
        """The same as `pages`, event by event."""
        for page in self.pages():
            for place, one in page.recorded():
                self.following = place + 1
                yield one

    def pages(self) -> Iterator[Page]:
        """What there is that was not given yet, in order of arrival, up to the end that there is now.

        What is sealed meanwhile is given once. Waits for the disk: call it in a thread. Raises InputError
        that names a bad file.
        """
        from .page import pages_of
        from .segment import read_pages

        with told(self.folder):
            while True:
                # A journal goes once all of it is sealed: so these first.
                journals = self.folder.journals()
                files = within(self.folder.complete_files(), self._wanted)
                new = [file for file in files if file.last >= self.following]
                try:
                    for (_, last), segment in groupby(new, key=lambda file: (file.first, file.last)):
                        together = [*segment]
                        with told_if_there(together):
                            found = read_pages(together, self._wanted)
                        for page in found:
                            yield from self._new(page)
                            if self.is_over:
                                return
                        self.following = max(self.following, last + 1)
                    for first, path in journals:
                        begin = self._journal[1] if self._journal[0] == first else 0
                        for records in _some(journal.read(path, begin)):
                            for page in pages_of(records, self._wanted):
                                yield from self._new(page)
                                if self.is_over:
                                    return
                            last = records[-1]
                            self.following = max(self.following, last.first + last.events)
                            self._journal = first, last.end
                except FileNotFoundError:  # it has been sealed since, or let go of
                    continue
                return

    def _new(self, page: Page) -> Iterator[Page]:
        """What of a page was not given yet, if anything is."""
        if page.following > self.following:
            _, new = page.split(self.following)
            self.following = page.following
            yield new


def _some(found: Iterable[Record | Damage]) -> Iterator[list[Record]]:
    """Records, as many at a time as make a page."""
    some: list[Record] = []
    count = 0
    for one in found:
        if isinstance(one, Damage):
            continue
        some.append(one)
        count += one.events
        if count >= ROWS:
            yield some
            some, count = [], 0
    if some:
        yield some
