"""The tape of a source on the disk: what was put on it, in notes that are kept together with the bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...klines import Tape
from ...model import Correction

PREFIX = "tape:"
"""Begins the name of a note with what came together; its number follows."""
FLOOR = "tape"
"""The note that says before which minute, in seconds, not all trades are known."""


class TapeNotes:
    """Keeps what is put on a tape."""

    def __init__(self, tape: Tape, clock: Callable[[], float]) -> None:
        """`clock` is in seconds since the epoch."""
        self._tape = tape
        self._clock = clock

    def restore(
        self, notes: Mapping[str, str], put: Callable[[str, Correction], None], *, other_bars: bool
    ) -> None:
        """Takes what an earlier run has kept; gives `put` the corrections in it, and who they are from.
        `other_bars` says that there are bars of before. To be called before anything else."""
        if FLOOR in notes:
            self._tape.begin_at(int(notes[FLOOR]))
        elif other_bars:  # of an earlier version, or of an import: who knows of which trades
            self._tape.begin_at(int(self._clock()) // 60 * 60 + 60)
        for name in sorted(name for name in notes if name.startswith(PREFIX)):
            number = int(name.removeprefix(PREFIX))
            for publisher, correction in self._tape.restore(number, notes[name]):
                put(publisher, correction)

    def notes(self) -> dict[str, str]:
        """What came since the last call, to be kept with the bars as they are right now; a note whose value
        is empty goes."""
        found = {f"{PREFIX}{number:015}": text for number, text in self._tape.rolls().items()}
        return found | {FLOOR: str(max(self._tape.begins, self._tape.gone_until))}
