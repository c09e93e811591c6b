"""Reads a recording that goes on: what is sealed, what stands in journals still, and what comes later."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ...errors import InputError
from ...model import Kind
from . import journal
from .folder import Folder, SealedFile
from .journal import Damage, Record
from .recordings import ROWS, Recorded, Wanted, told, told_if_there, within

if TYPE_CHECKING:  # it needs pyarrow
    from .page import Loaded, Page


class Growing:
    """One folder, read from its beginning: each time on from where the last reading came to."""

    def __init__(self, folder: Folder, wanted: Wanted, *, finds_holes: bool = False) -> None:
        """With `finds_holes` it keeps `holes`, which costs some time."""
        self.folder = folder
        self._wanted = wanted
        self.following = 0
        """The place in the order of what is read next: what is before was given, or is not wanted."""
        self.is_over = False
        """Whether nobody wants any more of it: a reading that is under way then ends."""
        self.holes: dict[tuple[Kind, str], list[int]] = {}
        """By stream, the `seq` of each event that has a hole before it: events were sent that are not in this
        recording. Whoever gives the events takes their holes out."""
        self._finds_holes = finds_holes
        self._latest: dict[tuple[Kind, str], int] = {}  # the `seq` of each stream up to which holes are known
        self._journal = 0, 0  # the one that is being read, and up to where in it
        self._was_there = False
        self._due: list[SealedFile] = []  # those that are to be read, as they were when that was looked for

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
        from .page import load_records
        from .segment import load_segment

        with told(self.folder):
            while True:
                self._was_there = look_again(self.folder, self._was_there)
                # A journal goes once all of it is sealed: so these first.
                journals = self.folder.journals()
                files = within(self.folder.complete_files(), self._wanted)
                new = [file for file in files if file.last >= self.following]
                gone, self._due = self._gone(), new
                before: list[SealedFile] = []
                try:
                    for (_, last), segment in groupby(new, key=lambda file: (file.first, file.last)):
                        together = [*segment]
                        with told_if_there(together):
                            found = load_segment(together, self._wanted)
                        if found.tables:
                            self._look_before(before)
                        before = together
                        self._look_for_holes(found)
                        for page in found.pages(self._wanted):
                            gone = None  # what is missing shows in the numbers of what follows
                            yield from self._new(page)
                            if self.is_over:
                                return
                        self.following = max(self.following, last + 1)
                    if journals:
                        self._look_before(before)
                    for first, path in journals:
                        begin = self._journal[1] if self._journal[0] == first else 0
                        for records in _some(journal.read(path, begin)):
                            found = load_records(records, self._wanted)
                            self._look_for_holes(found)
                            for page in found.pages(self._wanted):
                                gone = None
                                yield from self._new(page)
                                if self.is_over:
                                    return
                            last = records[-1]
                            self.following = max(self.following, last.first + last.events)
                            self._journal = first, last.end
                except FileNotFoundError:  # it has been sealed since, or let go of
                    continue
                if gone is not None:
                    raise InputError(f"{gone.path} was removed or moved before it was read.")
                return

    def _gone(self) -> SealedFile | None:
        """A file that was to be read and is not there any more, if there is one."""
        due = (file for file in self._due if file.last >= self.following)
        return next((file for file in due if not os.path.lexists(file.path)), None)

    def _look_before(self, files: Sequence[SealedFile]) -> None:
        """Notes up to where each stream came in the segment before all that is wanted: a hole may reach into
        that."""
        if not files or not self._finds_holes or self._latest:
            return
        from .segment import load_segment

        with told_if_there(files):
            found = load_segment(files, self._wanted._replace(start=None, end=None))
        self._latest |= {(run.kind, run.code): run.last for run in found.runs}

    def _look_for_holes(self, found: Loaded) -> None:
        """Notes where something of a stream is missing, of what follows what was looked at before."""
        for kind, code, first, last, jumps in found.runs if self._finds_holes else ():
            latest = self._latest.get((kind, code))
            some = [seq for seq in jumps if latest is None or seq > latest]
            if latest is not None and first > latest + 1:
                some.insert(0, first)
            if some:
                self.holes.setdefault((kind, code), []).extend(some)
            self._latest[kind, code] = last if latest is None else max(latest, last)

    def _new(self, page: Page) -> Iterator[Page]:
        """What of a page was not given yet, if anything is."""
        if page.following > self.following:
            _, new = page.split(self.following)
            self.following = page.following
            yield new


def look_again(folder: Folder, was_there: bool) -> bool:
    """Whether anything of a recording is there. Raises InputError if there was and is not any more."""
    is_there = folder.exists()
    if was_there and not is_there:
        raise InputError(f"{folder.path} has no recording any more: it was removed or moved.")
    return is_there


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
