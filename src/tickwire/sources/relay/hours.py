"""When the markets of codes are open, as far as that is known."""

from __future__ import annotations

from ...calendars import KEYS, load
from ...model import Catalogue


class Hours:
    """The calendars of a catalogue; an instrument without one is neither known to be open nor closed.

    Moments are in milliseconds since the epoch.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.round_the_clock = False
        """Whether all of them are open at any time, whatever their calendars say."""

    def is_open(self, code: str, at: int) -> bool:
        """Whether its market is open at that moment, for all that is known."""
        key = self._catalogue[code].calendar
        return self.round_the_clock or (key in KEYS and load(key).is_open(at))

    def is_closed(self, code: str, at: int) -> bool:
        """Whether its market is closed at that moment, for all that is known."""
        key = self._catalogue[code].calendar
        return not self.round_the_clock and key in KEYS and not load(key).is_open(at)
