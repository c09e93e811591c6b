"""Bars at rest: the contract of a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from ..model import Instrument, Kline, KlineType

NO_NOTES: Mapping[str, str] = MappingProxyType({})


IMPORTED = "imported"
"""The name of the note that another process changes when it has put bars of a source into the store."""


def past_note(instrument: Instrument) -> str:
    """The name of the note that says how far the past of an instrument is there, made or imported."""
    return f"past:{instrument.code}"


class KlineStore(Protocol):
    """Keeps bars by source, code, type and open time. Bars of different sources never mix.

    Times are in seconds since the Unix epoch. A bar comes back equal to what was written, its decimals with
    the exponent and the trailing zeros that they had. No text holds a NUL. Methods may be called from any
    thread; a read sees every write that has returned, and never a part of one. They raise StoreError if the
    store cannot be used now or was closed; what a write that failed has touched is then as before.
    """

    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None:
        """Keeps these, each in place of the one of its key, and notes as `put` does: all of them or none.
        A bar that is `removed` goes, and so does a note whose value is empty.

        Of two with the same key the later in `bars` stays. `bars` is gone through before anything is
        locked: a slow generator delays nobody, and may itself read the store.
        """

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        """The latest `count` bars up to and including `end` (None: the latest of all), ascending.

        A count below one gives none.
        """

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        """The latest `count` bars of each type of each of these codes, ascending, all of one moment.

        Each of `codes` is a key; a type without bars is left out.
        """

    @property
    def away(self) -> str:
        """Why what was written waits on the disk of this machine for the database; empty if it does not."""
        ...

    def waiting(self, source: str) -> int:
        """How many bars wait there. Waits for nothing."""
        ...

    def codes(self, source: str) -> list[str]:
        """The codes that have bars, in order."""
        ...

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        """The times of the first and the last bar; None if there is none."""

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        """Lets go of the bars that open before that, in steps between which others may write; how many.

        Ended in between, it has let go of the oldest ones of some codes.
        """

    def put(self, source: str, name: str, value: str) -> None:
        """Keeps a small fact about a source, in place of the one of that name."""

    def get(self, source: str, name: str) -> str | None:
        """A fact that was put; None if none was."""

    def notes(self, source: str, prefix: str) -> dict[str, str]:
        """All facts of a source whose names begin so, by name."""
