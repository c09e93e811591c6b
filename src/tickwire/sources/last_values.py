"""What was published last of each code, so that a server that is started anew can show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import msgspec
import structlog

from ..model import (
    EXACT,
    QUANTA,
    Book,
    Catalogue,
    Correction,
    Entrance,
    Event,
    Instrument,
    Kind,
    Trade,
    event_fault,
)
from .publishers import Publisher, Publishers
from .source import Resent

LAST = "last:"
"""Begins the name of a note with the last event of a stream; its kind and code follow."""
Last: TypeAlias = tuple[str, int, Event]
"""Who published an event, under which `seq`, and the event: the note, as JSON."""

_readers: dict[Kind, Callable[[str], Last]] = {
    Kind.TRADE: msgspec.json.Decoder(tuple[str, int, Trade]).decode,
    Kind.DEPTH: msgspec.json.Decoder(tuple[str, int, Book]).decode,
}

log = structlog.get_logger()


class LastValues:
    """The last trade and the last book of each code, as they were yielded.

    They are noted with the bars and the positions of the publishers of the same moment: what is durable is
    shown again, and nothing that is yet to be sent once more.
    """

    def __init__(self) -> None:
        self.trades: dict[str, Last] = {}
        """Those since the last notes. Each trade that is yielded is put here, see `put` for all else."""
        self._books: dict[str, Last] = {}
        self._new = {Kind.TRADE: self.trades, Kind.DEPTH: self._books}
        self._noted: dict[Kind, dict[str, Last]] = {kind: {} for kind in self._new}

    def put(self, publisher: Publisher, event: Event | Correction | Resent, seq: int | None) -> None:
        """An event is yielded, with its line's `seq`; None where the line has another one behind it."""
        if type(event) is Resent:
            if event.counted:  # what is here is of behind it
                return
            event = event.event
        if type(event) is Trade:
            self.trades[event.code] = publisher.name, event.source_seq, event
        elif type(event) is Book:
            reached = publisher.books.get(event.code, 0) if seq is None else seq
            self._books[event.code] = publisher.name, reached, event

    def change_all(self) -> None:
        """What was noted before is gone."""
        for kind, new in self._new.items():
            new.update({**self._noted[kind], **new})

    def notes(self) -> dict[str, Last]:
        """What has changed since the last call, by the names of the notes."""
        found = {f"{LAST}{int(kind)}:{code}": new[code] for kind, new in self._new.items() for code in new}
        for kind, new in self._new.items():
            self._noted[kind].update(new)
            new.clear()
        return found

    def restore(self, notes: Mapping[str, str], catalogue: Catalogue, publishers: Publishers) -> list[Book]:
        """Takes what an earlier run has noted. Returns the books whose changes come next, if any come. To be
        called before anything else, but after the publishers were restored."""
        left_out = 0
        going_on: list[Book] = []
        for name, text in notes.items():
            number, _, code = name.removeprefix(LAST).partition(":")
            try:
                kind = Kind(int(number))
                publisher, seq, event = last = _readers[kind](text)
                unfit = not _is_fit(event, catalogue[code])
            except (ValueError, KeyError):  # a code that was taken out of the user's file, for one
                unfit = True
            if unfit:
                left_out += 1
                continue
            self._noted[kind][code] = last
            if publishers.restore_stream(kind, code, publisher, seq) and isinstance(event, Book):
                going_on.append(event)
        if left_out:
            log.warning(
                "last values of codes that are others now, or unknown, are not shown", values=left_out
            )
        return going_on

    def events(self) -> Iterator[Event]:
        """All of an earlier run."""
        for last in self._noted.values():
            for _, _, event in last.values():
                yield event

    @property
    def codes(self) -> set[str]:
        """Those that have one."""
        return {code for last in self._noted.values() for code in last}


def _is_fit(event: Event, instrument: Instrument) -> bool:
    """Whether an event is one of the instrument as it is known now."""
    if event_fault(event, instrument, Entrance.PUBLISH) is not None:
        return False
    levels = (event,) if isinstance(event, Trade) else (*event.bids, *event.asks)
    price, volume = QUANTA[instrument.price_decimals], QUANTA[instrument.volume_decimals]
    exact = EXACT.quantize
    return all(
        exact(one.price, price) == one.price and exact(one.volume, volume) == one.volume for one in levels
    )
