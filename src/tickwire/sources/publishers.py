"""Who publishes, and how far each is: taken, in the bars on the disk, in the recording.

After a kill a publisher sends again what is above the lower one of two positions: where it is in the bars,
and where it is in the recording. What lies between the two is taken by the one that lacks it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter
from typing import Protocol

from ..errors import SourceError
from ..model import Kind
from ..wire import PublishedStream
from ..wire.publish import MOST_STREAMS

MOST_PUBLISHERS = 10_000
"""Names of publishers that are remembered, beside those that were known at the start."""
PUBLISHER = "publisher:"
"""Begins the name of a note that says how far a publisher is."""


class RecordedLines(Protocol):
    """A recording that keeps how far publishers are in it."""

    @property
    def id(self) -> str:
        """Which one it is; empty while it misses what is published."""
        ...

    def reach(self, publisher: str, seq: int) -> None:
        """What was recorded since the last call are whole lines of a publisher, up to that `seq`."""
        ...

    def reached(self, publisher: str) -> int:
        """The `seq` up to which a kill loses nothing of a publisher's."""
        ...


class Publisher:
    """Who publishes.

    `taken` is the `seq` of the last line that was taken, `yielded` that of the last one whose events have
    been yielded, `kept` that up to which they are in bars on the disk; 0 if there is none. `recording` is the
    one that got them too. What is not above `counted` was in the bars when the server began, what is not
    above `recorded` in the recording. While `missing` is not 0 that line could not be kept, and none with a
    higher `seq` is taken: it would make a duplicate of it. `defining` says that a new instrument of the
    publisher is being kept, or waits for another one.
    """

    def __init__(self, name: str, counted: int, recorded: int, recording: str) -> None:
        self.name = name
        self.counted, self.recorded = counted, recorded
        self.parted = max(counted, recorded)
        self.taken = min(counted, recorded)
        self.missing = 0
        self.defining = False
        self.codes: set[str] = set()
        """Those of which prices came lately."""
        self.trades: dict[str, int] = {}
        """The `seq` of the last trade of each code that was taken."""
        self.books: dict[str, int] = {}
        """The same of books."""
        self.yielded = 0
        self.kept = counted
        self.recording = recording

    @property
    def applied(self) -> int:
        """The `seq` up to which the bars have everything."""
        return max(self.yielded, self.counted)

    def streams(self, durable: int) -> list[PublishedStream]:
        """The streams of which something was taken, the latest first."""
        trades = (PublishedStream("trade", code, seq, min(seq, durable)) for code, seq in self.trades.items())
        books = (PublishedStream("depth", code, seq, min(seq, durable)) for code, seq in self.books.items())
        return heapq.nlargest(MOST_STREAMS, chain(trades, books), key=attrgetter("seq"))


class Publishers:
    """All publishers of a source."""

    def __init__(self) -> None:
        self.between_lines = True
        """Whether no line has begun that has not ended."""
        self._recording: RecordedLines | None = None
        self._noted = ""  # the recording that the last notes named
        self._known: dict[str, Publisher] = {}
        self._restored = 0
        self.changed: set[Publisher] = set()
        """Those of whom something was yielded since the last notes."""

    def restore(
        self, notes: Mapping[str, str], recording: RecordedLines | None = None, recording_id: str = ""
    ) -> None:
        """Publishers go on where they were, as what `notes` returned says, and as `recording` does if that
        is what they were recorded into. To be called before anything else."""
        self._recording = recording
        for note, value in notes.items():
            kept, _, recorded_into = value.partition(" ")
            name, seq = note.removeprefix(PUBLISHER), int(kept)
            if recording is not None and recorded_into == recording_id:
                self._known[name] = Publisher(name, seq, recording.reached(name), recorded_into)
                continue
            self._known[name] = Publisher(name, seq, seq, "")  # what came until now is not expected there
            if recording is not None:
                recording.reach(name, seq)
        self._restored = len(self._known)

    def restore_stream(self, kind: Kind, code: str, name: str, seq: int) -> bool:
        """A stream was published up to there by one of them, as far as that is in the bars. Returns whether
        it goes on behind that, rather than that something of it comes again."""
        if (one := self._known.get(name)) is None or not (last := min(seq, one.taken)):
            return False
        (one.trades if kind is Kind.TRADE else one.books)[code] = last
        return last == seq

    def named(self, name: str) -> Publisher:
        """The publisher of that name. Raises SourceError if there are too many."""
        found = self._known.get(name)
        if found is None:
            if len(self._known) - self._restored >= MOST_PUBLISHERS:
                raise SourceError(f"There are {MOST_PUBLISHERS} publishers already.")
            recorded = 0 if self._recording is None else self._recording.reached(name)
            found = self._known[name] = Publisher(name, 0, recorded, "")
        return found

    def durable(self, publisher: Publisher) -> int:
        """The `seq` up to which nothing of a publisher's is lost when the process is killed. Where the
        recording has stopped the bars alone count: what it missed is listed as a gap."""
        if self._recording is None or not publisher.recording:
            return publisher.kept
        return min(publisher.kept, self._recording.reached(publisher.name))

    def undurable(self) -> list[tuple[str, int, int]]:
        """Those of whom something is taken and not durable: name, the `seq` that is, and the one that is
        taken."""
        found = ((one.name, self.durable(one), one.taken) for one in self._known.values())
        return [(name, durable, taken) for name, durable, taken in found if durable < taken]

    def reach(self, publisher: Publisher) -> None:
        """All that was yielded are whole lines, up to the last one of that publisher."""
        self.between_lines = True
        if self._recording is not None:
            self._recording.reach(publisher.name, publisher.yielded)

    def change_all(self) -> None:
        """What was noted before is gone."""
        self.changed.update(self._known.values())

    def notes(self) -> dict[str, str]:
        """How far the bars are, of the publishers of whom something came since the last call, and the
        recording that got it too. To be kept together with the bars as they are right now."""
        recording = ""
        if self._recording is not None:
            if self.between_lines:  # so what was recorded outside of any line is whole
                self._recording.reach("", 0)
            recording = self._recording.id
        if recording != self._noted:
            self._noted = recording
            self.change_all()
        found = {
            PUBLISHER + one.name: f"{one.applied} {recording}".rstrip() for one in self.changed if one.applied
        }
        self.changed.clear()
        return found

    def kept(self, notes: Mapping[str, str]) -> None:
        """These notes, among others, are on the disk, with the bars that they speak of."""
        for note, value in notes.items():
            if note.startswith(PUBLISHER):
                publisher = self._known[note.removeprefix(PUBLISHER)]
                kept, _, publisher.recording = value.partition(" ")
                publisher.kept = int(kept)
